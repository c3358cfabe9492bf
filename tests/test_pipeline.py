"""Candidates -> results, with real files, the real face finder and a detector whose answer is the brightness."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.detector.card import read_card
from scanner.detector.model import Detector, prepare
from scanner.detector.thresholds import choose
from scanner.engine import pipeline
from scanner.engine.pipeline import scan
from scanner.errors import FacescanError
from scanner.files.candidate import Candidate
from scanner.imaging.ela import error_levels
from scanner.output.summary import STAGES
from scanner.result import Face, Result, Verdict
from scanner.settings import Settings
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from tests.conftest import write_toy
from tests.pictures import encode, png_that_announces, scene


def run(paths: list[Any], detector: Detector, **options: Any) -> list[Result]:
    found = (Candidate(str(path)) for path in paths)
    return list(scan(found, detector, choose(detector.card), Settings("toy", **options)))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(encode(pixels, "PNG"))
    return path


def flat(level: int, width: int = 40, height: int = 30) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


# Kind of file -> verdict, p_fake and reason.
KINDS = {
    "white": ("fake", 1.0, "image"),
    "grey": ("uncertain", 0.502, "image"),
    "dark": ("real", 0.2, "image"),
    "black": ("error", None, "model_failed:not_a_number"),
    "empty": ("error", None, "empty"),
    "text": ("error", None, "not_an_image"),
    "cut": ("error", None, "truncated:0.16"),
    "bomb": ("error", None, "too_many_pixels:900000000"),
    "folder": ("error", None, "not_a_file:folder"),
    "missing": ("error", None, "vanished"),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    """One file of each of `KINDS`, by that name."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, level in (("white", 255), ("grey", 128), ("dark", 51), ("black", 0)):
        save(folder / name, flat(level))
    (folder / "empty").touch()
    (folder / "text").write_text("no picture")
    (folder / "cut").write_bytes(encode(scene(), "PNG")[:-200])
    (folder / "bomb").write_bytes(png_that_announces(30_000, 30_000))
    (folder / "folder").mkdir()
    return folder


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(kinds=st.lists(st.sampled_from(list(KINDS)), max_size=40), workers=st.integers(1, 5), batch=st.integers(1, 9))
def test_one_result_each_in_order_whatever_happens(zoo, brightness, kinds, workers, batch):
    results = run([zoo / kind for kind in kinds], brightness, workers=workers, batch_size=batch)
    assert [(Path(r.path).name, r.verdict, r.p_fake, r.reason) for r in results] == [(k, *KINDS[k]) for k in kinds]


def test_a_row_holds_what_is_known_of_the_file(zoo, brightness):
    results = run([zoo / kind for kind in KINDS], brightness)
    for kind, row in zip(KINDS, results, strict=True):
        file = zoo / kind
        content = file.read_bytes() if file.is_file() else None
        assert row.bytes == (None if content is None else len(content))
        assert row.sha256 == ("" if content is None else hashlib.sha256(content).hexdigest())
        size = (row.width, row.height)
        assert (size == (40, 30)) == (size != (None, None)) == (kind in {"white", "grey", "dark", "black"})
        assert row.format == ("png" if kind in {"white", "grey", "dark", "black", "cut", "bomb"} else "")
        assert (row.n_faces, row.faces) == (None, ())


def test_the_limits_are_the_settings(zoo, brightness):
    size = (zoo / "white").stat().st_size
    assert run([zoo / "white"], brightness, max_bytes=size - 1)[0].reason == f"too_many_bytes:{size}"
    assert run([zoo / "white"], brightness, max_pixels=1199)[0].reason == "too_many_pixels:1200"
    assert run([zoo / "white"], brightness, max_bytes=size, max_pixels=1200)[0].verdict is Verdict.FAKE


@pytest.fixture(scope="module")
def portrait(astronaut) -> np.ndarray:
    """Head and shoulders, 230 x 230."""
    return astronaut[20:250, 110:340]


@pytest.fixture
def group_photograph(tmp_path, portrait) -> Path:
    """Twelve times the same person, from dim to bright."""
    person = cv2.resize(portrait, (160, 160), interpolation=cv2.INTER_AREA)
    copies = [cv2.convertScaleAbs(person, alpha=0.45 + i / 20) for i in range(12)]
    return save(tmp_path / "group.png", np.vstack([np.hstack(copies[i : i + 4]) for i in (0, 4, 8)]))


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4, 5, 64])
@pytest.mark.parametrize("workers", [1, 3])
def test_more_faces_than_a_batch_holds(group_photograph, examples, face_brightness, batch_size, workers):
    files = [group_photograph, examples / "real_astronaut.jpg", group_photograph, examples / "faceless_coffee.jpg"]
    results = run(files, face_brightness, batch_size=batch_size, workers=workers)
    assert [row.n_faces for row in results] == [12, 1, 12, 0]
    group = results[0]
    scores = [face.p_fake for face in group.faces]
    assert len(set(scores)) > 6
    assert group.p_fake == max(scores)
    assert group.reason == f"face:{scores.index(max(scores))}"
    assert [face.models for face in group.faces] == [{"toy": score} for score in scores]
    assert results == run(files, face_brightness)


def test_scores_are_what_the_detector_says_of_each_face(group_photograph, astronaut, examples, finder, face_brightness):
    row = run([examples / "real_astronaut.jpg"], face_brightness)[0]
    (face,) = finder.find(astronaut)
    region = prepare(astronaut, face.box, face_brightness.card)
    p_fake = round(float(face_brightness.p_fake([region])[0]), 4)
    assert (row.p_fake, row.faces) == (p_fake, (Face(face.box, face.score, p_fake, {"toy": p_fake}),))
    assert (row.width, row.height, row.format) == (512, 512, "jpeg")


def test_small_faces_are_listed_but_not_judged(tmp_path, portrait, face_brightness):
    canvas = flat(128, 512, 512)
    canvas[10:310, 10:310] = cv2.resize(portrait, (300, 300))
    canvas[350:500, 350:500] = cv2.resize(portrait, (150, 150), interpolation=cv2.INTER_AREA)
    file = save(tmp_path / "two.png", canvas)
    large, small = run([file], face_brightness)[0].faces
    assert min(large.box[2:]) > 100 > min(small.box[2:])

    row = run([file], face_brightness, min_face=100)[0]
    assert (row.n_faces, row.p_fake, row.reason) == (2, large.p_fake, "face:0")
    assert row.faces == (large, replace(small, p_fake=None, models=None))

    row = run([file], face_brightness, min_face=400)[0]
    assert (row.verdict, row.n_faces, row.p_fake, row.reason) == ("no_face", 2, None, "too_small:2")
    assert [face.p_fake for face in row.faces] == [None, None]


def test_region_overrules_the_card(examples, brightness, face_brightness):
    file = examples / "real_astronaut.jpg"
    whole, face = run([file], brightness)[0], run([file], face_brightness)[0]
    assert (whole.reason, whole.n_faces, whole.faces) == ("image", None, ())
    assert (face.reason, face.n_faces) == ("face:0", 1)
    assert run([file], face_brightness, region="image") == [whole]
    assert run([file], brightness, region="face") == [face]


def test_a_model_that_also_looks_at_error_levels(tmp_path, group_photograph, astronaut, examples, finder):
    detector = Detector(write_toy(tmp_path / "two.onnx", source="face", ela=True))
    row = run([examples / "real_astronaut.jpg", group_photograph], detector, batch_size=8)[0]
    (face,) = finder.find(astronaut)
    region = prepare(astronaut, face.box, detector.card, {90: error_levels(astronaut, 90)})
    brightness, levels = (part.mean() / 255 for part in region)
    assert abs(brightness - levels) > 0.05
    assert row.p_fake == pytest.approx((brightness + levels) / 2, abs=1e-4)


def test_error_levels_are_there_if_asked_for(tmp_path, examples, zoo, face_brightness):
    files = [examples / "real_astronaut.jpg", examples / "faceless_coffee.jpg", zoo / "cut"]
    assert [row.ela for row in run(files, face_brightness)] == [None] * 3
    portrait, coffee, broken = run(files, face_brightness, ela=True)
    assert 0 < portrait.ela.face != portrait.ela.background > 0
    assert coffee.ela.face is None
    assert (coffee.ela.quality, coffee.ela.map) == (90, None)
    assert broken.ela is None
    with pytest.raises(FacescanError, match=r"missing/.*png: No such file or directory"):
        run(files, face_brightness, ela_dir=str(tmp_path / "missing"))


@pytest.mark.slow
@pytest.mark.parametrize("ela", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (3000, 1), (5, 31), (70_000, 2)])
def test_pictures_of_odd_shapes(tmp_path, brightness, face_brightness, width, height, ela):
    file = save(tmp_path / "odd.png", flat(51, width, height))
    row = run([file], brightness, ela=ela)[0]
    assert (row.verdict, row.p_fake, row.width, row.height) == ("real", 0.2, width, height), row.reason
    row = run([file], face_brightness, ela=ela)[0]
    assert (row.verdict, row.n_faces, row.reason) == ("no_face", 0, "")


def test_a_model_that_fails_ends_the_scan(tmp_path, toy, zoo):
    """One that looks up a number by the brightness, and has none for white."""
    model = onnx.load(toy)
    *others, _ = model.graph.node
    looks_up = [
        onnx.helper.make_node("Mul", ["flat", "steps"], ["step"]),
        onnx.helper.make_node("Cast", ["step"], ["index"], to=onnx.TensorProto.INT64),
        onnx.helper.make_node("Gather", ["numbers", "index"], ["number"]),
        onnx.helper.make_node("Unsqueeze", ["number", "axis"], ["p"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*others, *looks_up])
    constants = {"steps": np.float32(1.5), "numbers": np.array([0.5], np.float32)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    onnx.save(model, tmp_path / "broken.onnx")
    found = (Candidate(str(zoo / kind)) for kind in ("text", "white", "grey"))
    broken = Detector(tmp_path / "broken.onnx")
    with pytest.raises(FacescanError, match=r"^model toy failed: [^\n]+$"):
        list(scan(found, broken, choose(broken.card), Settings("toy")))


@pytest.mark.parametrize("kind", ["dark", "text"])
def test_candidates_are_pulled_only_a_little_ahead(zoo, brightness, monkeypatch, kind):
    monkeypatch.setitem(pipeline.MAX_IN_FLIGHT, "cpu", 50)
    pulled = 0

    def counting() -> Iterator[Candidate]:
        nonlocal pulled
        for _ in range(300):
            pulled += 1
            yield Candidate(str(zoo / kind))

    options = Settings("toy", workers=2, batch_size=2)
    ahead = []
    results = scan(counting(), brightness, choose(brightness.card), options)
    for consumed, _ in enumerate(results, start=1):
        ahead.append(pulled - consumed)
        if consumed == 200:
            break
    results.close()
    assert 0 < max(ahead) <= 50
    assert pulled <= 200 + max(ahead)


@pytest.mark.slow
def test_a_gpu_scores_for_all_processes_in_batches_of_one_size(
    group_photograph, examples, face_brightness, toy_for_faces
):
    """The CPU stands in for it: what is shown is who scores what, not how fast."""
    files = [group_photograph, examples / "real_astronaut.jpg", examples / "faceless_coffee.jpg"] * 3
    expected = run(files, face_brightness)
    sizes = []

    class Accelerator(Detector):
        def run_batch(self, outputs, regions, options=None):
            sizes.append(len(regions))
            return super().run_batch(outputs, regions, options)

    detector = Accelerator(toy_for_faces)
    detector.device = replace(detector.device, used="cuda")
    for batch_size in (5, None):
        assert run(files, detector, batch_size=batch_size, workers=2) == expected
        assert set(sizes) == {batch_size or 64}
        assert len(sizes) == (3 * 3 + 3 if batch_size else 1)  # of the twelve faces, the other one, and none
        sizes.clear()


@pytest.mark.parametrize("used", ["cpu", "cuda"])
def test_no_result_waits_for_the_next_candidate(examples, toy_for_faces, used):
    detector = Detector(toy_for_faces)
    detector.device = replace(detector.device, used=used)
    names = ["real_astronaut.jpg", "faceless_coffee.jpg", "generated_1.jpg"]
    judged: list[str] = []

    def coming() -> Iterator[Candidate | None]:
        for number, name in enumerate(names):
            yield Candidate(str(examples / name))
            deadline = time.monotonic() + 60
            while len(judged) <= number and time.monotonic() < deadline:
                time.sleep(0.01)
                yield None
            assert judged == names[: number + 1]

    for row in scan(coming(), detector, choose(detector.card), Settings("toy", workers=2)):
        judged.append(Path(row.path).name)
    assert judged == names


def test_the_time_of_every_stage_is_told(group_photograph, face_brightness):
    spent: dict[str, float] = {}

    def add(stage: str, seconds: float) -> None:
        spent[stage] = spent.get(stage, 0.0) + seconds

    found = [Candidate(str(group_photograph))]
    list(scan(found, face_brightness, choose(face_brightness.card), Settings("toy", ela=True), add))
    assert set(spent) == set(STAGES) - {"write", "cache", "explain"}
    assert min(spent.values()) > 0


def test_the_toy_says_what_it_is(toy):
    """The other tests build on this card."""
    card = read_card({p.key: p.value for p in onnx.load(toy).metadata_props}, "toy")
    assert asdict(choose(card)) == {"uncertain": 0.4, "fake": 0.6}


def test_the_picture_sets_can_be_read(picture_sets, face_brightness):
    def first(name: str) -> list[str]:
        return [found.path for found in islice(candidates([str(picture_sets / name)], Selection()), 40)]

    results = run(first("scenes") + first("no_face"), face_brightness)
    assert [row.path for row in results] == first("scenes") + first("no_face")
    assert {row.verdict for row in results[40:]} == {"no_face"}
    assert "error" not in {row.verdict for row in results}
