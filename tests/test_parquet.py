"""Parquet holds what JSON Lines hold, for every reader, in groups of bounded size; and what an ended scan leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow", reason="needs the extra parquet")

import pyarrow as pa
from pyarrow import parquet as pq

from scanner.cli import main
from scanner.errors import FacescanError
from scanner.output.formats import parquet
from scanner.output.formats.rows import COLUMNS, FIRST_COLUMNS, as_object
from scanner.output.writers import Writer
from scanner.result import Ela, Face, Result, Verdict
from tests.conftest import clean_environment
from tests.outputs import YESTERDAY
from tests.pictures import encode, scene
from tests.readme_blocks import MANUAL, ROOT
from tests.test_writers import META, ROW, full_disk, results, write

FULL = Result(
    "a.jpg", Verdict.FAKE, 0.9, 2, 640, 480, "jpeg", 12345, "ab" * 32, "face:0",
    faces=(Face((1, 2, 30, 40), 0.87, 0.9, {"default": 0.9}), Face((5, 6, 7, 8), 0.5)),
    ela=Ela(90, 1.5, 4.0, 2.0, None, "maps/a.png"),
    provenance={"marks": [], "c2pa": {"state": "valid"}, "name": "ü"},
    baseline=True,
    frames=3,
    frames_judged=2,
)  # fmt: skip


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with names that hurt and a picture for each verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    for name, pixels in {
        b"fake.png": scene() // 4 + 190,
        b"bad\xff\n\"'name.png": scene() // 4,
        b"=1+1 \xe2\x80\xae.png": scene(),
    }.items():
        (tmp_path / os.fsdecode(name)).write_bytes(encode(pixels, "PNG"))
    (tmp_path / "error.png").write_bytes(b"no picture")
    return tmp_path


ALWAYS = (*FIRST_COLUMNS, "frames", "faces_judged", "decisive_box")  # JSON has them of every row, be it as null


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """What a reader has of a row -> the object that JSON Lines have of it."""
    for face in row["faces"]:
        face["box"] = [face["box"][side] for side in ("x", "y", "width", "height")]
        face["models"] = None if face["models"] is None else dict(face["models"])
        for name in ("turn", "frame", "tight"):  # said of few faces
            if face[name] is None:
                del face[name]
    if row["decisive_box"] is not None:
        row["decisive_box"] = [row["decisive_box"][side] for side in ("x", "y", "width", "height")]
    row["provenance"] = row["provenance"] and json.loads(row["provenance"])
    return {key: value for key, value in row.items() if value is not None or key in ALWAYS}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().decode().split("\n")[:-1]]


@settings(max_examples=50, deadline=None)
@given(st.lists(results, max_size=4))
def test_it_says_what_json_lines_say(rows):
    with tempfile.TemporaryDirectory() as folder:
        table = pq.read_table(write(Path(folder, "r.parquet"), "parquet", rows))
        told = lines(write(Path(folder, "r.jsonl"), "jsonl", rows))
    assert table.schema.equals(parquet.SCHEMA)
    assert [as_json(row) for row in table.to_pylist()] == told


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--ela", "--baseline", "old.jsonl"], ["--region", "face"]])
def test_another_reader_finds_the_rows_of_a_scan(here, options):
    duckdb = pytest.importorskip("duckdb")
    main(["fake.png", "--out", "old.jsonl", "-q"])
    assert main([".", "--out", "r.parquet", "--out", "r.jsonl", "-q", *options]) in (1, 2)
    query = duckdb.sql("SELECT * FROM 'r.parquet'")
    assert query.columns == parquet.SCHEMA.names
    rows = [as_json(dict(zip(query.columns, row, strict=True))) for row in query.fetchall()]
    assert rows == lines(here / "r.jsonl")
    assert [row["path"] for row in rows] == [
        r"./=1+1 " + "\u202e.png",
        "./bad\\xff\n\"'name.png",
        "./error.png",
        "./fake.png",
    ]


def test_a_threshold_in_a_query_is_the_number_that_was_written(here):
    duckdb = pytest.importorskip("duckdb")
    write(here / "r.parquet", "parquet", [Result("a", Verdict.FAKE, 0.7442)])
    assert duckdb.sql("SELECT count(*) FROM 'r.parquet' WHERE p_fake = 0.7442::DOUBLE").fetchall() == [(1,)]


def test_every_field_of_a_row_has_a_column():
    assert {field.name for field in fields(Result)} - {"cached", "thumbnail"} <= set(parquet.SCHEMA.names)
    assert set(as_object(FULL)) <= set(parquet.SCHEMA.names)
    assert parquet.SCHEMA.names[: len(FIRST_COLUMNS)] == list(FIRST_COLUMNS)
    assert set(COLUMNS) <= set(parquet.SCHEMA.names)
    for column in parquet.SCHEMA:
        told = column.type if pa.types.is_primitive(column.type) else ""
        assert f"| `{column.name}` | {told}" in MANUAL.read_text("utf-8")


def test_what_a_file_says_of_itself_is_json():
    assert parquet.record(as_object(FULL))["provenance"] == '{"marks": [], "c2pa": {"state": "valid"}, "name": "ü"}'


def test_settings_and_summary_are_in_the_metadata(here):
    assert main([".", "--out", "r.parquet", "--out", "r.json", "-q"]) == 1
    told = {key.decode(): value for key, value in pq.read_metadata("r.parquet").metadata.items()}
    whole = json.loads((here / "r.json").read_text())
    assert {key: json.loads(told[f"facescan.{key}"]) for key in whole["meta"]} == whole["meta"]
    assert json.loads(told["facescan.summary"])["verdicts"] == whole["summary"]["verdicts"]


def test_row_groups_are_bounded_in_rows_and_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 1024)
    monkeypatch.setattr(parquet, "GROUP_BYTES", 10**6)
    rows = [Result(f"{i}.jpg", Verdict.REAL) for i in range(3000)]
    rows += [Result(f"{i}" + "n" * 4000, Verdict.REAL) for i in range(1000)]
    file = pq.ParquetFile(write(tmp_path / "r.parquet", "parquet", rows))
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sum(groups) == 4000
    assert groups[:2] == [1024, 1024]
    assert max(groups[4:]) <= 256
    assert file.read(["path"]).column("path").to_pylist() == [row.path for row in rows]


def test_a_scan_that_is_interrupted_leaves_a_file_that_can_be_read(tmp_path):
    writer = Writer(str(tmp_path / "r.parquet"), "parquet", META)
    for _ in range(300):
        writer.write(ROW)
    writer.abandon({"files": 300})
    assert not (tmp_path / "r.parquet").exists()
    assert writer.recoverable_file == writer.partial
    file = pq.ParquetFile(tmp_path / "r.parquet.partial")
    assert file.read().num_rows == 300
    assert json.loads(file.metadata.metadata[b"facescan.summary"]) == {"files": 300}


def test_a_scan_that_is_killed_leaves_none_and_costs_no_old_file(tmp_path):
    (tmp_path / "r.parquet").write_text(YESTERDAY)
    script = """if True:
        import os, signal
        from scanner.output.writers import Writer
        from tests.test_writers import META, ROW
        writer = Writer("r.parquet", "parquet", META)
        writer.write(ROW)
        os.kill(os.getpid(), signal.SIGKILL)"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "r.parquet").read_text() == YESTERDAY
    with pytest.raises(pa.ArrowInvalid):
        pq.ParquetFile(tmp_path / "r.parquet.partial")
    assert pq.read_table(write(tmp_path / "r.parquet", "parquet", [ROW])).num_rows == 1


def test_a_full_disk_is_told_of_without_a_promise(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 256)
    writer = Writer(str(tmp_path / "r.parquet"), "parquet", META)
    with full_disk(6000):
        with pytest.raises(FacescanError, match=r"File too large; its \d+ rows are lost, except in the cache$"):
            for i in range(2000):
                writer.write(Result(f"{i * 7919 % 1000}", Verdict.REAL, i / 2000))
        writer.abandon({})
    assert writer.recoverable_file == ""


def test_a_disk_that_has_room_again_gets_the_end(tmp_path):
    writer = Writer(str(tmp_path / "r.parquet"), "parquet", META)
    writer.write(ROW)
    with full_disk(1000), pytest.raises(FacescanError, match="File too large"):
        writer.finish({})
    writer.abandon({})
    assert pq.read_table(writer.recoverable_file).num_rows == 1


def test_standard_output_is_a_pipe_or_a_file(here, facescan, toy):
    done = facescan("fake.png", "--model", toy, "--format", "parquet", "-q")
    assert done.returncode == 1
    assert pq.read_table(pa.BufferReader(done.stdout)).column("verdict").to_pylist() == ["fake"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_no_bytes(here, toy):
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "scanner", "fake.png", "--model", toy, "--format", "parquet", "-q"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, env=clean_environment(), check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert done.stderr == b"facescan: --format parquet: cannot be shown on a terminal; use --out FILE, or a pipe\n"


@pytest.mark.slow
def test_without_pyarrow_it_says_what_to_install(here):
    script = "import sys; sys.modules['pyarrow'] = None; from scanner.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "fake.png", "--out", "r.parquet"]
    done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    assert done.returncode == 2
    assert done.stderr == b"facescan: Parquet needs pyarrow: pip install pyarrow\n"
    assert not list(here.glob("r.parquet*"))
