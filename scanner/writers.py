"""Results -> CSV, JSON, JSON Lines, text and other formats. A file appears under its name only when it is complete."""

from __future__ import annotations

import errno
import io
import os
import select
import shutil
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError, NobodyReadsError
from scanner.formats import Format, make_format
from scanner.result import Result

STDOUT = "-"


class Writer:
    """Owns one output. Rows go to ``<path>.partial`` as they come; `finish` puts it in the place of the old file.

    Standard output, devices and pipes are written to directly. While there is a writer, no other one, in whatever
    process, has the same ``.partial``; what an earlier one left there stays until `begin`.
    """

    option = "--out"
    counts_all = False  # whether it needs every row, also those that --only leaves out

    def __init__(
        self,
        path: str,
        format: str | Format,
        meta: Mapping[str, Any],
        excel: bool = False,
        color: bool = False,
        fail_on: str = "fake",
    ):
        self._format = make_format(format, excel, color, fail_on) if isinstance(format, str) else format
        self.rows = 0
        self.name = "standard output" if path == STDOUT else path
        self._target = os.path.realpath(path)  # a link stays a link
        self.on_stdout = path == STDOUT
        direct = self.on_stdout or (os.path.exists(path) and not os.path.isfile(path))
        self.partial = "" if direct else self._target + ".partial"
        self._end = 0  # of the last whole row
        self._begun = self._cut = self._ended = False
        self._meta = meta
        self._file = self._open(path)

    def begin(self) -> None:
        """Empty the file, and write what stands before the rows; the first row does so, too."""
        if not self._begun:
            self._begun = True
            self._shorten(0)
            self._write(self._format.head(self._meta))

    def write(self, result: Result) -> None:
        """Append one row. Of text, it is in the operating system's hands when this returns."""
        self.begin()
        try:
            self._write(self._format.row(result))
        except FacescanError:
            self._cut = True
            raise
        self.rows += 1

    @property
    def kept(self) -> str:
        """The file beside the output that has the rows so far, if there is one that can be read."""
        return self.partial if self._format.cuttable or self._ended else ""

    @property
    def note(self) -> str:
        """What is to be said to people of rows that are not in the output."""
        return f"{self.name}: {self._format.note}" if self._format.note else ""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Complete the output and let it replace what was there before."""
        self._write_tail(summary, complete=True)
        if not self.partial:
            return
        try:
            os.fsync(self._file.fileno())
            if not self._in_place():
                where = self._rescue()
                raise FacescanError(f"{self.name}: {self.partial} was moved or removed meanwhile; {where}")
            self._file.close()
            os.replace(self.partial, self._target)
        except OSError as error:
            raise self._failure(error) from error

    def abandon(self, summary: Mapping[str, Any]) -> None:
        """Close a file that will not be complete: what is done stays in ``.partial``, well-formed if there is room."""
        if not self.partial or self._file.closed:  # nobody may be reading any more; or it is finished
            return
        with suppress(FacescanError):
            self._write_tail(summary, complete=False)
        if not self._in_place():
            self._rescue()
        with suppress(OSError):
            self._file.close()

    def withdraw(self) -> None:
        """Close a file that was not begun. Rows of an earlier run stay; an empty one does not."""
        if self.partial:
            if self._in_place() and not os.fstat(self._file.fileno()).st_size:
                with suppress(OSError):
                    os.unlink(self.partial)
            self._file.close()

    def _open(self, path: str) -> io.FileIO:
        if path == STDOUT:
            # Not sys.stdout: that translates line ends on Windows and may not speak UTF-8.
            return io.FileIO(sys.stdout.fileno(), "w", closefd=False)
        try:
            if not self.partial:
                return io.FileIO(path, "w")
            file = io.FileIO(self.partial, "r+", opener=_no_link)
            try:
                self._claim(file)
            except BaseException:
                file.close()
                raise
            return file
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR) and os.path.lexists(self.partial):
                raise FacescanError(f"{self.option} {path}: {self.partial} is no file; remove it") from error
            raise FacescanError(f"{self.option} {path}: {error.strerror}") from error

    def _claim(self, file: io.FileIO) -> None:
        """Make sure that the file is nobody else's.

        What somebody left under this name in a folder that others may write to, could be the way to a file of ours.
        """
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise FacescanError(
                f"{self.option} {self.name}: {self.partial} is no file, or one of several names; remove it"
            )
        if not _lock(file) or not _is(self.partial, status):  # the other one may have finished this very moment
            raise FacescanError(
                f"{self.option} {self.name}: another scan is writing it; wait for it, or name another file"
            )
        if os.path.exists(self._target):
            shutil.copymode(self._target, self.partial)

    def _write_tail(self, summary: Mapping[str, Any], complete: bool) -> None:
        """Whole and once only, and not where nothing can make sense of the rows any more."""
        if self._ended or (self._cut and not self._format.cuttable):
            return
        self.begin()
        end = self._end
        try:
            for part in self._format.tail(summary, complete):
                self._write(part)
            self._ended = True
        except FacescanError:
            self._shorten(end)
            raise

    def _write(self, content: str | bytes) -> None:
        """All of it, or, if it cannot be all, nothing: then a file ends after its last whole row."""
        # A lone surrogate, as in the settings of a JSON's `meta`, is one in JSON, too.
        left = memoryview(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        size = len(left)
        try:
            while left:
                written = self._file.write(left)
                if written is None:  # a pipe that does not block, and is full
                    select.select([], [self._file], [])
                left = left[written or 0 :]
        except BrokenPipeError as error:
            if self.on_stdout:
                raise NobodyReadsError from error
            raise FacescanError(f"{self.name} was closed by its reader after {self.rows} rows") from error
        except OSError as error:
            self._shorten(self._end)
            raise self._failure(error) from error
        self._end += size

    def _shorten(self, end: int) -> None:
        if self.partial:
            self._end = end
            with suppress(OSError):
                self._file.truncate(self._file.seek(end))

    def _in_place(self) -> bool:
        return _is(self.partial, os.fstat(self._file.fileno()))

    def _rescue(self) -> str:
        """Write what is done once more, if its file has no name any more; what there is to say of it."""
        if os.fstat(self._file.fileno()).st_nlink:
            return f"its {self.rows} rows went with it"
        for name in (self.partial, f"{self.partial}.rescued"):
            with suppress(OSError), io.FileIO(name, "x") as again:
                self._file.seek(0)
                shutil.copyfileobj(self._file, again)
                return f"its {self.rows} rows are in {name}"
        return f"its {self.rows} rows are lost, but for the cache"

    def _failure(self, error: OSError) -> FacescanError:
        kept = f"; {self.rows} rows are in {self.kept}" if self.kept else ""
        if self.partial and not self.kept:
            kept = f"; its {self.rows} rows are lost, but for the cache"
        return FacescanError(f"{self.name}: {error.strerror}{kept}")


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


def replace_file(path: str, content: bytes) -> None:
    """Write a small file, which appears under its name when it is complete. Devices and pipes are written to directly.

    Raises:
        OSError: what was there before is as it was.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        Path(target).write_bytes(content)
        return
    partial = f"{target}.partial"
    with suppress(FileNotFoundError):
        os.unlink(partial)  # of a run that was killed
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, partial)
        os.replace(partial, target)
    except OSError:
        with suppress(OSError):
            os.unlink(partial)
        raise
