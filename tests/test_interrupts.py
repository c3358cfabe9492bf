"""Signals, readers that go away, and terminals: what is left behind, and what is said about it."""

from __future__ import annotations

import csv
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.outputs import YESTERDAY
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, pipes and terminals")
pty, termios, fcntl = (pytest.importorskip(name) for name in ("pty", "termios", "fcntl"))

COUNT = 600  # several seconds of face finding: what happens here, happens in the middle of it


@pytest.fixture(scope="module")
def uploads(tmp_path_factory, examples) -> Path:
    """One portrait under six hundred names."""
    folder = tmp_path_factory.mktemp("many") / "uploads"
    folder.mkdir()
    first = folder / "000.jpg"
    first.write_bytes((examples / "real_astronaut.jpg").read_bytes())
    for i in range(1, COUNT):
        os.link(first, folder / f"{i:03}.jpg")
    return folder


def start(folder: Path, *arguments: str | Path, **streams) -> subprocess.Popen[bytes]:
    """The command, in `folder`, with standard error to be read, judging the one portrait again under every name."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    call = [sys.executable, "-m", "scanner", *arguments]
    environment = clean_environment() | {"FACESCAN_NO_CACHE": "1"}
    return subprocess.Popen(call, cwd=folder, env=environment, **streams)


def await_rows(process: subprocess.Popen[bytes], file: Path, count: int = 5) -> int:
    """Wait until a file that is being written has at least `count` rows; how many it has."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            code = process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            rows = file.read_bytes().count(b"jpg") if file.exists() else 0
            if rows >= count:
                return rows
        else:
            pytest.fail(f"ended with {code} before it could be interrupted: {process.stderr.read().decode()}")
    process.kill()
    pytest.fail(f"{file.name} never had {count} rows")


def csv_paths(file: Path) -> list[str]:
    text = file.read_text()
    assert text.endswith("\n")
    table = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert all(row["verdict"] == "uncertain" and len(row["sha256"]) == 64 and row["reason"] for row in table)
    return [row["path"] for row in table]


WALKED = [f"uploads/{i:03}.jpg" for i in range(COUNT)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_scan_keeps_what_is_done(uploads, toy_for_faces, number):
    here = uploads.parent
    table, whole, summary = (here / f"{number.name}.{suffix}" for suffix in ("csv", "json", "md"))
    for file in (table, whole):
        file.write_text(YESTERDAY)
    process = start(here, "uploads", "--model", toy_for_faces, "-o", table, "-o", whole, "--summary", summary)
    seen = await_rows(process, Path(f"{table}.partial"))
    process.send_signal(number)
    out, said = process.communicate()
    assert (process.returncode, out) == (130, b"")

    done = csv_paths(Path(f"{table}.partial"))
    assert seen <= len(done) < COUNT
    assert done == WALKED[: len(done)]
    kept = json.loads(Path(f"{whole}.partial").read_text())
    assert [row["path"] for row in kept["results"]] == done
    assert kept["summary"]["files"] == len(done)
    assert said.decode() == f"facescan: interrupted after {len(done)} rows, kept in {table}.partial, {whole}.partial\n"
    assert [file.read_text() for file in (table, whole)] == [YESTERDAY] * 2
    assert not summary.exists()


@pytest.mark.slow
@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 3], ids=str)
def test_every_output_of_an_interrupted_scan_is_whole(uploads, toy_for_faces, tmp_path, numbers):
    """Also for somebody who presses Ctrl-C until it is over."""
    pytest.importorskip("jinja2", reason="needs the extra report")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    names = ["r.csv", "r.json", "r.jsonl", "r.txt", "r.parquet", "r.sarif"]
    outs = [word for name in names for word in ("-o", tmp_path / name)]
    report = tmp_path / "r.html"
    options = ["--model", toy_for_faces, "--fail-on", "uncertain", "--report", report]
    process = start(uploads.parent, "uploads", *options, *outs)
    await_rows(process, tmp_path / "r.csv.partial")
    for number in numbers:
        process.send_signal(number)
    _, said = process.communicate()
    assert (process.returncode, len(said.splitlines())) == (130, 1), said

    kept = {name: tmp_path / f"{name}.partial" for name in [*names, "r.html"]}
    assert sorted(os.listdir(tmp_path)) == sorted(file.name for file in kept.values())
    done = csv_paths(kept["r.csv"])
    assert done == WALKED[: len(done)] != []
    assert [row["path"] for row in json.loads(kept["r.json"].read_text())["results"]] == done
    assert [json.loads(line)["path"] for line in kept["r.jsonl"].read_text().splitlines()] == done
    assert [line.split()[2] for line in kept["r.txt"].read_text().splitlines()] == done
    assert parquet.read_table(kept["r.parquet"]).column("path").to_pylist() == done
    (run,) = json.loads(kept["r.sarif"].read_text())["runs"]
    assert (len(run["results"]), run["invocations"][0]["executionSuccessful"]) == (len(done), False)
    page = kept["r.html"].read_text()
    assert "This scan was interrupted." in page
    assert page.rstrip().endswith("</html>")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_waiting_for_names(uploads, toy_for_faces, number):
    out = uploads.parent / f"waiting-{number.name}.csv"
    process = start(uploads.parent, "--files-from", "-", "--model", toy_for_faces, "-o", out, stdin=subprocess.PIPE)
    process.stdin.write("\n".join([*WALKED[:100], ""]).encode())
    process.stdin.flush()
    await_rows(process, Path(f"{out}.partial"), count=50)
    process.send_signal(number)
    process.wait(timeout=60)
    said = process.stderr.read().decode()
    process.communicate()
    assert (process.returncode, len(said.splitlines())) == (130, 1)
    assert said.startswith("facescan: interrupted after ")


def hang_up(streams: dict[str, int], folder: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """The command, at the terminal that its streams are: it gets a SIGHUP when that goes away."""

    def control() -> None:
        fcntl.ioctl(next(iter(streams.values())), termios.TIOCSCTTY, 0)

    return start(folder, *arguments, start_new_session=True, preexec_fn=control, **streams)


@pytest.mark.slow
def test_the_terminal_goes_away(uploads, toy_for_faces):
    """A lost ssh connection: JSON and Parquet are whole, though nobody can be told."""
    pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    here = uploads.parent
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    options = ["uploads", "--model", toy_for_faces, "-o", "lost.jsonl", "-o", "lost.json", "-o", "lost.parquet"]
    process = hang_up({"stdin": theirs, "stdout": theirs, "stderr": theirs}, here, *options)
    os.close(theirs)
    await_rows(process, here / "lost.jsonl.partial")
    os.close(ours)
    assert process.wait(timeout=60) == 130
    kept = json.loads((here / "lost.json.partial").read_text())["results"]
    assert [row["path"] for row in kept] == WALKED[: len(kept)]
    assert pq.read_table(here / "lost.parquet.partial").num_rows == len(kept) >= 5


@pytest.mark.slow
def test_nohup_outlives_the_terminal(uploads, toy):
    """Who has SIGHUP ignored wants the scan to go on."""
    here = uploads.parent
    call = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "scanner", "uploads", "-q"]
    environment = clean_environment() | {"FACESCAN_NO_CACHE": "1", "FACESCAN_MODEL": str(toy)}
    process = subprocess.Popen([*call, "-o", "on.csv"], cwd=here, env=environment, stderr=subprocess.PIPE)
    await_rows(process, here / "on.csv.partial")
    process.send_signal(signal.SIGHUP)
    assert process.communicate() == (None, b"")
    assert process.returncode == 0
    assert csv_paths(here / "on.csv") == WALKED


@pytest.mark.slow
def test_a_row_does_not_wait_for_the_next_name(uploads, toy_for_faces):
    """`inotifywait --monitor ... | facescan --files-from - | ...`: who writes the list may wait for the answer."""
    options = ["--files-from", "-", "--model", toy_for_faces, "-o", "-", "--format", "jsonl"]
    process = start(uploads.parent, *options, stdin=subprocess.PIPE)
    answers = []
    try:
        for name in WALKED[:3]:
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready, f"no row for {name}"
            answers.append(json.loads(process.stdout.readline())["path"])
        assert process.poll() is None
    finally:
        process.communicate()
    assert (answers, process.returncode) == (WALKED[:3], 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs F_SETPIPE_SZ")
@pytest.mark.parametrize("format", ["csv", "json"])
def test_interrupted_while_a_reader_takes_its_time(uploads, toy, format):
    """`facescan --out - | less`, which has filled its screen."""
    out = uploads.parent / f"slow-{format}.csv"
    process = start(uploads.parent, "uploads", "--model", toy, "-o", out, "-o", "-", "--format", format)
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    before, rows = 0, await_rows(process, Path(f"{out}.partial"))
    while rows > before:  # until the pipe is full
        before, rows = rows, await_rows(process, Path(f"{out}.partial"), rows)
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(timeout=10) == 130
        done = len(csv_paths(Path(f"{out}.partial")))
        assert process.stderr.read().decode() == f"facescan: interrupted after {done} rows, kept in {out}.partial\n"
    finally:
        process.kill()
        process.communicate()


def test_interrupted_twice_is_still_interrupted(uploads, toy_for_faces):
    process = start(uploads.parent, "uploads", "--model", toy_for_faces, "--out", "twice.csv")
    await_rows(process, uploads.parent / "twice.csv.partial")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in said


def test_a_killed_scan_leaves_its_rows(uploads, toy_for_faces):
    here = uploads.parent
    (here / "k.csv").write_text(YESTERDAY)
    process = start(here, "uploads", "--model", toy_for_faces, "--out", "k.csv")
    seen = await_rows(process, here / "k.csv.partial")
    process.kill()
    process.communicate()
    done = csv_paths(here / "k.csv.partial")
    assert process.returncode == -signal.SIGKILL
    assert len(done) >= seen
    assert done == WALKED[: len(done)]
    assert (here / "k.csv").read_text() == YESTERDAY


@pytest.mark.slow
@pytest.mark.parametrize("format", ["csv", "json", "text"])
def test_a_reader_that_has_seen_enough(uploads, toy, format):
    process = start(uploads.parent, "uploads", "--model", toy, "--region", "face", "--format", format)
    assert process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(), said) == (141, "")


def test_a_reader_that_has_seen_enough_costs_a_file_its_other_rows(uploads, toy):
    """Which has to be said; what is done is kept as in every other scan that does not end."""
    process = start(uploads.parent, "uploads", "--model", toy, "--region", "face", "--out", "-", "--out", "r.csv")
    assert process.stdout.readline().startswith(b"path,")
    assert process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    kept = uploads.parent / "r.csv.partial"
    rows = len(csv_paths(kept))
    assert process.wait() == 141
    assert said == f"facescan: standard output was closed by its reader after {rows} rows, kept in {kept}\n"
    assert 0 < rows < len(WALKED)


@pytest.fixture
def picture(tmp_path) -> Path:
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["a.png", "--quiet"], ["a.png", "--format", "json"]])
def test_a_reader_that_was_never_there(picture, toy, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(picture, *arguments, "--model", toy, stdout=writing)
    os.close(writing)
    _, said = process.communicate()
    assert (process.returncode, said) == (141, b"")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["a.png"], ["a.png", "--out", "-"], ["--help"]])
def test_standard_output_on_a_full_disk(picture, toy, arguments):
    with open("/dev/full", "wb") as full:
        process = start(picture, *arguments, "--model", toy, stdout=full)
    _, said = process.communicate()
    assert process.returncode == 2
    assert b"No space left on device" in said
    assert b"Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter_to_files(picture, toy, closed):
    command = f'exec "$0" -m scanner a.png --model "$1" --out r.csv {closed}'
    call = ["/bin/sh", "-c", command, sys.executable, str(toy)]
    done = subprocess.run(call, cwd=picture, env=clean_environment(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"Traceback" not in done.stderr
    assert (picture / "r.csv").read_text().count("a.png,uncertain") == 1


@pytest.mark.parametrize("arguments", ["-", "--files-from -", "a.png --files-from - --out r.csv"])
def test_standard_input_that_is_closed_cannot_be_read(picture, toy, arguments):
    call = ["/bin/sh", "-c", f'exec "$0" -m scanner {arguments} --model "$1" <&-', sys.executable, str(toy)]
    done = subprocess.run(call, cwd=picture, env=clean_environment(), capture_output=True, check=False)
    said = b"facescan: standard input is closed: name files, or say what - is to read\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


@pytest.fixture(params=["a full disk", "nobody"])
def unheard(request):
    """A standard error that cannot be written to."""
    if request.param == "nobody":
        reading, writing = os.pipe()
        os.close(reading)
    elif not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    yield writing
    os.close(writing)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [("a.png --summary s.md", 0), ("a.png --threshold 0", 1), ("a.png --out r.csv --bad", 2), ("a.png --out r.x", 2)],
)
def test_nobody_listens_and_the_exit_code_is_the_same(picture, toy, unheard, arguments, code):
    process = start(picture, *arguments.split(), "--model", toy, stderr=unheard)
    process.communicate()
    assert process.returncode == code
    assert (picture / "s.md").exists() == ("s.md" in arguments)


@pytest.mark.slow
def test_nobody_listens_and_the_rows_that_are_kept_are_whole(picture, toy, unheard):
    process = start(picture, "a.png", "-v", "--fail-on", "uncertain", "--model", toy, "-o", "r.json", stderr=unheard)
    process.communicate()
    assert process.returncode == 2
    assert [row["path"] for row in json.loads((picture / "r.json.partial").read_text())["results"]] == ["a.png"]


def on_a_terminal(folder: Path, *arguments: str | Path, **variables: str) -> tuple[int, str]:
    """Exit code, and what a terminal that is standard error shows."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    call = [sys.executable, "-m", "scanner", *arguments]
    environment = clean_environment() | {"TERM": "xterm"} | variables
    process = subprocess.Popen(call, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side has closed
            block = b""
        if not block:
            break
        shown += block
    os.close(ours)
    return process.wait(), shown.decode()


@pytest.mark.slow
def test_a_terminal_shows_a_bar_unless_told_not_to(uploads, toy, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for i in range(40):
        os.link(uploads / f"{i:03}.jpg", few / f"{i:03}.jpg")
    scan = ("few", "--model", toy, "--out", "r.csv", "--region", "face")
    code, shown = on_a_terminal(tmp_path, *scan)
    assert code == 0
    assert "40/40" in shown
    assert "0 findings" in shown
    assert "\x1b[32mreal" in shown  # the summary, in colour
    assert on_a_terminal(tmp_path, *scan, "--quiet") == (0, "")
    code, shown = on_a_terminal(tmp_path, *scan, CI="1")
    assert "files/s" not in shown
    assert "real" in shown
    assert "\x1b[32m" not in on_a_terminal(tmp_path, *scan, NO_COLOR="1")[1]


@pytest.mark.slow
def test_findings_are_named_above_the_bar(picture, toy):
    code, shown = on_a_terminal(picture, "a.png", "--model", toy, "--verbose", "--threshold", "0.4")
    assert code == 1
    assert "fake      0.4482  a.png\r\n" in shown


@pytest.mark.slow
def test_the_bar_leaves_a_list_that_can_be_read_once_to_the_scan(uploads, toy, tmp_path):
    """`facescan --files-from <(find ...)` on a terminal: counting ahead would eat the names."""
    os.mkfifo(tmp_path / "names")
    names = "".join(f"{uploads / f'{i:03}.jpg'}\n" for i in range(40))
    writing = threading.Thread(target=(tmp_path / "names").write_text, args=(names,), daemon=True)
    writing.start()
    on_a_terminal(tmp_path, "--files-from", "names", "--model", toy, "--out", "r.csv")
    assert csv_paths(tmp_path / "r.csv") == names.split()


@pytest.mark.slow
def test_the_bar_counts_no_urls(picture, toy):
    """Listing a prefix twice costs money; what is wrong with a URL is said once, by the scan."""
    scan = ("--files-from", "names", "--model", toy, "--out", "r.csv")
    shutil.copy(picture / "a.png", picture / "b.png")
    (picture / "names").write_text("a.png\nb.png\n")
    assert "2/2" in on_a_terminal(picture, *scan)[1]
    pytest.importorskip("fsspec", reason="needs the extra cloud")
    (picture / "names").write_text("a.png\nhttps://nowhere.invalid/a.png\n")
    code, shown = on_a_terminal(picture, *scan)
    assert (code, "2 files" in shown, "2/2" in shown) == (2, True, False)
    (picture / "names").write_text("a.png\ns3://user:secret@bucket/prefix\n")
    code, shown = on_a_terminal(picture, *scan)
    assert (code, shown.count("a URL must not hold a password"), "Traceback" in shown) == (2, 1, False)
