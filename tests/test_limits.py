"""What the system allows: few open files, little memory, no /proc. Fewer processes, or one line; never a crash."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")


def scan(folder: Path, before: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, after `before`."""
    call = ["/bin/sh", "-c", f'{before} && exec "$@"', "sh", sys.executable, "-m", "scanner", *options, "-q"]
    return subprocess.run(call, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)


def rows(file: Path) -> list[tuple[str, str]]:
    with file.open(newline="") as stream:
        return [(row["path"], row["verdict"]) for row in csv.DictReader(stream)]


@pytest.mark.slow
@pytest.mark.parametrize("files", [32, 40, 64])
def test_few_open_files_are_enough_for_fewer_processes(tmp_path, examples, toy_for_faces, files):
    options = [examples, "--model", toy_for_faces, "--exit-zero", "--no-cache", "--workers", "16"]
    assert scan(tmp_path, "true", *options, "-o", "all.csv").stderr == ""
    done = scan(tmp_path, f"ulimit -n {files}", *options, "-o", "few.csv")
    assert done.returncode == 0
    why = r"the limit of open files \(ulimit -n\) allows no more"
    assert re.fullmatch(rf"facescan: warning: \d+ worker process(es)? instead of 16: {why}\n", done.stderr)
    assert rows(tmp_path / "few.csv") == rows(tmp_path / "all.csv")


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit", [*(f"ulimit -d {size}" for size in (30_000, 100_000, 200_000, 250_000)), "ulimit -v 400000"]
)
@pytest.mark.parametrize("command", ["scan", "--list-models"])
def test_too_little_memory_is_said_in_a_line(tmp_path, examples, limit, command):
    options = [examples, "-o", "r.csv"] if command == "scan" else [command]
    done = scan(tmp_path, limit, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"facescan: too little memory to start: raise the limit ({limit})\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_memory_that_is_limited_may_be_enough(tmp_path, examples, toy):
    done = scan(tmp_path, "ulimit -d 4000000 && ulimit -v 16000000", examples, "--model", toy, "--exit-zero")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 9


@pytest.mark.slow
def test_nothing_needs_proc(tmp_path, examples, toy_for_faces):
    """As in a chroot. ONNX Runtime has something to say about it, but works."""
    mount = "mount -t tmpfs none /proc"
    unshare = ["unshare", "--map-root-user", "--mount", "/bin/sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, mount], capture_output=True, check=False).returncode
    ):
        pytest.skip("this machine lets nobody hide /proc")
    call = [sys.executable, "-m", "scanner", examples, "--model", toy_for_faces, "--exit-zero", "--no-cache", "-q"]
    outputs = []
    for before in ("true", mount):
        done = subprocess.run(
            [*unshare, f'{before} && exec "$@"', "sh", *call, "-o", "-"],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            check=False,
        )
        assert b"facescan:" not in done.stderr
        assert done.returncode == 0
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count(b"\n") == 10
