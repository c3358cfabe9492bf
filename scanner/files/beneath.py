"""Opens files that a walk found without following a symbolic link below the root.

Whoever can write to a scanned folder can put a link in the place of a file or folder between the moment when the walk
finds it and the moment when it is opened. Therefore each folder on the way down is opened by its name relative to the
open folder above it, and the system refuses links. Where the system cannot do that (Windows), each part of the path is
checked just before opening, which leaves a moment for such a swap.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Self

# Whether the system can open a name relative to an open folder, and refuse links.
HAS_DIR_FD = (
    hasattr(os, "O_NOFOLLOW") and {os.open, os.stat} <= os.supports_dir_fd and {os.scandir, os.stat} <= os.supports_fd
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_COMMON_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LIST_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _COMMON_FLAGS
# O_PATH: a folder on the way down need not be readable, and costs no request to a network file system.
_TRAVERSE_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _COMMON_FLAGS
# Bytes; the limit of Linux. Longer paths cannot be opened, and walking on gets ever slower.
_MAX_PATH_BYTES = 4095


class LinkError(OSError):
    """Says that a symbolic link stands where the walk found a file or a folder."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, os.strerror(errno.ELOOP), path)


@dataclass(frozen=True, slots=True)
class Place:
    """Holds where and how a file or folder is opened.

    Attributes:
        name: name in `folder`; a path if that is None.
        folder: descriptor of an open folder.
        follow: whether a symbolic link is followed.
    """

    name: str
    folder: int | None = None
    follow: bool = False

    def status(self) -> os.stat_result:
        """Return the current `os.stat` result; for a link that is not followed, that of the link.

        Raises:
            OSError, ValueError: nothing is there, or it cannot be accessed.
        """
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=self.follow)

    def open(self, flags: int) -> int:
        """Open it and return the descriptor.

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
    """Open the folders down to a file or folder, and yield the place where it can be opened.

    Args:
        path: of the file or folder.
        root: the folder whose walk found it: `path` begins with `root`, and no link below `root` is followed. Empty for
            paths that were named, or found where links are followed.

    Raises:
        LinkError: a folder between the two has become a symbolic link.
        OSError, ValueError: a folder cannot be opened.
    """
    below = path.removeprefix(root).lstrip(os.sep) if root else ""
    if not below:
        yield Place(path, follow=True)
    elif not HAS_DIR_FD:
        _look_for_links(path, below)
        yield Place(path)
    else:
        *folders, name = below.split(os.sep)
        place = Place(root, follow=True)
        try:
            for part in (*folders, name):
                here = place.open(_TRAVERSE_FLAGS)
                if place.folder is not None:
                    os.close(place.folder)
                place = Place(part, here)
            yield place
        finally:
            if place.folder is not None:
                os.close(place.folder)


class Folder:
    """Lists a folder and opens its entries. Owns the folder's descriptor, which is open only while it is needed.

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
        """Return an iterator over the entries, to be closed by the caller. Their `path` is only their name.

        Raises:
            OSError, ValueError: the folder cannot be listed.
        """
        return os.scandir(self._handle())

    def status(self) -> os.stat_result:
        """Return the `os.stat` result of the folder itself.

        Raises:
            OSError, ValueError: it cannot be opened.
        """
        return os.stat(self._handle())

    def place(self, name: str) -> Place:
        """Return where to open an entry; valid until the folder is closed.

        Raises:
            OSError, ValueError: the folder cannot be opened.
        """
        handle = self._handle()
        if isinstance(handle, int):
            return Place(name, handle, follow=not self._root)
        return Place(os.path.join(self.path, name), follow=not self._root)

    def close(self) -> None:
        """Close the descriptor. Methods that need it open the folder again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _handle(self) -> int | str:
        if self._descriptor is None:
            if len(os.fsencode(self.path)) > _MAX_PATH_BYTES:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.path)
            with place_of(self.path, self._root) as place:
                if not HAS_DIR_FD:
                    return self.path
                self._descriptor = place.open(_LIST_FLAGS)
        return self._descriptor


def _look_for_links(path: str, below: str) -> None:
    """Raise LinkError if a part of the path below the root is a link."""
    while below:
        if os.path.islink(path):
            raise LinkError(path)
        path, below = os.path.dirname(path), os.path.dirname(below)
