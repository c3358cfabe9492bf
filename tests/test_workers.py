"""Decoders that crash, hang and eat memory, injected into the processes that would run them; and what it costs."""

from __future__ import annotations

import hashlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.detector.model import Detector
from scanner.detector.thresholds import choose
from scanner.engine import examine, serving, workers
from scanner.engine.pipeline import scan
from scanner.errors import FacescanError
from scanner.files.candidate import Candidate
from scanner.imaging import decode as decoding
from scanner.result import Result
from scanner.settings import Settings
from scanner.system.allocator import processes_killed_for_memory
from tests.conftest import clean_environment
from tests.pictures import encode, tiff_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are injected by forking a patched process")

GOOD = encode(np.full((30, 40, 3), 51, np.uint8), "PNG")


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fill_memory() -> None:
    np.ones(2**32, np.uint8)


def hang() -> None:
    signal.pause()


# What is at the end of a file that is bad -> what its decoder does, and the reason in its row.
FAULTS: dict[bytes, tuple[Callable[[], object], str]] = {
    b"segfault": (segfault, "decoder_crashed"),
    b"abort": (os.abort, "decoder_crashed"),
    b"exit": (lambda: os._exit(0), "decoder_crashed"),
    b"hang": (hang, "decode_timeout"),
    b"spin": (lambda: all(iter(lambda: True, False)), "decode_timeout"),
    b"memory": (fill_memory, "out_of_memory"),
    b"killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), "out_of_memory"),
}


@pytest.fixture
def faulty(monkeypatch) -> None:
    """The decoder does what the end of a file says."""

    def decode(data: bytes, *limits: object) -> decoding.Decoded:
        for word, (fault, _) in FAULTS.items():
            if data.endswith(word):
                fault()
        return decoding.decode(data, *limits)

    monkeypatch.setattr(examine, "decode", decode)


def look(files: list[Path], detector: Detector, **options: int) -> list[Result]:
    told = Settings("toy", **{"timeout": 1, "max_memory": 2**28, **options})
    return list(scan((Candidate(str(file)) for file in files), detector, choose(detector.card), told))


def write(folder: Path, names: list[str]) -> list[Path]:
    """Files that are all the same picture, but for those that are named after a fault."""
    files = []
    for i, name in enumerate(names):
        files.append(folder / f"{i:03}-{name}")
        files[-1].write_bytes(GOOD + name.encode())
    return files


@pytest.mark.slow
@pytest.mark.parametrize("word", FAULTS, ids=bytes.decode)
@pytest.mark.parametrize("count", [1, 2])
def test_a_fault_costs_one_picture(tmp_path, faulty, brightness, word, count):
    names = ["good"] * 40
    names[20] = word.decode()
    files = write(tmp_path, names)
    rows = look(files, brightness, workers=count)
    assert [row.path for row in rows] == [str(file) for file in files]
    bad = rows.pop(20)
    assert (bad.verdict, bad.reason, bad.p_fake) == ("error", FAULTS[word][1], None)
    assert {(row.verdict, row.p_fake, row.reason) for row in rows} == {("real", 0.2, "image")}


@pytest.mark.slow
def test_faults_all_over(tmp_path, faulty, brightness):
    words = [word.decode() for word in FAULTS if FAULTS[word][1] != "decode_timeout"]
    names = [words[i // 3 % len(words)] if i % 3 == 0 else "good" for i in range(60)]
    files = write(tmp_path, [*names, "hang", *words])
    rows = look(files, brightness, workers=3)
    for file, row in zip(files, rows, strict=True):
        word = file.name.partition("-")[2].encode()
        assert row.path == str(file)
        assert row.reason == (FAULTS[word][1] if word in FAULTS else "image")


def test_a_picture_that_opencv_dies_of(tmp_path, brightness, monkeypatch):
    """Our own decoder refuses it; here it goes straight to OpenCV 5.0, where the size of its one tile overflows."""
    tags = {256: 60, 257: 44, 258: 64, 259: 1, 262: 2, 277: 4, 284: 1, 322: 2**24, 323: 8, 324: 8, 325: 16, 339: 1}

    def decode(data: bytes, *limits: object) -> decoding.Decoded:
        if data[:2] == b"II":
            cv2.imdecodeWithMetadata(np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED)
            return decoding.Decoded("tiff", reason="corrupt")  # a version that does not
        return decoding.decode(data, *limits)

    monkeypatch.setattr(examine, "decode", decode)
    files = write(tmp_path, ["good"] * 9)
    files[4].write_bytes(tiff_of(tags, bytes(16)))
    reasons = [row.reason for row in look(files, brightness, workers=2)]
    assert reasons.pop(4) in ("decoder_crashed", "corrupt")
    assert reasons == ["image"] * 8


def test_what_is_known_of_a_file_that_crashes_its_decoder(tmp_path, faulty, brightness):
    (file,) = write(tmp_path, ["segfault"])
    (row,) = look([file], brightness)
    content = file.read_bytes()
    assert (row.bytes, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def attempts(monkeypatch, faulty, tmp_path) -> Path:
    """A file with a line for each picture that was decoded: the end of its content."""
    log = tmp_path / "attempts"
    log.touch()
    decode = examine.decode

    def logged(data: bytes, *limits: object) -> decoding.Decoded:
        with log.open("ab") as lines:
            lines.write(data[len(GOOD) :] + b"\n")
        return decode(data, *limits)

    monkeypatch.setattr(examine, "decode", logged)
    return log


@pytest.mark.slow
@pytest.mark.parametrize("word", ["segfault", "hang"])
def test_a_picture_that_was_alone_is_not_tried_again(tmp_path, attempts, brightness, word):
    (file,) = write(tmp_path, [word])
    assert look([file], brightness, workers=1)[0].reason == FAULTS[word.encode()][1]
    assert attempts.read_text() == f"{word}\n"


@pytest.mark.slow
@pytest.mark.parametrize("word", ["segfault", "hang"])
def test_one_of_several_is_tried_once_more(tmp_path, attempts, brightness, word):
    files = write(tmp_path, [*["good"] * 50, word, *["good"] * 50])
    rows = look(files, brightness, workers=1)
    assert rows[50].reason == FAULTS[word.encode()][1]
    assert attempts.read_text().split().count(word) == 2


@pytest.mark.slow
@pytest.mark.parametrize("word", ["segfault", "hang", "killed"])
@pytest.mark.parametrize("count", [1, 3])
def test_copies_of_a_bad_picture_cost_no_more_than_one(tmp_path, attempts, brightness, word, count):
    """Each process may have begun with one of them before the first of them shows what they are."""
    names = ["good" if i % 6 else word for i in range(60)]
    rows = look(write(tmp_path, names), brightness, workers=count)
    assert [row.reason for row in rows] == ["image" if name == "good" else FAULTS[word.encode()][1] for name in names]
    assert len({(row.sha256, row.bytes) for row, name in zip(rows, names, strict=True) if name == word}) == 1
    tries = 10 if word == "killed" else 2  # somebody else may kill, which proves nothing
    assert attempts.read_text().split().count(word) <= tries + count - 1


@pytest.mark.slow
@pytest.mark.skipif(processes_killed_for_memory() is None, reason="the kernel does not say why processes are killed")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGXCPU])
def test_somebody_kills_processes(tmp_path, attempts, brightness, monkeypatch, number):
    """Not a picture's fault: it is examined again, also where it was alone, and also if that happens many times."""
    decode = examine.decode

    def killed(data: bytes, *limits: object) -> decoding.Decoded:
        picture = decode(data, *limits)
        if len(attempts.read_text().split()) % 5:
            os.kill(os.getpid(), number)
        return picture

    monkeypatch.setattr(examine, "decode", killed)
    rows = look(write(tmp_path, ["good"]) * 5, brightness, workers=1)
    assert [row.reason for row in rows] == ["image"] * 5


@pytest.mark.slow
def test_a_slow_picture_does_not_hold_the_others_up(tmp_path, faulty, brightness):
    """Rows wait for it, so that they come in order; the work goes on."""
    log = tmp_path / "log"

    def logged(path: str) -> str:
        with log.open("a") as lines:
            lines.write(f"{path}\n")
        return path

    files = write(tmp_path, ["hang", *["good"] * 200])
    found = (Candidate(logged(str(file))) for file in files)
    rows = scan(found, brightness, choose(brightness.card), Settings("toy", workers=2, timeout=1))
    assert next(rows).reason == "decode_timeout"
    assert len(log.read_text().splitlines()) == len(files)
    assert len(list(rows)) == 200


def test_while_we_are_stopped_no_time_passes(tmp_path, faulty, brightness, monkeypatch):
    """Ctrl-Z for an hour: what a process is at has not taken an hour."""
    now = time.monotonic()
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)

    class AnHourLater(selectors.PollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            nonlocal now
            now += 3600
            return [] if now % 7200 < 3600 else super().select(5)

    monkeypatch.setattr(selectors, "PollSelector", AnHourLater)
    rows = look(write(tmp_path, ["good"] * 5), brightness, workers=1, timeout=30)
    assert {row.reason for row in rows} == {"image"}


def test_large_pictures_wait_for_room(tmp_path, brightness, monkeypatch):
    """Two processes with room for a thousand pixels each: what is larger is decoded when the rest leaves it room."""
    log = tmp_path / "log"
    real_decode = examine.decode

    def logged(data: bytes, max_pixels: int, room: int | None) -> decoding.Decoded:
        decoded = real_decode(data, max_pixels, room)
        height, width = decoded.picture.shape[:2]
        for change in (width * height, -width * height):
            with log.open("a") as lines:
                lines.write(f"{change}\n")
            time.sleep(0.001)
        return decoded

    monkeypatch.setattr(examine, "decode", logged)
    monkeypatch.setattr(workers, "PIXELS_PER_WORKER", 1000)
    sides = [20, 20, 50, 20, 50, 36, 36, 36, 20, 20, 20, 100, 20, 36, 36]
    files = [tmp_path / f"{i:02}.png" for i in range(len(sides))]
    for file, side in zip(files, sides, strict=True):
        file.write_bytes(encode(np.full((side, side, 3), 51, np.uint8), "PNG"))
    rows = look(files, brightness, workers=2)
    assert [(Path(row.path), row.width, row.reason) for row in rows] == [
        (file, side, "image") for file, side in zip(files, sides, strict=True)
    ]
    held = np.cumsum([int(line) for line in log.read_text().split()])
    assert held.max() <= 100 * 100 + 1000


@pytest.fixture
def starts(monkeypatch, tmp_path) -> Callable[[Callable[[int], object]], Path]:
    """Have something happen when processes start: told the number of the start, from 1. A file has a byte for each."""
    log = tmp_path / "starts"
    settle_down = serving.settle_down

    def patch(happens: Callable[[int], object]) -> Path:
        def settle(*arguments: object) -> None:
            with log.open("ab") as file:
                file.write(b".")
            happens(log.stat().st_size)
            settle_down(*arguments)

        monkeypatch.setattr(serving, "settle_down", settle)
        return log

    return patch


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_processes_that_are_killed_before_their_first_picture_are_started_again(tmp_path, starts, brightness, count):
    log = starts(lambda number: number > 5 or os.kill(os.getpid(), signal.SIGKILL))
    rows = look(write(tmp_path, ["good"] * 20), brightness, workers=count)
    assert [row.reason for row in rows] == ["image"] * 20
    assert 6 <= log.stat().st_size <= 5 + count  # two that start at once may read the same number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ends", "says"),
    [(lambda _: os._exit(3), "exit code 3"), (lambda _: os.kill(os.getpid(), signal.SIGUSR1), "killed by SIGUSR1")],
)
def test_processes_that_never_get_as_far_as_a_picture(tmp_path, starts, brightness, ends, says):
    log = starts(ends)
    with pytest.raises(FacescanError, match=rf"ended before its first picture, 10 times in a row \({says}\); "):
        look(write(tmp_path, ["good"] * 20), brightness, workers=2)
    assert log.stat().st_size <= 11


def test_what_a_process_cannot_do_when_it_starts_is_said(tmp_path, starts, brightness):
    def fail(_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    log = starts(fail)
    with pytest.raises(FacescanError, match=r"^a worker process cannot start: \[Errno 1\] Operation not permitted$"):
        look(write(tmp_path, ["good"]), brightness)
    assert log.stat().st_size == 1


def test_no_more_processes(tmp_path, brightness, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(FacescanError, match=r"^cannot start a worker process: Resource temporarily unavailable$"):
        look(write(tmp_path, ["good"]), brightness)


def test_fewer_processes_than_asked_for_are_enough(tmp_path, brightness, monkeypatch, capfd):
    forks = []

    def fork() -> int:
        if len(forks) == 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        forks.append(real_fork())
        return forks[-1]

    real_fork = os.fork
    monkeypatch.setattr(os, "fork", fork)
    rows = look(write(tmp_path, ["good"] * 60), brightness, workers=5)
    assert [row.reason for row in rows] == ["image"] * 60
    warning = "facescan: warning: 2 worker processes instead of 5: Resource temporarily unavailable\n"
    assert capfd.readouterr().err == warning


@pytest.mark.slow
def test_elsewhere_processes_are_spawned(tmp_path, toy_for_faces, examples):
    """As on macOS and Windows: nothing is inherited, all is sent."""
    script = """if True:
        import multiprocessing, sys
        from scanner.engine import workers
        from scanner.detector import trial
        from scanner.system import process
        from scanner.cli import main
        if __name__ == "__main__":
            for module in (process, trial, workers):
                module.CONTEXT = multiprocessing.get_context("spawn")
            sys.exit(main(sys.argv[1:]))"""
    (tmp_path / "main.py").write_text(script)
    rows = {}
    for name, call in {"spawn": [tmp_path / "main.py"], "fork": ["-m", "scanner"]}.items():
        out = tmp_path / f"{name}.jsonl"
        options = [examples, "--model", toy_for_faces, "--workers", "2", "--exit-zero", "-q", "--out", out]
        subprocess.run([sys.executable, *call, *options], env=clean_environment(), check=True)
        rows[name] = out.read_text()
    assert rows["spawn"] == rows["fork"]
    assert rows["fork"].count("\n") > 5


def descendants(of: int) -> list[int]:
    children = Path(f"/proc/{of}/task/{of}/children")
    try:
        return [int(child) for child in children.read_text().split()]
    except FileNotFoundError:
        return []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_process_outlives_the_scan(tmp_path, toy_for_faces, examples, number):
    portrait = (examples / "real_astronaut.jpg").read_bytes()
    for i in range(400):
        (tmp_path / f"{i:03}.jpg").write_bytes(portrait + b"%d" % i)
    call = [
        sys.executable,
        "-m",
        "scanner",
        str(tmp_path),
        "--model",
        str(toy_for_faces),
        "--out",
        str(tmp_path / "r.csv"),
    ]
    process = subprocess.Popen([*call, "--workers", "3", "-q"], env=clean_environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(children := descendants(process.pid)) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(number)
    process.wait(60)
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
