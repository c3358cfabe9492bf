"""Writes results as Parquet (https://parquet.apache.org/docs/file-format), in row groups of limited size.

A Parquet file has its table of contents at its end. An interrupted scan writes it, but a killed one cannot: then no
reader understands the ``.partial``, and the rows are only in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from scanner.errors import FacescanError
from scanner.output.formats.rows import as_object
from scanner.output.formats.text import json_text
from scanner.result import SCHEMA_VERSION, Result

try:
    import pyarrow as pa
    from pyarrow import parquet as pq
except ImportError as error:
    raise FacescanError("Parquet needs pyarrow: pip install pyarrow") from error

# Rows that are collected as Python objects; a few kilobytes each, with provenance.
CHUNK = 256
# Limits of a row group, whichever is reached first. DuckDB divides groups among its threads, and advises 100,000 rows
# or more; but a group is held in memory until it is complete.
GROUP_ROWS, GROUP_BYTES = 65_536, 16 * 2**20
# Columns with few different values. All other columns, except numbers, differ in every row.
_REPEATED = ["verdict", "format", "reason", "n_faces", "width", "height", "frames", "faces_judged"]

_BOX = pa.struct([pa.field(name, pa.int64(), nullable=False) for name in ("x", "y", "width", "height")])
_FACE = pa.struct(
    [
        pa.field("box", _BOX, nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("p_fake", pa.float64()),
        pa.field("models", pa.map_(pa.string(), pa.float64())),
        pa.field("turn", pa.int64()),
        pa.field("frame", pa.int64()),
        pa.field("tight", pa.bool_()),
    ]
)
_ELA = pa.struct(
    [
        pa.field("quality", pa.int64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("p95", pa.float64(), nullable=False),
        pa.field("face", pa.float64()),
        pa.field("background", pa.float64()),
        pa.field("map", pa.string()),
    ]
)
# The columns of the CSV, the first ten in their order, and further fields of JSON. Every file has all of them.
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("p_fake", pa.float64()),  # the number that JSON has, to the last bit: 0.7442 is equal to 0.7442
        pa.field("n_faces", pa.int64()),
        pa.field("width", pa.int64()),
        pa.field("height", pa.int64()),
        pa.field("format", pa.string(), nullable=False),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("faces", pa.list_(pa.field("element", _FACE, nullable=False)), nullable=False),
        pa.field("ela", _ELA),
        pa.field("provenance", pa.string()),  # as JSON, because it has no fixed schema
        pa.field("explanation", pa.string()),  # path of a sheet
        pa.field("baseline", pa.bool_()),
        # Columns that version 2 of the schema added come last, for readers that count columns.
        pa.field("marks", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("frames", pa.int64()),
        pa.field("faces_judged", pa.int64()),
        pa.field("decisive_box", _BOX),
        pa.field("frames_judged", pa.int64()),
    ]
)


class Parquet:
    """Implements `scanner.output.formats.Format`: returns the bytes of a row group at a time.

    The key-value metadata of the file are the values of a JSON's `meta`, as JSON, under ``facescan.<key>``; and
    ``facescan.summary``, also for an interrupted scan.
    """

    can_end_early: ClassVar[bool] = False
    omission_note = ""

    def __init__(self) -> None:
        self._file = _Buffer()
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pa.RecordBatch] = []
        self._end = b""

    def head(self, meta: Mapping[str, Any]) -> bytes:
        """Return the file's magic number, and take the metadata."""
        metadata = {
            f"facescan.{key}": json_text(value) for key, value in ({"schema": SCHEMA_VERSION} | dict(meta)).items()
        }
        self._writer = pq.ParquetWriter(
            self._file, SCHEMA.with_metadata(_utf8(metadata)), compression="zstd", use_dictionary=_REPEATED
        )
        return self._file.take()

    def row(self, result: Result) -> bytes:
        """Collect a row; return the bytes of a row group when one is complete."""
        self._rows.append(record(as_object(result)))
        if len(self._rows) == CHUNK:
            self._pack()
            if sum(map(len, self._chunks)) >= GROUP_ROWS or sum(chunk.nbytes for chunk in self._chunks) >= GROUP_BYTES:
                self._write_group()
        return self._file.take()

    def tail(self, summary: Mapping[str, Any], complete: bool) -> tuple[bytes]:
        """Return the last row group and the footer."""
        if not self._end:
            self._pack()
            self._write_group()
            self._writer.add_key_value_metadata(_utf8({"facescan.summary": json_text(summary)}))
            self._writer.close()
            self._end = self._file.take()
        return (self._end,)

    def _pack(self) -> None:
        """Convert the collected rows to Arrow."""
        if self._rows:
            self._chunks.append(pa.RecordBatch.from_pylist(self._rows, SCHEMA))
            self._rows = []

    def _write_group(self) -> None:
        """Write the converted rows as one row group."""
        if self._chunks:
            table = pa.Table.from_batches(self._chunks)
            self._chunks = []
            self._writer.write_table(table, row_group_size=len(table))


def record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a row as JSON has it (`scanner.output.formats.rows.as_object`) to one of `SCHEMA`."""
    faces = [face | {"box": dict(zip(_BOX.names, face["box"], strict=True))} for face in row["faces"]]
    faces = [face | {"models": None if face["models"] is None else list(face["models"].items())} for face in faces]
    provenance = row.get("provenance")
    return {
        **row,
        "faces": faces,
        "decisive_box": None
        if row["decisive_box"] is None
        else dict(zip(_BOX.names, row["decisive_box"], strict=True)),
        "provenance": None if provenance is None else json_text(provenance),
    }


def _utf8(metadata: Mapping[str, str]) -> dict[str, bytes]:
    """Encode metadata; file names among the settings that are not UTF-8 are escaped as JSON does."""
    return {key: text.encode("utf-8", "backslashreplace") for key, text in metadata.items()}


class _Buffer:
    """Collects what pyarrow writes, as a file that `take` empties."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, content: Any) -> int:
        """Append bytes; return their number."""
        part = bytes(content)
        self._waiting.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        """Return the number of bytes written so far, including those taken."""
        return self._size

    def flush(self) -> None:
        """Do nothing: there is no other buffer."""

    def close(self) -> None:
        """Do nothing: the bytes can still be taken."""

    def take(self) -> bytes:
        """Return and remove the collected bytes."""
        content, self._waiting = b"".join(self._waiting), []
        return content
