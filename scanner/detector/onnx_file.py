"""Reads the bytes of an ONNX file, unless ONNX Runtime must not load them.

ONNX Runtime reads a tensor's values from any file below the current folder, if the model names one; it runs loops that
never end, and expands functions that call functions for minutes. So the file is searched for these first, down to its
nodes and tensors. The file is protobuf; the numbers of the fields are those of onnx/onnx.proto.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from scanner.errors import FacescanError

# The limit of protobuf: a larger file cannot be an ONNX model.
MAX_MODEL_BYTES = 2**31 - 1
# Fields that are searched, which takes about a second. The bundled detector has 2,000.
MAX_FIELDS = 500_000
# Operators that may repeat a graph without end; a classifier of pictures needs none.
_LOOPS = frozenset({b"Loop", b"Scan", b"SequenceMap"})
# Numbers of fields.
_METADATA = 14
_GRAPH, _FUNCTIONS, _OP_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 7, 25, 4, 13, 14
# By the type of a message: the fields that hold other messages to be searched, and the types of these.
_NESTED: dict[str, dict[int, str]] = {
    "model": {_GRAPH: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


def read_model(file: Path) -> bytes:
    """Read an ONNX file that refers to no other file, and contains nothing that may run without end.

    Raises:
        FacescanError: the file cannot be read, is no ONNX file, or contains such a thing; the message says what helps.
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
        fault = _find_fault(content)
    except ValueError:
        fault = "no ONNX file, or not all of it; copy or export it again"
    if fault:
        raise FacescanError(f"{file}: {fault}")
    return content


def read_metadata(content: bytes) -> dict[str, str]:
    """Read the metadata (`metadata_props`) of an ONNX file that `read_model` accepted, without ONNX Runtime.

    Raises:
        ValueError: the metadata cannot be read.
    """
    metadata = {}
    for number, start, end in _fields(content, 0, len(content)):
        if number == _METADATA:
            entry = {key: content[a:b].decode() for key, a, b in _fields(content, start, end)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    return metadata


def _find_fault(content: bytes) -> str:
    """Search an ONNX file for what ONNX Runtime must not load.

    Returns:
        What was found, and what helps; empty if nothing was found.

    Raises:
        ValueError: the content is no protobuf, or has no graph.
    """
    fields, graphs = 0, 0
    view = memoryview(content)  # slices of bytes would copy the weights
    waiting = [("model", 0, len(content))]
    while waiting:
        message, start, end = waiting.pop()
        for number, value_start, value_end in _fields(content, start, end):
            fields += 1
            if fields > MAX_FIELDS:
                return f"a graph of more than {MAX_FIELDS:,} fields; take a smaller model"
            if nested := _NESTED[message].get(number):
                graphs += nested == "graph"
                waiting.append((nested, value_start, value_end))
            elif fault := _field_fault(message, number, view[value_start:value_end]):
                return fault
    if not graphs:
        raise ValueError
    return ""


def _field_fault(message: str, number: int, value: memoryview) -> str:
    """Return what is wrong with one field, and what helps; empty if it may be loaded.

    Args:
        message: type of the message that the field belongs to, a key of `_NESTED`.
        number: of the field.
        value: its content.
    """
    if message == "model" and number == _FUNCTIONS:
        return "defines functions, which can unfold without end; inline them with onnx.inliner"
    if message == "node" and number == _OP_TYPE and bytes(value) in _LOOPS:
        return f"has a {bytes(value).decode()}, which may never end; export it without"
    if message == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and any(value))):
        return "has weights in other files, which are never read; save it as one file with onnx.save"
    return ""


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, and start and end of the value, of every field of a message.

    Args:
        content: of the file.
        start: offset of the message.
        end: offset behind the message.

    Raises:
        ValueError: there is no valid message.
    """
    while start < end:
        key, start = _read_varint(content, start, end)
        kind = key & 7
        if kind == 0:
            _, stop = _read_varint(content, start, end)
        elif kind == 2:
            size, start = _read_varint(content, start, end)
            stop = start + size
        elif kind in (1, 5):
            stop = start + (8 if kind == 1 else 4)
        else:  # groups, which no ONNX file has, and kinds that do not exist
            raise ValueError
        if stop > end or not 1 <= key >> 3 < 2**29:
            raise ValueError
        yield key >> 3, start, stop
        start = stop


def _read_varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first.

    Args:
        content: of the file.
        start: offset of the number.
        end: offset that the number must not reach.

    Returns:
        The number, and the offset behind it.

    Raises:
        ValueError: the number does not end in time.
    """
    value = 0
    for position in range(start, min(end, start + 10)):
        value |= (content[position] & 127) << 7 * (position - start)
        if content[position] < 128:
            return value, position + 1
    raise ValueError
