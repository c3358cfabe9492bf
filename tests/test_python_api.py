"""The package from Python, as a program uses it that judges pictures among other things."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scanner import FacescanError, Result, Scanner, Verdict
from scanner.output.formats.rows import as_object
from tests.conftest import clean_environment
from tests.pictures import encode, scene


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


def python(program: str, *arguments: object) -> str:
    """What a program prints that is run by itself."""
    call = [sys.executable, "-W", "error::ResourceWarning", "-c", program, *map(str, arguments)]
    done = subprocess.run(call, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def rows_of_the_command(examples, tmp_path) -> dict[str, Any]:
    """The rows of the example pictures in JSON, by path."""
    out = tmp_path / "rows.jsonl"
    call = [sys.executable, "-m", "scanner", examples, "--no-cache", "--exit-zero", "-q", "--out", out]
    subprocess.run(call, env=clean_environment(), check=True)
    rows = (json.loads(line) for line in out.read_text("utf-8").splitlines())
    return {row["path"]: row for row in rows if "path" in row}


def plain(result: Result) -> Any:
    """A result as the row that JSON has of it."""
    return json.loads(json.dumps(as_object(result)))


@pytest.mark.slow
def test_results_are_the_rows_of_the_command(scanner, examples, rows_of_the_command):
    assert len(rows_of_the_command) > 5
    assert [plain(scanner.scan_file(path)) for path in rows_of_the_command] == [*rows_of_the_command.values()]
    assert [plain(result) for result in scanner.scan([examples])] == [*rows_of_the_command.values()]
    assert [plain(result) for result in scanner.scan(str(examples))] == [*rows_of_the_command.values()]


def test_bytes_are_judged_as_the_file_is(scanner, examples):
    file = examples / "real_astronaut.jpg"
    of_bytes, of_file = scanner.scan_bytes(file.read_bytes()), scanner.scan_file(file)
    assert of_file.verdict is not Verdict.ERROR
    assert (of_bytes.path, of_file.path) == ("-", str(file))
    assert replace(of_bytes, path=of_file.path) == of_file


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"no picture", "not_an_image"),
        (encode(scene(), "PNG")[:-200], "truncated:0.16"),
        (bytes(100 * 2**20 + 1), "too_many_bytes:104857601"),
    ],
    ids=["empty", "text", "cut", "large"],
)
def test_trouble_with_a_picture_is_a_result(scanner, data, reason):
    result = scanner.scan_bytes(data)
    assert (result.path, result.verdict, result.reason, result.bytes) == ("-", Verdict.ERROR, reason, len(data))


@pytest.mark.parametrize(("name", "reason"), [("missing.jpg", "vanished"), (".", "not_a_file:folder")])
def test_trouble_with_a_file_is_a_result(scanner, tmp_path, name, reason):
    result = scanner.scan_file(tmp_path / name)
    assert (result.path, result.verdict, result.reason) == (str(tmp_path / name), Verdict.ERROR, reason)


def test_a_dash_is_a_file(scanner, tmp_path, monkeypatch):
    """There is no standard input to judge in a program."""
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(b"no picture")
    assert scanner.scan_file("-").reason == "not_an_image"
    assert [result.reason for result in scanner.scan(["-"])] == ["not_an_image"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": "missing.onnx"}, "missing.onnx"),
        ({"model": __file__}, "no ONNX file"),
        ({"device": "gpu"}, "no device 'gpu': use auto, cpu, cuda"),
    ],
    ids=["missing", "no model", "no device"],
)
def test_what_cannot_judge_raises(arguments, says):
    with pytest.raises(FacescanError, match=says):
        Scanner(**arguments)


def test_a_model_may_be_a_path(toy, tmp_path):
    file = tmp_path / "white.png"
    file.write_bytes(encode(scene() * 0 + 255, "PNG"))
    assert [Scanner(model).scan_file(file).p_fake for model in (toy, str(toy))] == [1.0, 1.0]


@pytest.mark.slow
def test_threads_may_share_a_scanner(scanner, examples):
    files = sorted(examples.glob("*.jpg"))[:4]
    wanted = [scanner.scan_file(file) for file in files]
    judged: list[list[Result]] = []

    def judge() -> None:
        judged.append([scanner.scan_file(file) for file in files])
        judged.append([scanner.scan_bytes(file.read_bytes()) for file in files])
        judged.append([*scanner.scan(files)])

    threads = [threading.Thread(target=judge) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[row.p_fake for row in rows] for rows in judged] == [[row.p_fake for row in wanted]] * 6


# Judges the file that is named in every way, and prints what is no longer as it was before.
_HOST = """
import os, resource, signal, sys
import cv2, numpy

def state():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return cv2.getNumThreads(), handlers, mask, os.fstat(1), os.fstat(2), sys.stdout, sys.stderr, os.getcwd()

def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_minflt + usage.ru_nvcsw

cv2.setNumThreads(3)
cv2.GaussianBlur(numpy.zeros((2000, 2000, 3), numpy.uint8), (31, 31), 3)  # OpenCV starts its threads
before = state()
from scanner import Scanner
scanner = Scanner()
results = [scanner.scan_file(sys.argv[1]), scanner.scan_bytes(open(sys.argv[1], "rb").read())]
print(children(), end=" ")
results += [*scanner.scan([sys.argv[1]] * 2 + [os.path.dirname(sys.argv[1])])]
print(children() > 0, state() == before, len(results), {row.verdict.value for row in results})
scan = scanner.scan([os.path.dirname(sys.argv[1])])
next(scan)
scan.close()
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("alone")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks for what Unix counts")
def test_the_program_stays_as_it_is(tmp_path):
    """Its signals, streams and OpenCV's threads; only `scan` has processes, which end with it."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encode(scene(), "PNG"))
    assert python(_HOST, tmp_path / "a.png").split("\n") == ["0 True True 4 {'no_face'}", "alone", ""]


def test_importing_the_package_is_light():
    program = "import sys, scanner; scanner.Result, scanner.Verdict, scanner.FacescanError; print(*sys.modules)"
    loaded = python(program).split()
    assert "scanner.result" in loaded
    assert {"cv2", "numpy", "onnxruntime", "click", "scanner.python_api"}.isdisjoint(loaded)


def test_the_package_names_what_is_public():
    program = "from scanner import *; import scanner; print(Scanner, *scanner.__all__, *dir(scanner))"
    assert {"Scanner", "Result", "Face", "Verdict", "FacescanError"} < set(python(program).split())
    with pytest.raises(ImportError):
        exec("from scanner import Missing")  # noqa: S102


def test_results_come_while_paths_do(toy, tmp_path):
    """A program may make up its list as it goes."""
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(encode(scene(), "PNG"))
    seen: list[str] = []

    def paths() -> Iterator[Path]:
        for name in "ab":
            yield tmp_path / f"{name}.png"

    for result in Scanner(toy).scan(paths()):
        seen.append(Path(result.path).name)
    assert seen == ["a.png", "b.png"]
