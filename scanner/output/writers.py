"""Results -> CSV, JSON, JSON Lines, text and other formats. A file appears under its name only when it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from scanner.errors import FacescanError, NobodyReadsError
from scanner.output.destination import STDOUT, AtomicFile, open_destination
from scanner.output.formats import Format, make_format
from scanner.output.overwrite import ROWS, Kind
from scanner.result import Result


class _State(Enum):
    """How far an output is."""

    EMPTY = auto()  # nothing is written; a ``.partial`` may hold rows of an earlier run
    OPEN = auto()  # what stands before the rows is written, and as many rows as there are
    CUT = auto()  # a row found no room
    ENDED = auto()  # what stands after the rows is written, too


class Writer:
    """Owns one output. Rows go to ``<path>.partial`` as they come; `finish` puts it in the place of the old file.

    Standard output, descriptors, devices and pipes are written to directly. While there is a writer, no other one, in
    whatever process, has the same ``.partial``; what an earlier one left there stays until the first row.

    Args:
        path: of the file, or `STDOUT`.
        format: of the rows; a name, or what makes the bytes.
        meta: tool, model, device, thresholds and settings.
        excel: whether a CSV is for a spreadsheet.
        color: whether lines for people are coloured.
        fail_on: what counts as a finding; one of `scanner.output.summary.FAIL_ON`.
        force: replace files of any kind.

    Raises:
        FacescanError: it cannot be written, or would replace a file of another kind.
    """

    option = "--out"
    counts_all = False  # whether it needs every row, also those that --only leaves out
    kind: Kind = ROWS

    def __init__(
        self,
        path: str,
        format: str | Format,
        meta: Mapping[str, Any],
        excel: bool = False,
        color: bool = False,
        fail_on: str = "fake",
        force: bool = False,
    ):
        self._format = make_format(format, excel, color, fail_on) if isinstance(format, str) else format
        self.rows = 0
        self.name = "standard output" if path == STDOUT else path
        self.on_stdout = path == STDOUT
        self._state = _State.EMPTY
        self._meta = meta
        self._out = open_destination(path, None if force else self.kind, self.option)
        self.partial = self._out.partial

    def begin(self) -> None:
        """Write to a stream what stands before the rows. A file waits for the first row, which may never come."""
        if not self.partial:
            self._write_head()

    def write(self, result: Result) -> None:
        """Append one row. Of text, it is in the operating system's hands when this returns."""
        self._write_head()
        try:
            self._write(self._format.row(result))
        except FacescanError:
            self._state = _State.CUT
            raise
        self.rows += 1

    @property
    def kept(self) -> str:
        """The file beside the output that has the rows so far, if there is one that can be read."""
        readable = self._state is _State.ENDED or (self._format.cuttable and self._state is not _State.EMPTY)
        return self.partial if readable else ""

    @property
    def note(self) -> str:
        """What is to be said to people of rows that are not in the output."""
        return f"{self.name}: {self._format.note}" if self._format.note else ""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Complete the output and let it replace what was there before."""
        self._write_tail(summary, complete=True)
        if not isinstance(self._out, AtomicFile):
            return
        if not self._out.in_place:
            where = self._whereabouts(self._out.rescue())
            raise FacescanError(f"{self.name}: {self.partial} was moved or removed meanwhile; {where}")
        try:
            self._out.complete()
        except OSError as error:
            raise self._failure(error) from error
        except FacescanError as error:  # another program was faster
            raise FacescanError(f"{error}; {self.rows} rows are in {self.partial}") from error

    def abandon(self, summary: Mapping[str, Any]) -> None:
        """Close a file that will not be complete: what is done stays in ``.partial``, well-formed if there is room.

        Rows of an earlier run stay where this one wrote none.
        """
        if not isinstance(self._out, AtomicFile) or self._out.closed:  # nobody may be reading any more
            return
        if self._state is not _State.EMPTY:
            with suppress(Exception):  # whatever a format's library raises: the other outputs have to be closed, too
                self._write_tail(summary, complete=False)
            if not self._out.in_place:
                self._out.rescue()
        self._out.close()

    def _write_head(self) -> None:
        """Write what stands before the rows, once, and only now empty the file of what an earlier run left in it."""
        if self._state is _State.EMPTY:
            self._state = _State.OPEN
            self._out.shorten(0)
            self._write(self._format.head(self._meta))

    def _write_tail(self, summary: Mapping[str, Any], complete: bool) -> None:
        """Whole and once only, and not where nothing can make sense of the rows any more."""
        if self._state is _State.ENDED or (self._state is _State.CUT and not self._format.cuttable):
            return
        self._write_head()
        end = self._out.end
        try:
            for part in self._format.tail(summary, complete):
                self._write(part)
        except BaseException:
            self._out.shorten(end)
            raise
        self._state = _State.ENDED

    def _write(self, content: str | bytes) -> None:
        """All of it, or, if it cannot be all, nothing: then a file ends after its last whole row."""
        # A lone surrogate, as in the settings of a JSON's `meta`, is one in JSON, too.
        try:
            self._out.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        except BrokenPipeError as error:
            if self.on_stdout:
                raise NobodyReadsError from error
            raise FacescanError(f"{self.name} was closed by its reader after {self.rows} rows") from error
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> FacescanError:
        kept = f"; {self.rows} rows are in {self.kept}" if self.kept else ""
        if self.partial and not self.kept:
            kept = f"; its {self.rows} rows are lost, but for the cache"
        return FacescanError(f"{self.name}: {error.strerror}{kept}")

    def _whereabouts(self, name: str | None) -> str:
        """What there is to say of rows whose file has lost its name."""
        if name is None:
            return f"its {self.rows} rows went with it"
        return f"its {self.rows} rows are in {name}" if name else f"its {self.rows} rows are lost, but for the cache"
