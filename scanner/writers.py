"""Results -> CSV, JSON, JSON Lines or text. A file appears under its name only when it is complete."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import select
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError
from scanner.result import Result

COLUMNS = ("path", "verdict", "p_fake", "n_faces", "width", "height", "format", "bytes", "sha256", "reason")
STDOUT = "-"
_SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}
# A format is three functions: of a row, of what stands before the rows, and of what stands after them, in pieces.
Format = tuple[Callable[..., str], Callable[[Mapping[str, Any]], str], Callable[[Mapping[str, Any]], Iterable[str]]]
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def format_of(path: str, otherwise: str | None) -> str:
    """The format of an output: by its suffix, or `otherwise` where that says nothing.

    Raises:
        FacescanError: neither says it.
    """
    suffix = os.path.splitext(path)[1].lower()
    if path != STDOUT and suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if otherwise is None:
        raise FacescanError(f"--out {path}: unknown suffix {suffix!r}; use .csv, .json or .jsonl, or say --format")
    return otherwise


class Writer:
    """Owns one output. Rows go to ``<path>.partial`` as they come; `finish` puts it in the place of the old file.

    Standard output, devices and pipes are written to directly. While there is a writer, no other one, in whatever
    process, has the same ``.partial``.
    """

    option = "--out"

    def __init__(
        self, path: str, format: str | Format, meta: Mapping[str, Any], excel: bool = False, color: bool = False
    ):
        self._to_row, self._head, self._tail = _format(format, excel, color) if isinstance(format, str) else format
        self.rows = 0
        self.name = "standard output" if path == STDOUT else path
        self._target = os.path.realpath(path)  # a link stays a link
        self.on_stdout = path == STDOUT
        direct = self.on_stdout or (os.path.exists(path) and not os.path.isfile(path))
        self.partial = "" if direct else self._target + ".partial"
        self._end = 0  # of the last whole row
        self._file = self._open(path)
        self._write(self._head(meta))

    def write(self, result: Result) -> None:
        """Append one row; it is in the operating system's hands when this returns."""
        self._write(self._to_row(result, first=self.rows == 0))
        self.rows += 1

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Complete the output and let it replace what was there before."""
        self._write_tail(summary)
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
            self._write_tail(summary)
        if not self._in_place():
            self._rescue()
        with suppress(OSError):
            self._file.close()

    def _write_tail(self, summary: Mapping[str, Any]) -> None:
        for text in self._tail(summary):
            self._write(text)

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
        """Make sure that the file is nobody else's, and empty it.

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
        file.truncate()
        if os.path.exists(self._target):
            shutil.copymode(self._target, self.partial)

    def _write(self, text: str) -> None:
        """All of it, or, if it cannot be all, nothing: then a file ends after its last whole row."""
        # A lone surrogate, as in the settings of a JSON's `meta`, is one in JSON, too.
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        size = len(left)
        try:
            while left:
                written = self._file.write(left)
                if written is None:  # a pipe that does not block, and is full
                    select.select([], [self._file], [])
                left = left[written or 0 :]
        except BrokenPipeError as error:
            raise FacescanError(f"{self.name} was closed by its reader after {self.rows} rows") from error
        except OSError as error:
            if self.partial:
                with suppress(OSError):
                    self._file.truncate(self._file.seek(self._end))
            raise self._failure(error) from error
        self._end += size

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
        kept = f"; {self.rows} rows are in {self.partial}" if self.partial else ""
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


def as_object(result: Result) -> dict[str, Any]:
    """A result as JSON has it: the columns of the CSV, the faces, and what was asked for: `ela`, `baseline`."""
    everything = asdict(result)
    row = {column: everything[column] for column in COLUMNS}
    row["faces"] = everything["faces"]
    if result.ela is not None:
        row["ela"] = everything["ela"]
    if result.baseline is not None:
        row["baseline"] = result.baseline
    return row


def as_cells(result: Result, excel: bool = False) -> list[str]:
    """A result as CSV has it. With `excel`, cells that a spreadsheet would execute begin with an apostrophe."""
    cells = []
    for column in COLUMNS:
        value = getattr(result, column)
        text = "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        cells.append("'" + text if excel and text.startswith(_FORMULA) else text)
    return cells


def as_line(result: Result, color: bool = False) -> str:
    """A result for people: verdict, score, path and reason, on one line whatever the name holds."""
    score = "" if result.p_fake is None else f"{result.p_fake:.4f}"
    verdict = f"{result.verdict:<9}"
    if color:
        verdict = f"\x1b[{_COLORS[result.verdict]}m{verdict}\x1b[0m"
    detail = f"  ({result.reason})" if result.verdict == "error" else ""
    if result.baseline:
        detail += "  (in the baseline)"
    return f"{verdict} {score:>6}  {on_one_line(result.path)}{detail}"


def on_one_line(text: str) -> str:
    """Control, escape, bidirectional and other characters that would not show as themselves, escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(c: str) -> str:
    if "\udc80" <= c <= "\udcff":  # a byte of a name that is not UTF-8, as rows show it
        return f"\\x{ord(c) - 0xDC00:02x}"
    return c.encode("unicode_escape").decode("ascii")


_COLORS = {"fake": "31", "real": "32", "uncertain": "33", "no_face": "2", "error": "35"}


def _csv_line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # only so does it quote a lone \r
    return line.getvalue().removesuffix("\r\n") + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _format(name: str, excel: bool, color: bool) -> Format:
    def nothing(_: Mapping[str, Any]) -> str:
        return ""

    if name == "csv":
        return (
            lambda result, first: _csv_line(as_cells(result, excel)),
            lambda meta: _csv_line(list(COLUMNS)),
            nothing,
        )
    if name == "jsonl":
        return lambda result, first: _json(as_object(result)) + "\n", nothing, nothing
    if name == "json":  # one result a line, so that what a killed run leaves can be read with a text tool
        return (
            lambda result, first: ("\n" if first else ",\n") + _json(as_object(result)),
            lambda meta: f'{{"meta": {_json(meta)},\n"results": [',
            lambda summary: [f'\n],\n"summary": {_json(summary)}}}\n'],
        )
    return lambda result, first: as_line(result, color) + "\n", nothing, nothing
