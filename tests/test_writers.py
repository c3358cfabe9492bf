"""Results -> files: what is in them, and when they appear."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scanner.errors import FacescanError
from scanner.output.formats import format_of
from scanner.output.formats.rows import COLUMNS, FIRST_COLUMNS, as_cells, as_line
from scanner.output.formats.text import Text, _csv_line
from scanner.output.writers import Writer
from scanner.printable import printable_path
from scanner.result import Ela, Face, Result, Verdict
from tests.outputs import YESTERDAY

META = {"schema": 1, "tool": "facescan 0"}
ROW = Result("a.jpg", Verdict.FAKE, 0.9, 1, 640, 480, "jpeg", 12345, "ab" * 32, "face:0")
HOSTILE = [
    'quote"comma,.jpg',
    "new\nline\r\nand.jpg",
    "only\rreturn.jpg",
    "\x1b[31mred.jpg",
    "\u202egpj.exe",
    "=cmd|' /C calc'!A0",
]

probabilities = st.integers(0, 10_000).map(lambda n: n / 10_000)
sizes = st.none() | st.integers(0, 2**40)
names = st.text(st.characters(exclude_characters="\0", codec="utf-8")) | st.sampled_from(HOSTILE)
boxes = st.tuples(*[st.integers(0, 10_000)] * 4)
faces = st.builds(
    Face, boxes, probabilities, st.none() | probabilities, st.none() | st.dictionaries(names, probabilities, max_size=2)
)
elas = st.builds(Ela, st.just(90), probabilities, probabilities, st.none() | probabilities, st.none() | probabilities)
results = st.builds(
    Result,
    path=names,
    verdict=st.sampled_from(Verdict),
    p_fake=st.none() | probabilities,
    n_faces=sizes,
    width=sizes,
    height=sizes,
    format=st.sampled_from(["", "jpeg", "png"]),
    bytes=sizes,
    sha256=st.sampled_from(["", "0" * 64]),
    reason=st.sampled_from(["", "truncated", "face:0", "unsupported_format:heic"]),
    faces=st.lists(faces, max_size=2).map(tuple),
    ela=st.none() | elas,
)


def write(path: Path, format: str, rows: list[Result], **options) -> Path:
    writer = Writer(str(path), format, META, **options)
    for row in rows:
        writer.write(row)
    writer.finish({"files": len(rows)})
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(results, max_size=4))
@example([Result(name, Verdict.REAL) for name in HOSTILE])
def test_all_formats_say_the_same(rows):
    with tempfile.TemporaryDirectory() as folder:
        from_csv = read_csv(write(Path(folder, "r.csv"), "csv", rows))
        lines = write(Path(folder, "r.jsonl"), "jsonl", rows).read_bytes().decode().split("\n")
        whole = json.loads(write(Path(folder, "r.json"), "json", rows).read_bytes())
    objects = [json.loads(line) for line in lines[:-1]]
    assert lines[-1] == ""
    assert whole == {"meta": META, "results": objects, "summary": {"files": len(rows)}}
    assert [{key: row[key] for key in FIRST_COLUMNS} for row in objects] == [
        {key: getattr(row, key) for key in FIRST_COLUMNS} for row in rows
    ]
    as_text = {
        type(None): lambda _: "",
        float: "{:.4f}".format,
        int: str,
        str: str,
        list: lambda numbers: " ".join(map(str, numbers)),
    }
    assert from_csv == [{key: as_text[type(row.get(key))](row.get(key)) for key in COLUMNS} for row in objects]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
@example([b"\xff", b"\r", b"\n", b'"', b",", b"\x1b[2J", "\u202e\u2028\ufeff".encode(), b"\xed\xa0\x80", b"=1+1"])
def test_any_name_comes_back_from_every_format(names):
    paths = [printable_path(os.fsdecode(name)) for name in names]
    rows = [Result(path, Verdict.REAL) for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        table = read_csv(write(Path(folder, "r.csv"), "csv", rows))
        lines = write(Path(folder, "r.jsonl"), "jsonl", rows).read_bytes().decode().split("\n")[:-1]
        whole = json.loads(write(Path(folder, "r.json"), "json", rows).read_bytes())
    for read in (table, map(json.loads, lines), whole["results"]):
        assert [row["path"] for row in read] == [name.decode("utf-8", "backslashreplace") for name in names]


def test_settings_may_hold_names_that_are_not_utf_8(tmp_path):
    writer = Writer(str(tmp_path / "r.json"), "json", META | {"model": os.fsdecode(b"\xff.onnx")})
    writer.finish({})
    assert json.loads((tmp_path / "r.json").read_bytes())["meta"]["model"] == "\udcff.onnx"


def test_csv_is_what_the_contract_says(tmp_path):
    rows = [ROW, Result("b.jpg", Verdict.ERROR, reason="not_found")]
    assert write(tmp_path / "r.csv", "csv", rows).read_bytes().decode() == (
        "path,verdict,p_fake,n_faces,width,height,format,bytes,sha256,reason,"
        "marks,frames,faces_judged,decisive_box,explanation,baseline\n"
        f"a.jpg,fake,0.9000,1,640,480,jpeg,12345,{'ab' * 32},face:0,,,0,,,\n"
        "b.jpg,error,,,,,,,,not_found,,,,,,\n"
    )


def test_csv_has_what_is_known_besides_the_score(tmp_path):
    """The marks of generators, how much was looked at, and where the decisive face is."""
    marks = [
        {"kind": "software", "generator": name, "means": means}
        for name, means in (("Midjourney", "generated"), ("", "generated"), ("Photoshop", "edited"))
    ]
    faces = (Face((1, 2, 30, 40), 0.9, 0.04), Face((50, 60, 70, 80), 0.8, 0.05), Face((5, 5, 9, 9), 0.8))
    row = Result(
        "a.png", Verdict.REAL, 0.05, 3, faces=faces, reason="face:1", provenance={"marks": marks},
        frames=12, explanation="why/a.png", baseline=True,
    )  # fmt: skip
    unnamed = Result("b.png", Verdict.NO_FACE, n_faces=0, provenance={"marks": marks[1:]}, frames=1, baseline=False)
    cells = [list(row.values())[10:] for row in read_csv(write(tmp_path / "r.csv", "csv", [row, unnamed]))]
    assert cells == [
        ["Midjourney", "12", "2", "50 60 70 80", "why/a.png", "true"],
        ["generated", "1", "0", "", "", "false"],
    ]


def test_json_objects_are_what_the_contract_says(tmp_path):
    face = Face((1, 2, 30, 40), 0.87, 0.9, {"default": 0.9})
    ela = Ela(90, 1.5, 4.0, 2.0, None, "maps/a.png")
    rows = [Result("a.jpg", Verdict.FAKE, 0.9, faces=(face,), ela=ela), Result("b.jpg", Verdict.NO_FACE)]
    one, two = map(json.loads, write(tmp_path / "r.jsonl", "jsonl", rows).read_text().splitlines())
    assert list(one) == [*FIRST_COLUMNS, "marks", "frames", "faces_judged", "decisive_box", "faces", "ela"]
    assert one["faces"] == [{"box": [1, 2, 30, 40], "score": 0.87, "p_fake": 0.9, "models": {"default": 0.9}}]
    assert one["ela"] == {
        "quality": 90, "mean": 1.5, "p95": 4.0, "face": 2.0, "background": None, "map": "maps/a.png"
    }  # fmt: skip
    assert list(two) == list(one)[:-1]
    assert two["faces"] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain.jpg", "plain.jpg"),
        ("größe 人.jpg".encode(), "größe 人.jpg"),
        (b"bad\xff\xfename.jpg", r"bad\xff\xfename.jpg"),
        (b"half\xc3.jpg", r"half\xc3.jpg"),
        (b"new\nline", "new\nline"),
    ],
)
def test_printable_path(name, shown):
    assert printable_path(os.fsdecode(name)) == shown


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "text"])
def test_a_file_appears_when_it_is_complete(tmp_path, format):
    out, partial = tmp_path / "r", tmp_path / "r.partial"
    out.write_text(YESTERDAY)
    writer = Writer(str(out), format, META)
    for done in range(3):
        writer.write(ROW)
        assert partial.read_text().count("a.jpg") == done + 1  # at once, whatever happens next
    assert out.read_text() == YESTERDAY
    writer.finish({})
    assert out.read_text().count("a.jpg") == 3
    assert not partial.exists()


@pytest.mark.parametrize(("before", "after"), [(None, None), ("", None), (YESTERDAY, YESTERDAY)])
def test_an_output_without_a_row_leaves_those_of_an_earlier_scan(tmp_path, before, after):
    partial = tmp_path / "r.csv.partial"
    if before is not None:
        partial.write_text(before)
    writer = Writer(str(tmp_path / "r.csv"), "csv", META)
    writer.begin()
    writer.abandon({})
    assert writer.recoverable_file == ""
    assert (partial.read_text() if partial.exists() else None) == after
    assert not (tmp_path / "r.csv").exists()


def test_what_was_abandoned_is_well_formed_and_beside_the_old_file(tmp_path):
    for name in ("r.csv", "r.json", "r.jsonl"):
        (tmp_path / name).write_text(YESTERDAY)
        writer = Writer(str(tmp_path / name), format_of(name, None), META)
        writer.write(ROW)
        writer.abandon({"files": 1})
        assert (tmp_path / name).read_text() == YESTERDAY
    assert [row["path"] for row in read_csv(tmp_path / "r.csv.partial")] == ["a.jpg"]
    assert json.loads((tmp_path / "r.jsonl.partial").read_text())["path"] == "a.jpg"
    assert json.loads((tmp_path / "r.json.partial").read_text())["summary"] == {"files": 1}


def test_an_output_whose_end_fails_costs_the_others_nothing(tmp_path):
    class Broken(Text):
        def tail(self, summary, complete):
            yield "half of it"
            raise MemoryError

    broken = Writer(str(tmp_path / "b.txt"), Broken(lambda row: f"{row.path}\n"), META)
    whole = Writer(str(tmp_path / "r.json"), "json", META)
    for writer in (broken, whole):
        writer.write(ROW)
    for writer in (broken, whole):
        writer.abandon({"files": 1})
    assert (tmp_path / "b.txt.partial").read_text() == "a.jpg\n"
    assert json.loads((tmp_path / "r.json.partial").read_text())["summary"] == {"files": 1}


def test_rows_of_an_unfinished_json_can_be_read_with_a_text_tool(tmp_path):
    writer = Writer(str(tmp_path / "r.json"), "json", META)
    for _ in range(2):
        writer.write(ROW)
    _, *rows = (tmp_path / "r.json.partial").read_text().removesuffix("\n").split("\n")[1:]
    assert [json.loads(row.removesuffix(","))["path"] for row in rows] == ["a.jpg", "a.jpg"]
    writer.abandon({})


@pytest.mark.parametrize("target_exists", [True, False])
def test_a_link_stays_a_link(tmp_path, target_exists):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there/real.csv", tmp_path / "r.csv"
    link.symlink_to(target)
    if target_exists:
        target.write_text(YESTERDAY)
    write(link, "csv", [ROW])
    assert link.is_symlink()
    assert read_csv(target)[0]["path"] == "a.jpg"
    assert sorted(os.listdir(tmp_path)) == ["r.csv", "there"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_a_replaced_file_keeps_its_mode(tmp_path):
    out = tmp_path / "r.csv"
    out.touch(mode=0o600)
    out.chmod(0o600)
    write(out, "csv", [ROW])
    assert out.stat().st_mode & 0o777 == 0o600


@contextmanager
def full_disk(limit: int):
    """As good as: no file of this process may grow beyond `limit` bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old_handler)


def test_a_full_disk_ends_the_run_and_keeps_the_old_file(tmp_path):
    out = tmp_path / "r.jsonl"
    out.write_text(YESTERDAY)
    writer = Writer(str(out), "jsonl", META)
    with full_disk(1000):
        with pytest.raises(FacescanError, match=r"r\.jsonl: File too large; \d rows are in .*r\.jsonl\.partial"):
            for _ in range(100):
                writer.write(ROW)
        writer.abandon({})
    assert out.read_text() == YESTERDAY
    whole_lines = (tmp_path / "r.jsonl.partial").read_text().split("\n")[:-1]
    assert len(whole_lines) == writer.rows > 0


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_a_row_that_finds_no_room_is_not_there_at_all(tmp_path, format):
    writer = Writer(str(tmp_path / "r"), format, META)
    with full_disk(1000), pytest.raises(FacescanError):
        for _ in range(100):
            writer.write(ROW)
    writer.abandon({})  # there is room again
    text = (tmp_path / "r.partial").read_text()
    assert text.count("a.jpg") == text.count("face:0") == writer.rows
    if format == "json":
        assert len(json.loads(text)["results"]) == writer.rows


def moved(partial: Path) -> None:
    partial.rename(partial.with_name("elsewhere"))


def replaced_by_a_folder(partial: Path) -> None:
    partial.unlink()
    partial.mkdir()


def replaced_by_a_link(partial: Path) -> None:
    partial.unlink()
    partial.symlink_to("yesterday")


def replaced_by_a_file(partial: Path) -> None:
    partial.unlink()
    partial.write_text("theirs")


def folder_renamed(partial: Path) -> None:
    partial.parent.rename(partial.parent.with_name("renamed"))


def folder_replaced(partial: Path) -> None:
    folder_renamed(partial)
    partial.parent.mkdir()


@pytest.mark.skipif(sys.platform == "win32", reason="there, nobody can remove a file that is open")
@pytest.mark.parametrize(
    ("fault", "rows_in", "says"),
    [
        (Path.unlink, "out/r.csv.partial", r"2 rows are in \S+/out/r\.csv\.partial$"),
        (replaced_by_a_folder, "out/r.csv.partial.rescued", r"2 rows are in \S+\.rescued$"),
        (replaced_by_a_link, "out/r.csv.partial.rescued", r"2 rows are in \S+\.rescued$"),
        (replaced_by_a_file, "out/r.csv.partial.rescued", r"2 rows are in \S+\.rescued$"),
        (moved, "out/elsewhere", "2 rows went with it$"),
        (folder_renamed, "renamed/r.csv.partial", "2 rows went with it$"),
        (folder_replaced, "renamed/r.csv.partial", "2 rows went with it$"),
    ],
)
@pytest.mark.parametrize("interrupted", [False, True])
def test_rows_survive_what_becomes_of_their_file(tmp_path, fault, rows_in, says, interrupted):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/yesterday").write_text(YESTERDAY)
    out = tmp_path / "out/r.csv"
    out.write_text(YESTERDAY)
    writer = Writer(str(out), "csv", META)
    partial = Path(writer.partial)
    writer.write(ROW)
    fault(partial)
    writer.write(ROW)
    if not interrupted:
        with pytest.raises(FacescanError, match=says):
            writer.finish({})
    writer.abandon({})
    assert len(read_csv(tmp_path / rows_in)) == 2
    folder = out.parent if out.exists() else tmp_path / "renamed"
    assert [(folder / name).read_text() for name in ("r.csv", "yesterday")] == [YESTERDAY] * 2


def test_an_output_that_became_a_folder(tmp_path):
    writer = Writer(str(tmp_path / "r.csv"), "csv", META)
    writer.write(ROW)
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(FacescanError, match=r"r\.csv: Is a directory; 1 rows are in \S+/r\.csv\.partial$"):
        writer.finish({})
    writer.abandon({})
    assert len(read_csv(tmp_path / "r.csv.partial")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and FIFOs")
@pytest.mark.parametrize(
    "plant",
    [
        lambda partial: partial.symlink_to("precious"),
        lambda partial: partial.symlink_to("nowhere"),
        lambda partial: partial.hardlink_to(partial.with_name("precious")),
        lambda partial: partial.mkdir(),
        lambda partial: os.mkfifo(partial),
    ],
    ids=["link", "broken link", "hard link", "folder", "fifo"],
)
def test_what_others_left_under_our_name_is_left_alone(tmp_path, plant):
    """In a folder that others may write to, it could be the way to a file of ours."""
    (tmp_path / "precious").write_text("precious")
    plant(tmp_path / "r.csv.partial")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(FacescanError, match=r"--out \S+: \S+/r\.csv\.partial is not a file.*; remove it$"):
        Writer(str(tmp_path / "r.csv"), "csv", META)
    assert (tmp_path / "precious").read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_two_scans_do_not_write_one_file(tmp_path):
    out = tmp_path / "r.csv"
    first = Writer(str(out), "csv", META)
    first.write(ROW)
    with pytest.raises(FacescanError, match=r"another scan is writing it; wait for it, or name another file$"):
        Writer(str(out), "csv", META)
    first.finish({})
    assert len(read_csv(out)) == 1
    assert len(read_csv(write(out, "csv", [ROW, ROW]))) == 2


def test_what_a_killed_scan_left_is_overwritten(tmp_path):
    (tmp_path / "r.csv.partial").write_text(YESTERDAY + "old,fake\n" * 1000)
    assert [row["path"] for row in read_csv(write(tmp_path / "r.csv", "csv", [ROW]))] == ["a.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that do not block")
def test_a_full_pipe_that_does_not_block_loses_nothing(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb") as pipe, ThreadPoolExecutor() as pool:
        text = pool.submit(pipe.read)
        with open(writing, "w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            Writer("-", "jsonl", META).write(Result("n" * 300_000, Verdict.REAL))  # more than a pipe holds
            monkeypatch.undo()
        assert json.loads(text.result())["path"] == "n" * 300_000


@pytest.mark.parametrize(
    ("path", "says"),
    [("missing/r.csv", "No such file or directory"), ("folder", "Is a directory"), ("file/r.csv", "Not a directory")],
)
def test_an_output_that_cannot_be_opened_is_refused_at_once(tmp_path, monkeypatch, path, says):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    with pytest.raises(FacescanError, match=f"--out {path}: {says}"):
        Writer(path, "csv", META)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("format", ["csv", "jsonl", "json"])
def test_devices_are_written_to_directly(format):
    with pytest.raises(FacescanError, match=r"/dev/full: No space left on device$"):
        write(Path("/dev/full"), format, [ROW])
    assert write(Path("/dev/null"), format, [ROW]).is_char_device()


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [(f"{c}x.jpg", f"'{c}x.jpg") for c in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe63\u2212"]
    + [(f"{before}=1+1", f"'{before}=1+1") for before in (" ", "\xa0", "\x01", "  \x0b")]
    + [(f"x;{c}1.jpg", f"x;'{c}1.jpg") for c in "=+-@\uff1d"]
    + [
        ("x;=cmd|'/C calc'!A0;/y.jpg", "x;'=cmd|'/C calc'!A0;/y.jpg"),
        ("a;b; \t=1;+2", "a;b; \t'=1;'+2"),
        ("x\t=1", "x\t'=1"),
        ("x\n=1", "x\n'=1"),
        ('x;"=1"', 'x;"\'=1"'),
        ("=1;=2", "'=1;'=2"),
    ]
    + [(name, name) for name in ("a=b.jpg", "1.jpg", "'=x.jpg", "./-x.jpg", "größe.jpg", "a - b.jpg", "a;b.jpg", "")],
)
def test_excel_guards_what_a_spreadsheet_would_execute(cell, guarded):
    result = Result(cell, Verdict.ERROR, reason="not_found")
    assert as_cells(result, excel=True)[0] == guarded
    assert as_cells(result)[0] == cell
    assert as_cells(result, excel=True)[1:] == as_cells(result)[1:]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("=+-@\uff1d;,\t|\"' \n\rx\x01"), min_size=1, max_size=12))
@example("x;=cmd|'/C calc'!A0;/y.jpg")
@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_NONE])
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_splits(delimiter, quoting, name):
    """Split at semicolons, all columns but the first begin inside a cell: quotation marks mean nothing there."""
    if (delimiter, quoting) == (",", csv.QUOTE_NONE):
        return  # nobody reads a CSV so
    row = Result(name, Verdict.ERROR, reason=name)
    lines = "".join(f"{line}\n" for line in [_csv_line(as_cells(row, excel=True))])
    for cells in csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter, quoting=quoting):
        for cell in cells:
            assert not cell.lstrip(' \x01\t"').startswith(("=", "+", "-", "@", "\uff1d")), cells


@given(names, st.sampled_from(Verdict))
def test_text_is_one_line_of_visible_characters(path, verdict):
    line = as_line(Result(path, verdict, reason="truncated"))
    assert line.isprintable()
    assert line.splitlines() == [line]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("größe 人.jpg", "größe 人.jpg"),
        ("new\nline", r"new\nline"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u200bzero\u2028", r"\u200bzero\u2028"),
        ("\x9b1m\x7f", r"\x9b1m\x7f"),
        ("bad\udcff\ud800", r"bad\xff\ud800"),
    ],
)
def test_text_escapes_what_would_not_show_as_itself(path, shown):
    assert as_line(Result(path, Verdict.REAL, 0.1)) == f"real      0.1000  {shown}"


def test_text_names_the_reason_of_an_error_and_colours_the_verdict_only():
    assert as_line(Result("a", Verdict.ERROR, reason="truncated")) == "error             a  (truncated)"
    assert as_line(ROW, color=True) == "\x1b[31mfake     \x1b[0m 0.9000  a.jpg"


@pytest.mark.parametrize(
    ("path", "otherwise", "format"),
    [
        ("r.csv", None, "csv"),
        ("R.CSV", "json", "csv"),
        ("a.b/r.json", "csv", "json"),
        ("r.jsonl", None, "jsonl"),
        ("r.ndjson", None, "jsonl"),
        ("r.txt", None, "text"),
        ("r.out", "jsonl", "jsonl"),
        ("-", "csv", "csv"),
        ("/dev/stderr", "text", "text"),
    ],
)
def test_format_of(path, otherwise, format):
    assert format_of(path, otherwise) == format


@pytest.mark.parametrize("path", ["r.xml", "r", "r.csv.gz", ".csv", "csv", "a.csv/r"])
def test_a_suffix_that_says_nothing_needs_a_format(path):
    with pytest.raises(FacescanError, match=r"use \.csv, \.json, \.jsonl, \.parquet or \.sarif, or say --format"):
        format_of(path, None)
