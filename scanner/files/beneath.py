"""Opens what was found in folders without following a symbolic link below the root.

Whoever can write to a scanned folder can put a link in the place of a file or a folder between the moment at which the
walk finds it and the moment at which it is opened. Therefore every folder on the way down is opened by its name in the
open folder above it, and the system refuses links. Where it cannot (Windows), each part of the path is looked at just
before, which leaves a moment for such a swap.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Self

# Whether the system opens a name in an open folder, and refuses a link there.
BY_DESCRIPTOR = (
    hasattr(os, "O_NOFOLLOW") and {os.open, os.stat} <= os.supports_dir_fd and {os.scandir, os.stat} <= os.supports_fd
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_CLOSE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LISTED = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSE
# To get from one folder to the next it need not be readable, nor be opened on a network file system's server.
_PASSED = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _CLOSE
# Bytes of a path, as Linux counts: nobody can open what lies deeper by its path, and to get there takes ever longer.
_LONGEST_PATH = 4095


class LinkError(OSError):
    """A symbolic link stands where a file or a folder was found."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, os.strerror(errno.ELOOP), path)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is opened.

    Attributes:
        name: in the folder; a path if that is None.
        folder: an open folder's descriptor.
        follow: whether it may be a symbolic link.
    """

    name: str
    folder: int | None = None
    follow: bool = False

    def status(self) -> os.stat_result:
        """What is there, at this moment; of a link that is not followed, the link.

        Raises:
            OSError, ValueError: there is nothing, or it cannot be asked for.
        """
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=self.follow)

    def open(self, flags: int) -> int:
        """A descriptor.

        Raises:
            LinkError: it is a link that is not followed.
            OSError, ValueError: it cannot be opened.
        """
        try:
            return os.open(self.name, flags | (0 if self.follow else _NO_LINK), dir_fd=self.folder)
        except OSError as error:
            if not self.follow and self._is_link():
                raise LinkError(self.name) from error
            raise

    def _is_link(self) -> bool:
        try:
            return stat.S_ISLNK(self.status().st_mode)
        except OSError:
            return False


@contextmanager
def place_of(path: str, root: str) -> Iterator[Place]:
    """Where to open a file or a folder, for as long as the context lasts.

    Args:
        path: of it.
        root: the folder whose walk found it: `path` begins with it, and below it no link is followed. Empty for what
            was named, or found where links are followed.

    Raises:
        LinkError: a folder between the two is a symbolic link by now.
        OSError, ValueError: one of them cannot be opened.
    """
    below = path.removeprefix(root).lstrip(os.sep) if root else ""
    if not below:
        yield Place(path, follow=True)
    elif not BY_DESCRIPTOR:
        _look_for_links(path, below)
        yield Place(path)
    else:
        *folders, name = below.split(os.sep)
        place = Place(root, follow=True)
        try:
            for part in (*folders, name):
                here = place.open(_PASSED)
                if place.folder is not None:
                    os.close(place.folder)
                place = Place(part, here)
            yield place
        finally:
            if place.folder is not None:
                os.close(place.folder)


class Folder:
    """A folder whose entries are listed and looked at. Owns its descriptor, which is open only while it is needed.

    Args:
        path: of the folder.
        root: as in `place_of`.
    """

    def __init__(self, path: str, root: str) -> None:
        self.path = path
        self._root = root
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scan(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """The entries; close what is returned. Their `path` is no more than their name.

        Raises:
            OSError, ValueError: the folder cannot be listed.
        """
        return os.scandir(self._handle())

    def status(self) -> os.stat_result:
        """Of the folder itself.

        Raises:
            OSError, ValueError: it cannot be opened.
        """
        return os.stat(self._handle())

    def place(self, name: str) -> Place:
        """Where to open an entry, until the folder is closed.

        Raises:
            OSError, ValueError: the folder cannot be opened.
        """
        handle = self._handle()
        if isinstance(handle, int):
            return Place(name, handle, follow=not self._root)
        return Place(os.path.join(self.path, name), follow=not self._root)

    def close(self) -> None:
        """Let go of the descriptor. What needs it opens the folder again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _handle(self) -> int | str:
        if self._descriptor is None:
            if len(os.fsencode(self.path)) > _LONGEST_PATH:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.path)
            with place_of(self.path, self._root) as place:
                if not BY_DESCRIPTOR:
                    return self.path
                self._descriptor = place.open(_LISTED)
        return self._descriptor


def _look_for_links(path: str, below: str) -> None:
    """Raise LinkError if a part of the path below the root is a link."""
    while below:
        if os.path.islink(path):
            raise LinkError(path)
        path, below = os.path.dirname(path), os.path.dirname(below)
