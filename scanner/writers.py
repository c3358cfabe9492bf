"""Results -> CSV, JSON, JSON Lines, text and other formats. A file appears under its name only when it is complete."""

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from scanner.errors import FacescanError
from scanner.result import Result, generators, is_marked

COLUMNS = ("path", "verdict", "p_fake", "n_faces", "width", "height", "format", "bytes", "sha256", "reason")
STDOUT = "-"
_SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".parquet": "parquet",
    ".sarif": "sarif",
}
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def format_of(path: str, otherwise: str | None) -> str:
    """The format of an output: by its suffix, or `otherwise` where that says nothing.

    Raises:
        FacescanError: neither says it.
    """
    name = path.lower()
    suffix = os.path.splitext(name.removesuffix(".json") if name.endswith(".sarif.json") else name)[1]
    if path != STDOUT and suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if otherwise is None:
        raise FacescanError(
            f"--out {path}: unknown suffix {suffix!r}; use .csv, .json, .jsonl, .parquet or .sarif, or say --format"
        )
    return otherwise


class Format(Protocol):
    """The bytes of one output, in order. Text is written as UTF-8.

    Attributes:
        cuttable: whether the rows so far can still be ended well when one of them found no room.
    """

    cuttable: ClassVar[bool]

    @property
    def note(self) -> str:
        """What is to be said to people of rows that the format left out; empty if nothing."""

    def head(self, meta: Mapping[str, Any]) -> str | bytes:
        """What stands before the rows."""

    def row(self, result: Result) -> str | bytes:
        """What one more row adds."""

    def tail(self, summary: Mapping[str, Any], complete: bool) -> Iterable[str | bytes]:
        """What stands after the rows, in pieces; they are not `complete` if the scan was broken off.

        It may be asked for again, if it found no room.
        """


class Writer:
    """Owns one output. Rows go to ``<path>.partial`` as they come; `finish` puts it in the place of the old file.

    Standard output, devices and pipes are written to directly. While there is a writer, no other one, in whatever
    process, has the same ``.partial``.
    """

    option = "--out"

    def __init__(
        self,
        path: str,
        format: str | Format,
        meta: Mapping[str, Any],
        excel: bool = False,
        color: bool = False,
        fail_on: str = "fake",
    ):
        self._format = _format(format, excel, color, fail_on) if isinstance(format, str) else format
        self.rows = 0
        self.name = "standard output" if path == STDOUT else path
        self._target = os.path.realpath(path)  # a link stays a link
        self.on_stdout = path == STDOUT
        direct = self.on_stdout or (os.path.exists(path) and not os.path.isfile(path))
        self.partial = "" if direct else self._target + ".partial"
        self._end = 0  # of the last whole row
        self._cut = self._ended = False
        self._file = self._open(path)
        self._write(self._format.head(meta))

    def write(self, result: Result) -> None:
        """Append one row. Of text, it is in the operating system's hands when this returns."""
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

    def _write_tail(self, summary: Mapping[str, Any], complete: bool) -> None:
        """Whole and once only, and not where nothing can make sense of the rows any more."""
        if self._ended or (self._cut and not self._format.cuttable):
            return
        begin = self._end
        try:
            for part in self._format.tail(summary, complete):
                self._write(part)
            self._ended = True
        except FacescanError:
            self._shorten(begin)
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


def as_object(result: Result) -> dict[str, Any]:
    """A result as JSON has it: the columns of the CSV, faces, provenance, and what was asked for: `ela`, ..."""
    everything = asdict(result)
    row = {column: everything[column] for column in COLUMNS}
    row["faces"] = everything["faces"]
    if result.provenance is not None:
        row["provenance"] = everything["provenance"]
    if result.ela is not None:
        row["ela"] = everything["ela"]
    if result.explanation is not None:
        row["explanation"] = result.explanation
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
    if result.provenance and is_marked(result.provenance):
        by = ", ".join(generators(result.provenance))  # our names for them, not the file's
        detail += f"  (marked as generated: {by})" if by else "  (marked as generated)"
    if result.baseline:
        detail += "  (in the baseline)"
    if result.explanation:
        detail += f"  (why: {on_one_line(result.explanation)})"
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


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@dataclass(slots=True)
class _Text:
    """Rows of text, one a line, so that what a killed run leaves can be read with a text tool."""

    line: Callable[[Result], str]
    before: Callable[[Mapping[str, Any]], str] = lambda meta: ""
    between: str = ""
    after: Callable[[Mapping[str, Any]], str] = lambda summary: ""
    cuttable: ClassVar[bool] = True
    note: str = ""
    _begun: bool = False

    def head(self, meta: Mapping[str, Any]) -> str:
        return self.before(meta)

    def row(self, result: Result) -> str:
        between, self._begun = self.between if self._begun else "", True
        return between + self.line(result)

    def tail(self, summary: Mapping[str, Any], complete: bool) -> tuple[str]:
        return (self.after(summary),)


def _format(name: str, excel: bool, color: bool, fail_on: str) -> Format:
    if name == "parquet":
        from scanner.parquet import Parquet

        return Parquet()
    if name == "sarif":
        from scanner.sarif import Sarif

        return Sarif(fail_on)
    if name == "csv":
        return _Text(lambda result: _csv_line(as_cells(result, excel)), lambda meta: _csv_line(list(COLUMNS)))
    if name == "jsonl":
        return _Text(lambda result: json_text(as_object(result)) + "\n")
    if name == "json":
        return _Text(
            lambda result: "\n" + json_text(as_object(result)),
            lambda meta: f'{{"meta": {json_text(meta)},\n"results": [',
            ",",
            lambda summary: f'\n],\n"summary": {json_text(summary)}}}\n',
        )
    return _Text(lambda result: as_line(result, color) + "\n")
