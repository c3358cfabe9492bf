"""Keras -> ONNX: networks of several inputs and every kind of output; and a run's folder exported again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import onnx
from keras import layers

from scanner.detector.card import InputSpec
from scanner.detector.model import Detector
from scanner.errors import FacescanError
from train import reexport
from train.cli import main
from train.data.degrade import CONDITIONS
from train.data.index import data_hash, read_samples
from train.onnx_export.export import TOLERANCE, export
from train.recipes.schema import FAKE_FIRST, REAL_FIRST, Recipe, Training

SIZES = {"pixels": (16, 12), "ela": (10, 14)}  # height, width; an input taken for the other fails


def tiny_recipe(names, output, labels):
    return Recipe(
        name="tiny",
        version="0",
        summary="for the test",
        source="this test",
        task="manipulation",
        architecture="",
        inputs=tuple(
            InputSpec(name, SIZES[name], content="ela" if name == "ela" else "picture", range=(-1.0, 1.0))
            for name in names
        ),
        output=output,
        labels=labels,
        training=Training("adam", 1e-3, epochs=1, batch=8),
    )


def tiny_network(names, output):
    """Its own inputs are named so that an alphabetic order would swap them."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((*SIZES[name], 3), name=f"{'zyx'[i]}_in") for i, name in enumerate(names)]
    features = [layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(tensor)) for tensor in inputs]
    x = layers.Concatenate()(features) if len(features) > 1 else features[0]
    columns, activation = {"logit": (1, None), "sigmoid": (1, "sigmoid"), "softmax": (2, "softmax")}[output]
    return keras.Model(inputs, layers.Dense(columns, activation=activation)(x))


def random_regions(recipe, count=9):
    random = np.random.default_rng(0)
    return [tuple(random.integers(0, 256, (*spec.size, 3), np.uint8) for spec in recipe.inputs) for _ in range(count)]


CASES = [
    (("pixels",), "logit", REAL_FIRST),
    (("pixels",), "sigmoid", FAKE_FIRST),
    (("ela",), "softmax", REAL_FIRST),
    (("pixels", "ela"), "softmax", REAL_FIRST),
    (("ela", "pixels"), "sigmoid", FAKE_FIRST),
]


@pytest.mark.parametrize(("names", "output", "labels"), CASES)
def test_every_kind_of_network_is_exported(names, output, labels, tmp_path):
    recipe, model = tiny_recipe(names, output, labels), tiny_network(names, output)
    file, regions = tmp_path / "tiny.onnx", random_regions(recipe)
    assert export(model, recipe, recipe.card(), file, regions) <= TOLERANCE
    graph = onnx.load_model(file).graph
    assert tuple(tensor.name for tensor in graph.input) == names
    assert [tensor.name for tensor in graph.output] == [output]
    assert {tensor.type.tensor_type.shape.dim[0].dim_param for tensor in graph.input} == {"batch"}
    for size in (1, 4):  # batches of any size
        assert len(Detector(file).logits(regions[:size])) == size


@pytest.mark.parametrize(
    ("output", "labels"), [("logit", REAL_FIRST), ("sigmoid", FAKE_FIRST), ("softmax", REAL_FIRST)]
)
def test_a_network_that_ends_in_poolings_says_where_it_looked(output, labels, tmp_path):
    keras.utils.set_random_seed(0)
    recipe = tiny_recipe(("pixels",), output, labels)
    pixels = keras.Input((*SIZES["pixels"], 3))
    features = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(pixels)
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(features), layers.GlobalMaxPooling2D()(features)])
    columns, activation = {"logit": (1, None), "sigmoid": (1, "sigmoid"), "softmax": (2, "softmax")}[output]
    model = keras.Model(pixels, layers.Dense(columns, activation=activation)(layers.Dropout(0.3)(pooled)))
    regions = random_regions(recipe)
    export(model, recipe, recipe.card(), tmp_path / "tiny.onnx", regions)
    detector = Detector(tmp_path / "tiny.onnx")
    places = detector.contributions(regions)
    assert places.shape == (len(regions), 8, 6)
    assert places.sum(axis=(1, 2)) == pytest.approx(detector.logits(regions), abs=1e-4)


def test_a_sigmoid_of_real_is_turned_round(tmp_path):
    recipe, model = tiny_recipe(("pixels",), "sigmoid", FAKE_FIRST), tiny_network(("pixels",), "sigmoid")
    regions = random_regions(recipe)
    export(model, recipe, recipe.card(), tmp_path / "tiny.onnx", regions)
    pixels = np.stack([region[0] for region in regions]).astype(np.float32) / 255 * 2 - 1
    p_real = model.predict(pixels, verbose=0)[:, 0]
    assert np.ptp(p_real) > 0.1
    assert Detector(tmp_path / "tiny.onnx").p_fake(regions) == pytest.approx(1 - p_real, abs=1e-4)


@pytest.mark.parametrize(
    "lie",
    [
        lambda card: replace(card, inputs=(replace(card.inputs[0], range=(0.0, 1.0)), *card.inputs[1:])),
        lambda card: replace(card, inputs=(replace(card.inputs[0], color="BGR"), *card.inputs[1:])),
        lambda card: replace(card, labels=FAKE_FIRST, fake=0),
        lambda card: replace(card, inputs=card.inputs[:1]),
        lambda card: replace(card, task="mischief"),
    ],
    ids=["range", "colours", "labels", "an input less", "task"],
)
def test_a_card_that_lies_is_not_written(lie, tmp_path):
    recipe, model = tiny_recipe(("pixels", "ela"), "softmax", REAL_FIRST), tiny_network(("pixels", "ela"), "softmax")
    with pytest.raises(FacescanError):
        export(model, recipe, lie(recipe.card()), tmp_path / "tiny.onnx", random_regions(recipe))
    assert not list(tmp_path.iterdir())


def test_a_saturated_softmax_agrees_by_probability(tmp_path):
    """Its logits do not: they hang on the last bits of a float32."""
    recipe, model = tiny_recipe(("pixels",), "softmax", REAL_FIRST), tiny_network(("pixels",), "softmax")
    model.layers[-1].set_weights([values * 50 for values in model.layers[-1].get_weights()])
    assert export(model, recipe, recipe.card(), tmp_path / "tiny.onnx", random_regions(recipe)) <= TOLERANCE


@pytest.fixture(scope="module")
def run_folder(index, tmp_path_factory):
    """What `facescan-train fit` leaves behind, as far as it matters here."""
    folder = tmp_path_factory.mktemp("run")
    recipe, model = tiny_recipe(("pixels",), "sigmoid", FAKE_FIRST), tiny_network(("pixels",), "sigmoid")
    card = replace(
        recipe.card(),
        calibration=(1.5, 0.25),
        training={"sets": ["old/real", "old/fake"]},
        metrics={"pooled": {"re_encoded": {"all": {"auc": 0.5}}}, "framing_probe_auc": {"re_encoded": 0.7}},
    )
    export(model, recipe, card, folder / "tiny.onnx", random_regions(recipe))
    model.save(folder / "tiny.keras")
    paths = [sample.path for sample in read_samples(index)]
    splits = {"train": paths[:64], "validation": paths[64:96], "test": paths[96:]}
    record = {
        "recipe": {"name": "tiny"},
        "seed": 0,
        "format": "re_encoded",
        "sets": ["new", "old"],
        "data_sha256": data_hash(read_samples(index)),
        "splits": splits,
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def known(monkeypatch):
    recipe = tiny_recipe(("pixels",), "sigmoid", FAKE_FIRST)
    monkeypatch.setattr(reexport, "find_recipe", lambda name: recipe)


def test_a_run_is_exported_again_with_its_card(run_folder, index, known, tmp_path, capsys):
    out = tmp_path / "again.onnx"
    assert main(["export", str(run_folder), "--data", str(index), "--out", str(out)]) == 0
    assert "again.onnx: probabilities differ" in capsys.readouterr().out
    assert Detector(out).card == Detector(run_folder / "tiny.onnx").card


@pytest.mark.parametrize(("precision", "name"), [("int8", "tiny-int8"), ("fp16", "tiny")])
def test_a_run_is_exported_smaller_and_calibrated_anew(precision, name, run_folder, index, capfd):
    assert main(["export", str(run_folder), "--data", str(index), "--precision", precision]) == 0
    captured = capfd.readouterr()
    heads, *lines = captured.out.splitlines()
    assert heads.split() == ["fp32", precision, "change"]
    assert [line.split("  ")[0] for line in lines] == [
        "file, MB",
        "AUC, as found",
        "AUC, re encoded",
        "ms a picture, 1 thread",
    ]
    assert "quanti" not in captured.err.lower()
    old, new = (Detector(run_folder / file).card for file in ("tiny.onnx", f"tiny.{precision}.onnx"))
    assert new.training == old.training | {"precision": precision}
    assert new.calibration != old.calibration
    assert set(new.operating_points) == {"0.05", "0.01", "0.005"}
    assert (old.name, new.name) == ("tiny", name)
    assert new.metrics.keys() == {"pooled", "re_encoded", "framing_probe_auc"}
    assert new.metrics["pooled"].keys() == set(CONDITIONS), "measured anew, under every condition"
    assert new.metrics["pooled"]["re_encoded"]["all"]["n"] == 32
    assert new.metrics["framing_probe_auc"] == old.metrics["framing_probe_auc"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("run.json", "{}", "no record of a run"),
        ("run.json", None, "no record of a run"),
        ("tiny.onnx", None, "No such file"),
        ("tiny.keras", "nothing", "tiny.keras: "),
    ],
)
def test_what_a_run_lacks_is_said_in_one_line(name, text, complaint, run_folder, index, known, tmp_path, capsys):
    for file in ("run.json", "tiny.onnx", "tiny.keras"):
        (tmp_path / file).write_bytes((run_folder / file).read_bytes())
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(["export", str(tmp_path), "--data", str(index)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_other_pictures_under_the_same_names_are_refused(run_folder, index, known, tmp_path, capsys):
    for file in index.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "old_0.jpg").write_bytes((tmp_path / "old_1.jpg").read_bytes())
    for precision in ("fp32", "int8"):
        assert main(["export", str(run_folder), "--data", str(tmp_path / "index.csv"), "--precision", precision]) == 2
        assert "not the pictures" in capsys.readouterr().err


def test_another_network_is_refused_in_one_line(run_folder, index, known, tmp_path, capsys):
    for file in run_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)]).save(tmp_path / "tiny.keras")
    assert main(["export", str(tmp_path), "--data", str(index)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tiny.keras: not the network of tiny.onnx" in line


def test_a_folder_that_is_not_there_is_said_in_one_line(run_folder, index, known, tmp_path, capsys):
    for precision in ("fp32", "int8"):
        arguments = ["--precision", precision, "--out", str(tmp_path / "no" / "where.onnx")]
        assert main(["export", str(run_folder), "--data", str(index), *arguments]) == 2
        assert "no such folder" in capsys.readouterr().err
