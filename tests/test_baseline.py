"""Findings that an earlier output has already: told, marked, and without a say in the exit code."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from scanner.cli import main
from scanner.errors import FacescanError
from scanner.findings import FINDINGS
from scanner.output.baseline import read_baseline
from tests.pictures import encode

FORMATS = ("csv", "json", "jsonl")


def save(file: Path, level: int) -> None:
    file.write_bytes(encode(np.full((30, 40, 3), level, np.uint8), "PNG"))


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with a finding, what is none, and outputs of yesterday."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    for name, level in (("fake", 200), ("uncertain", 128), ("real", 50)):
        save(tmp_path / f"{name}.png", level)
    (tmp_path / "error.png").write_bytes(b"no picture")
    assert main([".", "-q", *(word for suffix in FORMATS for word in ("--out", f"old.{suffix}"))]) == 1
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("fake.png real.png", 0),
        ("fake.png error.png", 2),
        ("fake.png new.png", 1),
        ("moved.png", 0),
        ("fake.png uncertain.png --fail-on uncertain", 0),
        ("uncertain.png --threshold 0.1", 1),  # it was no finding
        ("fake.png error.png --fail-on error", 0),
        ("fake.png missing.png --fail-on error", 1),  # nothing to tell it by
        ("fake.png error.png --fail-on never", 2),
    ],
)
def test_known_findings_do_not_count_for_the_exit_code(here, suffix, arguments, code):
    save(here / "new.png", 210)
    (here / "moved.png").write_bytes((here / "fake.png").read_bytes())
    assert main([*arguments.split(), "--baseline", f"old.{suffix}", "--out", "r.csv", "-q"]) == code


def test_known_findings_are_marked_and_counted(here, capfd):
    save(here / "new.png", 210)
    outs = ["--out", "r.jsonl", "--out", "r.json", "--out", "r.csv", "--out", "r.txt", "--summary", "s.json"]
    assert main([".", "--baseline", "old.csv", *outs]) == 1
    rows = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert {row["path"]: row["baseline"] for row in rows} == {
        "./error.png": False, "./fake.png": True, "./new.png": False, "./real.png": False, "./uncertain.png": False
    }  # fmt: skip
    assert json.loads(Path("r.json").read_text())["results"] == rows
    summary = json.loads(Path("s.json").read_text())["summary"]
    assert (summary["verdicts"]["fake"], summary["findings"], summary["baseline"]) == (2, 1, 1)
    assert "\nbaseline   1 known findings, 1 new\n" in capfd.readouterr().err
    assert [line for line in Path("r.txt").read_text().splitlines() if "baseline" in line] == [
        "fake      0.7843  ./fake.png  (in the baseline)"
    ]
    old, new = (set(Path(f"{name}.csv").read_text().splitlines()) for name in ("old", "r"))
    old, new = ({line.rsplit(",", 1)[0] for line in lines} for lines in (old, new))  # without the column `baseline`
    assert {line.split(",")[0] for line in new - old} == {"./new.png"}


def test_an_output_can_be_its_own_baseline(here):
    for _ in range(2):
        assert main([".", "--baseline", "old.jsonl", "--out", "old.jsonl", "-q"]) == 2
    assert main([".", "-q", "--out", "r.jsonl"]) == 1
    assert "baseline" not in Path("r.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("level", FINDINGS)
def test_what_is_read_is_what_counts(here, level):
    hashes = {row["verdict"]: row["sha256"] for row in map(json.loads, Path("old.jsonl").read_text().splitlines())}
    expected = {hashes[verdict] for verdict in FINDINGS[level]}
    assert {read_baseline(f"old.{suffix}", level) for suffix in FORMATS} == {frozenset(expected)}


def test_formats_are_told_by_content(here):
    for suffix in FORMATS:
        os.rename(f"old.{suffix}", "old")
        assert len(read_baseline("old", "fake")) == 1
    whole = json.loads(Path("old").read_text()) if Path("old").read_text().startswith('{"meta') else None
    assert whole is None  # the last one was JSON Lines
    Path("bom").write_bytes(b"\xef\xbb\xbf" + Path("old").read_bytes())  # what Windows' editors add
    assert len(read_baseline("bom", "fake")) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("suffix", FORMATS)
def test_an_earlier_output_may_come_through_a_pipe(here, suffix):
    """`--baseline <(zcat last.jsonl.gz)`."""
    os.mkfifo("pipe")
    writing = threading.Thread(target=Path("pipe").write_bytes, args=(Path(f"old.{suffix}").read_bytes(),), daemon=True)
    writing.start()
    assert main(["fake.png", "real.png", "--baseline", "pipe", "--out", "r.csv", "-q"]) == 0


@pytest.mark.parametrize("arguments", [("nothing",), ("nothing", "--excel")])
def test_a_scan_that_found_nothing(here, arguments):
    Path("nothing").mkdir()
    outs = [word for suffix in FORMATS for word in ("--out", f"empty.{suffix}")]
    assert main([*arguments, "-q", "--allow-empty", *outs]) == 0
    assert {read_baseline(f"empty.{suffix}", "fake") for suffix in FORMATS} == {frozenset()}


def test_indented_json_is_json(here):
    Path("pretty.json").write_text(json.dumps(json.loads(Path("old.json").read_text()), indent=2))
    assert len(read_baseline("pretty.json", "fake")) == 1


HASH = "ab" * 32


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"path,verdict\na.png,fake\n",
        b"path,sha256,verdict\na.png,00\n",
        b"path,sha256,verdict\na.png,00,perhaps\n",
        b'path,sha256,verdict\n"a.png,00,fake\n',
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"{}",
        b"[]",
        b'{"summary": {}}',
        b'{"results": 3}',
        b'{"results": [3]}',
        b'{"results": [{"sha256": null, "verdict": "fake"}]}',
        b'{"sha256": "%s"}\n' % HASH.encode(),
        b'{"sha256": "%s", "verdict": "fake"}\n{"sha256": ' % HASH.encode(),
        b'{"sha256": "%s", "verdict": "fake"}\n[1]\n' % HASH.encode(),
    ],
)
def test_a_file_that_is_no_output_is_refused(here, capfd, content):
    Path("broken").write_bytes(content)
    assert main([".", "--baseline", "broken", "--out", "r.csv"]) == 2
    says = "facescan: --baseline broken: no complete CSV, JSON or JSON Lines of an earlier scan\n"
    assert capfd.readouterr().err == says
    assert not Path("r.csv").exists()


@pytest.mark.parametrize(("file", "says"), [("missing", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(here, file, says):
    with pytest.raises(FacescanError, match=f"^--baseline {file}: {says}$"):
        read_baseline(file, "fake")
