"""How a file looked at a moment, so that a later look can tell whether it must be read again."""

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

# Nanoseconds. A store through a shared mapping shows in a file's dates only if its page was written to the disk since
# the store before; Linux does that within 35 seconds (vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs). Git's
# "racy" files are covered, too: within the clock tick of its last change, a file may change again and look the same.
SETTLED = 60 * 10**9
# File systems that never write to a disk, so that a mapping's later stores never show.
_IN_MEMORY = {"tmpfs", "ramfs", "hugetlbfs", "devtmpfs"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A file at a moment. Two equal marks are the same content, unless somebody went out of their way.

    Attributes:
        file: its path, or URL.
        path: hash of the absolute path; the path itself would tell what pictures somebody has.
        state: size, times of the last change of content (mtime) and of anything (ctime), and inode; of an object
            behind a URL, size and tag.
        settled: its last change was long enough ago for the next one to show, and it is not in memory only.
        root: the folder whose walk found the file, as in `Candidate`.
    """

    file: str
    path: bytes
    state: bytes
    settled: bool
    root: str = ""


def mark_of(path: str, max_bytes: int | None = None, root: str = "") -> Mark | None:
    """The mark of a regular file; None for everything else.

    Args:
        path: of the file.
        max_bytes: larger files have none.
        root: the folder whose walk found it, if no symbolic link below that folder may be followed.
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
    return Mark(path, _hash(name), _hash(state), _is_settled(status), root)


def mark_of_object(url: str, tag: str) -> Mark:
    """The mark of an object behind a URL, whose store gives every content another tag."""
    return Mark(url, _hash(os.fsencode(url)), _hash(os.fsencode(tag)), settled=True)


def unchanged(mark: Mark) -> bool:
    """Whether the file still looks so. A tag was that of the content when it was read, and needs no second look."""
    if is_url(mark.file):
        return True
    now = mark_of(mark.file, root=mark.root)
    return now is not None and now.state == mark.state


def _is_settled(status: os.stat_result) -> bool:
    # The date of the content can be set to anything, that of the last change of anything cannot.
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return changed < time.time_ns() - SETTLED and not _is_in_memory(status.st_dev)


@cache
def _is_in_memory(device: int) -> bool:
    """Whether a device is a file system that only memory holds. Asked of Linux; elsewhere nobody knows."""
    if sys.platform != "linux":
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            fields = [line.split(" ") for line in mounts]
    except OSError:
        return False
    # The third field is the device, and the one behind a lone dash the kind (proc_pid_mountinfo(5)).
    return any(line[2] == number and line[line.index("-") + 1] in _IN_MEMORY for line in fields if "-" in line)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
