"""Reads the values of some tags from an EXIF block. CIPA DC-008 (EXIF 3.0): TIFF 6.0 with further tags."""

from __future__ import annotations

import struct
from collections.abc import Container
from itertools import islice

from scanner.imaging.inspection.exif import byte_order, walk

# Entries that are read, at most: cameras write about sixty in each of the two directories.
_MAX_ENTRIES = 1024
# Bytes of a value, at most. Prompts take a few thousand bytes, whole workflows tens of thousands.
MAX_VALUE = 2**16
_SIZES = {1: 1, 2: 1, 4: 4, 7: 1}  # bytes of one number by type: BYTE, ASCII, LONG, UNDEFINED
# The first eight bytes of a user comment: its character code.
_CODES = {b"ASCII\x00\x00\x00": "latin-1", b"UNICODE\x00": "utf-16", b"JIS\x00\x00\x00\x00\x00": "iso2022_jp"}


def exif_values(block: bytes, tags: Container[int]) -> dict[int, bytes]:
    """Return the first value of each tag in the first directory and the EXIF directory, cut to `MAX_VALUE` bytes.

    Never raises: broken entries are omitted.

    Args:
        block: from the byte order mark on, or from the `Exif` before it; or a whole TIFF.
        tags: numbers of the tags.
    """
    block = block.removeprefix(b"Exif\x00\x00")
    values: dict[int, bytes] = {}
    for entry in islice(walk(block), _MAX_ENTRIES):
        if entry.tag in tags and entry.tag not in values and entry.kind in _SIZES:
            at, size = entry.at, entry.count * _SIZES[entry.kind]
            if size > 4:
                (at,) = struct.unpack_from(byte_order(block) + "I", block, at)
            values[entry.tag] = block[at : at + min(size, MAX_VALUE)]
    return values


def text_of(value: bytes) -> str:
    """Return an ASCII value, which in practice is UTF-8, up to its terminating NUL."""
    return value.partition(b"\x00")[0].decode("utf-8", "replace")


def comment_of(value: bytes) -> str:
    """Return a user comment, with or without the character code that should precede it."""
    code = _CODES.get(value[:8])
    if code is None:
        return text_of(value.removeprefix(bytes(8)))
    text = value[8:]
    if code == "utf-16":  # EXIF demands the block's byte order; most programs that write prompts use the other
        code = "utf-16-be" if text[::2].count(0) > text[1::2].count(0) else "utf-16-le"
    return text.decode(code, "replace").rstrip("\x00")
