"""Where the bytes of an output go: into an open stream, or into a file that appears when it is complete."""

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
from scanner.output.overwrite import Kind, check_replaceable, holds

STDOUT = "-"
# Links in a row that Linux follows.
_MAX_LINKS = 40


class Stream:
    """Writes to standard output, an open descriptor, a device or a pipe. Nothing can be taken back.

    Args:
        path: `STDOUT`, a name of an open descriptor such as ``/dev/fd/3``, or a device or FIFO.
        option: that names the output, for messages.

    Raises:
        FacescanError: it cannot be opened, or is not open for writing.
    """

    partial = ""
    end = 0

    def __init__(self, path: str, option: str) -> None:
        number = descriptor_of(path)
        try:
            if path == STDOUT:
                # Not sys.stdout: that translates line ends on Windows and may not speak UTF-8.
                self._file = io.FileIO(sys.stdout.fileno(), "w", closefd=False)
            elif number is None:  # neither made nor emptied, should it have become a file meanwhile
                self._file = io.FileIO(path, "w", opener=lambda name, _: os.open(name, os.O_WRONLY))
            elif _is_open_for_writing(number):
                # Opening the name would empty the file. A copy, because standard error is silenced while libraries run.
                self._file = io.FileIO(os.dup(number), "w")
            else:
                raise FacescanError(f"{option} {path}: that descriptor is not open for writing")
        except OSError as error:
            raise FacescanError(f"{option} {path}: {error.strerror}") from error

    def write(self, content: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: part of it may be written.
        """
        left = memoryview(content)
        while left:
            written = self._file.write(left)
            if written is None:  # a pipe that does not block, and is full
                select.select([], [self._file], [])
            left = left[written or 0 :]

    def shorten(self, end: int) -> None:
        """Do nothing: what was written stays."""


class AtomicFile:
    """Writes to ``<path>.partial``, which takes the place of the file at `path` when it is complete.

    While there is one, no other process has the same ``.partial``; what an earlier one left there stays until
    `shorten` removes it.

    Args:
        path: of the output; a symbolic link stays one.
        kind: of files that it may replace; None for any.
        option: that names the output, for messages.

    Raises:
        FacescanError: the file cannot be made, is being written by another scan, or would replace one of another kind.
    """

    def __init__(self, path: str, kind: Kind | None, option: str) -> None:
        self._name, self._kind, self._option = path, kind, option
        self._target = os.path.realpath(path)
        self.partial = self._target + ".partial"
        self.end = 0  # of the last write that was whole
        check_replaceable(path, kind, option)
        self._file = self._open()

    def write(self, content: bytes) -> None:
        """Write all of it or, if it cannot be all, nothing: the file ends after the last write that was whole.

        Raises:
            OSError: it cannot be all.
        """
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self.shorten(self.end)
            raise
        self.end += len(content)

    def shorten(self, end: int) -> None:
        """Remove all after the first `end` bytes."""
        self.end = end
        with suppress(OSError):
            self._file.truncate(self._file.seek(end))

    @property
    def in_place(self) -> bool:
        """Whether the file still has its name, ``.partial``."""
        return _is(self.partial, os.fstat(self._file.fileno()))

    @property
    def closed(self) -> bool:
        """Whether it is complete, or given up."""
        return self._file.closed

    def complete(self) -> None:
        """Let the file take its place.

        Raises:
            OSError: it cannot.
            FacescanError: meanwhile there is a file of another kind.
        """
        os.fsync(self._file.fileno())
        check_replaceable(self._target, self._kind, self._option)
        self._file.close()
        os.replace(self.partial, self._target)

    def close(self) -> None:
        """Leave the file as ``.partial``, unless it is empty."""
        with suppress(OSError):
            if self.in_place and not os.fstat(self._file.fileno()).st_size:
                os.unlink(self.partial)
        with suppress(OSError):
            self._file.close()

    def rescue(self) -> str | None:
        """Write everything once more, if the file has no name any more.

        Returns:
            the file's name; empty if there is no place for it, None if it has another name, which we do not know.
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
        try:
            file = io.FileIO(self.partial, "r+", opener=_no_link)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR) and os.path.lexists(self.partial):
                raise FacescanError(f"{self._option} {self._name}: {self.partial} is no file; remove it") from error
            raise FacescanError(f"{self._option} {self._name}: {error.strerror}") from error
        try:
            self._claim(file)
        except BaseException:
            file.close()
            raise
        return file

    def _claim(self, file: io.FileIO) -> None:
        """Make sure that the file is nobody else's.

        What somebody left under this name in a folder that others may write to, could be the way to a file of ours.
        """
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise FacescanError(
                f"{self._option} {self._name}: {self.partial} is no file, or one of several names; remove it"
            )
        if not _lock(file) or not _is(self.partial, status):  # the other one may have finished this very moment
            raise FacescanError(
                f"{self._option} {self._name}: another scan is writing it; wait for it, or name another file"
            )
        if self._kind is not None and not holds(file, self._kind, unfinished=True):
            raise FacescanError(
                f"{self._option} {self._name}: {self.partial} is in the way, and is not {self._kind.name} of facescan: "
                "move it, or use --force to replace it"
            )
        if os.path.exists(self._target):
            shutil.copymode(self._target, self.partial)


def open_destination(path: str, kind: Kind | None, option: str) -> Stream | AtomicFile:
    """Open what an output is written to. What is open already, or no regular file, is written to as it is.

    Args:
        path: of the output, or `STDOUT`.
        kind: of files that it may replace; None for any.
        option: that names the output, for messages.

    Raises:
        FacescanError: it cannot be opened, or may not be replaced.
    """
    if path == STDOUT or descriptor_of(path) is not None or (os.path.exists(path) and not os.path.isfile(path)):
        return Stream(path, option)
    return AtomicFile(path, kind, option)


def descriptor_of(path: str) -> int | None:
    """The descriptor that ``/dev/stdout``, ``/dev/fd/3`` or a link to such a name stands for; None for other paths."""
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
    """Write a small file, which appears under its name when it is complete. Streams are written to as they are.

    Args:
        path: of the file.
        content: all of it.
        kind: of files that it may replace; None for any.
        option: that names the file, for messages.

    Raises:
        FacescanError: it cannot be written, or may not be replaced. What was there before is as it was.
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
    """Whether a descriptor was handed to this process to write to. Those of our own files are not inheritable."""
    import fcntl

    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:  # not open
        return False
    return mode != os.O_RDONLY and (number <= 2 or os.get_inheritable(number))


def _no_link(path: str, flags: int) -> int:
    """Open or make a file, but not where a link leads, and without waiting for anybody."""
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _is(path: str, status: os.stat_result) -> bool:
    """Whether that file is still what is called so."""
    try:
        return os.path.samestat(os.lstat(path), status)
    except OSError:
        return False


def _lock(file: io.FileIO) -> bool:
    """Whether nobody else has it; Windows lets nobody remove or replace a file that is open."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system that knows no locks
            pass
    return True
