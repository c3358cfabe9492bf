"""What an ONNX file says of itself: read whole, or refused with all that is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scanner.detector.card import Card, CropSpec, InputSpec, OutputSpec, read_card
from scanner.errors import FacescanError
from tests.onnx_models import card, input_card, metadata

REQUIRED = "schema name version task labels fake inputs output source calibration operating_points uncertain".split()


def refusal(values):
    with pytest.raises(FacescanError) as caught:
        read_card(metadata(values), "some.onnx")
    message = str(caught.value)
    assert message.startswith("some.onnx: ")
    assert "\n" not in message
    return message


def test_a_card_is_read():
    read = read_card(metadata(card()), "some.onnx")
    assert read.name == "tiny"
    assert read.labels == ("real", "fake")
    assert read.inputs == (InputSpec("picture", (12, 16)),)
    assert read.output == OutputSpec("score", "sigmoid")
    assert read.operating_points == {"0.01": 0.9, "0.1": 0.5}
    assert (read.margin, read.description, read.metrics) == (0.0, "", None)


def test_what_is_written_is_read():
    written = Card(
        schema=1,
        name="whole",
        version="2.1",
        task="swap",
        labels=("fake", "real"),
        fake=0,
        inputs=(
            InputSpec("p", (224, 200), "picture", "NCHW", "BGR", (-1.0, 1.0), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)),
            InputSpec("e", (128, 128), "ela", ela={"quality": 75, "alpha": 20.0, "beta": 1.0}),
        ),
        output=OutputSpec("out", "softmax"),
        source="face",
        calibration=(1.5, -0.25),
        operating_points={"0.001": 0.99, "0.05": 0.6},
        uncertain=(0.3, 0.7),
        margin=0.25,
        crop=CropSpec("reflect", 10.0, -0.1),
        description="for the test",
        license="CC0-1.0",
        training=[{"set": "none", "license": "CC0-1.0"}],
        metrics={"auc": 0.5},
    )
    assert read_card(written.to_metadata(), "some.onnx") == written


@pytest.mark.parametrize(
    ("crop", "read"),
    [
        ({}, CropSpec("clamp", 15.0, 0.0)),
        ({"edge": "grey"}, CropSpec("grey", 15.0, 0.0)),
        ({"edge": "reflect"}, CropSpec("reflect", 15.0, 0.0)),
        ({"level": 45}, CropSpec("clamp", 45.0, 0.0)),
        ({"level": 0}, CropSpec("clamp", 0.0, 0.0)),
        ({"tight": -0.5}, CropSpec("clamp", 15.0, -0.5)),
        ({"edge": "grey", "level": 5.5, "tight": 0.1}, CropSpec("grey", 5.5, 0.1)),
    ],
    ids=str,
)
def test_fields_that_a_crop_does_not_name_have_their_defaults(crop, read):
    assert read_card(metadata(card(crop=crop)), "some.onnx").crop == read


def test_a_card_without_the_key_crop_has_the_defaults():
    values = card()
    assert "crop" not in values
    assert read_card(metadata(values), "some.onnx").crop == CropSpec("clamp", 15.0, 0.0)


@pytest.mark.parametrize(
    ("crop", "fault"),
    [
        ({"edge": "wrap"}, "crop: edge 'wrap' is none of clamp, reflect, grey"),
        ({"edge": None}, "crop: edge None is none of"),
        ({"level": 46}, "crop: level 46.0 is outside 0..45"),
        ({"level": -1}, "crop: level -1.0 is outside 0..45"),
        ({"level": float("nan")}, "crop: level nan is outside 0..45"),
        ({"tight": 4.5}, "crop: tight 4.5 is outside -0.5..4"),
        ({"tight": -0.6}, "crop: tight -0.6 is outside -0.5..4"),
        ({"tight": float("nan")}, "crop: tight nan is outside -0.5..4"),
        ({"level": "steep"}, "'steep'"),
        ({"tight": [0]}, "wrong form"),
        ({"corner": 1}, "'corner'"),
        ("clamp", "wrong form"),
        ([1], "wrong form"),
        (None, "wrong form"),
    ],
    ids=str,
)
def test_a_crop_that_cannot_be_is_refused_and_says_why(crop, fault):
    assert fault in refusal(card(crop=crop))


def test_metadata_of_others_is_left_alone():
    assert read_card(metadata(card()) | {"author": "somebody", "onnx.infer": "{"}, "some.onnx").name == "tiny"


def test_a_key_of_a_later_schema_is_left_alone():
    assert read_card(metadata(card(quantisation={"bits": 8})), "some.onnx").name == "tiny"


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(key):
    values = card()
    del values[key]
    message = refusal(values)
    assert f"facescan.{key} is missing" in message
    assert message.count("is missing") == 1


@pytest.mark.parametrize("foreign", [{}, {"author": "somebody"}])
def test_a_file_without_a_card_is_told_all_that_it_lacks(foreign):
    with pytest.raises(FacescanError) as caught:
        read_card(foreign, "some.onnx")
    assert [key for key in REQUIRED if f"facescan.{key} is missing" not in str(caught.value)] == []


def test_several_faults_are_told_at_once():
    message = refusal(card(task="art", fake=2, source="video", uncertain=[0.8, 0.2]))
    for fault in ("task 'art'", "fake the index", "source 'video'", "uncertain [0.8, 0.2]"):
        assert fault in message


@pytest.mark.parametrize(("typo", "meant"), [("margins", "margin"), ("licence", "license"), ("metric", "metrics")])
def test_a_misspelt_key_is_not_taken_for_a_later_schema(typo, meant):
    assert f"facescan.{typo} is unknown, did you mean facescan.{meant}?" in refusal(card(**{typo: 0}))


def test_values_are_json():
    with pytest.raises(FacescanError, match=r"facescan\.name is not JSON"):
        read_card(metadata(card()) | {"facescan.name": "tiny"}, "some.onnx")


CONTRADICTIONS = {
    "schema": card(schema=2),
    "task": card(task="fakes"),
    "one label": card(labels=["fake"], fake=0),
    "three labels": card(labels=["real", "fake", "art"]),
    "fake": card(fake=2),
    "fake below": card(fake=-1),
    "kind": card(output={"name": "score", "kind": "tanh"}),
    "no output name": card(output={"kind": "sigmoid"}),
    "source": card(source="frame"),
    "margin below": card(margin=-0.1),
    "margin above": card(margin=5),
    "margin in words": card(margin="wide"),
    "band the wrong way": card(uncertain=[0.7, 0.3]),
    "band outside": card(uncertain=[0.5, 1.5]),
    "band of one": card(uncertain=[0.5]),
    "threshold": card(operating_points={"0.01": 1.01}),
    "operating point in words": card(operating_points={"low": 0.5}),
    "operating points as a list": card(operating_points=[0.5]),
    "calibration of three": card(calibration=[1, 2, 3]),
    "no inputs": card(inputs=[]),
    "inputs as a word": card(inputs="picture"),
    "no input name": card(inputs=[{"size": [8, 8]}]),
    "no input size": card(inputs=[{"name": "picture"}]),
    "content": card(inputs=[input_card(content="depth")]),
    "layout": card(inputs=[input_card(layout="HWC")]),
    "color": card(inputs=[input_card(color="GRAY")]),
    "size of nothing": card(inputs=[input_card(size=[0, 8])]),
    "size too large": card(inputs=[input_card(size=[8, 5000])]),
    "size of three": card(inputs=[input_card(size=[8, 8, 3])]),
    "mean of one": card(inputs=[input_card(mean=[0.5])]),
    "std of nothing": card(inputs=[input_card(std=[1, 0, 1])]),
    "ela without a quality": card(inputs=[input_card("ela", ela={"alpha": 1, "beta": 0})]),
    "ela quality": card(inputs=[input_card("ela", ela={"quality": 101, "alpha": 1, "beta": 0})]),
    "unknown word in an input": card(inputs=[input_card(colour="RGB")]),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(name):
    assert "not a facescan model: " in refusal(CONTRADICTIONS[name])


@pytest.mark.parametrize(
    "values",
    [
        card(calibration=[float("nan"), 0]),
        card(inputs=[input_card(mean=[float("nan"), 0, 0])]),
        card(inputs=[input_card(std=[float("inf"), 1, 1])]),
        card(inputs=[input_card("ela", ela={"quality": 90, "alpha": "high", "beta": 0})]),
        card(inputs=[input_card(), input_card()]),
        card(name=None),
    ],
    ids=["calibration", "mean", "std", "ela", "an input twice", "no name"],
)
def test_what_would_only_fail_at_the_first_picture_is_refused(values):
    assert "not a facescan model: " in refusal(values)


@pytest.mark.parametrize(
    "values",
    [
        card(uncertain=[0.5, 0.5]),
        card(uncertain=[0, 1]),
        card(operating_points={}),
        card(margin=0),
        card(fake=0, labels=["fake", "real"]),
        card(kind="logit"),
        card(inputs=[input_card(), input_card("ela")]),
        card(inputs=[input_card(size=[1, 4096])]),
    ],
)
def test_what_is_unusual_but_right_is_read(values):
    assert isinstance(read_card(metadata(values), "some.onnx"), Card)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


@example(key="crop", value={"edge": ["clamp"]})
@given(key=st.sampled_from([*REQUIRED, "margin", "crop"]), value=ANY_JSON)
def test_any_value_of_a_field_is_read_or_refused(key, value):
    try:
        assert isinstance(read_card(metadata(card() | {key: value}), "some.onnx"), Card)
    except FacescanError as error:
        assert "not a facescan model" in str(error)


@example(key="ela", value=None)
@example(key="ela", value={"quality": "high", "alpha": 1, "beta": 0})
@example(key="size", value=[float("inf"), 8])
@given(key=st.sampled_from("name size content layout color range mean std ela".split()), value=ANY_JSON)
def test_any_value_of_an_input_is_read_or_refused(key, value):
    try:
        assert isinstance(read_card(metadata(card(inputs=[input_card(**{key: value})])), "some.onnx"), Card)
    except FacescanError as error:
        assert "not a facescan model" in str(error)


@given(st.dictionaries(st.sampled_from([f"facescan.{key}" for key in REQUIRED]), st.text(max_size=20)))
def test_any_metadata_is_read_or_refused(texts):
    whole = metadata(card()) | texts
    try:
        read = read_card(whole, "some.onnx")
    except FacescanError:
        return
    assert [read.name, read.version] == [json.loads(whole["facescan.name"]), json.loads(whole["facescan.version"])]
