"""Model files that lie, name other files, never end or take all memory are refused in one line, before any output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from scanner.cli import main
from scanner.detector import model as model_module
from scanner.detector.model import Detector
from scanner.detector.onnx_file import MAX_MODEL_BYTES
from scanner.errors import FacescanError
from tests.conftest import clean_environment
from tests.onnx_models import SIZE, card, input_card, metadata, write_model
from tests.outputs import OLD_SUMMARY, YESTERDAY
from tests.pictures import encode, scene

MEAN = helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2, 3], keepdims=0)
COLUMN = helper.make_node("Reshape", ["mean", "column"], ["score"])
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]


def constant(name: str, *values: Any, dtype: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def gives(kind: int, shape: list | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("score", kind, shape)


def picture(shape: list | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("picture", kind, shape)


def save(
    file: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[TensorProto] = (),
    takes: onnx.ValueInfoProto | None = None,
    output: onnx.ValueInfoProto | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
    **says: Any,
) -> None:
    """A model of these nodes. `column` is a weight that makes a column of a vector; `says` are fields of the card."""
    weights = [constant("column", -1, 1), *weights]
    takes, output = takes or picture(["n", *SIZE, 3]), output or gives(TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "hostile", [takes], [output], weights)
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8, functions=functions)
    helper.set_model_props(model, metadata(card(**says)))
    file.write_bytes(model.SerializeToString())


# What is wrong with the file itself: made by a function of its path; and what is said of it.


def elsewhere(location: str) -> TensorProto:
    """Make weights that lie in `secret.bin` of the scan's current folder."""
    tensor = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def leads_to(location: str) -> Callable[[Path], None]:
    added = [
        MEAN,
        helper.make_node("Add", ["mean", "secret"], ["sum"]),
        helper.make_node("Reshape", ["sum", "column"], ["score"]),
    ]
    return lambda file: save(file, added, [elsewhere(location.format(file.parent))])


def leads_out_of_a_node(file: Path) -> None:
    node = helper.make_node("Constant", [], ["secret"])
    node.attribute.append(AttributeProto(name="value", type=AttributeProto.TENSOR, t=elsewhere("secret.bin")))
    save(file, [node, MEAN, COLUMN])


def branch(nodes: list, weights: list = ()) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "branch", [], [helper.make_tensor_value_info(nodes[-1].output[0], 1, None)], weights
    )


def either(then: onnx.GraphProto, name: str = "score") -> list:
    otherwise = branch([helper.make_node("Reshape", ["mean", "column"], ["otherwise"])])
    return [MEAN, helper.make_node("If", ["yes"], [name], then_branch=then, else_branch=otherwise)]


YES = constant("yes", True, dtype=bool)


def leads_out_of_a_branch(file: Path) -> None:
    added = branch([helper.make_node("Add", ["mean", "secret"], ["sum"])], [elsewhere("secret.bin")])
    save(file, either(added), [YES])


def leads_out_of_a_sparse_tensor(file: Path) -> None:
    save(file, [MEAN, COLUMN])
    model = onnx.load(file)
    sparse = model.graph.sparse_initializer.add(dims=[4], indices=constant("i", 0))
    sparse.values.CopyFrom(elsewhere("secret.bin"))
    file.write_bytes(model.SerializeToString())


def endless() -> onnx.NodeProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["on"]), helper.make_node("Add", ["value", "value"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("more", 1, None)],
    )
    return helper.make_node("Loop", ["", "yes", "mean"], ["looped"], body=body)


def loops(file: Path) -> None:
    save(file, [MEAN, endless(), helper.make_node("Reshape", ["looped", "column"], ["score"])], [YES])


def loops_in_a_branch(file: Path) -> None:
    save(file, either(branch([endless(), helper.make_node("Reshape", ["looped", "column"], ["then"])])), [YES])


def laughs(file: Path) -> None:
    """Save functions that call the next one twice: two to the power of thirty nodes in a few kilobytes."""
    functions = []
    for i in range(30):
        calls = [helper.make_node(f"f{i + 1}", [a], [b], domain="evil") for a, b in (("in", "half"), ("half", "out"))]
        body = calls if i < 29 else [helper.make_node("Neg", ["in"], ["out"])]
        functions.append(helper.make_function("evil", f"f{i}", ["in"], ["out"], body, OPSETS))
    save(file, [MEAN, helper.make_node("f0", ["mean"], ["f"], domain="evil"), COLUMN], functions=functions)


def inside(number: int, content: bytes) -> bytes:
    """Build a field of a protobuf message."""
    size = len(content)
    sevens = [size >> 7 * i & 127 for i in range(max(1, -(-size.bit_length() // 7)))]
    return bytes([number << 3 | 2, *(seven | 128 for seven in sevens[:-1]), sevens[-1]]) + content


def nested(file: Path) -> None:
    """Save a graph in an attribute of a node in a graph, two thousand times."""
    graph = b""
    for _ in range(2000):
        graph = inside(1, inside(4, b"If") + inside(5, inside(6, graph)))
    file.write_bytes(inside(7, graph))


def crowded(file: Path) -> None:
    file.write_bytes(inside(7, inside(1, b"") * 500_001))


def whole(path: Path) -> bytes:
    return write_model(path).read_bytes()


def sparse_file(file: Path) -> None:
    file.touch()
    os.truncate(file, MAX_MODEL_BYTES + 1)  # takes no room on the disk, but would in memory


NO_ONNX = "no ONNX file, or not all of it; copy or export it again"
ELSEWHERE = "has weights in other files, which are never read; save it as one file with onnx.save"
NO_FILE = f"neither a file nor a bundled model ({', '.join(model_module.bundled_models())})"
FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights in the same folder": (leads_to("secret.bin"), ELSEWHERE),
    "weights above": (leads_to("../secret.bin"), ELSEWHERE),
    "weights by an absolute path": (leads_to("{}/secret.bin"), ELSEWHERE),
    "weights behind a link": (leads_to("link.bin"), ELSEWHERE),
    "weights that are not there": (leads_to("nowhere.bin"), ELSEWHERE),
    "weights in the device that never ends": (leads_to("/dev/zero"), ELSEWHERE),
    "weights in our own memory": (leads_to("*/_ORT_MEM_ADDR_/*"), ELSEWHERE),
    "weights without a place": (leads_to(""), ELSEWHERE),
    "a node's weights": (leads_out_of_a_node, ELSEWHERE),
    "a branch's weights": (leads_out_of_a_branch, ELSEWHERE),
    "a sparse tensor's weights": (leads_out_of_a_sparse_tensor, ELSEWHERE),
    "an endless loop": (loops, "has a Loop, which may never end"),
    "an endless loop in a branch": (loops_in_a_branch, "has a Loop, which may never end"),
    "a billion laughs": (laughs, "defines functions, which can unfold without end; inline them with onnx.inliner"),
    "graphs in graphs": (nested, "onnxruntime cannot load it: "),
    "half a million nodes": (crowded, "a graph of more than 500,000 fields"),
    "empty": (Path.touch, NO_ONNX),
    "text": (lambda file: file.write_text("hello"), NO_ONNX),
    "zeros": (lambda file: file.write_bytes(bytes(10_000)), NO_ONNX),
    "noise": (lambda file: file.write_bytes(np.random.default_rng(0).bytes(10_000)), NO_ONNX),
    "a picture": (lambda file: file.write_bytes(encode(scene(), "PNG")), NO_ONNX),
    "no graph": (lambda file: file.write_bytes(b"\x08\x08"), NO_ONNX),
    "an empty graph": (lambda file: file.write_bytes(inside(7, b"")), "onnxruntime cannot load it: "),
    "cut in half": (lambda file: file.write_bytes(whole(file)[:1000]), NO_ONNX),
    "cut by a byte": (lambda file: file.write_bytes(whole(file)[:-1]), NO_ONNX),
    "a tail": (lambda file: file.write_bytes(whole(file) + b"tail"), NO_ONNX),
    "a number of eleven bytes": (lambda file: file.write_bytes(whole(file) + b"\x08" + b"\xff" * 11), NO_ONNX),
    "too large": (sparse_file, "a model may have 2147483647"),
    "a folder": (Path.mkdir, NO_FILE),
    "a FIFO": (os.mkfifo, NO_FILE),
    "a device": (lambda file: file.symlink_to("/dev/zero"), NO_FILE),
    "a link in a circle": (lambda file: file.symlink_to(file), NO_FILE),
    "nothing": (lambda file: None, NO_FILE),
}  # fmt: skip


@pytest.fixture
def refusal(tmp_path, monkeypatch, capfd, cache_folder):
    """Return the command's message about `m.onnx`; and check that it changed no file."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "a.png").write_bytes(encode(scene(), "PNG"))
    np.zeros(1, np.float32).tofile(here / "secret.bin")
    np.zeros(1, np.float32).tofile(tmp_path / "secret.bin")
    (here / "link.bin").symlink_to("../secret.bin")
    outputs = {"r.csv": YESTERDAY, "r.json": YESTERDAY, "s.md": OLD_SUMMARY}
    for name, text in outputs.items():
        (here / name).write_text(text)

    def scan(name: str = "m.onnx") -> str:
        before = sorted(os.listdir(here))
        code = main(["a.png", "--model", name, "-o", "r.csv", "-o", "r.json", "--summary", "s.md", "--ela-dir", "maps"])
        said = capfd.readouterr()
        assert (code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith("facescan: ")
        assert line.isprintable()
        assert len(line) < 1000
        assert sorted(os.listdir(here)) == before
        assert os.listdir(cache_folder) == []
        assert {name: (here / name).read_text() for name in outputs} == outputs
        return line

    return scan


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs devices, and files with holes")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model_is_refused(refusal, name):
    make, says = FILES[name]
    make(Path("m.onnx").absolute())
    assert says in refusal()


@pytest.mark.parametrize("name", ["n" * 300, "nowhere/m.onnx", "a.png/m.onnx", ""])
def test_a_name_that_cannot_be_one_is_refused(refusal, name):
    assert f"no model '{name}': {NO_FILE}" in refusal(name)


def test_a_name_is_shown_on_one_line(refusal):
    name = "\x1b[31m\nm.onnx"
    Path(name).write_text("hello")
    assert refusal(name) == rf"facescan: \x1b[31m\nm.onnx: {NO_ONNX}"


# What the graph does: arguments of `save`, and what is said of it.


def mean(*axes: int, name: str = "mean") -> onnx.NodeProto:
    """Make a node of the mean of the pictures over these axes; over all axes if none are given."""
    return helper.make_node("ReduceMean", ["picture"], [name], keepdims=0, **({"axes": axes} if axes else {}))


def then(op: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node; `names` are those of its inputs and, last, of its output."""
    return helper.make_node(op, names[:-1], names[-1:], **attributes)


def as_column(name: str, to: str = "score") -> onnx.NodeProto:
    return then("Reshape", name, "column", to)


def grown_by(*nodes: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Add the mean of something large, which these nodes make, to each picture's score."""
    return [
        MEAN,
        *nodes,
        then("ReduceMean", "large", "huge", keepdims=0),
        then("Add", "mean", "huge", "x"),
        as_column("x"),
    ]


def scalar(name: str, value: Any, dtype: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(dtype(value), name)


def places(after: int) -> list[TensorProto]:
    """Return the weights of `added_from`."""
    return [scalar("zero", 0), scalar("one", 1), scalar("after", after, np.float32), scalar("third", 1 / 3, np.float32)]


def added_from(what: str, after: int) -> list[onnx.NodeProto]:
    """`sum` is `mean`, and a third more at the places after a certain one, or if there are more than so many.

    Args:
        what: `place` or `many`.
        after: the place, counted from 0, or how many; the weights are `places` of it.
    """
    return [
        then("Shape", "mean", "shape"),
        then("ReduceSum", "shape", "count", keepdims=0),
        then("Range", "zero", "count", "one", "place"),
        then("Identity", "count", "many"),
        then("Cast", what, "number", to=TensorProto.FLOAT),
        then("Greater", "number", "after", "is_after"),
        then("Cast", "is_after", "as_number", to=TensorProto.FLOAT),
        then("Mul", "as_number", "third", "more"),
        then("Add", "mean", "more", "sum"),
    ]


TRIAL = "a trial on noise failed: "
TOO_MUCH = "is smaller than requested bytes of"
TWICE = then("Concat", "y", "y", "score", axis=1)
WEIGHED = [MEAN, then("Mul", "mean", "weight", "x"), as_column("x")]
GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "an operator of its own": (
        {"nodes": [then("Evil", "picture", "mean", domain="evil"), as_column("mean")]},
        "evil:Evil(-1) is not a registered function/op",
    ),
    "an operator of nobody": ({"nodes": [then("Evil", "picture", "score")]}, "No Op registered for Evil"),
    "a constant of eight gigabytes": (
        {"nodes": grown_by(then("ConstantOfShape", "shape", "large")), "weights": [constant("shape", 2**31)]},
        TOO_MUCH,
    ),
    "a constant of four exabytes": (
        {"nodes": grown_by(then("ConstantOfShape", "shape", "large")), "weights": [constant("shape", 2**30, 2**30)]},
        TOO_MUCH,
    ),
    "a picture spread over eight gigabytes": (
        {
            "nodes": grown_by(then("Expand", "picture", "shape", "large")),
            "weights": [constant("shape", 4_000_000, 1, 1, 1, 1)],
        },
        TOO_MUCH,
    ),
    "a picture tiled over eight gigabytes": (
        {
            "nodes": grown_by(then("Tile", "picture", "times", "large")),
            "weights": [constant("times", 1, 4_000_000, 1, 1)],
        },
        "exceeds the supported maximum",
    ),
    "a range of sixteen gigabytes": (
        {
            "nodes": grown_by(then("Range", "zero", "many", "one", "all"), then("Cast", "all", "large", to=1)),
            "weights": [scalar("zero", 0), scalar("many", 2**31), scalar("one", 1)],
        },
        TOO_MUCH,
    ),
    "scores that are no number": (
        {"nodes": WEIGHED, "weights": [scalar("weight", np.nan, np.float32)]},
        "there are scores that are not a number, or infinite",
    ),
    "scores that are infinite": (
        {"nodes": WEIGHED, "weights": [scalar("weight", np.inf, np.float32)], "kind": "logit"},
        "there are scores that are not a number, or infinite",
    ),
    "logits that are called probabilities": (
        {"nodes": WEIGHED, "weights": [scalar("weight", -9, np.float32)]},
        "a sigmoid gives values from -4.",
    ),
    "a softmax that does not add up": (
        {
            "nodes": [MEAN, then("Mul", "mean", "mean", "x"), as_column("x", "y"), TWICE],
            "output": gives(TensorProto.FLOAT, ["n", 2]),
            "kind": "softmax",
        },
        "the columns of a softmax do not add up to 1",
    ),
    "one score for all": (
        {"nodes": [mean(), as_column("mean")]},
        "the sigmoid of 2 regions has the shape [1, 1]",
    ),
    "one row of scores": (
        {
            "nodes": [MEAN, then("Unsqueeze", "mean", "axis", "score")],
            "weights": [constant("axis", 0)],
            "output": gives(TensorProto.FLOAT, None),
        },
        "the sigmoid of 2 regions has the shape [1, 2]",
    ),
    "a score of no rank": (
        {"nodes": [mean(name="score")], "output": gives(TensorProto.FLOAT, None)},
        "the sigmoid of 2 regions has the shape []",
    ),
    "columns that are not announced": (
        {
            "nodes": [then("NonZero", "picture", "places"), then("Cast", "places", "score", to=TensorProto.FLOAT)],
            "output": gives(TensorProto.FLOAT, None),
        },
        "the sigmoid of 2 regions has the shape [4, ",
    ),
    "a score that depends on its company": (
        {
            "nodes": [mean(name="all"), MEAN, then("Sub", "mean", "all", "x"), then("Abs", "x", "y"), as_column("y")],
        },
        "one picture has scores from 0.",
    ),
    "a score that depends on its place": (
        {"nodes": [MEAN, *added_from("place", 6), as_column("sum")], "weights": places(6)},
        "one picture has scores from 0.",
    ),
    "a score that depends on how many there are": (
        {"nodes": [MEAN, *added_from("many", 7), as_column("sum")], "weights": places(7)},
        "one picture has scores from 0.",
    ),
    "a score that is thrown like dice": (
        {"nodes": [MEAN, then("RandomUniformLike", "mean", "x", seed=1.0), as_column("x")]},
        "one picture has scores from 0.",
    ),
    "whole numbers": (
        {
            "nodes": [MEAN, as_column("mean", "x"), then("Cast", "x", "score", to=TensorProto.INT64)],
            "output": gives(TensorProto.INT64, ["n", 1]),
        },
        "output score gives tensor(int64), not floating-point numbers",
    ),
    "words": (
        {
            "nodes": [MEAN, as_column("mean", "x"), then("Cast", "x", "score", to=TensorProto.STRING)],
            "output": gives(TensorProto.STRING, ["n", 1]),
        },
        "output score gives tensor(string), not floating-point numbers",
    ),
    "a sequence": (
        {
            "nodes": [MEAN, then("SequenceConstruct", "mean", "score")],
            "output": helper.make_tensor_sequence_value_info("score", TensorProto.FLOAT, None),
        },
        "output score gives seq(tensor(float)), not floating-point numbers",
    ),
    "pictures of double precision": (
        {
            "nodes": [MEAN, as_column("mean")],
            "takes": picture(["n", *SIZE, 3], TensorProto.DOUBLE),
            "output": gives(TensorProto.DOUBLE, ["n", 1]),
        },
        "input picture takes tensor(double)",
    ),
    "pictures of any rank": (
        {"nodes": [MEAN, as_column("mean")], "takes": picture(None)},
        "input picture takes tensor(float) []",
    ),
    "a hundred thousand pixels a side": (
        {
            "nodes": [MEAN, as_column("mean")],
            "takes": picture(["n", "h", "w", 3]),
            "inputs": [input_card(size=[100_000, 100_000])],
        },
        "input picture: size (100000, 100000) is outside 1..4096",
    ),
    "more than 4096 pixels a side with another input": (
        {
            "nodes": [MEAN, as_column("mean")],
            "takes": picture(["n", "h", "w", 3]),
            "inputs": [input_card(size=[4096, 4096]), input_card("ela")],
        },
        "the inputs have more than 16777216 pixels together",
    ),
    "a million pictures at once": (
        {"nodes": [MEAN, as_column("mean")], "takes": picture([1_000_000, *SIZE, 3])},
        "takes 1000000 regions of 192 pixels at once",
    ),
    "no picture at once": (
        {"nodes": [MEAN, as_column("mean")], "takes": picture([0, *SIZE, 3])},
        "takes 0 regions of 192 pixels at once",
    ),
    "a picture that is not as large as the card says": (
        {
            "nodes": [then("Reshape", "picture", "shape", "x"), then("ReduceMean", "x", "score", axes=[1])],
            "weights": [constant("shape", 0, 577)],
            "takes": picture(["n", "h", "w", 3]),
        },
        TRIAL,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_does_what_no_detector_does_is_refused(refusal, name):
    arguments, says = GRAPHS[name]
    save(Path("m.onnx"), **arguments)
    line = refusal()
    assert line.startswith("facescan: m.onnx: ")
    assert says in line


def test_the_batch_that_a_scan_uses_is_tried(tmp_path):
    """Only a larger batch than usual has a thirteenth place."""
    file = tmp_path / "m.onnx"
    save(file, [MEAN, *added_from("place", 11), as_column("sum")], places(11))
    assert Detector(file).card.name == "tiny"
    for batch_size in (16, 1_000_000):
        with pytest.raises(FacescanError, match=r"a trial on noise failed: one picture has scores from 0\."):
            Detector(file, batch_size=batch_size)


# What never ends, as nodes that make a `large`; ONNX Runtime does not look at the clock within a node.
POOL = then("MaxPool", "wide", "large", kernel_shape=[4001, 4001], strides=[1, 1])
ENDLESS: dict[str, list[onnx.NodeProto]] = {
    "when it runs": [mean(name="all"), then("Expand", "all", "shape", "wide"), POOL],
    "when it is loaded": [then("ConstantOfShape", "shape", "wide"), POOL],
}


@pytest.fixture(params=ENDLESS)
def endless_model(request, tmp_path) -> Path:
    file = tmp_path / "endless.onnx"
    save(file, grown_by(*ENDLESS[request.param]), [constant("shape", 1, 1, 8000, 8000)])
    return file


@pytest.mark.slow
def test_a_model_that_never_answers_is_refused(refusal, endless_model, monkeypatch):
    monkeypatch.setattr(model_module, "TRIAL_SECONDS", 1.0)
    assert "a trial on noise failed: no answer within 1 seconds" in refusal(str(endless_model))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_model_that_never_answers_can_be_interrupted(tmp_path, endless_model, number):
    """The interrupt ends the trial long before its time is over, and leaves nothing behind."""
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    call = [sys.executable, "-m", "scanner", "a.png", "--model", endless_model, "-o", "r.csv"]
    process = subprocess.Popen(call, cwd=tmp_path, env=clean_environment(), stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (trying := children.read_text().split()):
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, said.strip()) == (130, b"facescan: interrupted")
    assert not (tmp_path / "r.csv").exists()
    while any(Path(f"/proc/{child}").exists() for child in trying):
        assert time.monotonic() < deadline


@pytest.mark.skipif(sys.platform != "linux", reason="a fault is injected by forking a patched process")
def test_a_model_that_crashes_onnx_runtime_is_refused(refusal, monkeypatch):
    monkeypatch.setattr(Detector, "score_noise", lambda *_: os.abort())
    write_model(Path("m.onnx"))
    assert "a trial on noise failed: onnxruntime crashed (killed by SIGABRT)" in refusal()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a fault is injected by forking a patched process")
def test_bundled_models_are_not_tried(monkeypatch):
    """A trial takes time. A copy of a bundled model, with any name, needs none, either."""
    monkeypatch.setattr(Detector, "score_noise", lambda *_: os.abort())
    for name in model_module.bundled_models():
        assert Detector(model_module.find_model(name)).card.name == name


def test_a_model_that_takes_too_long_is_refused(refusal, monkeypatch):
    monkeypatch.setattr(model_module, "TRIAL_SECONDS", 0.2)
    squares = [then("MatMul", f"x{i}", f"x{i}", f"x{i + 1}") for i in range(100)]
    slow = grown_by(mean(name="all"), then("Expand", "all", "shape", "x0"), *squares, then("Identity", "x100", "large"))
    save(Path("m.onnx"), slow, [constant("shape", 1000, 1000)])
    assert "a trial on noise failed: no answer within 0.2 seconds" in refusal()


# What the card says: raw metadata, and what is said of it.

DEEP = "[" * 100_000
CARDS: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, "facescan.schema is missing"),
    "brackets without end": (metadata(card()) | {"facescan.training": DEEP}, "facescan.training is not JSON"),
    "a number without end": (metadata(card()) | {"facescan.metrics": "1" * 10_000}, "facescan.metrics is not JSON"),
    "a megabyte of a name": (metadata(card(name="n" * 2**20)), "name 'nnn"),
    "a name that is no text": (metadata(card(name="\ud800")), r"name '\ud800' is none"),
    "a name that clears the screen": (metadata(card(name="\x1b[2J")), r"name '\x1b[2J' is none"),
    "a version that is not one": (metadata(card(version=[1])), "version [1] is none"),
    "a fake that is a fraction": (metadata(card(fake=1.0)), "fake the index of one"),
    "a fake that is real": (metadata(card(fake=0)), "labels ['real', 'fake'] contradict fake 0"),
    "a calibration that is no number": (metadata(card(calibration=[float("nan"), 0])), "be finite numbers"),
    "a calibration without end": (metadata(card()) | {"facescan.calibration": "[1e999, 0]"}, "be finite numbers"),
    "a band the wrong way": (metadata(card(uncertain=[0.6, 0.4])), "uncertain [0.6, 0.4] is no band within 0..1"),
    "a threshold over 1": (metadata(card(operating_points={"0.01": 1.5})), "a threshold is outside 0..1"),
    "a rate over 1": (metadata(card(operating_points={"5": 0.5})), "a false-positive rate is outside 0..1"),
    "a thousand wrong means": (metadata(card(inputs=[input_card(mean=[0] * 100_000)])), "there should be 3 numbers"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_lies_is_refused(refusal, name):
    values, says = CARDS[name]
    model = onnx.load(write_model(Path("m.onnx")))
    helper.set_model_props(model, values)
    onnx.save(model, "m.onnx")
    line = refusal()
    assert line.startswith("facescan: m.onnx: not a facescan model: ")
    assert says in line


@pytest.mark.parametrize("text", [b'"tiny"', b"picture"], ids=["in the card", "in the graph"])
def test_names_that_are_not_utf_8_are_refused(refusal, text):
    content = whole(Path("m.onnx"))
    assert text in content
    Path("m.onnx").write_bytes(content.replace(text, text[:-2] + b"\xff" + text[-1:]))
    assert refusal().startswith("facescan: m.onnx: ")


def test_what_looks_like_another_format_is_read_as_onnx(tmp_path):
    """These four bytes mark ONNX Runtime's other format, which is never checked."""
    file = write_model(tmp_path / "m.onnx")
    file.write_bytes(inside(2, b"..ORTM") + file.read_bytes())
    assert file.read_bytes()[4:8] == b"ORTM"
    assert Detector(file).card.name == "tiny"


def test_a_branch_is_no_offence(tmp_path):
    then = branch([helper.make_node("Reshape", ["mean", "column"], ["then"])])
    save(tmp_path / "m.onnx", either(then), [YES])
    assert Detector(tmp_path / "m.onnx").card.name == json.loads(metadata(card())["facescan.name"])
