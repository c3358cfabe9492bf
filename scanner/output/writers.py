"""Writes results to one output, in any format. A file appears under its name only when it is complete."""

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
    """Names how much of an output is written."""

    EMPTY = auto()  # nothing was written; a ``.partial`` may hold rows of an earlier run
    OPEN = auto()  # the head was written, and the rows so far
    TRUNCATED = auto()  # a row could not be written
    ENDED = auto()  # the tail was written, too


class Writer:
    """Writes one output. Rows go to ``<path>.partial`` as they come; `finish` replaces the old file.

    Standard output, descriptors, devices and pipes are written to directly. The ``.partial`` is locked against other
    processes; what an earlier run left there stays until the first row.

    Args:
        path: of the file, or `STDOUT`.
        format: name of the format, or the format itself.
        meta: tool, model, device, thresholds and settings.
        excel: whether a CSV is for a spreadsheet.
        color: whether lines for people are coloured.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
        force: whether to replace files of any kind.

    Raises:
        FacescanError: it cannot be written, or would replace a file of another kind.
    """

    option = "--out"
    gets_all_rows = False  # whether it gets every row, including those that --only omits
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
        """Write the head to a stream. A file waits for the first row, which may never come."""
        if not self.partial:
            self._write_head()

    def write(self, result: Result) -> None:
        """Append one row. Text has been passed to the operating system when this returns."""
        self._write_head()
        try:
            self._write(self._format.row(result))
        except FacescanError:
            self._state = _State.TRUNCATED
            raise
        self.rows += 1

    @property
    def recoverable_file(self) -> str:
        """Return the ``.partial`` if it has rows and can be read; else an empty string."""
        readable = self._state is _State.ENDED or (self._format.can_end_early and self._state is not _State.EMPTY)
        return self.partial if readable else ""

    @property
    def omission_note(self) -> str:
        """Return a message about rows that are not in the output; empty if it has all."""
        return f"{self.name}: {self._format.omission_note}" if self._format.omission_note else ""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Complete the output, and replace the old file."""
        self._write_tail(summary, complete=True)
        if not isinstance(self._out, AtomicFile):
            return
        if not self._out.in_place:
            where = self._where_rows_are(self._out.recreate_if_deleted())
            raise FacescanError(f"{self.name}: {self.partial} was moved or removed meanwhile; {where}")
        try:
            self._out.complete()
        except OSError as error:
            raise self._failure(error) from error
        except FacescanError as error:  # another program has put a file there
            raise FacescanError(f"{error}; {self.rows} rows are in {self.partial}") from error

    def abandon(self, summary: Mapping[str, Any]) -> None:
        """Close an incomplete output. Its rows stay in ``.partial``, well-formed if the tail could be written.

        Rows of an earlier run stay if this run wrote none.
        """
        if not isinstance(self._out, AtomicFile) or self._out.closed:  # a stream's reader may be gone
            return
        if self._state is not _State.EMPTY:
            with suppress(Exception):  # whatever a format's library raises, the other outputs must be closed, too
                self._write_tail(summary, complete=False)
            if not self._out.in_place:
                self._out.recreate_if_deleted()
        self._out.close()

    def _write_head(self) -> None:
        """Empty the file and write the head, once."""
        if self._state is _State.EMPTY:
            self._state = _State.OPEN
            self._out.truncate(0)
            self._write(self._format.head(self._meta))

    def _write_tail(self, summary: Mapping[str, Any], complete: bool) -> None:
        """Write the tail completely or not at all, once; and not if it could not make the rows readable."""
        if self._state is _State.ENDED or (self._state is _State.TRUNCATED and not self._format.can_end_early):
            return
        self._write_head()
        end = self._out.size
        try:
            for part in self._format.tail(summary, complete):
                self._write(part)
        except BaseException:
            self._out.truncate(end)
            raise
        self._state = _State.ENDED

    def _write(self, content: str | bytes) -> None:
        """Write all of the content; a file ends after its last complete row if that fails."""
        # A lone surrogate, as in a path among the settings in a JSON's `meta`, becomes its JSON escape.
        try:
            self._out.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        except BrokenPipeError as error:
            if self.on_stdout:
                raise NobodyReadsError from error
            raise FacescanError(f"{self.name} was closed by its reader after {self.rows} rows") from error
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> FacescanError:
        """Return an error for the user that says where the rows are."""
        where = ""
        if self.recoverable_file:
            where = f"; {self.rows} rows are in {self.recoverable_file}"
        elif self.partial:
            where = f"; its {self.rows} rows are lost, except in the cache"
        return FacescanError(f"{self.name}: {error.strerror}{where}")

    def _where_rows_are(self, name: str | None) -> str:
        """Say where the rows of a deleted or moved file are."""
        if name is None:
            return f"its {self.rows} rows went with it"
        return f"its {self.rows} rows are in {name}" if name else f"its {self.rows} rows are lost, except in the cache"
