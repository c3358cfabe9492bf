"""What a run writes replaces what facescan wrote, and nothing else."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scanner.cli import main
from scanner.output.formats.rows import COLUMNS
from tests.conftest import clean_environment
from tests.outputs import OLD_REPORT, OLD_SUMMARY, YESTERDAY
from tests.pictures import encode, scene

JPEG = encode(scene(), "JPEG")
ROW_FORMATS = ["csv", "json", "jsonl", "text", "sarif", "parquet"]
JSON_ROW = '{"path": "a.jpg", "verdict": "real", "p_fake": 0.1, "sha256": "ab"}\n'


def sqlite_database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE precious (x)")
        return bytes(database.serialize())


# What no output of ours looks like, by a name for people.
FOREIGN: dict[str, bytes] = {
    "jpeg": JPEG,
    "png": encode(scene(), "PNG"),
    "database": sqlite_database(),
    "notes": b"Call Ann about the uploads.\n",
    "notes that begin like ours": b"fake news are what we look for\nreal ones stay\n",
    "table": b"name,age\nAnn,41\n",
    "index of pictures": b"path,label\na.jpg,real\n",
    "our table with a column of somebody's": f"{','.join(COLUMNS)},seen by\n".encode(),
    "one column": b"path\na.jpg\n",
    "json": b'{"name": "x", "results": []}\n',
    "json of another tool": b'{"meta": {"tool": "other 1"}, "results": []}',
    "json lines": b'{"path": "a.jpg", "label": "real"}\n',
    "sarif of another tool": b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "CodeQL"}}, "results": []}]}',
    "page": b"<!doctype html>\n<title>Holidays</title>\n",
    "parquet of another tool": b"PAR1" + bytes(40) + b"pandas" + bytes(20) + (46).to_bytes(4, "little") + b"PAR1",
    "zeros": bytes(5000),
    "our name": b"facescan\n",
    "page about us": b"# facescan\n\nHow we use it.\n",
}


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with `toy` for the model and one picture that is a finding."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (tmp_path / "a.png").write_bytes(encode(scene() // 4 + 190, "PNG"))
    return tmp_path


def listing(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("results.csv", "--out results.csv"),
        ("holiday.jpg", "--out holiday.jpg --format csv"),
        ("holiday.jpg", "--out holiday.jpg --format parquet"),
        ("s.json", "--summary s.json"),
        ("s.md", "--summary s.md"),
        ("r.html", "--report r.html"),
    ],
)
def test_a_file_of_another_kind_is_never_replaced(here, capfd, what, name, options):
    Path(name).write_bytes(FOREIGN[what])
    Path("first.csv.partial").write_text(YESTERDAY)  # rows of a scan that was killed
    before = listing(here)
    assert main(["a.png", "--out", "first.csv", *options.split(), "-q"]) == 2
    option = options.split()[0]
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"facescan: {option} {name}: this file exists, is not ")
    assert "--force" in line
    assert listing(here) == before


@pytest.mark.parametrize("option", ["--out r.csv", "--summary s.md", "--report r.html"])
def test_force_replaces_anything(here, option):
    Path(option.split()[1]).write_bytes(JPEG)
    assert main(["a.png", *option.split(), "-q", "--force"]) == 1
    assert Path(option.split()[1]).read_bytes() != JPEG


@pytest.mark.slow
@pytest.mark.parametrize("before", ROW_FORMATS)
@pytest.mark.parametrize("after", ROW_FORMATS)
def test_an_output_replaces_any_output_with_rows(here, before, after):
    for name in (before, after):
        assert main(["a.png", "--out", "rows", "--format", name, "-q"]) == 1
    assert main(["a.png", "--out", "new", "--format", after, "-q"]) == 1
    if after not in ("json", "parquet", "sarif"):  # those have times, or the name of the output, in them
        assert Path("rows").read_bytes() == Path("new").read_bytes()
    assert sorted(os.listdir(here)) == ["a.png", "new", "rows"]


def changed_by_a_tool(text: str, name: str) -> str:
    """The file as other tools save it: pretty-printed JSON, Windows' line ends, a byte order mark."""
    if name.endswith(".csv"):
        return "\ufeff" + text.replace("\n", "\r\n")
    if name.endswith(".jsonl"):
        return "".join(json.dumps(json.loads(line), separators=(",", ":")) + "\n" for line in text.splitlines())
    return json.dumps(json.loads(text), indent=2, sort_keys=name == "r.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"), [("r.csv", "--out"), ("r.jsonl", "--out"), ("r.json", "--out"), ("r.sarif", "--out")]
)
def test_what_a_tool_has_only_formatted_is_still_ours(here, name, option):
    assert main(["a.png", option, name, "-q"]) == 1
    text = Path(name).read_text()
    Path(name).write_text(changed_by_a_tool(text, name), newline="")
    assert main(["a.png", option, name, "-q"]) == 1
    assert len(Path(name).read_text().splitlines()) == len(text.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s.json", "s.md", "r.html", "r.txt", "r.jsonl", "r.parquet"])
def test_todays_run_replaces_yesterdays(here, name):
    option = {"s": "--summary"}.get(name[0], "--report" if name.endswith("html") else "--out")
    for _ in range(2):
        assert main(["a.png", option, name, "-q"]) == 1
    assert sorted(os.listdir(here)) == sorted(["a.png", name])


@pytest.mark.parametrize("option", ["--out r.csv", "--summary s.md", "--report r.html"])
def test_an_empty_file_is_anybodys(here, option):
    Path(option.split()[1]).touch()
    assert main(["a.png", *option.split(), "-q"]) == 1
    assert Path(option.split()[1]).stat().st_size


def test_rows_and_summary_are_not_of_one_kind(here):
    assert main(["a.png", "--out", "r.json", "--summary", "s.json", "-q"]) == 1
    before = listing(here)
    assert main(["a.png", "--out", "s.json", "-q"]) == 2
    assert main(["a.png", "--summary", "r.json", "-q"]) == 2
    assert listing(here) == before


def test_a_list_is_no_place_for_an_output(here):
    Path("list.txt").write_text("a.png\n")
    assert main(["--files-from", "list.txt", "--out", "list.txt", "-q"]) == 2
    assert Path("list.txt").read_text() == "a.png\n"


def test_a_link_to_a_picture_is_the_picture(here):
    Path("holiday.jpg").write_bytes(JPEG)
    Path("r.csv").symlink_to("holiday.jpg")
    assert main(["a.png", "--out", "r.csv", "-q"]) == 2
    assert Path("holiday.jpg").read_bytes() == JPEG


@pytest.mark.parametrize("option", ["--out r.csv", "--report r.html"])
def test_a_file_in_the_way_of_the_unfinished_output(here, capfd, option):
    name = f"{option.split()[1]}.partial"
    Path(name).write_bytes(b"a download that goes on tomorrow")
    assert main(["a.png", *option.split(), "-q"]) == 2
    assert f"{name} exists and is not " in capfd.readouterr().err
    assert Path(name).read_bytes() == b"a download that goes on tomorrow"
    assert main(["a.png", *option.split(), "-q", "--force"]) == 1
    assert not Path(name).exists()


@pytest.mark.parametrize("left", [b"", bytes(5000), YESTERDAY.encode() + bytes(100), JSON_ROW.encode() * 3, b"PAR1"])
def test_what_a_killed_scan_or_a_power_cut_left_is_not_in_the_way(here, left):
    Path("r.csv.partial").write_bytes(left)
    assert main(["a.png", "--out", "r.csv", "-q"]) == 1
    assert not Path("r.csv.partial").exists()


def test_a_file_that_comes_while_the_scan_runs(here, capfd, monkeypatch):
    """Hours may lie between the beginning, when there was no such file, and the end."""
    from scanner.output.summary import Summary

    add = Summary.add

    def and_then(report, result):
        add(report, result)
        Path("r.csv").write_bytes(JPEG)

    monkeypatch.setattr(Summary, "add", and_then)
    assert main(["a.png", "--out", "r.csv", "-q"]) == 2
    assert capfd.readouterr().err.rstrip().endswith(f"1 rows are in {here}/r.csv.partial")
    assert Path("r.csv").read_bytes() == JPEG
    with open("r.csv.partial", newline="") as table:
        assert [row["path"] for row in csv.DictReader(table)] == ["a.png"]


# What was there when an output cannot be opened


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("other", ["--out /dev/full --format csv", "--out nowhere/r.csv", "--out folder --format csv"])
def test_an_output_that_fails_costs_no_rows_of_the_others(here, other):
    Path("folder").mkdir()
    Path("r.csv.partial").write_text(YESTERDAY)
    assert main(["a.png", "--out", "r.csv", "--out", "new.jsonl", *other.split(), "-q"]) == 2
    assert Path("r.csv.partial").read_text() == YESTERDAY
    assert sorted(os.listdir(here)) == ["a.png", "folder", "r.csv.partial"]


def test_a_scan_that_fails_before_its_first_row_costs_none(here, capfd):
    Path("r.csv.partial").write_text(YESTERDAY)
    assert main(["--files-from", "-", "--files-from", "gone", "--out", "r.csv", "-q"]) == 2
    assert main(["s3://user:secret@bucket/x", "--out", "r.csv", "-q"]) == 2
    assert Path("r.csv.partial").read_text() == YESTERDAY


# What is open already


@contextmanager
def open_as(number: int, file: str, flags: int) -> Iterator[None]:
    """A file behind a descriptor of ours, as a shell leaves it to a command: ``7>> log``."""
    kept = os.dup(number) if number <= 2 else None
    opened = os.open(file, flags | os.O_CREAT)
    os.dup2(opened, number, inheritable=True)
    os.close(opened)
    yield
    if kept is None:
        os.close(number)
    else:
        os.dup2(kept, number)
        os.close(kept)


@pytest.fixture
def rows(here) -> str:
    """The rows of a.png as CSV."""
    assert main(["a.png", "-o", "rows.csv", "-q"]) == 1
    text = Path("rows.csv").read_text()
    os.remove("rows.csv")
    return text


needs_descriptors = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")


@pytest.mark.slow
@needs_descriptors
@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_APPEND, os.O_RDWR])
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("/dev/stdout", 1),
        ("/dev/fd/1", 1),
        ("/proc/self/fd/1", 1),
        ("link", 1),
        ("/dev/stderr", 2),
        ("/dev/fd/77", 77),
        ("/proc/thread-self/fd/77", 77),
        ("folder/77", 77),
    ],
)
def test_an_open_descriptor_is_written_where_it_is(here, rows, monkeypatch, name, number, flags):
    monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115  # not pytest's own
    Path("link").symlink_to("/dev/stdout")
    Path("folder").symlink_to("/dev/fd")
    Path("log").write_text("before\n")
    with open_as(number, "log", flags):
        os.lseek(number, 0, os.SEEK_END)
        assert main(["a.png", "-o", name, "--format", "csv", "-q"]) == 1
        os.write(number, b"after\n")
    assert Path("log").read_text() == f"before\n{rows}after\n"
    assert sorted(os.listdir(here)) == ["a.png", "folder", "link", "log"]


@needs_descriptors
def test_standard_output_by_name_is_csv_as_with_a_dash(here, rows, capfd):
    assert main(["a.png", "-o", "/dev/stdout", "-q"]) == 1
    assert capfd.readouterr().out == rows


@pytest.mark.slow
@needs_descriptors
def test_in_the_middle_of_what_a_shell_writes(here, rows, toy):
    command = f'FS() {{ "{sys.executable}" -m scanner a.png --model {toy} -q --format csv "$@"; }}; '
    command += (
        "(echo a; FS -o /dev/stdout; echo b) > both; FS -o >(cat > piped); FS -o /dev/stdout | cat > through; wait"
    )
    done = subprocess.run(["bash", "-c", command], cwd=here, env=clean_environment(), capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert Path("both").read_text() == f"a\n{rows}b\n"
    assert Path("through").read_text() == rows
    assert Path("piped").read_text() == rows


@needs_descriptors
@pytest.mark.parametrize("number", [9, 0, 78])
def test_a_descriptor_that_is_not_open_for_writing(here, capfd, number):
    """9 is not open; 0 is for reading; 78 is open, but to us alone: it could be the cache."""
    Path("precious").write_text("precious")
    with open_as(0, "precious", os.O_RDONLY), open_as(78, "precious", os.O_RDWR):
        os.set_inheritable(78, False)
        assert main(["a.png", "-o", f"/dev/fd/{number}", "--format", "csv", "-q"]) == 2
    said = f"facescan: --out /dev/fd/{number}: that descriptor is not open for writing\n"
    assert capfd.readouterr().err == said
    assert Path("precious").read_text() == "precious"


@needs_descriptors
def test_standard_output_by_two_names_is_one_output(here, capfd):
    assert main(["a.png", "-o", "-", "-o", "/dev/stdout", "--format", "csv"]) == 2
    assert capfd.readouterr().out == ""


@needs_descriptors
def test_a_summary_behind_a_link_to_a_descriptor(here):
    Path("s.md").symlink_to("/dev/fd/77")
    Path("log").write_text("before\n")
    with open_as(77, "log", os.O_WRONLY | os.O_APPEND):
        assert main(["a.png", "-o", "r.csv", "--summary", "s.md", "-q"]) == 1
    assert Path("log").read_text().startswith("before\n# facescan\n")
    assert Path("s.md").is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("text", [OLD_SUMMARY, OLD_REPORT, YESTERDAY])
def test_the_tests_own_old_outputs_are_those_of_one_kind_each(here, text):
    Path("x.md").write_text(text)
    Path("x.csv").write_text(text)
    Path("x.html").write_text(text)
    codes = [main(["a.png", *o.split(), "-q"]) for o in ("--out x.csv", "--summary x.md", "--report x.html")]
    assert sorted(codes) == [1, 2, 2]
