"""`facescan-train card`: print, fill in, write back."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("onnx")

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scanner.detector.model import BUNDLED, Detector
from tests.onnx_models import input_card, write_model
from train.cli import main

FILLED = {
    "name": "foreign",
    "version": "1",
    "task": "synthesis",
    "labels": ["real", "fake"],
    "fake": 1,
    "source": "image",
    "calibration": [1, 0],
    "operating_points": {},
    "uncertain": [0.5, 0.5],
}
PIXELS = {"content": "picture", "color": "RGB", "range": [0, 1]}


@pytest.fixture
def foreign(tmp_path):
    """Somebody else's: NCHW, two columns, no card."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 12, 16])
    probs = helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 2])
    weights = numpy_helper.from_array(np.random.default_rng(0).normal(0, 0.1, (576, 2)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probs"]),
    ]
    graph = helper.make_graph(nodes, "foreign", [image], [probs], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "somebody"})
    onnx.save(model, tmp_path / "foreign.onnx")
    return tmp_path / "foreign.onnx"


def printed(capsys, *arguments):
    assert main(["card", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def refused(capsys, *arguments):
    assert main(["card", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def written(folder, values):
    file = folder / "card.json"
    file.write_text(json.dumps(values))
    return file


@pytest.mark.parametrize("fields", [{}, {"training": [{"set": None}], "metrics": {"auc": 0.5}, "license": "CC0-1.0"}])
def test_what_is_printed_can_be_written_back(fields, tmp_path, capsys):
    model = write_model(tmp_path / "m.onnx", inputs=[input_card(), input_card("ela")], **fields)
    before = Detector(model).card
    values, errors = printed(capsys, model)
    assert errors == ""
    assert main(["card", str(model), "--set", str(written(tmp_path, values))]) == 0
    assert Detector(model).card == before


def test_an_edit_is_written_and_foreign_metadata_stay(tmp_path, capsys):
    model = write_model(tmp_path / "m.onnx")
    graph = onnx.load_model(model)
    graph.metadata_props.add(key="author", value="somebody")
    onnx.save(graph, model)
    values, _ = printed(capsys, model)
    assert main(["card", str(model), "--set", str(written(tmp_path, values | {"version": "7"}))]) == 0
    assert Detector(model).card.version == "7"
    assert {prop.key: prop.value for prop in onnx.load_model(model).metadata_props}["author"] == "somebody"


def test_a_foreign_model_gets_a_template(foreign, tmp_path, capsys):
    values, errors = printed(capsys, foreign)
    (spec,) = values["inputs"]
    assert (spec["name"], spec["size"], spec["layout"]) == ("image", [12, 16], "NCHW")
    assert values["output"] == {"name": "probs", "kind": None}
    nulls = [*FILLED, "inputs[0].content", "inputs[0].color", "inputs[0].range", "output.kind"]
    assert [where for where in nulls if where not in errors] == []
    assert "2 columns" in errors
    assert f"facescan-train card {foreign} --set" in errors

    line = refused(capsys, foreign, "--set", written(tmp_path, values))
    assert [where for where in nulls if f"{where} is null" not in line] == []

    values |= FILLED | {"inputs": [spec | PIXELS], "output": {"name": "probs", "kind": "softmax"}}
    assert main(["card", str(foreign), "--set", str(written(tmp_path, values))]) == 0
    assert Detector(foreign).card.inputs[0].layout == "NCHW"
    assert {prop.key for prop in onnx.load_model(foreign).metadata_props} >= {"author", "facescan.name"}


def test_what_a_card_holds_already_is_in_the_template(tmp_path, capsys):
    model = write_model(tmp_path / "m.onnx", without=["task", "fake"])
    values, errors = printed(capsys, model)
    assert (values["task"], values["fake"], values["name"], values["uncertain"]) == (None, None, "tiny", [0.4, 0.6])
    assert "(task, fake" in errors


def test_a_card_that_is_whole_and_wrong_is_printed_with_its_faults(tmp_path, capsys):
    values, errors = printed(capsys, write_model(tmp_path / "m.onnx", task="mischief"))
    assert values["task"] == "mischief"
    assert "task 'mischief' is none of" in errors


FAULTS = {
    "null": ({"task": None}, ["task is null"]),
    "several": ({"task": "art", "source": "video"}, ["task 'art'", "source 'video'"]),
    "null and more": ({"name": None, "source": "video", "colour": "RGB"}, ["name is null", "'video'", "colour is no"]),
    "not the graph's": ({"inputs": [input_card(size=[8, 8])]}, ["input picture takes"]),
    "not the graph's names": ({"output": {"name": "other", "kind": "sigmoid"}}, ["output 'other'"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_card_is_refused_in_one_line_and_the_file_stays(name, tmp_path, capsys):
    model = write_model(tmp_path / "m.onnx")
    before = model.read_bytes()
    changes, complaints = FAULTS[name]
    values, _ = printed(capsys, model)
    line = refused(capsys, model, "--set", written(tmp_path, values | changes))
    assert [complaint for complaint in complaints if complaint not in line] == []
    assert ".partial" not in line
    assert model.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["card.json", "m.onnx"]


@pytest.mark.parametrize(
    ("text", "complaint"), [("{", "no JSON"), ("[]", "no card: list"), ("\xff", "no JSON"), (None, "No such file")]
)
def test_what_is_no_card_is_refused(text, complaint, tmp_path, capsys):
    model, file = write_model(tmp_path / "m.onnx"), tmp_path / "card.json"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    assert complaint in refused(capsys, model, "--set", file)


def test_out_leaves_the_model_alone(tmp_path, capsys):
    model, other = write_model(tmp_path / "m.onnx"), tmp_path / "other.onnx"
    before = model.read_bytes()
    values, _ = printed(capsys, model)
    file = written(tmp_path, values | {"version": "8"})
    assert main(["card", str(model), "--set", str(file), "--out", str(other)]) == 0
    assert model.read_bytes() == before
    assert Detector(other).card.version == "8"
    assert "no/other.onnx: No such file" in refused(capsys, model, "--set", file, "--out", tmp_path / "no/other.onnx")


def test_a_bundled_model_is_printed_and_copied_but_not_changed(tmp_path, capsys):
    values, errors = printed(capsys, "default")
    assert (values["name"], errors) == ("default", "")
    file, copy = written(tmp_path, values | {"version": "mine"}), tmp_path / "mine.onnx"
    before = (BUNDLED / "default.onnx").read_bytes()
    for arguments in (["default"], [BUNDLED / "default.onnx"], ["default", "--out", BUNDLED / "mine.onnx"]):
        assert "--out names another file" in refused(capsys, *arguments, "--set", file)
    assert (BUNDLED / "default.onnx").read_bytes() == before
    assert main(["card", "default", "--set", str(file), "--out", str(copy)]) == 0
    assert Detector(copy).card.version == "mine"


def test_no_model_and_no_onnx_file_are_said_in_one_line(tmp_path, capsys):
    (tmp_path / "text.onnx").write_text("no graph")
    assert "no ONNX file, or not all of it" in refused(capsys, tmp_path / "text.onnx")
    assert "no model 'nothing'" in refused(capsys, "nothing")


def test_out_without_set_is_wrong_usage(tmp_path, capsys):
    model = write_model(tmp_path / "m.onnx")
    assert main(["card", str(model), "--out", str(tmp_path / "o.onnx")]) == 2
    assert "--out goes with --set" in capsys.readouterr().err
