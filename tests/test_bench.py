"""The benchmark runs, and its figures are figures. How large they are, no test can say."""

from __future__ import annotations

import json
import math
import os
import sys

import pytest
from click.testing import CliRunner

from scanner.detector.model import DEFAULT_MODEL, find_model
from scanner.imaging.inspection.header import read_header
from tests.bench.__main__ import command
from tests.bench.bars import Bar
from tests.bench.contenders import OUTCOME, Contender
from tests.bench.corpora import corpus, find_sources, tiny_files
from tests.bench.measure import in_turn
from tests.bench.memory import peak

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs wait4")


@pytest.fixture
def sources(monkeypatch):
    """Those of everybody, whatever this machine has."""
    monkeypatch.delenv("FACESCAN_DATA", raising=False)
    return find_sources()


def peer(name: str, code: str, **more: object) -> Contender:
    """A contender that is one line of Python; `out` is where it leaves its outcome."""
    before = "import sys, pathlib; out = pathlib.Path(sys.argv[2], sys.argv[3]); "
    return Contender(name, "", ("-c", before + code, "{folder}", "{scratch}", OUTCOME), **more)


DONE = """out.write_text('{{"summary": {{"files": 1, "faces": 1, "seconds": 1}}}}')"""


@pytest.mark.weekly
def test_measures_facescan_beside_others(sources, tmp_path):
    out = tmp_path / "bench.json"
    few = ["--portraits", "4", "--photographs", "1", "--rounds", "1"]
    only = [f"--only={name}" for name in ("facescan", "loop+faces", "facescan-image", "loop")]
    done = CliRunner().invoke(command, ["--speed", *few, *only, "--corpus", str(tmp_path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    figures = json.loads(out.read_text("utf-8"))
    assert figures["machine"]["cores"] >= 1
    measured = figures["speed"]["both"]
    assert measured["pictures"] == 5
    faces = {}
    for name, contender in measured["contenders"].items():
        (run,) = contender["runs"]
        assert min(run["wall"], run["cpu"], contender["wall"]) > 0
        assert run["summary"]["files"] == 5
        faces[name] = run["summary"]["faces"]
    assert faces.keys() == {"facescan", "loop+faces", "floor", "facescan-image", "loop"}
    assert (faces.pop("facescan-image"), faces.pop("loop")) == (0, 5), "in whole pictures facescan counts no faces"
    assert len(set(faces.values())) == 1, "all do the same work"
    assert min(faces.values()) >= 5, "also in the photograph"
    assert {bar["what"] for bar in figures["bars"]} == {
        "both: facescan over the floor",
        "both: facescan faster than loop+faces",
        "both: facescan faster than loop",
        "both: facescan-image faster than loop",
        "both: facescan's use of the cores",
    }


def test_corpora_are_made_once_and_always_the_same(sources, tmp_path):
    counts = {"portraits": 3, "megapixel": 1}
    one, again, other = (corpus(tmp_path / root, sources, "portraits", counts) for root in ("a", "a", "b"))
    assert one == again
    files = [{file.name: file.read_bytes() for file in made.folder.iterdir()} for made in (one, other)]
    assert files[0] == files[1]
    assert len(set(files[0].values())) == 3
    for content in files[0].values():
        header = read_header(content)
        assert 256 <= max(header.width, header.height) <= 512
    photograph = next(corpus(tmp_path, sources, "megapixel", counts).folder.iterdir())
    header = read_header(photograph.read_bytes())
    assert header.width * header.height == pytest.approx(1e6, rel=0.01)


def test_tiny_files_are_many_names_for_few(sources, tmp_path):
    files = list(tiny_files(tmp_path, sources, 50, 2).rglob("*.jpg"))
    assert len(files) == 50
    assert len({file.parent for file in files}) == 2
    assert len({file.stat().st_ino for file in files}) <= 20


def test_rounds_rotate_and_the_first_does_not_count(tmp_path):
    told: list[str] = []
    series = in_turn([peer("a", DONE), peer("b", DONE)], tmp_path, 2, told.append)
    assert [len(one.runs) for one in series] == [2, 2]
    names = [line.removeprefix("warm-up").removeprefix("round 1/2").removeprefix("round 2/2")[:8] for line in told]
    assert "".join(name.strip() for name in names) == "abbaab"


def test_who_fails_or_cannot_run_is_left_out_and_says_why(tmp_path):
    contenders = [peer("a", "sys.exit('no luck')"), peer("b", DONE, needs=("no_such_module",), extra="ray")]
    failed, missing = in_turn(contenders, tmp_path, 1, lambda line: None)
    assert "no luck" in failed.skipped
    assert missing.skipped == "no_such_module missing: pip install '.[ray]' in the checkout"
    assert not failed.runs + missing.runs


@pytest.mark.parametrize(
    ("figure", "at_most", "met"), [(1.0, True, True), (1.1, True, False), (1.0, False, True), (0.9, False, False)]
)
def test_bars_are_met_at_the_limit(figure, at_most, met):
    assert Bar("", figure, 1.0, at_most).met is met


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_is_that_of_facescan(sources, tmp_path):
    held = bytearray(b"x") * 500_000_000  # ours does not count
    few = peak("few", tiny_files(tmp_path, sources, 5, 1), "--workers", "1")
    assert min(few.pss, few.rss) > 20e6
    assert max(few.pss, few.rss) < len(held)


def test_help_teaches():
    text = CliRunner().invoke(command, ["--help"]).output
    for word in ("--cold", "--memory", "floor", "spread", "FACESCAN_DATA"):
        assert word in text


@pytest.mark.slow
def test_the_notebook_runs_the_network_that_the_scanner_does():
    """All of it: as many weights of convolutions as the bundled file has."""
    pytest.importorskip("tensorflow", reason="needs the extra train")
    onnx = pytest.importorskip("onnx", reason="needs the extra train")
    from scanner.detector.card import read_card
    from tests.bench.peers.notebook import network
    from train.onnx_export.activation import without_activation

    model = onnx.load_model(find_model(DEFAULT_MODEL))
    card = read_card({prop.key: prop.value for prop in model.metadata_props}, DEFAULT_MODEL)
    graph = without_activation(model, card).graph
    sizes = {tensor.name.removesuffix("/fp16"): math.prod(tensor.dims) for tensor in graph.initializer}
    scanned = sum(sizes[node.input[1]] for node in graph.node if node.op_type == "Conv")
    kernels = [weight for weight in network().weights if weight.name == "kernel" and len(weight.shape) == 4]
    assert sum(math.prod(weight.shape) for weight in kernels) == scanned
