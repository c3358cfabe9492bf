"""Disks that are full or read-only, and files that change in mid-run: one line, no row lost, yesterday's file there."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from scanner.cli import main
from scanner.output.summary import Summary
from tests.mounts import mounted
from tests.outputs import OLD_SUMMARY, YESTERDAY
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mounts, links and FIFOs")
PNG = encode(scene(), "PNG")
COUNT = 400
NAMES = [f"uploads/{i:03}.png" for i in range(COUNT)]


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with 400 uploads that are no pictures, for they are quickly judged, and one that is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (tmp_path / "uploads").mkdir()
    for name in NAMES:
        Path(name).write_text("no picture")
    Path("one.png").write_bytes(PNG)
    return tmp_path


def disk(folder: Path, options: str) -> AbstractContextManager[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    return mounted(folder, "-t", "tmpfs", "-o", options, "none")


@pytest.fixture
def small(here) -> Iterator[Path]:
    """A disk of 24 KB."""
    with disk(here / "small", "size=24k") as folder:
        yield folder


def fill(folder: Path, leave: int = 0) -> None:
    """Take all room on a disk but `leave` bytes, or a few less."""
    with suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    os.truncate(folder / "filler", (folder / "filler").stat().st_size - leave)


def said(capfd) -> str:
    """The one line on standard error; nothing is on standard output."""
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert line.startswith("facescan: ")
    assert line.isprintable()
    return line.removeprefix("facescan: ")


def rows_in(file: Path) -> list[str]:
    """Paths in an output, complete or not."""
    text = file.read_text()
    if ".csv" in file.name:
        return [row["path"] for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    if ".jsonl" in file.name:
        return [json.loads(line)["path"] for line in text.splitlines()]
    return [json.loads(line.removesuffix(","))["path"] for line in text.splitlines() if line.startswith('{"path"')]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--files-from typo.txt", "--files-from typo.txt: No such file or directory"),
        ("--files-from uploads", "--files-from uploads: Is a directory"),
        ("--out nowhere/r.csv", "--out nowhere/r.csv: No such file or directory"),
        (
            "--out uploads",
            "--out uploads: unknown suffix ''; use .csv, .json, .jsonl, .parquet or .sarif, or say --format",
        ),
        ("--report uploads/none/r.html", "--report uploads/none/r.html: No such file or directory"),
        ("--summary folder.json", "--summary folder.json: is a folder; name a file"),
    ],
)
def test_what_can_be_known_before_the_scan_is_said_then_and_costs_no_rows(here, capfd, arguments, says):
    Path("folder.json").mkdir()
    Path("r.csv.partial").write_text(YESTERDAY)
    assert main(["uploads", "--out", "r.csv", "--out", "new.csv", *arguments.split(), "-q"]) == 2
    assert said(capfd) == says
    assert Path("r.csv.partial").read_text() == YESTERDAY
    assert not Path("new.csv.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.csv", "r.jsonl", "r.json"])
def test_the_disk_fills_in_mid_run(small, capfd, name):
    (small / name).write_text(YESTERDAY)
    assert main(["uploads", "-o", f"small/{name}", "-o", "other.csv", "-q", "--no-cache"]) == 2
    done = rows_in(small / f"{name}.partial")
    assert said(capfd) == (f"small/{name}: No space left on device; {len(done)} rows are in {small}/{name}.partial")
    assert done == NAMES[: len(done)] != []
    assert rows_in(Path("other.csv.partial"))[: len(done)] == done
    assert (small / name).read_text() == YESTERDAY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "small/r.csv"], "small/r.csv: No space left on device; 0 rows are in "),
        (["-o", "r.csv", "--summary", "small/s.md"], "--summary small/s.md: No space left on device"),
        (["-o", "r.csv", "--ela-dir", "small/maps"], "No space left on device"),
        (["-o", "r.csv", "--explain", "small/why"], "No space left on device"),
    ],
)
def test_the_disk_is_full_from_the_start(small, capfd, arguments, says):
    before = {"r.csv": YESTERDAY, "s.md": OLD_SUMMARY}
    for name, text in before.items():
        (small / name).write_text(text)
    fill(small)
    assert main(["one.png", *arguments, "-q", "--no-cache"]) == 2
    assert says in said(capfd)
    assert {name: (small / name).read_text() for name in before} == before
    assert not list(small.glob("s.md.*"))


def test_a_cache_on_a_full_disk_costs_a_warning(small, capfd):
    fill(small)
    assert main(["one.png", "-o", "r.csv", "-q", "--cache", "small/rows.db"]) == 0
    assert said(capfd).startswith(f"warning: the cache {small}/rows.db cannot be used: ")
    assert rows_in(Path("r.csv")) == ["one.png"]


@pytest.mark.slow
def test_a_cache_whose_disk_fills_in_mid_run_costs_a_warning(small, capfd):
    with during(3, lambda: fill(small)):
        assert main(["uploads", "one.png", "-o", "r.csv", "-q", "--cache", "small/rows.db"]) == 2
    assert "scanning without it" in said(capfd)
    assert rows_in(Path("r.csv")) == [*NAMES, "one.png"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "locked/r.csv"], "--out locked/r.csv: Read-only file system"),
        (["-o", "r.csv", "--summary", "locked/s.md"], "--summary locked/s.md: no permission to write to its folder"),
        (["-o", "r.csv", "--ela-dir", "locked/maps"], "--ela-dir locked/maps: Read-only file system"),
        (["-o", "r.csv", "--explain", "locked/why"], "--explain locked/why: Read-only file system"),
    ],
)
def test_a_read_only_disk_is_found_out_before_the_scan(here, capfd, arguments, says):
    with disk(here / "locked", "ro"):
        assert main(["uploads", *arguments, "-q"]) == 2
    assert said(capfd) == says
    assert not Path("r.csv").exists()


@contextmanager
def during(row: int, fault: Callable[[], object]) -> Iterator[None]:
    """When that many rows are written, something happens."""
    add = Summary.add

    def and_then(report, result):
        add(report, result)
        if report.files == row:
            fault()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Summary, "add", and_then)
        yield


def remove(path: str) -> None:
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


FAULTS: dict[str, tuple[Callable[[], object], str, str]] = {
    "the rows are removed": (lambda: os.remove("out/r.csv.partial"), "out/r.csv.partial", "400 rows are in"),
    "the rows are moved": (lambda: os.rename("out/r.csv.partial", "out/x.csv"), "out/x.csv", "400 rows went with it"),
    "the folder is renamed": (lambda: os.rename("out", "x"), "x/r.csv.partial", "400 rows went with it"),
    "yesterday's file becomes a folder": (
        lambda: (os.remove("out/r.csv"), os.mkdir("out/r.csv")),
        "out/r.csv.partial",
        "out/r.csv: Is a directory; 400 rows are in",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_the_output_is_touched_in_mid_run(here, capfd, name):
    fault, rows, says = FAULTS[name]
    Path("out").mkdir()
    Path("out/r.csv").write_text(YESTERDAY)
    with during(5, fault):
        assert main(["uploads", "-o", "out/r.csv", "-o", "other.csv", "-q", "--no-cache"]) == 2
    assert says in said(capfd)
    assert rows_in(Path(rows)) == NAMES
    old = [file for file in (Path("out/r.csv"), Path("x/r.csv")) if file.is_file()]
    assert [file.read_text() for file in old] == [YESTERDAY] * (0 if "becomes" in name else 1)


@pytest.mark.slow
def test_the_folder_of_the_output_is_removed_in_mid_run(here, capfd, cache_folder):
    """Then the rows are in the cache: the same scan again takes them from there."""
    Path("out").mkdir()
    with during(5, lambda: remove("out")):
        assert main(["uploads", "-o", "out/r.csv", "-q"]) == 2
    assert "400 rows are lost, except in the cache" in said(capfd)
    Path("out").mkdir()
    assert main(["uploads", "-o", "out/r.csv", "--summary", "s.json", "-q"]) == 2
    assert rows_in(Path("out/r.csv")) == NAMES
    assert json.loads(Path("s.json").read_text())["summary"]["cached"] == COUNT


LAST = NAMES[-1]


def replace(make: Callable[[str], object]) -> Callable[[], object]:
    return lambda: (remove(LAST), make(LAST))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda: remove(LAST), "vanished"),
        (lambda: remove("uploads"), "vanished"),
        (replace(os.mkdir), "not_a_file:folder"),
        (replace(os.mkfifo), "not_a_file:fifo"),
        (replace(lambda name: os.symlink("/dev/zero", name)), "not_a_file:link"),
        (replace(lambda name: os.symlink("nowhere", name)), "not_a_file:link"),
        (lambda: os.truncate(LAST, 0), "empty"),
        (lambda: os.truncate(LAST, 2**40), f"too_many_bytes:{2**40}"),
        (lambda: Path(LAST).write_bytes(PNG[:-200]), "truncated:0.16"),
    ],
)
def test_a_file_that_changes_in_mid_run_has_its_row(here, fault, reason):
    with during(5, fault):
        assert main(["uploads", "-o", "r.jsonl", "-q", "--no-cache", "--workers", "1", "--batch-size", "1"]) == 2
    rows = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == NAMES
    assert (rows[-1]["verdict"], rows[-1]["reason"]) == ("error", reason)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="this file system may refuse such names")
def test_names_are_shown_escaped_wherever_they_are_shown(here, capfdbinary):
    names = [b"\x1b[2J.png", b"new\nline.png", b"\rover.png", "\u202egpj.png".encode(), b"\xff\xfe.png", b"\x9b1m.png"]
    Path("hostile").mkdir()
    for name in names:
        (here / "hostile" / os.fsdecode(name)).write_text("no picture")
    assert main(["hostile", "-v"]) == 2
    for stream in capfdbinary.readouterr():
        lines = stream.decode().split("\n")[:-1]
        assert all(line.isprintable() for line in lines)
        assert sum("(not_an_image)" in line for line in lines) == len(names)
    for option in ("--out", "--model", "--summary", "--files-from", "--baseline", "--ela-dir", "--config"):
        for name in names:
            assert main(["one.png", option, os.fsdecode(b"one.png/" + name), "-q"]) == 2
            out, err = capfdbinary.readouterr()
            (line,) = err.decode().removesuffix("\n").split("\n")
            assert line.isprintable()
            assert out == b""
