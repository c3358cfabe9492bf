"""Fingerprints files and objects, so that the cache can tell, without reading a file again, that it is unchanged."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import time
from dataclasses import dataclass
from functools import cache

from scanner.files.beneath import place_of
from scanner.files.url import is_url

# Nanoseconds since the last change, after which another change is sure to show in the file's times. A write through a
# shared memory mapping sets them only if the page was written to disk since the write before; Linux does that within 35
# seconds (vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs). This covers Git's "racy" files, too: within one
# clock tick of its last change, a file can change again and keep the same times.
SETTLED_AFTER_NS = 60 * 10**9
# File systems without a disk to write to: later writes through a mapping never show in the file's times.
_IN_MEMORY = {"tmpfs", "ramfs", "hugetlbfs", "devtmpfs"}


@dataclass(frozen=True, slots=True)
class FileFingerprint:
    """Holds what tells one state of a file or object from another.

    Equal fingerprints mean unchanged content, unless somebody forged the times.

    Attributes:
        file: path or URL.
        path_hash: hash of the absolute path or URL; the path itself would reveal what pictures somebody has.
        state_hash: hash of size, mtime, ctime and inode of a local file, or of size and ETag of an object.
        settled: whether the last change is so old that another one would change the fingerprint. False for files on
            file systems that only memory holds.
        root: the folder whose walk found the file, as in `Candidate`.
    """

    file: str
    path_hash: bytes
    state_hash: bytes
    settled: bool
    root: str = ""


def file_fingerprint(path: str, max_bytes: int | None = None, root: str = "") -> FileFingerprint | None:
    """Return the fingerprint of a local file, without reading its content.

    Args:
        path: of the file.
        max_bytes: size limit in bytes; None is no limit.
        root: the folder whose walk found the file, if no symbolic link below that folder may be followed; else empty.

    Returns:
        The fingerprint; None if the path is no regular file, cannot be accessed, or is larger than `max_bytes`.
    """
    try:
        with place_of(path, root) as place:
            status = place.status()
        name = os.fsencode(os.path.abspath(path))
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or (max_bytes is not None and status.st_size > max_bytes):
        return None
    state = struct.pack(">qqqQ", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return FileFingerprint(path, _hash(name), _hash(state), _is_settled(status), root)


def object_fingerprint(url: str, tag: str) -> FileFingerprint:
    """Return the fingerprint of an object in a store, from a tag that changes whenever the content does."""
    return FileFingerprint(url, _hash(os.fsencode(url)), _hash(os.fsencode(tag)), settled=True)


def is_unchanged(fingerprint: FileFingerprint) -> bool:
    """Return whether a local file still has this fingerprint; True for objects, whose tag belongs to the content."""
    if is_url(fingerprint.file):
        return True
    now = file_fingerprint(fingerprint.file, root=fingerprint.root)
    return now is not None and now.state_hash == fingerprint.state_hash


def _is_settled(status: os.stat_result) -> bool:
    # Anybody can set mtime to anything; nobody can set ctime.
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return changed < time.time_ns() - SETTLED_AFTER_NS and not _is_in_memory(status.st_dev)


@cache
def _is_in_memory(device: int) -> bool:
    """Return whether a device is a file system that only memory holds. Known on Linux only; False elsewhere."""
    if sys.platform != "linux":
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            fields = [line.split(" ") for line in mounts]
    except OSError:
        return False
    # The third field is the device; the field after a lone dash is the file system's type (proc_pid_mountinfo(5)).
    return any(line[2] == number and line[line.index("-") + 1] in _IN_MEMORY for line in fields if "-" in line)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
