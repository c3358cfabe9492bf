"""Files at a moment: the same, another, or one that may still change unseen."""

from __future__ import annotations

import os

import pytest

from scanner.files import fingerprint as mark
from scanner.files.fingerprint import mark_of, unchanged
from tests.mounts import mounted


def write(file, content, age):
    """A file that was last changed `age` seconds ago."""
    file.write_bytes(content)
    changed = file.stat().st_mtime - age
    os.utime(file, (changed, changed))
    return file


def test_a_mark_tells_files_apart(tmp_path):
    one, two = write(tmp_path / "one", b"x", 60), write(tmp_path / "two", b"x", 60)
    marks = [mark_of(str(file)) for file in (one, two, one)]
    assert marks[0] == marks[2]
    assert marks[0].path != marks[1].path
    assert marks[0].state != marks[1].state


def test_a_change_shows(tmp_path):
    file = write(tmp_path / "one", b"x", 60)
    before = mark_of(str(file))
    assert unchanged(before)
    write(file, b"xy", 60)
    assert not unchanged(before)
    file.unlink()
    assert not unchanged(before)


def test_only_regular_files_of_a_size_have_one(tmp_path):
    file = write(tmp_path / "one", b"x", 60)
    assert mark_of(str(tmp_path)) is mark_of(str(tmp_path / "missing")) is mark_of("nul\0name") is None
    assert mark_of(str(file), max_bytes=0) is None
    assert mark_of(str(file), max_bytes=1) is not None


@pytest.mark.parametrize("age", [0, -3600, 3600])
def test_what_changed_just_now_may_change_again(tmp_path, age):
    """Whatever date somebody gave its content: that of the file's last change nobody can set."""
    assert not mark_of(str(write(tmp_path / "one", b"x", age))).settled


@pytest.mark.parametrize(("age", "settled"), [(3600, False), (-3600, True)])
def test_what_has_not_changed_for_long_is_settled(tmp_path, monkeypatch, age, settled):
    monkeypatch.setattr(mark, "_IN_MEMORY", set())  # where the tests' files may lie
    monkeypatch.setattr(mark, "SETTLED", age * 10**9)
    assert mark_of(str(write(tmp_path / "one", b"x", 60))).settled == settled


def test_what_lies_in_memory_is_never_settled(tmp_path, monkeypatch):
    monkeypatch.setattr(mark, "SETTLED", -3600 * 10**9)
    (tmp_path / "memory").mkdir()
    with mounted(tmp_path / "memory", "-t", "tmpfs", "none") as folder:
        assert not mark_of(str(write(folder / "one", b"x", 60))).settled
