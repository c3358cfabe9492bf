"""A model's file -> its bytes, unless ONNX Runtime should not see them.

ONNX Runtime reads a tensor's values from any file below the folder we stand in, if the model says so; it runs loops
that never end, and unfolds functions that call functions for minutes. So the file is looked through first, as far down
as its nodes and tensors. It is protobuf; the numbers of the fields are those of onnx/onnx.proto.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from scanner.errors import FacescanError

# Protobuf's own limit: a larger file cannot be one ONNX model.
MAX_MODEL_BYTES = 2**31 - 1
# About a second. The bundled detector has 2,000.
MAX_FIELDS = 500_000
# Nothing bounds how often these run what is inside them; a classifier of pictures needs none.
_LOOPS = frozenset({b"Loop", b"Scan", b"SequenceMap"})
_METADATA = 14
_GRAPH, _FUNCTIONS, _OP_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 7, 25, 4, 13, 14
# Message -> fields to look into, and the message that each one holds.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {_GRAPH: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


def read_model(file: Path) -> bytes:
    """The content of an ONNX file that needs no other file and no endless time.

    Raises:
        FacescanError: there is no such file, or it is none of these; with what helps.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FacescanError(f"{file}: not a regular file; give the path of an ONNX file")
        if status.st_size > MAX_MODEL_BYTES:
            raise FacescanError(
                f"{file}: {status.st_size} bytes; a model may have {MAX_MODEL_BYTES}: take a smaller one"
            )
        content = file.read_bytes()
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    try:
        trouble = _find_fault(content)
    except ValueError:
        trouble = "no ONNX file, or not all of it; copy or export it again"
    if trouble:
        raise FacescanError(f"{file}: {trouble}")
    return content


def read_metadata(content: bytes) -> dict[str, str]:
    """The metadata (`metadata_props`) of an ONNX file that `read_model` let in, without ONNX Runtime.

    Raises:
        ValueError: they cannot be read.
    """
    found = {}
    for number, start, end in _fields(content, 0, len(content)):
        if number == _METADATA:
            entry = {key: content[a:b].decode() for key, a, b in _fields(content, start, end)}
            found[entry.get(1, "")] = entry.get(2, "")
    return found


def _find_fault(content: bytes) -> str:
    """What is wrong with an ONNX file, and what helps; empty if nothing is.

    Raises:
        ValueError: it is no protobuf, or has no graph.
    """
    seen, graphs = 0, 0
    waiting = [("model", 0, len(content))]
    while waiting:
        message, start, end = waiting.pop()
        for number, start_inside, end_inside in _fields(content, start, end):
            seen += 1
            if seen > MAX_FIELDS:
                return f"a graph of more than {MAX_FIELDS:,} fields; take a smaller model"
            if inside := _INSIDE[message].get(number):
                graphs += inside == "graph"
                waiting.append((inside, start_inside, end_inside))
            elif message == "model" and number == _FUNCTIONS:
                return "defines functions, which can unfold without end; inline them with onnx.inliner"
            elif message == "node" and number == _OP_TYPE and content[start_inside:end_inside] in _LOOPS:
                return f"has a {content[start_inside:end_inside].decode()}, which may never end; export it without"
            elif message == "tensor" and (
                number == _EXTERNAL_DATA or (number == _DATA_LOCATION and any(content[start_inside:end_inside]))
            ):
                return "has weights in other files, which are never read; save it as one file with onnx.save"
    if not graphs:
        raise ValueError
    return ""


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, and beginning and end of the value, of every field of the message at `start`.

    Raises:
        ValueError: that is no message.
    """
    while start < end:
        key, start = _varint(content, start, end)
        kind = key & 7
        if kind == 0:
            _, stop = _varint(content, start, end)
        elif kind == 2:
            size, start = _varint(content, start, end)
            stop = start + size
        elif kind in (1, 5):
            stop = start + (8 if kind == 1 else 4)
        else:  # groups, which no ONNX file has, and numbers that are not given
            raise ValueError
        if stop > end or not 1 <= key >> 3 < 2**29:
            raise ValueError
        yield key >> 3, start, stop
        start = stop


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for position in range(start, min(end, start + 10)):
        value |= (content[position] & 127) << 7 * (position - start)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
