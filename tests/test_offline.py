"""Nothing is sent to anybody, and nothing is left in the home directory, by facescan or by a library that it uses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.pictures import encode, scene
from tests.readme_blocks import ROOT
from tests.signing import signed


@pytest.fixture
def home(tmp_path) -> Path:
    """A new home directory; the folder for temporary files is in it."""
    (tmp_path / "home" / "tmp").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def uploads(tmp_path, examples) -> Path:
    """One picture with a face, one with none, and one that is signed, if the library for that is there."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    shutil.copy(examples / "generated_1.jpg", folder)
    (folder / "scene.png").write_bytes(encode(scene(), "PNG"))
    if find_spec("c2pa"):
        elsewhere = "https://nowhere.invalid/manifest.c2pa"
        (folder / "signed.jpg").write_bytes(signed(encode(scene(), "JPEG"), remote=elsewhere))
    return folder


def run(home: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it in a new user's environment. CI=1, which hides telemetry, is not in it, nor what this process has set.

    The working directory is the one that the home directory lies in.
    """
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": str(home), "TMPDIR": str(home / "tmp")}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"} | variables
    return subprocess.run(command, cwd=home.parent, env=environment, capture_output=True, text=True, check=False)


def left_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir())


def scan(*options: str | Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-m", "scanner", "uploads", "-q", *options)


EVERYTHING = ("--no-cache", "--out", "r.jsonl", "--ela", "--ela-dir", "maps", "--explain", "why")


@pytest.mark.slow
def test_a_scan_leaves_nothing_in_the_home_directory(home, uploads):
    done = run(home, *scan(*EVERYTHING))
    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))
    assert left_in(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--no-cache",), ()], ids=["keeps nothing", "keeps rows"])
def test_a_report_leaves_nothing_outside_the_cache_folder(home, uploads, options):
    pytest.importorskip("matplotlib", reason="needs the extra report")
    done = run(home, *scan("--out", "r.csv", "--report", "r.html", *options))
    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))
    left = left_in(home)
    if options:
        assert left == []
    else:
        assert ".cache/facescan/verdicts.sqlite3" in left
        assert {file for file in left if not file.startswith(".cache/facescan/")} == set()
        assert (home / ".cache" / "facescan").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_home_directory_that_cannot_be_written_to_is_no_trouble(home, uploads):
    (home / "file").write_text("not even root can make a folder in it")
    done = run(home, *scan("--no-cache", "--out", "r.csv"), HOME=str(home / "file"))
    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))


def test_an_evaluation_leaves_nothing_in_the_home_directory(home, toy, tmp_path):
    for label in ("real", "fake"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for shade in range(1, 4):
            (tmp_path / "data" / label / f"{shade}.png").write_bytes(encode(scene() // shade, "PNG"))
    evaluate = (sys.executable, "-m", "train.cli", "evaluate", toy, "--data", "data", "--out", "figures.json")
    done = run(home, *evaluate)
    assert (done.returncode, done.stderr) == (0, "")
    assert left_in(home) == []


# What imports ONNX Runtime, each the first module that a process imports.
ENTRIES = [
    "scanner.detector.runtime",
    "scanner.cli",
    "train.onnx_export.quantise",
    "train.maintenance.tables",
    "tests.bench.peers.work",
    "tests.conftest",
]


@pytest.mark.slow
@pytest.mark.parametrize("module", ENTRIES)
def test_telemetry_is_off_when_onnx_runtime_is_imported(home, module):
    """Looks at the very moment of the import, in a process of its own."""
    script = f"""if True:
        import os, sys
        class Watch:
            def find_spec(self, name, *_):
                if name == "onnxruntime":
                    print("telemetry off:", os.environ.get("ORT_DISABLE_TELEMETRY"))
        sys.meta_path.insert(0, Watch())
        import {module}
        import scanner.detector.model"""
    done = run(home, sys.executable, "-c", script)
    assert done.stdout.splitlines()[:1] == ["telemetry off: 1"], done.stderr


def traced() -> bool:
    """Whether system calls can be traced here."""
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "-f", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not traced(), reason="needs strace, and the right to trace")
@pytest.mark.parametrize("options", [EVERYTHING, ("--no-cache", "--out", "r.csv", "--report", "r.html")])
def test_a_scan_makes_no_socket_to_the_outside(home, uploads, options):
    """In none of its processes and libraries: the audit hook of test_cli.py sees Python's own sockets only."""
    pytest.importorskip("matplotlib", reason="needs the extra report")
    trace = home.parent / "trace"
    done = run(home, "strace", "-f", "-e", "trace=socket,connect,sendto", "-o", trace, *scan(*options))
    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))
    calls = trace.read_text()
    assert re.search(r"exited with \d", calls), "strace saw processes"
    assert [line for line in calls.splitlines() if re.search(r"AF_INET|AF_UNIX.*nscd", line)] == []
