"""Removes duplicates: roots may overlap and lists may repeat a name, but each file is yielded once.

Files in folders are not recorded one by one. Whether an earlier root yielded a file follows from where that root lies
and from the rules of the walk. Recorded are roots, files that were named, and files behind symbolic links.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from scanner.files.url import is_url
from scanner.sources.selection import Selection, is_candidate, is_reached, skip_reason

# Recorded files, at most; about 100 bytes each. Files beyond may be yielded twice, but none is lost.
MAX_FILES = 1_000_000
# Recorded roots, at most; about 500 bytes each.
MAX_ROOTS = 100_000
# The file system's clock may lag behind ours by a tick.
_CLOCK_TICK_NS = 20 * 10**6
# Device and inode of a folder.
Identity = tuple[int, int]
# Returns whether a file's first bytes are a picture's.
LooksCheck = Callable[[], bool]


def identity(status: os.stat_result) -> Identity:
    """Return the device and inode of a folder: the same for every path that leads to it."""
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class WalkedRoot:
    """Holds a folder that is being walked, or was walked, as a root.

    Attributes:
        path: the root as the user named it.
        real: its real path, or its URL without a slash at the end.
        began: start of the walk, in nanoseconds since 1970.
    """

    path: str
    real: str
    began: int

    @classmethod
    def begin(cls, path: str) -> WalkedRoot:
        """Return a root whose walk begins now."""
        real = path.rstrip("/") if is_url(path) else os.path.realpath(path)
        return cls(path, real, time.time_ns() - _CLOCK_TICK_NS)

    def holds(self, real: str) -> bool:
        """Return whether a real path is the root's, or lies below it."""
        return real == self.real or real.startswith(self.real.rstrip(os.sep) + os.sep)

    def below(self, real: str) -> str:
        """Return a real path relative to the root, with forward slashes."""
        return real.removeprefix(self.real).lstrip(os.sep).replace(os.sep, "/")


class Deduplicator:
    """Decides whether a file was already yielded.

    Args:
        selection: the rules by which all roots are walked.
        named: all paths of the command line, including those not yet scanned.
    """

    def __init__(self, selection: Selection, named: Iterable[str] = ()) -> None:
        self._selection = selection
        self._walked: dict[str, WalkedRoot] = {}
        self._unlisted: set[str] = set()
        self._files: set[bytes] = set()
        self._folders: set[Identity] = set()
        named = list(named)
        self._named: set[tuple[Identity | None, str]] = {(None, path) for path in named if is_url(path)}
        local = [path for path in named if not is_url(path)]
        if any(map(os.path.isdir, local)):
            for path in local:
                self._record_named(path)

    def is_named(self, folder: Identity | None, name: str) -> bool:
        """Return whether the command line names a file directly.

        Args:
            folder: identity of the file's folder; None for a URL.
            name: of the file; or its whole URL.
        """
        return bool(self._named) and (folder, name) in self._named

    def add_root(self, walked: WalkedRoot) -> None:
        """Record that everything the walk of a root reached was yielded."""
        if len(self._walked) < MAX_ROOTS or walked.real in self._walked:
            self._walked[walked.real] = walked

    def add_unlisted_folder(self, folder: str) -> None:
        """Record that a folder (a real path) could not be listed, so that no walk reached its content."""
        self._unlisted.add(folder)

    def roots_covering(self, folder: str) -> list[WalkedRoot]:
        """Return the earlier roots whose walk reached a folder, given as a real path or a URL."""
        if not self._walked:
            return []
        return [
            root for root in map(self._walked.get, _with_parents(folder)) if root and self.covers_folder(root, folder)
        ]

    def covers_folder(self, root: WalkedRoot, folder: str) -> bool:
        """Return whether the walk of a root reaches a folder, given as a real path at or below the root's."""
        below = root.below(folder)
        if below and not is_reached(root.path, below, self._selection, is_folder=True):
            return False
        *inside, top = _with_parents(folder, root.real)
        own_outputs = self._selection.own_outputs  # a root is walked even if this run writes there
        return (
            not any(place in self._unlisted or place in own_outputs for place in inside) and top not in self._unlisted
        )

    def yielded(self, root: WalkedRoot, real: str, looks: LooksCheck) -> bool:
        """Return whether the walk of a root, which reached the folder of a file, yielded the file.

        Args:
            root: the earlier root.
            real: real path of the file.
            looks: called, if the name does not decide, to find out whether the first bytes are a picture's.
        """
        below = root.below(real)
        name, paths = below.rpartition("/")[2], (below, os.path.join(root.path, below))
        if skip_reason(name, paths, self._selection) or real in self._selection.own_outputs:
            return False
        taken = is_candidate(name, paths, self._selection)
        return looks() if taken is None else taken

    def is_duplicate(self, path: str, status: os.stat_result, looks: LooksCheck, may_be_new: bool) -> bool:
        """Return whether a file that is named was already yielded, and record it as yielded.

        Args:
            path: the file as it is named.
            status: of the file.
            looks: returns whether its first bytes are a picture's.
            may_be_new: whether a file that changed since it was yielded counts as new.
        """
        try:
            real = os.path.realpath(path) if self._walked or os.path.islink(path) else path
            folder, name = os.path.split(real)
            here = identity(os.stat(folder or os.curdir))
        except (OSError, ValueError):  # the file was just removed: reading it gives the reason
            return False
        # A walk yields a named file whatever its name is. Any other file may be younger than the walk.
        expected = self.is_named(here, name)
        may_be_new = may_be_new or not expected
        for root in self.roots_covering(folder):
            if may_be_new and change_time_ns(status) >= root.began:
                continue
            if self.yielded(root, real, looks=lambda: expected or looks()):
                return True
        return not self.record(here, name, status)

    def is_duplicate_object(self, url: str, by_itself: bool) -> bool:
        """Return whether an object behind a URL was already yielded.

        Args:
            url: of the object.
            by_itself: whether the URL was named, so that the object may not exist; else it was listed below a root.
        """
        if by_itself:
            return not self._add(_digest(url))
        if any(self.yielded(root, url, looks=lambda: False) for root in self.roots_covering(url.rpartition("/")[0])):
            return True
        if self.is_named(None, url):
            self._add(_digest(url))
        return False

    def record(self, folder: Identity, name: str, status: os.stat_result) -> bool:
        """Record that a file is yielded in its present state; return False if it was recorded before."""
        return self._add(_key(folder, name, status), folder)

    def has_records_in(self, folder: Identity) -> bool:
        """Return whether a file of this folder is recorded."""
        return folder in self._folders

    def is_recorded(self, folder: Identity, name: str, status: os.stat_result) -> bool:
        """Return whether a file was yielded in its present state because it was named, or found behind a symbolic
        link.
        """
        return _key(folder, name, status) in self._files

    def _add(self, key: bytes, folder: Identity | None = None) -> bool:
        if key in self._files:
            return False
        if len(self._files) < MAX_FILES:
            self._files.add(key)
            if folder:
                self._folders.add(folder)
        return True

    def _record_named(self, path: str) -> None:
        """Record a named file under its path and its real path; do nothing for what is no file."""
        try:
            if os.path.isfile(path):
                for folder, name in {os.path.split(path), os.path.split(os.path.realpath(path))}:
                    self._named.add((identity(os.stat(folder or os.curdir)), name))
        except (OSError, ValueError):  # reading the file gives the reason
            return


def change_time_ns(status: os.stat_result) -> int:
    """Return the time of a file's last change, in nanoseconds since 1970. On Windows `st_ctime` is the creation
    time.
    """
    return status.st_mtime_ns if os.name == "nt" else status.st_ctime_ns


def _key(folder: Identity, name: str, status: os.stat_result) -> bytes:
    """Return a digest of a file's place and state."""
    state = (*folder, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _digest(f"{state} {name}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _with_parents(place: str, top: str = "") -> Iterator[str]:
    """Yield a path or URL, and every folder above it up to `top`."""
    while True:
        yield place
        above = place.rpartition("/")[0] if is_url(place) else os.path.dirname(place)
        if place == top or above == place or not above:
            return
        place = above
