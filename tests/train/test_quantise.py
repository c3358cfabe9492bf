"""fp32 -> int8 or fp16: still a detector, of nearly the same opinion."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import onnx
from keras import layers
from onnx import TensorProto, numpy_helper

from scanner.detector.card import InputSpec
from scanner.detector.model import Detector
from scanner.errors import FacescanError
from train.data.crops import Crops, crops
from train.data.index import read_samples
from train.evaluation.metrics import auc
from train.fitting.batches import targets, to_tensors
from train.onnx_export.export import export
from train.onnx_export.quantise import halve, quantise
from train.recipes.schema import Recipe, Training

RECIPE = Recipe(
    name="tiny",
    version="0",
    summary="A detector of grids",
    source="this test",
    task="synthesis",
    architecture="",
    inputs=(InputSpec("pixels", (32, 32), range=(-1.0, 1.0)),),
    output="softmax",
    training=Training("adam", 3e-3, epochs=4, batch=16),
)


@pytest.fixture(scope="module")
def seen(index) -> Crops:
    return crops(read_samples(index), RECIPE.card())


@pytest.fixture(scope="module")
def file(seen, tmp_path_factory):
    """A detector that tells the pictures apart."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, activation="relu")(pixels)
    x = layers.MaxPooling2D()(layers.BatchNormalization(momentum=0.5)(x))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    model = keras.Model(pixels, layers.Dense(2, activation="softmax")(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
    model.fit(to_tensors(seen.regions[0], RECIPE.inputs)[0], targets(seen.fake, RECIPE), epochs=6, verbose=0)
    path = tmp_path_factory.mktemp("fp32") / "tiny.onnx"
    card = replace(RECIPE.card(), training={"sets": ["old/real"]}, metrics={"auc": 0.5})
    export(model, RECIPE, card, path, seen.regions[0][:8])
    return path


@pytest.fixture(scope="module")
def int8(file, seen, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "tiny.int8.onnx"
    quantise(file, out, seen.regions[0][:40])
    return out


def test_the_opinion_stays(file, int8, seen):
    before, after = (Detector(path).logits(seen.regions[0]) for path in (file, int8))
    areas = auc(seen.fake, before), auc(seen.fake, after)
    print(f"AUC {areas[0]:.4f} as fp32, {areas[1]:.4f} as int8")
    assert areas[0] > 0.9
    assert areas[1] > areas[0] - 0.02
    assert not np.array_equal(before, after)
    assert np.corrcoef(before, after)[0, 1] > 0.98


def test_the_weights_are_bytes_and_the_score_is_not(file, int8):
    assert int8.stat().st_size < 0.35 * file.stat().st_size
    graph = onnx.load_model(int8).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    producer = {name: node for node in graph.node for name in node.output}
    assert producer["softmax"].op_type == "Softmax"
    assert producer[producer["softmax"].input[0]].op_type in ("Gemm", "MatMul", "Add")


def test_batches_of_any_size_give_the_same(int8, seen):
    detector, regions = Detector(int8), seen.regions[0][:12]
    whole = detector.p_fake(regions, batch_size=12)
    assert detector.batch is None
    for size in (1, 5):
        assert detector.p_fake(regions, batch_size=size) == pytest.approx(whole, abs=1e-5)


def test_the_card_is_kept_but_for_what_no_longer_holds(file, int8):
    before = Detector(file).card
    training = {"sets": ["old/real"], "precision": "int8"}
    assert Detector(int8).card == replace(before, training=training, metrics=None)
    assert {opset.domain for opset in onnx.load_model(int8).opset_import} == {""}


def test_it_is_silent_and_leaves_the_logging_alone(file, seen, tmp_path, capfd):
    handlers = list(logging.getLogger().handlers)
    quantise(file, tmp_path / "tiny.int8.onnx", seen.regions[0][:4])
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.int8.onnx"]


def test_what_is_no_detector_is_refused(tmp_path, seen):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(FacescanError, match="no ONNX file"):
        quantise(tmp_path / "text.onnx", tmp_path / "out.onnx", seen.regions[0][:4])
    assert [path.name for path in tmp_path.iterdir()] == ["text.onnx"]


def test_half_the_bytes_hold_the_same_opinion(file, seen, tmp_path):
    out = tmp_path / "tiny.fp16.onnx"
    halve(file, out)
    assert out.stat().st_size < 0.55 * file.stat().st_size
    before, after = (Detector(path).logits(seen.regions[0]) for path in (file, out))
    assert not np.array_equal(before, after)
    assert after == pytest.approx(before, rel=0.005, abs=0.01)
    training = {"sets": ["old/real"], "precision": "fp16"}
    assert Detector(out).card == replace(Detector(file).card, training=training, metrics=None)


def test_what_16_bits_cannot_hold_stays(file, seen, tmp_path):
    """One weight beyond the range of half precision, where it changes nothing."""
    large, out = tmp_path / "large.onnx", tmp_path / "out.onnx"
    model = onnx.load_model(file)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == conv.input[1])
    weights = numpy_helper.to_array(stored).copy()
    weights[0] = -1e5  # a channel that the ReLU behind it silences
    stored.CopyFrom(numpy_helper.from_array(weights, stored.name))
    onnx.save_model(model, large)
    halve(large, out)
    kept = {tensor.name: tensor for tensor in onnx.load_model(out).graph.initializer}
    assert np.array_equal(numpy_helper.to_array(kept[stored.name]), weights)
    assert TensorProto.FLOAT16 in {tensor.data_type for tensor in kept.values()}  # the dense layer
    assert np.isfinite(Detector(out).logits(seen.regions[0])).all()
