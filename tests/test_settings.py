"""Where options come from: the command line, the environment, pyproject.toml; and who overrules whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner.cli import main
from tests.pictures import encode, scene


@pytest.fixture
def place(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder two levels deep, that we stand in, with one picture; no configuration yet."""
    folder = tmp_path / "project" / "site"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (folder / "a.png").write_bytes(encode(scene(), "PNG"))
    return folder


@pytest.fixture
def meta(place: Path) -> Callable[..., dict[str, Any]]:
    """Scan with these arguments, and say what the scan was told."""

    def scan(*arguments: str) -> dict[str, Any]:
        out = place / "told.json"
        out.unlink(missing_ok=True)
        code = main(["a.png", "--quiet", "--exit-zero", *arguments, "--out", str(out)])
        assert code == 0
        told = json.loads(out.read_text())["meta"]
        return told["settings"] | {"fake": told["thresholds"]["fake"]}

    return scan


@pytest.fixture
def refusal(place: Path, capfd) -> Callable[..., str]:
    """Scan, see it refused with exit code 2 and without a row, and return what it said."""

    def scan(*arguments: str) -> str:
        assert main(["a.png", *arguments]) == 2
        said = capfd.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err

    return scan


def configure(folder: Path, text: str, table: str = "[tool.facescan]") -> Path:
    file = folder / "pyproject.toml"
    file.write_text(f"{table}\n{text}\n")
    return file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("min-face = 50", "min_face", 50),
        ("min_face = 50", "min_face", 50),
        ('min-face = "50"', "min_face", 50),
        ("threshold = 0.75", "threshold", 0.75),
        ("threshold = 1", "threshold", 1.0),
        ('exclude = ["x", "y z"]', "exclude", ["x", "y z"]),
        ('exclude = "x y"', "exclude", ["x y"]),
        ("hidden = true", "hidden", True),
        ("hidden = false", "hidden", False),
        ('max-bytes = "5K"', "max_bytes", 5 * 1024),
        ("max-bytes = 5000000", "max_bytes", 5000000),
        ('max_pixels = "5K"', "max_pixels", 5000),
        ('region = "image"', "region", "image"),
        ("fpr = 0.01", "fake", 0.9),
    ],
)
def test_the_file_speaks_for_the_command_line(place, meta, line, key, value):
    configure(place, line)
    assert meta()[key] == value


@pytest.mark.slow
def test_the_nearest_file_with_a_table_counts_and_no_other(place, meta):
    (place.parent.parent / ".git").mkdir()
    configure(place.parent.parent, "min-face = 40\nbatch-size = 3")
    assert meta()["min_face"] == 40
    configure(place, 'name = "site, which does not mention it"', "[project]")
    assert meta()["min_face"] == 40
    configure(place.parent, "min-face = 50")
    assert meta()["min_face"] == 50
    assert meta()["batch_size"] is None
    assert meta("--config", "/dev/null")["min_face"] == 32


def test_a_file_can_be_named(place, meta, tmp_path, monkeypatch):
    configure(place, "min-face = 50")
    named = configure(tmp_path, "min-face = 60").rename(tmp_path / "other.toml")
    assert meta("--config", str(named))["min_face"] == 60
    monkeypatch.setenv("FACESCAN_CONFIG", str(named))
    assert meta()["min_face"] == 60
    assert meta("--config", "/dev/null")["min_face"] == 32


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("treshold = 0.5", "unknown key 'treshold'; did you mean 'threshold'?"),
        ("fail_onn = 'fake'", "unknown key 'fail-onn'; did you mean 'fail-on'?"),
        ("paths = ['a']", "unknown key 'paths'; "),
        ("zzz = 1", "known are allow-empty, baseline, batch-size, by, cache, "),
        ("threshold = [0.5]", "'threshold' should be one value"),
        ("exclude = [['x']]", "'exclude' should be one or more plain values"),
        ("exclude = { x = 1 }", "'exclude' should be one or more plain values"),
        ("max-bytes = true", "'max-bytes' should be a value, not true or false"),
        ("threshold = true", "'threshold' should be a value, not true or false"),
        ("cache = false", "'cache' should be a value, not true or false"),
        ("exclude = ['x', true]", "'exclude' should be a value, not true or false"),
        ("threshold = 'high'", "'high' is not a valid float"),
        ("threshold = 1.5", "1.5 is not in the range"),
        ("workers = 0", "0 is not in the range"),
        ("workers = 1.5", "'1.5' is not a valid integer"),
        ("fail-on = 'sometimes'", "'sometimes' is not one of"),
        ("hidden = 'perhaps'", "'perhaps' is not a valid boolean"),
        ("max-bytes = '5 apples'", "'5 apples' is not a size such as 500K, 20M or 1G"),
        ("fpr = 0.02", "--fpr 0.02: model toy has no such operating point; it has 0.01, 0.05"),
        ("fpr = 0.01\nthreshold = 0.5", "--threshold and --fpr exclude each other"),
        ("threshold = ", "pyproject.toml: not a TOML file"),
    ],
)
def test_what_a_file_may_not_say(place, refusal, lines, says):
    configure(place, lines)
    assert says in refusal()


@pytest.mark.parametrize("text", ["[tool]\nfacescan = 3", "[tool]\nfacescan = ['x']", "tool = 'facescan'"])
def test_a_table_that_is_none(place, refusal, text):
    configure(place, "", text)
    assert "pyproject.toml" in refusal()


@pytest.mark.parametrize(
    ("file", "says"),
    [("nowhere.toml", "nowhere.toml: No such file"), (".", "Is a directory"), ("a.png", "a.png: not a TOML file")],
)
def test_a_named_file_must_be_readable(refusal, file, says):
    assert says in refusal("--config", file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("MIN_FACE", "50", "min_face", 50),
        ("THRESHOLD", "0.75", "threshold", 0.75),
        ("HIDDEN", "1", "hidden", True),
        ("HIDDEN", "false", "hidden", False),
        ("EXCLUDE", "my folder", "exclude", ["my folder"]),
        ("EXCLUDE", "x y\nz\n", "exclude", ["x y", "z"]),
        ("INCLUDE", "*.log\n\n*.dat", "include", ["*.log", "*.dat"]),
        ("MAX_BYTES", "2M", "max_bytes", 2 * 2**20),
        ("DATA", "/somewhere", "min_face", 32),  # not an option, but ours
        ("CACHE_DIR", "kept", "min_face", 32),
    ],
)
def test_the_environment(meta, monkeypatch, variable, text, key, value):
    monkeypatch.setenv(f"FACESCAN_{variable}", text)
    assert meta()[key] == value


def test_outputs_in_the_environment_are_one_a_line(place, monkeypatch):
    monkeypatch.setenv("FACESCAN_OUT", "my results.csv\nr.json")
    assert main([".", "--quiet"]) == 0
    assert sorted(file.name for file in place.iterdir()) == ["a.png", "my results.csv", "r.json"]


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("MIN_FACE", "small", "'small' is not a valid integer"),
        ("FAIL_ON", "sometimes", "'sometimes' is not one of"),
        ("MODEL", "nowhere.onnx", "no model 'nowhere.onnx'"),
    ],
)
def test_what_the_environment_may_not_say(refusal, monkeypatch, variable, text, says):
    monkeypatch.setenv(f"FACESCAN_{variable}", text)
    assert says in refusal()


def test_the_command_line_overrules_the_environment_and_that_the_file(place, meta, monkeypatch):
    configure(place, "min-face = 40\nworkers = 3\nexclude = ['file']\nbatch-size = 5")
    monkeypatch.setenv("FACESCAN_MIN_FACE", "50")
    monkeypatch.setenv("FACESCAN_EXCLUDE", "environment")
    told = meta("--min-face", "60")
    assert [told[key] for key in ("min_face", "workers", "exclude", "batch_size")] == [60, 3, ["environment"], 5]
    assert meta("--exclude", "line")["exclude"] == ["line"]
    assert meta()["min_face"] == 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "environment", "line", "fake"),
    [
        ("fpr = 0.01", {}, ["--threshold", "0.8"], 0.8),
        ("threshold = 0.8", {}, ["--fpr", "0.01"], 0.9),
        ("fpr = 0.01", {"FACESCAN_THRESHOLD": "0.8"}, [], 0.8),
        ("threshold = 0.8", {"FACESCAN_FPR": "0.05"}, [], 0.7),
        ("", {"FACESCAN_FPR": "0.05"}, ["--threshold", "0.8"], 0.8),
        ("fpr = 0.01", {"FACESCAN_FPR": "0.05"}, ["--threshold", "0"], 0.0),
        ("fpr = 0.01", {}, [], 0.9),
        ("", {}, [], 0.6),
    ],
)
def test_the_nearer_of_threshold_and_fpr_counts(place, meta, monkeypatch, file, environment, line, fake):
    configure(place, file)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert meta(*line)["fake"] == fake


def test_threshold_and_fpr_together_are_one_too_many(refusal, monkeypatch):
    says = "--threshold and --fpr exclude each other: give one."
    assert says in refusal("--threshold", "0.5", "--fpr", "0.05")
    monkeypatch.setenv("FACESCAN_THRESHOLD", "0.5")
    monkeypatch.setenv("FACESCAN_FPR", "0.05")
    assert says in refusal()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("5000", 5000), ("1K", 2**10), ("20m", 20 * 2**20), ("1G", 2**30), ("500k", 500 * 2**10)],
)
def test_sizes(meta, text, size):
    assert meta("--max-bytes", text)["max_bytes"] == size


@pytest.mark.parametrize("text", ["", "K", "1.5M", "-1", "1KK", "1KB", "1 K", "1T", "٣K²", "0x10"])
def test_what_is_no_size(refusal, text):
    assert "is not a size such as 500K, 20M or 1G" in refusal(f"--max-pixels={text}")
