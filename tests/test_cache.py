"""The cache: the same rows as without it, sooner, whatever happens to it."""

from __future__ import annotations

import csv
import json
import mmap
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.cache import database as cache_database
from scanner.cache import store as cache_module
from scanner.cache.database import cache_file
from scanner.cache.row import row_checksum, scope_key
from scanner.cache.store import Cache
from scanner.cli import main
from scanner.detector.model import Detector
from scanner.detector.thresholds import Thresholds, choose
from scanner.engine import examine, versions
from scanner.engine.pipeline import scan
from scanner.engine.versions import scope
from scanner.files import fingerprint
from scanner.files.candidate import Candidate
from scanner.output.formats.rows import as_cells, as_object
from scanner.result import Face, Result, Verdict
from scanner.settings import Settings
from tests import damaged_cache
from tests.conftest import clean_environment
from tests.costly_files import gif_of_clear_codes
from tests.outputs import YESTERDAY
from tests.pictures import encode, jpeg_of_scans, png_that_announces, scene, tiff_of
from tests.test_interrupts import await_rows
from tests.test_writers import full_disk, results

YEAR = 365 * 24 * 3600
in_processes = pytest.mark.skipif(sys.platform != "linux", reason="a patch reaches only processes that are forked")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def look(tmp_path, brightness, warnings):
    """Scan with the cache of this test; what came from it is in `cached` of the results."""

    def run(*files: Path, detector: Detector = brightness, low: float = 0.4, **options: Any) -> list[Result]:
        told = Settings("toy", **options)
        with Cache(str(tmp_path / "kept.db"), scope(detector, told), warnings.append) as cache:
            found = (Candidate(str(file)) for file in files)
            return list(scan(found, detector, Thresholds(low, max(low, 0.6)), told, cache=cache))

    return run


def from_cache(results: list[Result]) -> list[bool]:
    return [row.cached for row in results]


def write(file: Path, content: bytes, age: int = YEAR) -> Path:
    """A file that was last changed `age` seconds ago."""
    file.write_bytes(content)
    changed = file.stat().st_mtime - age
    os.utime(file, (changed, changed))
    return file


def flat(level: int) -> bytes:
    return encode(np.full((30, 40, 3), level, np.uint8), "PNG")


contents = st.one_of(
    st.builds(flat, st.integers(0, 255)),
    st.builds(lambda level: flat(level)[:-20], st.integers(0, 255)),
    st.binary(max_size=30),
    st.sampled_from([encode(scene(), kind) for kind in ("JPEG", "WEBP", "GIF")]),
    st.just(png_that_announces(30_000, 30_000)),
    st.just(b"\xff\x0a" + bytes(50)),
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(contents, st.sampled_from([0, YEAR]))),
    st.lists(st.tuples(st.integers(0, 9), contents | st.none())),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.booleans(),
)
def test_cache_and_no_cache_agree(brightness, files, changes, low, ela):
    told, thresholds = Settings("toy", ela=ela), Thresholds(low, max(low, 0.6))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{i}") for i in range(len(files))]

        def judged(cache: Cache | None) -> list[Result]:
            found = (Candidate(str(path)) for path in paths)
            return list(scan(found, brightness, thresholds, told, cache=cache))

        for path, (content, age) in zip(paths, files, strict=True):
            write(path, content, age)
        for _ in range(2):
            fresh = judged(None)
            for _ in range(2):
                with Cache(f"{folder}/kept.db", scope(brightness, told), warn=pytest.fail) as cache:
                    kept = judged(cache)
                assert kept == fresh
                assert list(map(as_cells, kept)) == list(map(as_cells, fresh))
                assert json.dumps(list(map(as_object, kept))) == json.dumps(list(map(as_object, fresh)))
            lasting = [row.reason != "model_failed:not_a_number" for row in kept]
            assert from_cache(kept) == lasting
            for i, content in changes:
                if content is None and i < len(paths):
                    os.utime(paths[i], (i, i))
                elif i < len(paths):
                    write(paths[i], content)


@pytest.mark.slow
def test_every_output_is_the_same_to_the_byte(tmp_path, monkeypatch, examples, toy_for_faces):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(examples, "pictures")
    write(tmp_path / "pictures" / "cut.jpg", (examples / "real_astronaut.jpg").read_bytes()[:-500])

    def outputs(*options: str) -> tuple[list[Any], int]:
        arguments = ["pictures", "--model", str(toy_for_faces), "--ela", "--quiet", "--summary", "s.json", *options]
        assert main([*arguments, "--out", "r.csv", "--out", "r.jsonl", "--out", "r.json", "--out", "r.txt"]) == 2
        whole = json.loads(Path("r.json").read_text())
        summary = json.loads(Path("s.json").read_text())["summary"]
        return [Path(f"r.{s}").read_bytes() for s in ("csv", "jsonl", "txt")] + [whole["results"]], summary["cached"]

    count = len(os.listdir("pictures")) - 1  # and a README
    fresh, cached = outputs("--no-cache")
    assert cached == 0
    assert outputs() == (fresh, 0)
    assert outputs() == (fresh, count)  # by file
    for file in Path("pictures").iterdir():
        file.touch()
    assert outputs() == (fresh, count)  # by content
    assert outputs("--no-cache") == (fresh, 0)


@pytest.fixture
def settled(monkeypatch) -> None:
    """The files of a test settle at once. Where they lie may be memory."""
    monkeypatch.setattr(fingerprint, "SETTLED_AFTER_NS", -YEAR * 10**9)
    monkeypatch.setattr(fingerprint, "_IN_MEMORY", set())


@in_processes
@pytest.mark.usefixtures("settled")
def test_a_file_that_looks_as_it_did_is_not_read(tmp_path, look, monkeypatch):
    old, new = write(tmp_path / "old", flat(50)), write(tmp_path / "new", flat(60), age=-2 * YEAR)
    log, real_read = tmp_path / "log", examine.read

    def logged(candidate: Candidate, limit: int) -> Any:
        with log.open("a") as lines:
            lines.write(f"{Path(candidate.path).name} ")
        return real_read(candidate, limit)

    monkeypatch.setattr(examine, "read", logged)
    before = look(old, new, workers=1)
    assert log.read_text() == "old new "
    assert look(old, new, workers=1) == before
    assert log.read_text() == "old new new "  # it may have changed once more meanwhile
    os.utime(new, (1, 1))
    assert look(new) == look(new) == before[1:]  # now it has settled
    assert log.read_text() == "old new new new "


def test_a_change_that_shows_in_no_date_is_found(tmp_path, look):
    """Stores through a shared mapping change a file's dates once, until the page is written to the disk."""
    real, fake = (encode(np.full((30, 40, 3), level, np.uint8), "BMP") for level in (10, 250))
    file = tmp_path / "upload.bmp"
    file.write_bytes(bytes(len(real)))
    with file.open("r+b") as stream, mmap.mmap(stream.fileno(), len(real)) as mapped:
        mapped[:] = real
        os.utime(file, (1e9, 1e9))  # as if that had been long ago
        looks = file.stat()
        assert look(file)[0].verdict is Verdict.REAL
        mapped[:] = fake
        assert (file.stat().st_mtime_ns, file.stat().st_ctime_ns) == (looks.st_mtime_ns, looks.st_ctime_ns)
        assert look(file)[0].verdict is Verdict.FAKE


@in_processes
def test_a_content_that_is_known_is_not_decoded(tmp_path, look, monkeypatch):
    before = look(write(tmp_path / "a", flat(50)))
    monkeypatch.setattr(examine, "decode", lambda *_: pytest.fail("decoded"))
    (after,) = look(write(tmp_path / "elsewhere", flat(50)))
    assert after.path == str(tmp_path / "elsewhere")
    assert as_cells(after)[1:] == as_cells(before[0])[1:]


def test_size_and_time_restored_do_not_hide_a_change(tmp_path, look):
    file = write(tmp_path / "a.bmp", encode(np.full((30, 40, 3), 10, np.uint8), "BMP"))
    before = file.stat()
    assert look(file)[0].verdict is Verdict.REAL
    file.write_bytes(encode(np.full((30, 40, 3), 250, np.uint8), "BMP"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert look(file)[0].verdict is Verdict.FAKE


@in_processes
def test_a_file_that_changes_while_it_is_read(tmp_path, look, monkeypatch):
    file = write(tmp_path / "a", flat(50))
    real_read = examine.read

    def overtaken(candidate: Candidate, limit: int) -> Any:
        answer = real_read(candidate, limit)
        write(file, flat(200))
        return answer

    monkeypatch.setattr(examine, "read", overtaken)
    assert look(file)[0].p_fake == 0.1961
    monkeypatch.undo()
    assert look(file)[0].p_fake == 0.7843


def test_other_thresholds_find_the_same_rows(tmp_path, look):
    file = write(tmp_path / "a", flat(128))
    verdicts = [(row.verdict, row.cached) for low in (0.4, 0.51, 0.0, 0.5) for row in look(file, low=low)]
    assert verdicts == [("uncertain", False), ("real", True), ("uncertain", True), ("uncertain", True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other", [{"region": "face"}, {"min_face": 33}, {"max_pixels": 5000}, {"ela": True}, {"detector": "other"}]
)
def test_what_can_change_a_row_makes_it_another(tmp_path, look, face_brightness, other):
    file = write(tmp_path / "a", flat(128))
    other = {"detector": face_brightness} if "detector" in other else other
    assert from_cache(look(file)) == [False]
    assert from_cache(look(file, **other)) == [False]
    assert from_cache(look(file, **other)) == from_cache(look(file)) == [True]


@pytest.mark.parametrize("other", [{"workers": 3}, {"batch_size": 2}, {"max_bytes": 5000}, {"threshold": 0.9}])
def test_what_cannot_change_a_row_does_not(tmp_path, look, other):
    file = write(tmp_path / "a", flat(128))
    assert from_cache(look(file)) == [False]
    assert from_cache(look(file, **other)) == [True]


def test_another_version_judges_anew(tmp_path, look, monkeypatch):
    file = write(tmp_path / "a", flat(128))
    look(file)
    monkeypatch.setattr(versions, "ROWS_VERSION", versions.ROWS_VERSION + 1)
    assert from_cache(look(file)) == [False]


def test_a_file_that_has_become_too_large_is_refused(tmp_path, look):
    file = write(tmp_path / "a", flat(128))
    size = file.stat().st_size
    look(file)
    assert look(file, max_bytes=size - 1)[0].reason == f"too_many_bytes:{size}"
    assert from_cache(look(file, max_bytes=size)) == [True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason", "kept"),
    [
        (b"", "empty", True),
        (b"no picture", "not_an_image", True),
        (encode(scene(), "PNG")[:-200], "truncated:0.16", True),
        (tiff_of({256: 4, 257: 4, 259: 50_000, 262: 1}), "unsupported_compression:zstd", True),
        (gif_of_clear_codes(20_000), "implausible_size:2640_pixels_in_20079_bytes", True),
        (b"\xff\x0a" + bytes(50), "unsupported_format:jxl", True),
        (png_that_announces(30_000, 30_000), "too_many_pixels:900000000", True),
        (jpeg_of_scans(600), "too_many_scans:over_500", True),
        (flat(0), "model_failed:not_a_number", False),
    ],
)
def test_errors_of_the_content_are_kept(tmp_path, look, content, reason, kept):
    file = write(tmp_path / "a", content)
    before, after = look(file) + look(file)
    assert before == after
    assert (after.reason, after.cached) == (reason, kept)


@in_processes
@pytest.mark.parametrize(("error", "reason"), [(MemoryError, "out_of_memory"), (RuntimeError, "internal_error:")])
def test_errors_that_may_pass_are_not(tmp_path, look, monkeypatch, error, reason):
    def fail(*_: object) -> None:
        raise error

    file = write(tmp_path / "a", flat(128))
    monkeypatch.setattr(examine, "decode", fail)
    assert look(file)[0].reason.startswith(reason)
    monkeypatch.undo()
    assert [(row.verdict, row.cached) for row in look(file)] == [("uncertain", False)]


def test_files_that_are_none_are_not_kept(tmp_path, look):
    (tmp_path / "folder").mkdir()
    rows = look(tmp_path / "folder", tmp_path / "missing") + look(tmp_path / "folder", tmp_path / "missing")
    assert [row.reason for row in rows] == ["not_a_file:folder", "vanished"] * 2
    assert not any(from_cache(rows))


@pytest.mark.slow
def test_standard_input_is_known_by_its_content(tmp_path, facescan, toy):
    before = facescan("-", "--model", toy, "--out", "-", "-q", stdin=flat(200))
    after = facescan("-", "--model", toy, "--out", "-", stdin=flat(200))
    assert (before.stdout, before.returncode) == (after.stdout, after.returncode)
    assert b", 1 from the cache" in after.stderr


def test_maps_of_error_levels_are_made_again(tmp_path, look):
    file = write(tmp_path / "a.png", flat(128))
    assert from_cache(look(file, ela=True)) == [False]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (row,) = look(file, ela_dir=str(tmp_path / name))
        assert (row.cached, Path(row.ela.map).is_file(), row.ela.map.startswith(str(tmp_path / name))) == (1, 1, 1)
    (row,) = look(file, ela=True)
    assert (row.cached, row.ela.map) == (True, None)


@pytest.mark.slow
@settings(deadline=None)
@given(results)
def test_nothing_of_a_row_is_lost(row):
    verdict = Verdict.NO_FACE if row.p_fake is None else Verdict.REAL
    row = replace(row, sha256="ab" * 32, verdict=verdict, ela=row.ela and replace(row.ela, map="maps/a.png"))
    with tempfile.TemporaryDirectory() as folder, Cache(f"{folder}/kept.db", {}, warn=pytest.fail) as cache:
        cache.store([(row, None)])
        kept = cache.by_content(row.sha256)
    assert kept == replace(row, path="", ela=row.ela and replace(row.ela, map=None))


# Killed, and again


@pytest.fixture(scope="module")
def portraits(tmp_path_factory, examples) -> Path:
    """The same portrait in 150 files, no two of them the same file."""
    folder = tmp_path_factory.mktemp("kill") / "portraits"
    folder.mkdir()
    jpeg = (examples / "real_astronaut.jpg").read_bytes()
    for i in range(150):
        write(folder / f"{i:03}.jpg", jpeg + b"%d" % i)
    return folder


@pytest.fixture
def begin(portraits, toy_for_faces, cache_folder):
    """The command over the portraits, with the cache of this test."""

    def start(out: Path, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        arguments = ["portraits", "--model", toy_for_faces, "--quiet", "--out", out, "--summary", f"{out}.json"]
        call = [sys.executable, "-m", "scanner", *arguments, *options]
        environment = clean_environment() | variables
        return subprocess.Popen(call, cwd=portraits.parent, env=environment, stderr=subprocess.PIPE)

    return start


def finish(process: subprocess.Popen[bytes], out: Path) -> tuple[bytes, int]:
    """What a scan wrote, and how many rows of it came from the cache."""
    _, said = process.communicate()
    assert (process.returncode, said) == (0, b"")
    return out.read_bytes(), json.loads(Path(f"{out}.json").read_text())["summary"]["cached"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_killed_again_and_again_it_ends_with_the_same_file(tmp_path, begin):
    undisturbed, cached = finish(begin(tmp_path / "whole.csv", "--no-cache"), tmp_path / "whole.csv")
    assert cached == 0
    out, seen = tmp_path / "r.csv", 0
    for rows in (1, 30, 85, 120):
        process = begin(out)
        await_rows(process, Path(f"{out}.partial"), rows)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()
        lines = Path(f"{out}.partial").read_bytes().split(b"\n")
        seen = max(seen, len(lines) - 2)  # without the header, and what follows the last line end
    again, cached = finish(begin(out), out)
    assert again == undisturbed
    assert 120 <= seen <= cached  # every row that was written is kept already


@pytest.mark.slow
def test_two_scans_at_once(tmp_path, begin):
    outs = [tmp_path / "one.csv", tmp_path / "two.csv"]
    both = [begin(out) for out in outs]
    tables = [finish(process, out)[0] for process, out in zip(both, outs, strict=True)]
    assert tables[0] == tables[1]
    assert tables[0].count(b"uncertain") == 150
    assert finish(begin(tmp_path / "three.csv"), tmp_path / "three.csv") == (tables[0], 150)


# Trouble


def healthy(file: Path) -> None:
    with Cache(str(file), {"model": "toy"}) as cache:
        row = Result("a", Verdict.REAL, 0.1, sha256="ab" * 32)
        cache.store([(row, None)])


def other_program(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")


def of_version(file: Path, version: int) -> None:
    healthy(file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"PRAGMA user_version = {version}")


def cut(file: Path) -> None:
    healthy(file)
    os.truncate(file, 6000)


def scribbled(file: Path) -> None:
    healthy(file)
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xa5" * (file.stat().st_size - 4096))


def without_its_magic(file: Path) -> None:
    """What SQLite and we know a file by is damaged; its first page still has our tables' definitions."""
    healthy(file)
    with file.open("r+b") as stream:
        stream.write(b"\xa5" * 100)


def without_its_number(file: Path) -> None:
    healthy(file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA application_id = 7")


def without_a_table(file: Path) -> None:
    healthy(file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("ALTER TABLE rows RENAME TO rowz")


def text(file: Path) -> None:
    file.write_text("no database\n" * 1000)


def picture(file: Path) -> None:
    file.write_bytes(encode(scene(), "JPEG"))


def database_of_nobody(file: Path) -> None:
    """A database without a table, but not without a page."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE gone (x)")
        database.execute("DROP TABLE gone")


DAMAGE = [cut, scribbled, without_its_magic, without_its_number, without_a_table]
FOREIGN = [other_program, text, picture, database_of_nobody]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("option", [(), ("--cache-info",), ("--cache-clear",)])
def test_a_file_that_is_no_cache_stays_as_it_is(here, capfd, foreign, option):
    foreign(here / "holiday.jpg")
    Path("r.csv.partial").write_text(YESTERDAY)
    before = {file.name: file.read_bytes() for file in here.iterdir()}
    assert main([".", "--cache", "holiday.jpg", "-q", "--out", "r.csv", "--force", *option]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(
        r"facescan: the cache \S*holiday.jpg: this file is not a cache of facescan and was not .*", line
    )
    assert {file.name: file.read_bytes() for file in here.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGE, other_program, text, picture])
def test_what_has_our_name_in_our_folder_is_set_aside(here, capfd, cache_folder, damage):
    damage(cache_folder / "verdicts.sqlite3")
    content = (cache_folder / "verdicts.sqlite3").read_bytes()
    assert (cached(), cached()) == (0, 3)
    (aside,) = cache_folder.glob("verdicts.sqlite3.corrupt-*")
    assert aside.read_bytes() == content
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(f"verdicts.sqlite3 is damaged; it is now {aside}")


def test_an_older_cache_is_emptied(tmp_path, look, warnings):
    picture, file = write(tmp_path / "a", flat(128)), tmp_path / "kept.db"
    look(picture)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE rows")
        database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, row TEXT)")  # as it may have been
        database.execute(f"PRAGMA user_version = {cache_database.SCHEMA - 1}")
    assert from_cache(look(picture)) == [False]
    assert from_cache(look(picture)) == [True]
    assert (warnings, sorted(os.listdir(tmp_path))) == ([], ["a", "kept.db"])


def test_a_newer_cache_stays_as_it_is(tmp_path, look, warnings):
    picture, file = write(tmp_path / "a", flat(128)), tmp_path / "kept.db"
    of_version(file, cache_database.SCHEMA + 1)
    content = file.read_bytes()
    assert from_cache(look(picture)) == [False]
    assert file.read_bytes() == content
    assert warnings == [
        f"warning: the cache {file} cannot be used: it is of a newer version of facescan; scanning without it"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_set_aside(tmp_path, look, warnings, damage):
    picture, file = write(tmp_path / "a", flat(128)), tmp_path / "kept.db"
    damage(file)
    content = file.read_bytes()
    (row,) = look(picture)
    assert (row.verdict, row.cached) == ("uncertain", False)
    (aside,) = tmp_path.glob("kept.db.corrupt-*")
    assert aside.read_bytes() == content
    (warning,) = warnings
    assert str(aside) in warning
    assert from_cache(look(picture)) == [True]
    assert len(warnings) == 1


@pytest.mark.slow
def test_damage_that_shows_when_a_row_is_looked_for(tmp_path, look, warnings):
    files = [write(tmp_path / f"{i:03}", flat(i % 250 + 1) + b"%d" % i) for i in range(300)]
    before, file = look(*files), tmp_path / "kept.db"
    with file.open("r+b") as stream:
        size = file.stat().st_size
        stream.seek(size // 3)
        stream.write(b"\xa5" * (size // 3))
    after = look(*files)
    assert after == before
    assert not all(from_cache(after))
    (warning,) = warnings
    assert "kept.db is damaged; it is now " in warning
    assert look(*files) == before
    assert all(from_cache(look(*files)))
    assert len(warnings) == 1


ODD_ROWS = [
    b"",
    b"{}",
    b"[1]",
    b"\xff",
    b"[" * 100_000,
    b'{"verdict":"real","faces":[{}]}',
    {"verdict": "perhaps"},
    {"verdict": ["real"]},
    {"verdict": "error"},  # with a score
    {"verdict": "no_face"},
    {"p_fake": 7.026},
    {"p_fake": -0.1},
    {"p_fake": float("nan")},
    {"p_fake": "0.5"},
    {"p_fake": None, "verdict": "fake"},
    {"p_fake": True},
    {"bytes": "many"},
    {"bytes": -1},
    {"width": 1.5},
    {"n_faces": 2**70},
    {"reason": 7},
    {"format": None},
    {"surprise": 1},
    {"faces": {}},
    {"faces": [[[1, 2, 3], 0.9, 0.5, None]]},
    {"faces": [[[1, 2, 3, "4"], 0.9, 0.5, None]]},
    {"faces": [[[1, 2, 3, 4], 9, 0.5, None]]},
    {"faces": [[[1, 2, 3, 4], 0.9, 5, None]]},
    {"faces": [[[1, 2, 3, 4], 0.9, 0.5, {"toy": "high"}]]},
    {"faces": [[[1, 2, 3, 4], 0.9, 0.5, [1]]]},
    {"ela": [90, 1.0]},
    {"ela": [90, None, 1.0, None, None]},
    {"ela": [90, 1e9, 1.0, None, None]},
    {"provenance": 1},
    {"provenance": {"mbrks": []}},
    {"provenance": {"marks": 10}},
    {"provenance": {"marks": [{"kind": "png_text"}]}},
    {"provenance": {"marks": [{"kind": "k", "where": "w", "value": "v", "means": 1, "generator": None}]}},
]


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD_ROWS, ids=lambda odd: str(odd)[:60])
@pytest.mark.parametrize("summed", [False, True], ids=["changed", "written so"])
def test_rows_that_no_scan_makes_are_judged_again(tmp_path, look, brightness, warnings, odd, summed):
    """Whether something changed them, or, with a right checksum, a version of ours wrote them so."""
    told = Settings("toy")
    picture = write(tmp_path / "a", flat(128))
    before = look(picture)
    with closing(sqlite3.connect(tmp_path / "kept.db")) as database, database:
        ((sha256, text, checksum),) = database.execute("SELECT sha256, row, checksum FROM rows")
        text = odd if isinstance(odd, bytes) else json.dumps({**json.loads(text), **odd}).encode()
        if summed:
            checksum = row_checksum(scope_key(json.dumps(scope(brightness, told), sort_keys=True)), sha256, text)
        database.execute("UPDATE rows SET row = ?, checksum = ?", (text, checksum))
    after = look(picture)
    assert (after, from_cache(after)) == (before, [False])
    assert from_cache(look(picture)) == [True]
    assert not warnings


@pytest.mark.slow
@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("seeds", [range(start, start + 10) for start in range(0, 100, 10)], ids=str)
def test_random_damage_costs_no_row_and_is_no_internal_error(tmp_path, seeds):
    """`python -m tests.damaged_cache` does it a thousand times."""
    found = dict(damaged_cache.outcomes(damaged_cache.Ground(tmp_path), seeds))
    assert {seed: outcome for seed, outcome in found.items() if outcome.startswith("wrong")} == {}


SWAPS = {
    "the hash of a row": """
        UPDATE rows SET sha256 = x'00' || substr(sha256, 2) WHERE id = 1;
        UPDATE rows SET sha256 = (SELECT sha256 FROM was) WHERE id = 2""",
    "the hash of a file": "UPDATE files SET sha256 = (SELECT sha256 FROM rows WHERE id = 2) WHERE id = 1",
    "the path and look of a file": """
        UPDATE files SET path = x'00' WHERE id = 1;
        UPDATE files SET path = (SELECT path FROM was), state = (SELECT state FROM was) WHERE id = 2""",
    "a scope": "UPDATE scopes SET id = id + 100; UPDATE rows SET scope = scope + 100 WHERE id = 2",
}


@pytest.mark.slow
@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS.keys())
@pytest.mark.usefixtures("settled")
def test_a_row_that_is_found_under_anothers_key_is_not_believed(tmp_path, look, swap):
    files = [write(tmp_path / "a", flat(50)), write(tmp_path / "b", flat(200))]
    before = look(*files)
    assert from_cache(look(*files)) == [True, True]
    with closing(sqlite3.connect(tmp_path / "kept.db")) as database, database:
        database.execute("CREATE TEMP TABLE was AS SELECT * FROM files WHERE id = 1")
        for statement in swap.split(";"):
            database.execute(statement)
    assert look(*files) == before


def test_a_row_of_one_model_is_not_anothers(tmp_path, look, face_brightness):
    """A damaged table of scopes has the rows of one under the number of the other."""
    picture = write(tmp_path / "a", flat(200))
    look(picture, detector=face_brightness)
    before = look(picture)
    with closing(sqlite3.connect(tmp_path / "kept.db")) as database, database:
        database.execute("DELETE FROM rows WHERE scope = 2")
        database.execute("UPDATE rows SET scope = 2")
    assert look(picture) == before


def test_rows_that_are_too_long_are_not_kept(tmp_path):
    row = Result("a", Verdict.NO_FACE, sha256="ab" * 32, faces=(Face((1, 2, 3, 4), 0.5),) * 100_000)
    with Cache(str(tmp_path / "kept.db"), {}, warn=pytest.fail) as cache:
        cache.store([(row, None), (replace(row, sha256="cd" * 32, faces=()), None)])
        assert cache.by_content("ab" * 32) is None
        assert cache.by_content("cd" * 32)


@pytest.mark.parametrize("place", ["folder", "file/kept.db", "/dev/null", "/proc/facescan/kept.db", "/proc/kept.db"])
def test_where_no_cache_can_be(tmp_path, brightness, warnings, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    told = Settings("toy")
    found = [Candidate(str(write(tmp_path / "a", flat(128))))]
    with Cache(place, scope(brightness, told), warn=warnings.append) as cache:
        (row,) = scan(found, brightness, choose(brightness.card), told, cache=cache)
    assert row.verdict is Verdict.UNCERTAIN
    (warning,) = warnings
    assert "cannot be used: " in warning
    assert warning.endswith("; scanning without it")
    assert sorted(os.listdir(tmp_path)) == ["a", "file", "folder"]
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o444, None])
def test_a_cache_that_may_not_be_written(warnings, mode):
    """Somebody else's, or in a folder where we may write nothing."""
    row = Result("a", Verdict.REAL, 0.1, sha256="ab" * 32)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kept.db")
        if mode is not None:
            with Cache(str(file), {}, warn=pytest.fail) as cache:
                cache.store([(row, None)])
            file.chmod(mode)
        file.parent.chmod(0o555)
        me = os.geteuid()
        if me == 0:  # root may write everywhere
            os.seteuid(65534)
        try:
            with Cache(str(file), {}, warn=warnings.append) as cache:
                cache.store([(row, None)])
                assert cache.by_content(row.sha256) is None
        finally:
            os.seteuid(me)
            file.parent.chmod(0o755)
    assert warnings == [f"warning: the cache {file} cannot be used: Permission denied; scanning without it"]


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_cache_that_somebody_keeps_locked(tmp_path, look, brightness, warnings, monkeypatch, lock, when):
    monkeypatch.setattr(cache_database, "LOCK_TIMEOUT_S", 0.01)
    files = [write(tmp_path / f"{i}", flat(100 + i)) for i in range(30)]
    look(files[0])
    with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as other:
        if when == "before":
            other.execute(lock)
            rows = look(*files)
        else:
            told = Settings("toy", workers=1, batch_size=1)
            with Cache(str(tmp_path / "kept.db"), scope(brightness, told), warn=warnings.append) as cache:
                found = (Candidate(str(file)) for file in files)
                results = scan(found, brightness, choose(brightness.card), told, cache=cache)
                rows = [next(results)]
                other.execute(lock)
                rows += results
    assert [row.p_fake for row in rows] == [round((100 + i) / 255, 4) for i in range(30)]
    (warning,) = warnings
    assert "database is locked; scanning without it" in warning


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 20_000, 60_000, 150_000])
def test_a_full_disk(tmp_path, look, brightness, warnings, room):
    files = [write(tmp_path / f"{i}", flat(i % 250 + 1) + b"%d" % i) for i in range(500)]
    fresh = list(scan((Candidate(str(f)) for f in files), brightness, choose(brightness.card), Settings("toy")))
    with full_disk(room):
        assert look(*files) == fresh
    assert len(warnings) == 1
    assert look(*files) == fresh
    assert all(from_cache(look(*files)))
    assert len(warnings) == 1


def test_a_process_without_room_scans(tmp_path, facescan, toy, cache_folder):
    """As above, with everything that a process brings along."""
    write(tmp_path / "a.png", flat(200))
    with full_disk(10_000):
        # Nor is there room for what coverage would write.
        done = facescan("a.png", "--model", toy, "--out", "r.csv", "-q", COVERAGE_PROCESS_CONFIG="")
    assert (done.returncode, (tmp_path / "r.csv").read_text().count("a.png,fake")) == (1, 1)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"facescan: warning: the cache {cache_folder}/verdicts.sqlite3 cannot be used: ")


def test_what_was_stored_first_is_dropped_first(tmp_path, look, monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_ROWS", 3)
    files = [write(tmp_path / f"{i}", flat(100 + i)) for i in range(5)]
    look(*files)
    assert from_cache(look(*files)) == [False, False, True, True, True]


# Where it lies, and what it tells


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_nobody_else_may_look(tmp_path, brightness):
    told = Settings("toy")
    file = tmp_path / "new" / "kept.db"
    picture = write(tmp_path / "the_name_of_a_picture.png", flat(128))
    with Cache(str(file), scope(brightness, told), warn=pytest.fail) as cache:
        found = [Candidate(str(picture))]
        assert list(scan(found, brightness, choose(brightness.card), told, cache=cache))
        assert {f"{name.stat().st_mode & 0o777:o}" for name in file.parent.iterdir()} == {"600"}
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert b"the_name_of_a_picture" not in file.read_bytes()


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"FACESCAN_CACHE_DIR": "/here", "XDG_CACHE_HOME": "/there"}, "/here/verdicts.sqlite3"),
        ({"XDG_CACHE_HOME": "/there"}, "/there/facescan/verdicts.sqlite3"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/facescan/verdicts.sqlite3"),
        ({"HOME": "/home/me"}, "/home/me/.cache/facescan/verdicts.sqlite3"),
        ({"HOME": "relative"}, None),
    ],
)
def test_the_place(monkeypatch, variables, place):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("FACESCAN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_file() == place


@pytest.mark.parametrize(
    ("platform", "place"),
    [("darwin", "/me/Library/Caches/facescan/verdicts.sqlite3"), ("win32", "/local/facescan/verdicts.sqlite3")],
)
def test_the_place_on_other_systems(monkeypatch, platform, place):
    monkeypatch.delenv("FACESCAN_CACHE_DIR")
    monkeypatch.setenv("HOME", "/me")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_file() == place


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    for level in (50, 128, 200):
        write(tmp_path / f"{level}.png", flat(level))
    return tmp_path


def cached(*options: str) -> int:
    assert main([".", "-q", "--exit-zero", "--out", "r.csv", "--summary", "s.json", *options]) == 0
    with open("r.csv", newline="") as table:
        assert [row["path"] for row in csv.DictReader(table)] == ["./128.png", "./200.png", "./50.png"]
    return json.loads(Path("s.json").read_text())["summary"]["cached"]


@pytest.mark.slow
def test_the_options(here, monkeypatch, cache_folder):
    assert (cached("--no-cache"), cached("--no-cache"), os.listdir(cache_folder)) == (0, 0, [])
    assert (cached(), cached(), os.listdir(cache_folder)) == (0, 3, ["verdicts.sqlite3"])
    assert (cached("--cache", "mine"), cached("--cache", "mine")) == (0, 3)
    monkeypatch.setenv("FACESCAN_CACHE", "other")
    assert (cached(), cached(), Path("other").is_file()) == (0, 3, True)
    monkeypatch.delenv("FACESCAN_CACHE")
    monkeypatch.setenv("FACESCAN_NO_CACHE", "1")
    assert (cached(), cached("--cache", "mine")) == (0, 3)
    monkeypatch.delenv("FACESCAN_NO_CACHE")
    Path("mine.toml").write_text('[tool.facescan]\ncache = "third"')
    monkeypatch.setenv("FACESCAN_CONFIG", "mine.toml")
    assert (cached(), cached(), cached("--no-cache"), Path("third").is_file()) == (0, 3, 0, True)


def test_options_that_contradict_each_other(here, capfd):
    assert main([".", "--cache", "x", "--no-cache"]) == 2
    assert "--cache and --no-cache exclude each other: give one." in capfd.readouterr().err
    for option in ("--out", "--summary", "--report", "--files-from", "--baseline", "--ela-dir", "--explain"):
        assert main([".", "--cache", "x.json", option, "./x.json"]) == 2
        assert re.search(
            rf"(--cache|{option}) \S+: is the same file as (--cache|{option}) \S+; name another$",
            capfd.readouterr().err,
        )
    assert sorted(os.listdir()) == ["128.png", "200.png", "50.png"]


def test_the_cache_is_never_scanned(here):
    options = ("--include", "*", "--cache", "kept.png", "--exclude", "?.csv", "--exclude", "s.json")
    assert [cached(*options), cached(*options)] == [0, 3]


@pytest.mark.slow
@pytest.mark.usefixtures("settled")
def test_info_and_clear(here, capfd, cache_folder):
    file = cache_folder / "verdicts.sqlite3"

    def said(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capfd.readouterr().out

    assert said("--cache-info") == said("--cache-clear") == f"no cache at {file}\n"
    assert not file.exists()
    cached()
    lines = dict(line.split(maxsplit=1) for line in said("--cache-info").splitlines())
    assert (lines["cache"], lines["rows"], lines["model"]) == (str(file), "3, of 3 files", "toy 1: 3 rows")
    assert lines["size"] == f"{file.stat().st_size:,} bytes"
    assert lines["oldest"] <= lines["newest"]
    assert said("--cache-clear") == f"removed 3 rows from {file}\n"
    assert "rows       0, of 0 files\n" in said("--cache-info")
    assert (cached(), cached()) == (0, 3)
    assert said("--cache-clear", "--cache", str(file)) == f"removed 3 rows from {file}\n"


@pytest.mark.parametrize("option", ["--cache-info", "--cache-clear"])
def test_what_is_no_cache_is_left_alone_by_those_who_only_look(here, capfd, option):
    with closing(sqlite3.connect("app.sqlite")) as database:
        database.execute("CREATE TABLE precious (x)")
    Path("text").write_text("hello, this is no database, but it is longer than the header of one is: " * 9)
    Path("folder").mkdir()
    cut(here / "damaged")
    before = {name: Path(name).read_bytes() for name in ("app.sqlite", "text", "damaged")}
    for name, says in (
        ("app.sqlite", ": this file is not a cache of facescan and was not changed; name another with --cache"),
        ("text", ": this file is not a cache of facescan and was not changed; name another with --cache"),
        ("damaged", " is damaged: the next scan will set it aside; or name another with --cache"),
        ("folder", " cannot be used: not a regular file"),
    ):
        assert main([option, "--cache", name]) == 2
        assert capfd.readouterr() == ("", f"facescan: the cache {here / name}{says}\n")
    assert before == {name: Path(name).read_bytes() for name in before}
    assert not list(here.glob("*.corrupt-*"))


def test_cleared_in_the_middle_of_a_scan(tmp_path, look, brightness, face_brightness, warnings):
    """The rows of one model must not become those of another."""
    first, second = write(tmp_path / "a", flat(100)), write(tmp_path / "b", flat(101))
    told = Settings("toy", workers=1, batch_size=1)
    with Cache(str(tmp_path / "kept.db"), scope(brightness, told), warn=warnings.append) as cache:
        assert list(scan([Candidate(str(first))], brightness, choose(brightness.card), told, cache=cache))
        with Cache(str(tmp_path / "kept.db")) as other:
            assert other.clear() == 1
        look(first, detector=face_brightness)
        assert list(scan([Candidate(str(second))], brightness, choose(brightness.card), told, cache=cache))
    assert from_cache(look(second, detector=face_brightness)) == [False]
    assert from_cache(look(second)) == [True]
    assert not warnings


@pytest.mark.slow
@in_processes
@pytest.mark.parametrize(("fault", "reason"), [("crash", "decoder_crashed"), ("hang", "decode_timeout")])
@pytest.mark.parametrize("age", [0, YEAR])
def test_what_ends_a_process_is_remembered_for_the_same_limits(tmp_path, toy, monkeypatch, fault, reason, age):
    """By its content, and where it did not change, by its file."""
    attempts, file = tmp_path / "attempts", write(tmp_path / "a.png", flat(51), age)
    decode = examine.decode

    def fails(data: bytes, *limits: object) -> object:
        with attempts.open("ab") as log:
            log.write(b".")
        if fault == "none":
            return decode(data, *limits)
        return os.abort() if fault == "crash" else signal.pause()

    def scan(*options: str) -> tuple[str, int]:
        """The reason in the row, and how often it was tried to decode the picture."""
        attempts.write_bytes(b"")
        limits = options if "--timeout" in options else ("--timeout", "1", *options)
        main([str(file), "--model", str(toy), "-o", str(tmp_path / "r.csv"), "-q", *limits])
        (row,) = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
        assert (len(row["sha256"]), row["bytes"]) == (64, str(file.stat().st_size))
        return row["reason"], attempts.stat().st_size

    monkeypatch.setattr(examine, "decode", fails)
    assert scan() == (reason, 1)
    assert scan() == (reason, 0)
    assert scan("--threshold", "0.9") == (reason, 0)
    assert scan("--max-memory", "3G") == (reason, 1)
    assert scan("--timeout", "2") == (reason, 1)
    assert scan("--no-cache") == (reason, 1)
    fault = "none"
    assert scan("--timeout", "2") == (reason, 0)
    assert scan("--timeout", "30") == ("image", 1)
    assert scan("--timeout", "2") == ("image", 0)
