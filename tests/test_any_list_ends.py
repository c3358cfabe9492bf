"""Any list of lines ends: one row each, in order, however long they are and however many processes there are."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.sources.lists import MAX_NAME_BYTES
from tests.conftest import clean_environment
from tests.pictures import encode, scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of any bytes")
# Seconds after which a scan is taken to hang.
PATIENCE = 120


def scan(folder: Path, lines: list[bytes], *options: str) -> list[str]:
    """Paths of the rows of a list. A scan that hangs is ended, and the test fails."""
    call = [
        sys.executable,
        "-m",
        "scanner",
        "--files-from",
        "-",
        "-o",
        "r.csv",
        "-q",
        "--allow-empty",
        "--exit-zero",
        *options,
    ]
    done = subprocess.run(
        call,
        cwd=folder,
        env=clean_environment(),
        input=b"".join(line + b"\n" for line in lines),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stderr == b""
    csv.field_size_limit(10**6)
    table = io.StringIO((folder / "r.csv").read_text(), newline="")
    return [row["path"] for row in csv.DictReader(table, strict=True)]


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    (tmp_path / "text.jpg").write_text("no picture")
    return tmp_path


# Files that are there, names that no file has, and objects of a store that only a process knows.
lines = st.one_of(
    st.sampled_from([b"a.png", b"text.jpg"]),
    st.builds(
        lambda length, char: b"n" + char * length, st.integers(0, 400_000), st.sampled_from([b"x", b" ", b"\xff"])
    ),
    st.builds(lambda length: b"memory://n" + b"x" * length + b".jpg", st.integers(0, 400_000)),
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=60, unique_by=lambda line: line[:MAX_NAME_BYTES]), st.integers(1, 4), st.booleans())
def test_any_list_ends(folder, toy, found, workers, cached):
    pytest.importorskip("fsspec", reason="needs the extra cloud")
    options = ["--model", str(toy), "--workers", str(workers), *([] if cached else ["--no-cache"])]
    shown = [line[:MAX_NAME_BYTES].decode("utf-8", "backslashreplace") for line in found]
    assert scan(folder, found, *options) == shown


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["n", "memory://n"])
@pytest.mark.parametrize(("count", "length"), [(600, 30_000), (40, 400_000)])
def test_long_lines(folder, toy, prefix, count, length):
    """As of JSON Lines that were taken for a list. The longest are more than a socket holds, each by itself."""
    if "://" in prefix:
        pytest.importorskip("fsspec", reason="needs the extra cloud")
    found = [f"{prefix}{i}{'x' * length}.jpg".encode() for i in range(count)]
    shown = [line[:MAX_NAME_BYTES].decode() for line in found]
    assert scan(folder, found, "--model", str(toy), "--workers", "2") == shown
