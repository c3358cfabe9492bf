"""Detectors are compared with ONNX Runtime called directly, on tensors made here as the card describes them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from scanner.detector.card import Card, CropSpec, read_card
from scanner.detector.model import BUNDLED, FACE_FINDER, Detector, bundled_models, find_model, normalise, prepare
from scanner.errors import FacescanError
from tests.onnx_models import SIZE, card, input_card, metadata, write_model
from tests.pictures import difference, noise

HEIGHT, WIDTH = SIZE
ELA = input_card("ela", ela={"quality": 90, "alpha": 80, "beta": -30})
SQUARE = input_card(size=[64, 64])
CENTRED = {"range": [-1, 1], "mean": [0.1, -0.2, 0.3], "std": [0.5, 0.6, 0.7]}
IMAGENET = {"color": "BGR", "range": [0, 255], "mean": [103.939, 116.779, 123.68]}

# What a model may be: options of `write_model`.
MODELS = {
    "sigmoid": {"kind": "sigmoid"},
    "sigmoid of two columns": {"kind": "sigmoid", "columns": 2},
    "sigmoid, label 0 fake": {"kind": "sigmoid", "fake": 0, "labels": ["fake", "real"]},
    "sigmoid of two columns, label 0 fake": {"kind": "sigmoid", "columns": 2, "fake": 0, "labels": ["fake", "real"]},
    "softmax": {"kind": "softmax", "columns": 2},
    "softmax, label 0 fake": {"kind": "softmax", "columns": 2, "fake": 0, "labels": ["fake", "real"]},
    "logit": {"kind": "logit"},
    "logit, label 0 fake": {"kind": "logit", "fake": 0, "labels": ["fake", "real"]},
    "logits": {"kind": "logit", "columns": 2},
    "logits, label 0 fake": {"kind": "logit", "columns": 2, "fake": 0, "labels": ["fake", "real"]},
    "calibrated": {"kind": "logit", "calibration": [2.5, -0.75]},
    "picture and ela": {"inputs": [input_card(), ELA]},
    "ela alone": {"inputs": [ELA]},
    "channels first": {"inputs": [input_card(layout="NCHW")]},
    "blue first": {"inputs": [input_card(color="BGR")]},
    "channels first, blue first": {"inputs": [input_card(layout="NCHW", color="BGR")]},
    "centred": {"inputs": [input_card(**CENTRED)]},
    "centred, channels first, blue first": {"inputs": [input_card(layout="NCHW", color="BGR", **CENTRED)]},
    "as keras prepares vgg": {"kind": "logit", "inputs": [input_card(**IMAGENET)], "calibration": [0.01, 0]},
    "bytes": {"dtype": "uint8"},
    "bytes, channels first, blue first": {"dtype": "uint8", "inputs": [input_card(layout="NCHW", color="BGR")]},
    "any size": {"graph_size": ["height", "width"]},
    "everything": {
        "kind": "softmax",
        "columns": 2,
        "fake": 0,
        "labels": ["fake", "real"],
        "calibration": [0.7, 0.1],
        "inputs": [input_card(layout="NCHW", **CENTRED), ELA | {"color": "BGR"}],
    },
}


def pictures(count: int) -> list[np.ndarray]:
    """Make pictures as large as the models' inputs, so that nothing is resized."""
    return [cv2.GaussianBlur(noise(WIDTH, HEIGHT, seed), (0, 0), 1) for seed in range(count)]


def tensor(picture: np.ndarray, spec: dict, dtype: str) -> np.ndarray:
    """Make an input as the card describes it, value by value where it matters, in double precision."""
    if spec["content"] == "ela":
        quality, alpha, beta = (spec["ela"][key] for key in ("quality", "alpha", "beta"))
        jpeg = cv2.imencode(".jpg", picture[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        again = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
        difference = np.abs(picture.astype(float) - again)
        picture = np.minimum(255, np.abs(alpha * difference + beta)).astype(np.uint8)
    values = picture.astype(float)
    if dtype == "float":
        low, high = spec.get("range", [0, 1])
        values = values / 255 * (high - low) + low
    if spec["color"] == "BGR":
        values = np.stack([values[..., 2], values[..., 1], values[..., 0]], axis=-1)
    if dtype == "float":
        values = (values - spec.get("mean", [0, 0, 0])) / spec.get("std", [1, 1, 1])
    if spec["layout"] == "NCHW":
        values = np.stack([values[..., channel] for channel in range(3)])
    return values[None].astype(np.uint8 if dtype == "uint8" else np.float32)


def expected(file: Path, picture: np.ndarray, options: dict) -> float:
    """Compute the calibrated probability of fake of one picture."""
    values = card(**{key: value for key, value in options.items() if key not in ("columns", "dtype", "graph_size")})
    feeds = {spec["name"]: tensor(picture, spec, options.get("dtype", "float")) for spec in values["inputs"]}
    output = ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, feeds)[0][0].astype(float)
    fake = values["fake"]
    if values["output"]["kind"] == "logit":
        logit = output[fake] - output[1 - fake] if len(output) == 2 else output[0] * (1 if fake == 1 else -1)
    else:
        p = output[fake] if len(output) == 2 else (output[0] if fake == 1 else 1 - output[0])
        logit = np.log(p / (1 - p))
    a, b = values["calibration"]
    return 1 / (1 + np.exp(-(a * logit + b)))


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    """Return a model's file, and the options that it was made with."""
    options = MODELS[request.param]
    return write_model(tmp_path / "tiny.onnx", **options), options


@pytest.mark.slow
def test_scores_are_those_of_onnx_runtime(model):
    file, options = model
    detector = Detector(file)
    scores = [expected(file, picture, options) for picture in pictures(5)]
    assert np.ptp(scores) > 0.01, "the pictures differ to this model, or the test says nothing"
    regions = [prepare(picture, None, detector.card) for picture in pictures(5)]
    assert detector.p_fake(regions) == pytest.approx(scores, abs=1e-5)


@pytest.mark.slow
def test_a_batch_is_as_many_batches_of_one(model):
    detector = Detector(model[0])
    regions = [prepare(picture, None, detector.card) for picture in pictures(7)]
    alone = [detector.p_fake([region])[0] for region in regions]
    assert detector.p_fake(regions) == pytest.approx(alone, abs=1e-6)


class Counting(Detector):
    """Remembers how large the batches were that it ran."""

    sizes: list[int]

    def run_batch(self, outputs, regions, options=None):
        self.sizes.append(len(regions))
        return super().run_batch(outputs, regions, options)


@pytest.mark.parametrize(
    ("device", "fixed", "batch_size", "regions", "sizes"),
    [
        ("cpu", None, None, 0, []),
        ("cpu", None, None, 19, [8, 8, 3]),
        ("cpu", None, 5, 12, [5, 5, 2]),
        ("cpu", None, 32, 32 + 9, [32, 16]),
        ("cpu", None, 20, 20 + 17, [20, 20]),
        ("cpu", 2, None, 5, [2, 2, 2]),
        ("cpu", 2, 8, 5, [2, 2, 2]),
        ("cuda", None, None, 65, [64, 64]),
        ("cuda", None, 4, 5, [4, 4]),
    ],
)
def test_regions_are_scored_in_batches(tmp_path, device, fixed, batch_size, regions, sizes):
    """Of few sizes: ONNX Runtime keeps buffers for each. A GPU plans anew for each, and gets full batches only."""
    detector = Counting(write_model(tmp_path / "m.onnx"))
    detector.sizes = []
    wanted = [prepare(picture, None, detector.card) for picture in pictures(regions)]
    alone = [detector.p_fake([region])[0] for region in wanted]
    detector.device, detector.batch = replace(detector.device, used=device), fixed
    detector.sizes.clear()
    assert detector.p_fake(wanted, batch_size) == pytest.approx(alone, abs=1e-6)
    assert detector.sizes == sizes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "columns"), [("logit", 1), ("logit", 2), ("sigmoid", 1), ("sigmoid", 2), ("softmax", 2)]
)
@pytest.mark.parametrize("fake", [0, 1])
@pytest.mark.parametrize("logit", [-1000.0, -2.0, 0.0, 2.0, 1000.0])
def test_what_a_model_says_of_fake(tmp_path, kind, columns, fake, logit):
    labels = ["real", "fake"] if fake else ["fake", "real"]
    file = write_model(tmp_path / "m.onnx", kind=kind, columns=columns, fake=fake, labels=labels, logit=logit)
    detector = Detector(file)
    (p,) = detector.p_fake([prepare(pictures(1)[0], None, detector.card)])
    # Each of two sigmoids is fed half of the logit; the column of the fake says it all.
    says = (logit / 2 if kind == "sigmoid" and columns == 2 else logit) * (1 if fake == 1 else -1)
    assert p == pytest.approx(1 / (1 + np.exp(-np.clip(says, -50, 50))), abs=1e-6)


def test_a_model_that_says_nothing_of_a_picture_gives_no_number(toy):
    detector = Detector(toy)
    black, grey = (prepare(np.full((32, 32, 3), level, np.uint8), None, detector.card) for level in (0, 51))
    assert detector.p_fake([black, grey]) == pytest.approx([np.nan, 0.2], nan_ok=True)


def test_a_face_is_cut_out_with_its_margin(tmp_path, astronaut):
    file = write_model(tmp_path / "m.onnx", source="face", margin=0.5, inputs=[input_card(size=[50, 50])])
    (region,) = prepare(astronaut, (200, 100, 50, 40), Detector(file).card)
    # 50 and half of it on each side is 100, about the centre (225, 120).
    cut = astronaut[70:170, 175:275]
    assert np.array_equal(region, cv2.resize(cut, (50, 50), interpolation=cv2.INTER_AREA))


@pytest.fixture
def upright_card(tmp_path) -> Card:
    """A card of a model that looks at faces, with a margin, and levels them from 15 degrees on."""
    return Detector(write_model(tmp_path / "m.onnx", source="face", margin=0.25, inputs=[SQUARE])).card


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_that_lies_turned_by_quarters_is_seen_upright(upright_card, astronaut, quarters):
    turned = np.ascontiguousarray(np.rot90(astronaut, -quarters))
    # The same square of 80 x 80 pixels, as it lies in the turned picture.
    x, y, side, end = 180, 80, 80, len(astronaut)
    boxes = {
        1: (end - y - side, x, side, side),
        2: (end - x - side, end - y - side, side, side),
        3: (y, end - x - side, side, side),
    }
    expected = prepare(astronaut, (x, y, side, side), upright_card)[0]
    assert np.array_equal(prepare(turned, boxes[quarters], upright_card, turn=90 * quarters)[0], expected)


@pytest.mark.parametrize(
    ("turn", "level", "as_it_is"), [(14, 15, True), (16, 15, False), (16, 20, True), (3, 2, False)]
)
def test_heads_are_levelled_from_the_tilt_that_the_card_names(upright_card, astronaut, turn, level, as_it_is):
    card = replace(upright_card, crop=CropSpec(level=level))
    tilted, upright = (prepare(astronaut, (180, 80, 80, 80), card, turn=t)[0] for t in (turn, 0))
    assert np.array_equal(tilted, upright) == as_it_is


def test_a_tilted_head_is_seen_as_if_it_were_level(upright_card, astronaut):
    box = (180, 80, 80, 80)
    matrix = cv2.getRotationMatrix2D((220, 120), -30, 1)
    tilted = cv2.warpAffine(astronaut, matrix, (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    level = prepare(astronaut, box, upright_card)[0]
    assert difference(prepare(tilted, box, upright_card, turn=30)[0], level) < 4
    assert difference(prepare(tilted, box, upright_card)[0], level) > 20


def test_error_levels_of_a_turned_face_are_those_of_the_picture_as_it_lies(tmp_path, astronaut):
    """The JPEG blocks lie where they lay when the file was saved, though the face is brought upright."""
    file = write_model(tmp_path / "m.onnx", source="face", inputs=[ELA | {"size": [43, 43]}])
    (region,) = prepare(astronaut, (181, 67, 43, 43), Detector(file).card, turn=90)
    whole = tensor(astronaut, ELA, "uint8")[0]
    assert np.array_equal(region, np.rot90(whole[67:110, 181:224]))


def test_error_levels_of_a_face_are_those_of_the_whole_picture(tmp_path, astronaut):
    """The JPEG blocks lie where they lay when the file was saved: not where the crop begins."""
    file = write_model(tmp_path / "m.onnx", source="face", inputs=[ELA | {"size": [43, 43]}])
    (region,) = prepare(astronaut, (181, 67, 43, 43), Detector(file).card)
    whole = tensor(astronaut, ELA, "uint8")[0]
    assert np.array_equal(region, whole[67:110, 181:224])


def test_a_detector_knows_itself(tmp_path):
    file = write_model(tmp_path / "m.onnx", inputs=[input_card(), ELA], name="itself")
    detector = Detector(file)
    assert detector.card.name == "itself"
    assert detector.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert detector.ela_qualities == {90}
    assert detector.device.used == "cpu"


def test_normalising_is_exact_at_the_ends(tmp_path):
    spec = Detector(write_model(tmp_path / "m.onnx", inputs=[input_card(range=[-1, 1])])).card.inputs[0]
    pixels = np.array([0, 255], np.uint8).repeat(HEIGHT * WIDTH * 3).reshape(2, HEIGHT, WIDTH, 3)
    low, high = normalise(pixels, spec)
    assert (low == -1).all()
    assert high == pytest.approx(1, abs=1e-6)


REFUSED = {
    "the card's input is not the graph's": ({}, {"inputs": [input_card() | {"name": "face"}]}, "inputs ['face']"),
    "the card has an input too many": ({}, {"inputs": [input_card(), ELA]}, "['ela', 'picture']"),
    "the card lacks an input": ({"inputs": [input_card(), ELA]}, {"inputs": [input_card()]}, "['ela', 'picture']"),
    "the card's output is not the graph's": ({}, {"output": {"name": "p", "kind": "sigmoid"}}, "output 'p'"),
    "another size": ({}, {"inputs": [input_card(size=[16, 12])]}, "input picture takes"),
    "another layout": ({}, {"inputs": [input_card(layout="NCHW")]}, "input picture takes"),
    "a softmax of three": ({"kind": "softmax", "columns": 3}, {"output": {"name": "score", "kind": "softmax"}}, "3"),
    "a softmax of one": ({"columns": 1}, {"output": {"name": "score", "kind": "softmax"}}, "1 columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_card_that_contradicts_its_graph_is_refused(tmp_path, name):
    made_with, says, message = REFUSED[name]
    model = onnx.load(write_model(tmp_path / "m.onnx", **made_with))
    onnx.helper.set_model_props(model, metadata(card(**says)))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(FacescanError) as caught:
        Detector(tmp_path / "m.onnx")
    assert message in str(caught.value)
    assert "m.onnx" in str(caught.value)


@pytest.mark.parametrize("kind", ["logit", "sigmoid"])
def test_three_columns_are_refused(tmp_path, kind):
    with pytest.raises(FacescanError, match="columns"):
        Detector(write_model(tmp_path / "m.onnx", kind=kind, columns=3))


def test_all_that_a_card_lacks_is_told(tmp_path):
    lacking = ("task", "calibration", "source")
    with pytest.raises(FacescanError) as caught:
        Detector(write_model(tmp_path / "m.onnx", without=lacking))
    assert [key for key in lacking if f"facescan.{key} is missing" not in str(caught.value)] == []


def test_the_face_finder_is_no_detector():
    with pytest.raises(FacescanError, match=r"yunet\.onnx: not a facescan model"):
        Detector(BUNDLED / f"{FACE_FINDER}.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", bytes(1000), b"\x08\x08"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    with pytest.raises(FacescanError, match=r"m\.onnx: ") as caught:
        Detector(file)
    assert "\n" not in str(caught.value)


def test_a_cut_model_is_refused(tmp_path):
    file = write_model(tmp_path / "m.onnx")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(FacescanError, match=r"m\.onnx: "):
        Detector(file)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(FacescanError, match="none\\.onnx: No such file"):
        Detector(tmp_path / "none.onnx")


def test_a_model_is_found_by_its_path(tmp_path):
    file = write_model(tmp_path / "m.onnx")
    assert find_model(str(file)) == file


def test_bundled_models_are_found_by_name():
    assert [find_model(name).stem for name in bundled_models()] == bundled_models()
    assert FACE_FINDER not in bundled_models()


def test_a_bundled_model_is_found_by_the_name_that_it_had_before():
    assert find_model("default-int8") == find_model("fast-int8")
    assert "default-int8" not in bundled_models()


def test_the_hashes_of_bundled_models_are_known():
    """`cd scanner/models && sha256sum *.onnx > SHA256SUMS` after any of them was replaced."""
    listed = dict(reversed(line.split()) for line in (BUNDLED / "SHA256SUMS").read_text().splitlines())
    assert listed == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in BUNDLED.glob("*.onnx")}


def test_an_unknown_model_is_told_the_names_of_the_bundled_ones():
    with pytest.raises(FacescanError, match="no model 'nonesuch'") as caught:
        find_model("nonesuch")
    assert ", ".join(bundled_models()) in str(caught.value)


def test_bundled_models_have_a_card_that_holds():
    for name in bundled_models():
        detector = Detector(find_model(name))
        assert read_card(detector.card.to_metadata(), name) == detector.card
