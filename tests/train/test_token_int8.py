"""A vision transformer's ONNX file: how it computes in bytes, and what each patch adds to its score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorflow", reason="needs the extra train")

import keras

from scanner.detector.card import InputSpec
from scanner.detector.model import Detector
from scanner.errors import FacescanError
from tests.onnx_models import write_spots
from train.architectures import vision_transformer
from train.onnx_export.activation import OUTPUT
from train.onnx_export.export import export
from train.onnx_export.token_int8 import quantise_tokens
from train.recipes.schema import Recipe, Training

SIDE, WIDTH, BLOCKS = 64, 48, 2
RECIPE = Recipe(
    name="tiny",
    version="0",
    summary="A transformer of two blocks",
    source="this test",
    task="synthesis",
    architecture="",
    inputs=(InputSpec("pixels", (SIDE, SIDE), range=(-1.0, 1.0)),),
    output="logit",
    training=Training("adam", 1e-3, epochs=1, batch=8),
)


def pictures(count: int = 12) -> list[tuple[np.ndarray]]:
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (count, SIDE // 8, SIDE // 8, 3), np.uint8)
    return [(one.repeat(8, axis=0).repeat(8, axis=1),) for one in blocks]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A transformer of which some channels have values far from the others', as those of CLIP have."""
    keras.utils.set_random_seed(0)
    model = vision_transformer.build((SIDE, SIDE), {"clip": None}, blocks=BLOCKS, width=WIDTH, heads=4)
    random = np.random.default_rng(1)
    for layer in model.layers:
        drawn = [value + random.normal(0, 0.15, value.shape) for value in layer.get_weights()]
        if layer.name.endswith("norm_1"):
            drawn[0][:2] *= 8
        layer.set_weights(drawn)
    path = tmp_path_factory.mktemp("fp32") / "tiny.onnx"
    export(model, RECIPE, replace(RECIPE.card(), metrics={"auc": 0.5}), path, pictures(4))
    return path


@pytest.fixture(scope="module")
def smaller(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "tiny.int8.onnx"
    quantise_tokens(file, out)
    return out


def test_the_opinion_stays(file, smaller):
    before, after = (Detector(path).logits(pictures()) for path in (file, smaller))
    assert np.ptp(before) > 0.5
    assert not np.array_equal(before, after)
    assert np.corrcoef(before, after)[0, 1] > 0.98


def test_a_score_does_not_hang_on_the_rest_of_the_batch(smaller):
    detector = Detector(smaller)
    together = detector.logits(pictures())
    alone = np.concatenate([detector.logits([one]) for one in pictures()])
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_weights_are_bytes_and_the_card_says_so(smaller):
    graph = onnx.load_model(smaller).graph
    products = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(products) == 4 * BLOCKS
    kinds = {tensor.name.rpartition("/")[2]: tensor.data_type for tensor in graph.initializer if "int8/" in tensor.name}
    assert kinds["weights"] == onnx.TensorProto.INT8
    card = Detector(smaller).card
    assert (card.training, card.metrics, card.name) == ({"precision": "int8_tokens"}, None, "tiny")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_patches_add_up_to_the_log_odds(file, smaller, precision):
    detector = Detector({"fp32": file, "int8": smaller}[precision])
    assert detector.card.activation == OUTPUT
    places = detector.contributions(pictures())
    assert places.shape == (12, SIDE // 16, SIDE // 16)
    assert places.sum(axis=(1, 2)) == pytest.approx(detector.logits(pictures()), abs=1e-4)
    assert np.ptp(places, axis=(1, 2)).min() > 0.01  # and they are not one even share


def test_a_network_without_products_is_refused(tmp_path):
    file = write_spots(tmp_path / "spots.onnx")
    with pytest.raises(FacescanError, match="no products of tokens"):
        quantise_tokens(file, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
