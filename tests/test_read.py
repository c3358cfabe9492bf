"""Candidate -> bytes, or why not. Nothing but regular files is ever opened."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from scanner.files.candidate import Candidate
from scanner.sources.read import read, read_stdin

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc or /dev as Linux has them")
needs_no_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="permissions do not bind the superuser"
)


@pytest.fixture
def deadline():
    """Break off a call that hangs."""

    def expired(*_):
        raise TimeoutError("this should have returned at once")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make(path: Path, content: bytes = b"content") -> Candidate:
    path.write_bytes(content)
    return Candidate(str(path))


@pytest.mark.parametrize("name", ["a.jpg", "no suffix", "new\nline", "\udcff\udcfe.jpg", "\x1b[31m", "-", "é" * 100])
@needs_linux
def test_a_regular_file(tmp_path, name):
    assert read(make(tmp_path / name)) == (b"content", 7, "")


def test_an_empty_file_is_read(tmp_path):
    assert read(make(tmp_path / "empty", b"")) == (b"", 0, "")


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [(9, 10, (b"x" * 9, 9, "")), (10, 10, (b"x" * 10, 10, "")), (11, 10, (None, 11, "too_many_bytes:11"))],
)
def test_the_limit_is_the_largest_size_that_is_read(tmp_path, size, limit, expected):
    assert read(make(tmp_path / "a.jpg", b"x" * size), max_bytes=limit) == expected


def test_a_huge_file_is_refused_by_its_size(tmp_path):
    huge = make(tmp_path / "huge.jpg")
    os.truncate(huge.path, 2**40)  # sparse: it takes no room on the disk, but would in memory
    assert read(huge) == (None, 2**40, f"too_many_bytes:{2**40}")


def test_a_large_limit_takes_no_memory(tmp_path, monkeypatch):
    small = make(tmp_path / "a.jpg")
    assert read(small, max_bytes=2**62) == (b"content", 7, "")
    with open(small.path) as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert read(read_stdin(Candidate("-"), max_bytes=2**62)) == (b"content", 7, "")


@needs_linux
def test_a_file_that_says_it_is_smaller_than_it_is():
    assert os.stat("/proc/self/status").st_size == 0
    content, size, _ = read(Candidate("/proc/self/status"))
    assert (content is not None and content.startswith(b"Name:"), size) == (True, len(content or b""))
    assert read(Candidate("/proc/self/status"), max_bytes=10) == (None, None, "too_many_bytes:over_10")


def fifo(path: Path) -> None:
    os.mkfifo(path)  # nobody will ever write to it


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        (Path.mkdir, "not_a_file:folder"),
        (fifo, "not_a_file:fifo"),
        (unix_socket, "not_a_file:socket"),
        (lambda path: path.symlink_to("/dev/zero"), "not_a_file:device"),
        (lambda path: path.symlink_to("nowhere"), "broken_link"),
        (lambda path: path.symlink_to(path.name), "read_failed:ELOOP"),
        (lambda path: None, "vanished"),
    ],
    ids=["folder", "fifo", "socket", "device", "broken link", "circular link", "nothing"],
)
@needs_linux
@pytest.mark.usefixtures("deadline")
def test_what_is_no_regular_file_is_not_opened(tmp_path, monkeypatch, create, reason):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    create(Path("x.jpg"))
    assert read(Candidate("x.jpg")) == (None, None, reason)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null", "not_a_file:device"),
        ("/proc/self/mem", "read_failed:EIO"),
        ("n" * 300, "read_failed:ENAMETOOLONG"),
        ("nul\0byte", "read_failed:invalid_name"),
        ("/dev/null/x.jpg", "read_failed:ENOTDIR"),
    ],
)
@needs_linux
def test_what_the_system_refuses_has_its_reason(path, reason):
    assert read(Candidate(path)) == (None, None, reason)


def test_a_link_to_a_file_is_that_file(tmp_path):
    make(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    assert read(Candidate(str(tmp_path / "link.jpg"))) == (b"content", 7, "")


@needs_no_root
def test_no_permission(tmp_path):
    locked = make(tmp_path / "a.jpg")
    os.chmod(locked.path, 0)
    assert read(locked) == (None, None, "permission_denied")


def test_known_trouble_is_not_looked_into_again(tmp_path):
    there = make(tmp_path / "a.jpg")
    assert read(Candidate(there.path, "not_found")) == (None, None, "not_found")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (b"", 0, "")),
        (b"\xff\0\r\n", (b"\xff\0\r\n", 4, "")),
        (b"12345678", (b"12345678", 8, "")),
        (b"123456789", (None, None, "too_many_bytes:over_8")),
        (bytes(3 * 2**20), (None, None, "too_many_bytes:over_8")),
    ],
)
def test_standard_input(tmp_path, monkeypatch, content, expected):
    with open(make(tmp_path / "piped", content).path) as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert read(read_stdin(Candidate("-"), max_bytes=8)) == expected
