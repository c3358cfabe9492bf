"""Walks the entries of an EXIF block (CIPA DC-008, EXIF 3.0), which has the structure of a TIFF.

The reader of orientations and the readers of provenance share this walk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scanner.imaging.formats.tiff import entries

SHORT, LONG = 3, 4
_EXIF_DIRECTORY = 0x8769
_VALUE_BYTES = 4  # the end of an entry, which holds its values or says where they are


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory.

    Attributes:
        tag: number of the field.
        kind: number of the values' type; `SHORT`, `LONG`, ...
        count: how many values it has.
        at: offset of its last four bytes, which hold the values or say where they are.
    """

    tag: int
    kind: int
    count: int
    at: int


def byte_order(block: bytes) -> str:
    """Read the byte order of an EXIF block or a TIFF, as `struct` has it; empty if it is neither."""
    return {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4], "")


def walk(block: bytes) -> Iterator[Entry]:
    """Yield the entries of the first directory, in order; behind the pointer to the EXIF directory, its entries.

    Only complete entries are yielded, and the walk ends where a directory is cut off. The EXIF directory is entered
    once, and only through a pointer that is one LONG, as Chromium does it.

    Args:
        block: an EXIF block from its byte order mark on, or a TIFF.
    """
    order = byte_order(block)
    if not order or len(block) < 8:
        return
    entered = False
    for entry in _directory(block, order, struct.unpack_from(order + "I", block, 4)[0]):
        yield entry
        if entry.tag == _EXIF_DIRECTORY and (entry.kind, entry.count) == (LONG, 1) and not entered:
            entered = True
            yield from _directory(block, order, struct.unpack_from(order + "I", block, entry.at)[0])


def _directory(block: bytes, order: str, start: int) -> Iterator[Entry]:
    """Yield the complete entries of a directory.

    Args:
        block: an EXIF block from its byte order mark on, or a TIFF.
        order: `<` or `>`, as `struct` has it.
        start: offset of the directory.
    """
    try:
        for tag, kind, count, at in entries(block, order, start):
            if at + _VALUE_BYTES > len(block):
                return
            yield Entry(tag, kind, count, at)
    except struct.error:  # the directory is cut off
        return
