"""Roots may overlap, and lists may repeat a name: each file is given once, where it is met first.

Files in folders are not remembered one by one: whether an earlier root gave a file follows from where that root lies
and from the rules by which it was walked. Remembered are roots, files that were named, and files behind symbolic links.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from scanner.files.url import is_url
from scanner.sources.selection import Selection, reaches, skips, takes

# Files that are remembered, at some 100 bytes each. Those beyond may be given a second time, but none is lost.
MOST_FILES = 1_000_000
# Roots that are remembered, at some 500 bytes each.
MOST_ROOTS = 100_000
# A file system dates a change by a clock that may lag behind ours by a tick.
_TICK = 20 * 10**6
# Device and inode of a folder.
Identity = tuple[int, int]
# Whether a file's first bytes are a picture's.
Looks = Callable[[], bool]


def identity_of(status: os.stat_result) -> Identity:
    """What tells a folder from all others, by whatever path it is reached."""
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class Walked:
    """A folder that is or was walked as a root.

    Attributes:
        path: as it was named.
        real: its real path, or its URL without a slash at the end.
        began: when the walk began, in nanoseconds since 1970.
    """

    path: str
    real: str
    began: int

    @classmethod
    def begin(cls, path: str) -> Walked:
        """A root whose walk begins now."""
        real = path.rstrip("/") if is_url(path) else os.path.realpath(path)
        return cls(path, real, time.time_ns() - _TICK)

    def holds(self, real: str) -> bool:
        """Whether a real path is the root's, or lies below it."""
        return real == self.real or real.startswith(self.real.rstrip(os.sep) + os.sep)

    def below(self, real: str) -> str:
        """A real path that begins with the root's, without it, and with slashes."""
        return real.removeprefix(self.real).lstrip(os.sep).replace(os.sep, "/")


class Once:
    """Knows which files were given already.

    Args:
        selection: the rules by which all roots are walked.
        named: all paths of the command line, also those whose turn is still to come.
    """

    def __init__(self, selection: Selection, named: Iterable[str] = ()) -> None:
        self._selection = selection
        self._walked: dict[str, Walked] = {}
        self._unread: set[str] = set()
        self._files: set[bytes] = set()
        self._folders: set[Identity] = set()
        named = list(named)
        self._named: set[tuple[Identity | None, str]] = {(None, path) for path in named if is_url(path)}
        local = [path for path in named if not is_url(path)]
        if any(map(os.path.isdir, local)):
            for path in local:
                self._expect(path)

    def is_named(self, folder: Identity | None, name: str) -> bool:
        """Whether the command line names a file by itself, too; `name` is a URL if there is no folder."""
        return bool(self._named) and (folder, name) in self._named

    def add_root(self, walked: Walked) -> None:
        """From now on, all that the walk of a root came to was given."""
        if len(self._walked) < MOST_ROOTS or walked.real in self._walked:
            self._walked[walked.real] = walked

    def add_unread(self, folder: str) -> None:
        """No walk came to what is in a folder, which is a real path: it could not be listed."""
        self._unread.add(folder)

    def earlier(self, folder: str) -> list[Walked]:
        """Earlier roots whose walk came to a folder, which is a real path or a URL."""
        if not self._walked:
            return []
        return [root for root in map(self._walked.get, _upwards(folder)) if root and self.enters(root, folder)]

    def enters(self, root: Walked, folder: str) -> bool:
        """Whether the walk of a root comes to a folder, which is the root or has a real path below it."""
        below = root.below(folder)
        if below and not reaches(root.path, below, self._selection, is_folder=True):
            return False
        *inside, top = _upwards(folder, root.real)
        ours = self._selection.ours  # a root is walked even if this run writes there
        return not any(place in self._unread or place in ours for place in inside) and top not in self._unread

    def gave(self, root: Walked, real: str, looks: Looks) -> bool:
        """Whether the walk of a root, which came to the folder of a file, gave the file.

        Args:
            root: the earlier one.
            real: path of the file.
            looks: asked where the name does not tell.
        """
        below = root.below(real)
        name, paths = below.rpartition("/")[2], (below, os.path.join(root.path, below))
        if skips(name, paths, self._selection) or real in self._selection.ours:
            return False
        taken = takes(name, paths, self._selection)
        return looks() if taken is None else taken

    def has_file(self, path: str, status: os.stat_result, looks: Looks, may_be_new: bool) -> bool:
        """Whether a file that is named was given already; from now on it was.

        Args:
            path: as it is named.
            status: of the file.
            looks: whether its first bytes are a picture's.
            may_be_new: whether it is new if it was changed since it was given.
        """
        try:
            real = os.path.realpath(path) if self._walked or os.path.islink(path) else path
            folder, name = os.path.split(real)
            here = identity_of(os.stat(folder or os.curdir))
        except (OSError, ValueError):  # it has gone just now: reading it will tell
            return False
        expected = self.is_named(
            here, name
        )  # then a walk took it, whatever its name; else it may be younger than a walk
        may_be_new = may_be_new or not expected
        for root in self.earlier(folder):
            if may_be_new and changed(status) >= root.began:
                continue
            if self.gave(root, real, looks=lambda: expected or looks()):
                return True
        return not self.remember(here, name, status)

    def has_object(self, url: str, by_itself: bool) -> bool:
        """Whether an object behind a URL was given already.

        Args:
            url: of the object.
            by_itself: whether it is named, and nobody knows whether it is there; else it was listed below a root.
        """
        if by_itself:
            return not self._add(_digest(url))
        if any(self.gave(root, url, looks=lambda: False) for root in self.earlier(url.rpartition("/")[0])):
            return True
        if self.is_named(None, url):
            self._add(_digest(url))
        return False

    def remember(self, folder: Identity, name: str, status: os.stat_result) -> bool:
        """Remember that a file is given in its present state; False if it was already."""
        return self._add(_key(folder, name, status), folder)

    def knows(self, folder: Identity) -> bool:
        """Whether it remembers a file of this folder."""
        return folder in self._folders

    def remembers(self, folder: Identity, name: str, status: os.stat_result) -> bool:
        """Whether a file was given in its present state because it was named, or was found behind a symbolic link."""
        return _key(folder, name, status) in self._files

    def _add(self, key: bytes, folder: Identity | None = None) -> bool:
        if key in self._files:
            return False
        if len(self._files) < MOST_FILES:
            self._files.add(key)
            if folder:
                self._folders.add(folder)
        return True

    def _expect(self, path: str) -> None:
        try:
            if os.path.isfile(path):
                for folder, name in {os.path.split(path), os.path.split(os.path.realpath(path))}:
                    self._named.add((identity_of(os.stat(folder or os.curdir)), name))
        except (OSError, ValueError):  # its own turn will tell
            return


def changed(status: os.stat_result) -> int:
    """When a file was changed last, in nanoseconds since 1970. On Windows `st_ctime` says when it was made."""
    return status.st_mtime_ns if os.name == "nt" else status.st_ctime_ns


def _key(folder: Identity, name: str, status: os.stat_result) -> bytes:
    state = (*folder, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _digest(f"{state} {name}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _upwards(place: str, top: str = "") -> Iterator[str]:
    """A path or URL, and all that lie above it, up to `top`."""
    while True:
        yield place
        above = place.rpartition("/")[0] if is_url(place) else os.path.dirname(place)
        if place == top or above == place or not above:
            return
        place = above
