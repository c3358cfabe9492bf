"""Writes the bytes of an output: to an open stream, or to a file that appears under its name when it is complete."""

from __future__ import annotations

import errno
import io
import os
import secrets
import select
import shutil
import stat
import sys
from contextlib import suppress

from scanner.errors import FacescanError
from scanner.output.overwrite import Kind, check_replaceable, is_of_kind

STDOUT = "-"
# Symbolic links in a row that Linux follows, at most.
_MAX_LINKS = 40


class Stream:
    """Writes to standard output, an open descriptor, a device or a pipe. Nothing can be undone.

    Args:
        path: `STDOUT`, the name of an open descriptor such as ``/dev/fd/3``, or a device or FIFO.
        option: the option that names the output, for messages.

    Raises:
        FacescanError: it cannot be opened, or is not open for writing.
    """

    partial = ""
    size = 0

    def __init__(self, path: str, option: str) -> None:
        number = descriptor_of(path)
        try:
            if path == STDOUT:
                # Not sys.stdout: that translates line ends on Windows and may not speak UTF-8.
                self._file = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
            elif number is None:  # do not create or empty it, in case it has become a file meanwhile
                self._file = io.FileIO(path, "w", opener=lambda name, _: os.open(name, os.O_WRONLY))
            elif _is_open_for_writing(number):
                # Opening the name would empty the file. A copy: standard error is redirected while libraries run.
                self._file = io.FileIO(os.dup(number), "w")
            else:
                raise FacescanError(f"{option} {path}: that descriptor is not open for writing")
        except OSError as error:
            raise FacescanError(f"{option} {path}: {error.strerror}") from error

    def write(self, content: bytes) -> None:
        """Write all of the content.

        Raises:
            OSError: it cannot be written; part of it may be.
        """
        left = memoryview(content)
        while left:
            written = self._file.write(left)
            if written is None:  # a non-blocking pipe is full
                select.select([], [self._file], [])
            left = left[written or 0 :]

    def truncate(self, end: int) -> None:
        """Do nothing: what was written cannot be removed."""


class AtomicFile:
    """Writes to ``<path>.partial``, which replaces the file at `path` when it is complete.

    The ``.partial`` is locked against other processes. Content that an earlier run left there stays until `truncate`
    removes it.

    Args:
        path: of the output; a symbolic link is kept, and its target replaced.
        kind: of the files that it may replace; None for any.
        option: the option that names the output, for messages.

    Raises:
        FacescanError: the file cannot be created, is being written by another scan, or would replace a file of another
            kind.
    """

    def __init__(self, path: str, kind: Kind | None, option: str) -> None:
        self._name, self._kind, self._option = path, kind, option
        self._target = os.path.realpath(path)
        self.partial = self._target + ".partial"
        self.size = 0  # in bytes, after the last complete write
        check_replaceable(path, kind, option)
        self._file = self._open()

    def write(self, content: bytes) -> None:
        """Write all of the content; on failure, remove the part that was written.

        Raises:
            OSError: it cannot be written.
        """
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self.truncate(self.size)
            raise
        self.size += len(content)

    def truncate(self, end: int) -> None:
        """Remove everything after the first `end` bytes."""
        self.size = end
        with suppress(OSError):
            self._file.truncate(self._file.seek(end))

    @property
    def in_place(self) -> bool:
        """Return whether the open file still has its name, ``.partial``."""
        return _is(self.partial, os.fstat(self._file.fileno()))

    @property
    def closed(self) -> bool:
        """Return whether the file was completed or closed."""
        return self._file.closed

    def complete(self) -> None:
        """Replace the file at the path.

        Raises:
            OSError: it cannot be replaced.
            FacescanError: it has become a file of another kind.
        """
        os.fsync(self._file.fileno())
        check_replaceable(self._target, self._kind, self._option)
        self._file.close()
        os.replace(self.partial, self._target)

    def close(self) -> None:
        """Close the file and leave it as ``.partial``; remove it if it is empty."""
        with suppress(OSError):
            if self.in_place and not os.fstat(self._file.fileno()).st_size:
                os.unlink(self.partial)
        with suppress(OSError):
            self._file.close()

    def recreate_if_deleted(self) -> str | None:
        """Write the content to a new file if the open file was deleted.

        Returns:
            Name of the new file; empty if none could be written. None if the file was not deleted but moved; its new
            name is not known.
        """
        if os.fstat(self._file.fileno()).st_nlink:
            return None
        for name in (self.partial, f"{self.partial}.rescued"):
            with suppress(OSError), io.FileIO(name, "x") as again:
                self._file.seek(0)
                shutil.copyfileobj(self._file, again)
                return name
        return ""

    def _open(self) -> io.FileIO:
        """Open or create the ``.partial``."""
        try:
            file = io.FileIO(self.partial, "r+", opener=_no_link)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR) and os.path.lexists(self.partial):
                raise FacescanError(f"{self._option} {self._name}: {self.partial} is not a file; remove it") from error
            raise FacescanError(f"{self._option} {self._name}: {error.strerror}") from error
        try:
            self._claim(file)
        except BaseException:
            file.close()
            raise
        return file

    def _claim(self, file: io.FileIO) -> None:
        """Lock the file, and make sure that nobody else uses it.

        In a folder that others may write to, a file that somebody left under this name may be a link to a file of the
        user.
        """
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise FacescanError(
                f"{self._option} {self._name}: {self.partial} is not a file, or has several hard links; remove it"
            )
        if not _lock(file) or not _is(self.partial, status):  # the other scan may have just finished
            raise FacescanError(
                f"{self._option} {self._name}: another scan is writing it; wait for it, or name another file"
            )
        if self._kind is not None and not is_of_kind(file, self._kind, unfinished=True):
            raise FacescanError(
                f"{self._option} {self._name}: {self.partial} exists and is not {self._kind.name} of facescan; "
                "move it, or use --force to replace it"
            )
        if os.path.exists(self._target):
            shutil.copymode(self._target, self.partial)


def open_destination(path: str, kind: Kind | None, option: str) -> Stream | AtomicFile:
    """Open the destination of an output. Streams, and whatever is not a regular file, are written to directly.

    Args:
        path: of the output, or `STDOUT`.
        kind: of the files that it may replace; None for any.
        option: the option that names the output, for messages.

    Raises:
        FacescanError: it cannot be opened, or may not be replaced.
    """
    if path == STDOUT or descriptor_of(path) is not None or (os.path.exists(path) and not os.path.isfile(path)):
        return Stream(path, option)
    return AtomicFile(path, kind, option)


def descriptor_of(path: str) -> int | None:
    """Return the descriptor that ``/dev/stdout``, ``/dev/fd/3`` or a link to such a name stands for; None for
    other paths.
    """
    if sys.platform == "win32":
        return None
    folders = {os.path.realpath(folder) for folder in ("/dev/fd", "/proc/self/fd", "/proc/thread-self/fd")}
    for _ in range(_MAX_LINKS):
        folder, name = os.path.realpath(os.path.dirname(path)), os.path.basename(path)
        if folder in folders and name.isdecimal():
            return int(name)
        entry = os.path.join(folder, name)
        if not os.path.islink(entry):
            return None
        path = os.path.join(folder, os.readlink(entry))
    return None


def replace_file(path: str, content: bytes, kind: Kind | None, option: str) -> None:
    """Write a small file, which appears under its name when it is complete. Streams are written to directly.

    Args:
        path: of the file.
        content: all of it.
        kind: of the files that it may replace; None for any.
        option: the option that names the file, for messages.

    Raises:
        FacescanError: it cannot be written, or may not be replaced. The earlier file is unchanged then.
    """
    if descriptor_of(path) is not None or (os.path.exists(path) and not os.path.isfile(path)):
        stream = Stream(path, option)
        try:
            stream.write(content)
        except OSError as error:
            raise FacescanError(f"{option} {path}: {error.strerror}") from error
        return
    check_replaceable(path, kind, option)
    target = os.path.realpath(path)
    partial = f"{target}.{secrets.token_hex(4)}.partial"
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, partial)
        os.replace(partial, target)
    except OSError as error:
        with suppress(OSError):
            os.unlink(partial)
        raise FacescanError(f"{option} {path}: {error.strerror}") from error


def _is_open_for_writing(number: int) -> bool:
    """Return whether this process inherited a descriptor for writing. Descriptors of facescan's own files are not
    inheritable.
    """
    import fcntl

    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:  # not open
        return False
    return mode != os.O_RDONLY and (number <= 2 or os.get_inheritable(number))


def _no_link(path: str, flags: int) -> int:
    """Open or create a file without following a link, and without blocking."""
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _is(path: str, status: os.stat_result) -> bool:
    """Return whether a path still leads to the file with this status."""
    try:
        return os.path.samestat(os.lstat(path), status)
    except OSError:
        return False


def _lock(file: io.FileIO) -> bool:
    """Lock a file; return whether no other process has the lock. Windows needs none: there, open files cannot be
    replaced.
    """
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # the file system has no locks
            pass
    return True
