"""Every network of the recipes, small: trained for a moment, exported, and run by the scanner on real pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from scanner.cli import main as facescan
from scanner.detector.card import OutputSpec
from scanner.detector.model import Detector, prepare
from scanner.detector.outputs import calibrate
from scanner.engine.examine import Examiner
from scanner.faces.finder import FaceFinder
from scanner.files.candidate import Candidate
from scanner.imaging.decode import decode
from scanner.settings import Settings
from train.data.crops import crops
from train.data.index import read_samples
from train.data.samples import Sample
from train.fitting.batches import to_tensors
from train.fitting.fit import fit, logits
from train.onnx_export.export import TOLERANCE, export
from train.recipes import RECIPES
from train.recipes.schema import Recipe

SIDE = 64  # pixels, instead of 128 to 300
# Large networks whose layers others here have, too: converting them takes most of the time of all tests.
WEEKLY = {
    "perisic-vgg16",
    "gautam-vgg16",
    "gautam-resnet50",
    "gautam-mobilenet-v2",
    "gautam-fusion-1",
    "gautam-fusion-3",
    "ceng-resnet50-frozen",
    "ceng-resnet50-finetuned",
}
# Arguments that make a network small: a transformer has the same layers whatever its width.
SMALLER = {"default": {"blocks": 2, "width": 48, "heads": 4}}
STEP = 8  # pictures: one step is enough to learn that a network trains, and to move its weights


def one_of_each_network() -> list[Any]:
    """Recipes. Those that differ in what they see or how they learn share a network: it is converted but once."""
    names: dict[tuple[object, ...], str] = {}
    for recipe in RECIPES.values():
        network = (recipe.architecture, str(recipe.options), recipe.output, len(recipe.inputs))
        names.setdefault(network, recipe.name)
    assert set(names.values()) >= WEEKLY
    return [pytest.param(name, marks=[pytest.mark.weekly] if name in WEEKLY else []) for name in names.values()]


def one_of_each_input() -> list[str]:
    """Recipes, the last of each way of seeing a picture."""
    return list({(str(r.inputs), r.region, r.margin): r.name for r in RECIPES.values()}.values())


@pytest.fixture(scope="module")
def photographs(examples) -> list[np.ndarray]:
    """Real pictures, RGB."""
    return [decode(file.read_bytes()).picture for file in sorted(examples.glob("*.jpg"))]


@pytest.mark.parametrize("name", one_of_each_network())
def test_the_scanner_scores_as_keras_does(name, index, photographs, tmp_path, examples):
    keras.utils.clear_session()
    recipe = RECIPES[name]
    small = replace(
        recipe,
        options={**recipe.options, **SMALLER.get(name, {})},
        inputs=tuple(replace(spec, size=(SIDE, SIDE)) for spec in recipe.inputs),
        training=replace(recipe.training, epochs=1, batch=STEP, members=1, copies="", augmentation=""),
        region="image",
    )
    card = small.card()
    seen = crops(read_samples(index)[:STEP], card)
    tf.config.run_functions_eagerly(True)  # one step of ResNet50 is over before its graph would be traced
    try:
        model = fit(small, seen, seen, 0, dict.fromkeys(recipe.backbones), lambda line: None).model
    finally:
        tf.config.run_functions_eagerly(False)
    regions = [prepare(picture, None, card) for picture in photographs]
    file = tmp_path / f"{name}.onnx"
    assert export(model, small, card, file, regions) <= TOLERANCE

    by_keras = calibrate(logits(model, regions, small), card)
    assert Detector(file).p_fake(regions) == pytest.approx(by_keras, abs=TOLERANCE)
    rows = scanned(file, examples, tmp_path / "rows.csv")
    assert [float(row["p_fake"]) for row in rows] == pytest.approx(by_keras, abs=TOLERANCE)


@pytest.mark.parametrize("name", one_of_each_input())
def test_a_recipe_trains_on_the_tensors_that_the_scanner_feeds_bit_for_bit(name, tmp_path, examples, monkeypatch):
    recipe = RECIPES[name]
    files = [examples / "real_astronaut.jpg", examples / "generated_1.jpg"]
    samples = [Sample(file.name, file, False, "", "", "") for file in files]
    trained_on = to_tensors(crops(samples, recipe.card()).regions[0], recipe.inputs)

    detector = Detector(with_inputs_of(recipe, tmp_path / f"{name}.onnx"))
    fed: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", overheard(onnxruntime.InferenceSession.run, fed))
    finder = FaceFinder() if recipe.region == "face" else None
    examine = Examiner(detector.card, detector.ela_qualities, finder, Settings(name), detector, len(files))
    examine([Candidate(str(file)) for file in files])
    (feeds,) = [one for one in fed if one.keys() == {spec.name for spec in recipe.inputs}]  # not the face finder's
    for spec, tensor in zip(recipe.inputs, trained_on, strict=True):
        assert np.array_equal(feeds[spec.name], tensor)


def overheard(run: Callable[..., Any], fed: list[dict[str, np.ndarray]]) -> Callable[..., Any]:
    """A session's `run` that notes what it is fed."""

    def noted(session: Any, outputs: Any, feeds: dict[str, np.ndarray], options: Any = None) -> Any:
        fed.append(feeds)
        return run(session, outputs, feeds, options)

    return noted


def with_inputs_of(recipe: Recipe, file: Path) -> Path:
    """A detector that looks at pictures as the recipe's does, and whose logit is the sum of their means."""
    names = [spec.name for spec in recipe.inputs]
    nodes = [helper.make_node("ReduceMean", [name], [f"mean_{name}"], axes=[1, 2, 3], keepdims=0) for name in names]
    nodes += [
        helper.make_node("Sum", [f"mean_{name}" for name in names], ["sum"]),
        helper.make_node("Unsqueeze", ["sum", "axis"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info(s.name, TensorProto.FLOAT, ["n", *s.size, 3]) for s in recipe.inputs],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    card = replace(recipe.card(), labels=("real", "fake"), fake=1, output=OutputSpec("logit", "logit"))
    helper.set_model_props(model, card.to_metadata())
    file.write_bytes(model.SerializeToString())
    return file


def scanned(model: Path, folder: Path, out: Path) -> list[dict[str, str]]:
    assert facescan([str(folder), "--model", str(model), "--out", str(out), "--exit-zero", "-q"]) == 0
    with out.open(newline="") as file:
        return list(csv.DictReader(file))
