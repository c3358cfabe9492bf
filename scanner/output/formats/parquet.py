"""Results -> Parquet (https://parquet.apache.org/docs/file-format), in row groups of bounded size.

A Parquet file has its table of contents at its end. A scan that is interrupted writes it, one that is killed cannot:
then no reader can make sense of the ``.partial``, and the rows are those of the cache.
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

# Rows that wait as Python objects; some kilobytes each, with provenance.
CHUNK = 256
# Of a row group, whichever comes first. DuckDB shares groups out to its threads, and advises 100,000 rows or more; but
# a group is held in memory until it is whole.
GROUP_ROWS, GROUP_BYTES = 65_536, 16 * 2**20
# Few different values. All other columns, but for numbers, are different in every row.
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
# The columns of the CSV, the first ten in their order, and what else JSON has. Every file has all of them.
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
        pa.field("provenance", pa.string()),  # JSON: what a file says of itself has no fixed form
        pa.field("explanation", pa.string()),  # path of a sheet
        pa.field("baseline", pa.bool_()),
        # What version 2 of the schema added comes last, for readers that count columns.
        pa.field("marks", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("frames", pa.int64()),
        pa.field("faces_judged", pa.int64()),
        pa.field("decisive_box", _BOX),
        pa.field("frames_judged", pa.int64()),
    ]
)


class Parquet:
    """A `scanner.output.formats.Format`: bytes come a row group at a time.

    The key-value metadata of the file are those of a JSON's `meta`, each value as JSON, under ``facescan.<key>``; and
    ``facescan.summary``, also of a scan that was broken off.
    """

    cuttable: ClassVar[bool] = False
    note = ""

    def __init__(self) -> None:
        self._file = _Bytes()
        self._rows: list[dict[str, Any]] = []
        self._chunks: list[pa.RecordBatch] = []
        self._end = b""

    def head(self, meta: Mapping[str, Any]) -> bytes:
        told = {f"facescan.{key}": json_text(value) for key, value in ({"schema": SCHEMA_VERSION} | dict(meta)).items()}
        self._writer = pq.ParquetWriter(
            self._file, SCHEMA.with_metadata(_utf8(told)), compression="zstd", use_dictionary=_REPEATED
        )
        return self._file.take()

    def row(self, result: Result) -> bytes:
        self._rows.append(record(as_object(result)))
        if len(self._rows) == CHUNK:
            self._pack()
            if sum(map(len, self._chunks)) >= GROUP_ROWS or sum(chunk.nbytes for chunk in self._chunks) >= GROUP_BYTES:
                self._write_group()
        return self._file.take()

    def tail(self, summary: Mapping[str, Any], complete: bool) -> tuple[bytes]:
        if not self._end:
            self._pack()
            self._write_group()
            self._writer.add_key_value_metadata(_utf8({"facescan.summary": json_text(summary)}))
            self._writer.close()
            self._end = self._file.take()
        return (self._end,)

    def _pack(self) -> None:
        if self._rows:
            self._chunks.append(pa.RecordBatch.from_pylist(self._rows, SCHEMA))
            self._rows = []

    def _write_group(self) -> None:
        if self._chunks:
            table = pa.Table.from_batches(self._chunks)
            self._chunks = []
            self._writer.write_table(table, row_group_size=len(table))


def record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it (`scanner.output.formats.rows.as_object`) -> one as `SCHEMA` has it."""
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


def _utf8(told: Mapping[str, str]) -> dict[str, bytes]:
    """Settings may hold names that are not UTF-8; JSON has a way to say so."""
    return {key: text.encode("utf-8", "backslashreplace") for key, text in told.items()}


class _Bytes:
    """A file for pyarrow, which keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, content: Any) -> int:
        part = bytes(content)
        self._waiting.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        content, self._waiting = b"".join(self._waiting), []
        return content
