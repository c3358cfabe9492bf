"""Files at a moment: the same, another, or one that may still change unseen."""

from __future__ import annotations

import os

import pytest

from scanner.files import fingerprint
from scanner.files.fingerprint import file_fingerprint, is_unchanged
from tests.mounts import mounted


def write(file, content, age):
    """A file that was last changed `age` seconds ago."""
    file.write_bytes(content)
    changed = file.stat().st_mtime - age
    os.utime(file, (changed, changed))
    return file


def test_a_fingerprint_tells_files_apart(tmp_path):
    one, two = write(tmp_path / "one", b"x", 60), write(tmp_path / "two", b"x", 60)
    fingerprints = [file_fingerprint(str(file)) for file in (one, two, one)]
    assert fingerprints[0] == fingerprints[2]
    assert fingerprints[0].path_hash != fingerprints[1].path_hash
    assert fingerprints[0].state_hash != fingerprints[1].state_hash


def test_a_change_shows(tmp_path):
    file = write(tmp_path / "one", b"x", 60)
    before = file_fingerprint(str(file))
    assert is_unchanged(before)
    write(file, b"xy", 60)
    assert not is_unchanged(before)
    file.unlink()
    assert not is_unchanged(before)


def test_only_regular_files_of_a_size_have_one(tmp_path):
    file = write(tmp_path / "one", b"x", 60)
    assert (
        file_fingerprint(str(tmp_path))
        is file_fingerprint(str(tmp_path / "missing"))
        is file_fingerprint("nul\0name")
        is None
    )
    assert file_fingerprint(str(file), max_bytes=0) is None
    assert file_fingerprint(str(file), max_bytes=1) is not None


@pytest.mark.parametrize("age", [0, -3600, 3600])
def test_what_changed_just_now_may_change_again(tmp_path, age):
    """Whatever date somebody gave its content: that of the file's last change nobody can set."""
    assert not file_fingerprint(str(write(tmp_path / "one", b"x", age))).settled


@pytest.mark.parametrize(("age", "settled"), [(3600, False), (-3600, True)])
def test_what_has_not_changed_for_long_is_settled(tmp_path, monkeypatch, age, settled):
    monkeypatch.setattr(fingerprint, "_IN_MEMORY", set())  # where the tests' files may lie
    monkeypatch.setattr(fingerprint, "SETTLED_AFTER_NS", age * 10**9)
    assert file_fingerprint(str(write(tmp_path / "one", b"x", 60))).settled == settled


def test_what_lies_in_memory_is_never_settled(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "SETTLED_AFTER_NS", -3600 * 10**9)
    (tmp_path / "memory").mkdir()
    with mounted(tmp_path / "memory", "-t", "tmpfs", "none") as folder:
        assert not file_fingerprint(str(write(folder / "one", b"x", 60))).settled
