"""The second output of networks that end in poolings and one dense layer: exact, and harmless to the first."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from scanner.detector.card import read_card
from scanner.detector.model import Detector, find_model
from scanner.errors import FacescanError
from tests.onnx_models import SPOTS, write_model, write_spots
from train.onnx_export.activation import OUTPUT, add_activation, with_activation, without_activation
from train.onnx_export.card import write_card
from train.onnx_export.quantise import quantise

MEAN, PEAK = "GlobalAveragePool", "GlobalMaxPool"


def pictures(count=9, seed=0):
    """Smooth noise, with colours that speak for both."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (count, SPOTS // 4, SPOTS // 4, 3), np.uint8)
    return [(one.repeat(4, axis=0).repeat(4, axis=1),) for one in blocks]


@pytest.mark.parametrize("pools", [(MEAN,), (PEAK,), (MEAN, PEAK), (PEAK, MEAN)])
@pytest.mark.parametrize(
    ("kind", "columns", "fake"),
    [("logit", 1, 1), ("logit", 1, 0), ("logit", 2, 1), ("sigmoid", 1, 0), ("softmax", 2, 0), ("softmax", 2, 1)],
)
def test_the_places_add_up_to_the_log_odds(tmp_path, pools, kind, columns, fake):
    file = write_spots(tmp_path / "spots.onnx", pools=pools, kind=kind, columns=columns, fake=fake)
    before = Detector(file).logits(pictures())
    assert np.ptp(before) > 0.1
    assert add_activation(file)
    detector = Detector(file)
    assert detector.card.activation == OUTPUT
    assert np.array_equal(detector.logits(pictures()), before)
    places = detector.contributions(pictures())
    assert places.shape == (9, 8, 8)
    assert places.sum(axis=(1, 2)) == pytest.approx(before, abs=1e-4)


def test_a_peak_that_several_places_have_is_shared_out(tmp_path):
    file = write_spots(tmp_path / "spots.onnx", pools=(PEAK,), bias=0.0)
    add_activation(file)
    picture = np.zeros((SPOTS, SPOTS, 3), np.uint8)
    picture[:4, :4, 0] = picture[8:12, 4:8, 0] = 255
    (places,) = Detector(file).contributions([(picture,)])
    assert places[0, 0] == places[2, 1] == pytest.approx(2.0)
    assert np.count_nonzero(places) == 2


@pytest.mark.parametrize(("name", "places_a_side"), [("default", 12), ("fast", 10)])
def test_the_bundled_detectors_have_one(astronaut, name, places_a_side):
    detector = Detector(find_model(name))
    height, width = detector.card.inputs[0].size
    regions = [(astronaut[y : y + height, 150 : 150 + width],) for y in (0, 40, 80)]
    places = detector.contributions(regions)
    assert places.shape == (3, places_a_side, places_a_side)
    assert places.sum(axis=(1, 2)) == pytest.approx(detector.logits(regions), abs=1e-4)


def test_other_heads_are_left_alone(tmp_path):
    for file in (
        write_spots(tmp_path / "deep.onnx", linear=False),
        write_model(tmp_path / "flat.onnx"),
        write_model(tmp_path / "columns.onnx", kind="softmax", columns=2),
    ):
        content = file.read_bytes()
        assert not add_activation(file)
        assert file.read_bytes() == content


def test_what_was_added_can_be_taken_off(tmp_path):
    file = write_spots(tmp_path / "spots.onnx")
    before = onnx.load_model(file)
    card = read_card({p.key: p.value for p in before.metadata_props}, "spots")
    added, told = with_activation(before, card)
    assert len(added.graph.output) == 2
    again = without_activation(added, told)
    assert [node.name or node.output[0] for node in again.graph.node] == [n.output[0] for n in before.graph.node]
    assert {tensor.name for tensor in again.graph.initializer} == {t.name for t in before.graph.initializer}
    # Adding it twice is adding it once.
    twice, _ = with_activation(added, told)
    assert twice.SerializeToString() == added.SerializeToString()


def test_int8_keeps_it(tmp_path):
    file = write_spots(tmp_path / "spots.onnx")
    add_activation(file)
    quantise(file, tmp_path / "int8.onnx", pictures(40))
    operators = {node.op_type for node in onnx.load_model(tmp_path / "int8.onnx").graph.node}
    assert "QuantizeLinear" in operators
    detector = Detector(tmp_path / "int8.onnx")
    places = detector.contributions(pictures())
    exact = Detector(file).contributions(pictures())
    assert np.corrcoef(places.ravel(), exact.ravel())[0, 1] > 0.95
    assert places.sum(axis=(1, 2)) == pytest.approx(detector.logits(pictures()), abs=0.1)


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        ("halved", "add up to"),
        ("missing", "the card's activation 'activation' is none of ['score']"),
        ("flat", "the activation of 2 regions has the shape"),
    ],
)
def test_an_activation_that_lies_is_refused(tmp_path, lie, says):
    file = write_spots(tmp_path / "spots.onnx")
    add_activation(file)
    model = onnx.load_model(file)
    if lie == "halved":
        for tensor in model.graph.initializer:
            if tensor.name == "activation/bias":
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.5), tensor.name))
    elif lie == "missing":
        del model.graph.output[1]
    else:
        (node,) = (node for node in model.graph.node if OUTPUT in node.output)
        node.op_type = "Identity"
        del node.input[1:]
        output = helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["n", 1, 8, 8])
        model.graph.output[1].CopyFrom(output)
    onnx.save(model, file)
    with pytest.raises(FacescanError) as caught:
        Detector(file)
    assert says in str(caught.value)


def test_a_card_that_names_none_is_older_and_valid(tmp_path):
    file = write_spots(tmp_path / "spots.onnx")
    detector = Detector(file)
    assert detector.card.activation == ""
    write_card(file, detector.card)
    assert Detector(file).card == detector.card
