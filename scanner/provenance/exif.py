"""An EXIF block -> the values of some of its tags. CIPA DC-008 (EXIF 3.0), which is TIFF 6.0 with tags of its own."""

from __future__ import annotations

import struct
from collections.abc import Container
from itertools import islice

from scanner.tiff import entries

_EXIF_DIRECTORY = 0x8769
# Of a directory: cameras write some sixty.
_MAX_ENTRIES = 512
# Bytes of a value. Prompts take some thousands, whole workflows some ten thousands.
MAX_VALUE = 2**16
_SIZES = {1: 1, 2: 1, 4: 4, 7: 1}  # of a number by type: BYTE, ASCII, LONG, UNDEFINED
# The first eight bytes of a user comment: its character code.
_CODES = {b"ASCII\x00\x00\x00": "latin-1", b"UNICODE\x00": "utf-16", b"JIS\x00\x00\x00\x00\x00": "iso2022_jp"}


def exif_values(block: bytes, tags: Container[int]) -> dict[int, bytes]:
    """The first value of each tag in the first directory and in that of EXIF, cut to `MAX_VALUE` bytes.

    Args:
        block: from the byte order mark on, or from the `Exif` before it; or a whole TIFF.
        tags: their numbers.

    Never raises: what is broken is not there.
    """
    block = block.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    values: dict[int, bytes] = {}
    if order is None or len(block) < 8:
        return values
    (start,) = struct.unpack_from(order + "I", block, 4)
    deeper = _read(block, order, start, tags, values)
    if deeper is not None:  # one step, so that directories which point to each other go nowhere
        _read(block, order, deeper, tags, values)
    return values


def _read(block: bytes, order: str, start: int, tags: Container[int], values: dict[int, bytes]) -> int | None:
    """Add the values of a directory; where that of EXIF begins, if it says so."""
    deeper = None
    try:
        for tag, kind, count, at in islice(entries(block, order, start), _MAX_ENTRIES):
            if tag == _EXIF_DIRECTORY:
                (deeper,) = struct.unpack_from(order + "I", block, at)
            elif tag in tags and tag not in values and kind in _SIZES:
                size = count * _SIZES[kind]
                if size > 4:
                    (at,) = struct.unpack_from(order + "I", block, at)
                values[tag] = block[at : at + min(size, MAX_VALUE)]
    except struct.error:  # it is cut off
        pass
    return deeper


def text_of(value: bytes) -> str:
    """An ASCII value, which in practice is UTF-8, up to its end mark."""
    return value.partition(b"\x00")[0].decode("utf-8", "replace")


def comment_of(value: bytes) -> str:
    """A user comment, with the character code before it or, as some write it, without."""
    code = _CODES.get(value[:8])
    if code is None:
        return text_of(value.removeprefix(bytes(8)))
    text = value[8:]
    if code == "utf-16":  # in the block's byte order, says EXIF; the other way round, say most who write prompts
        code = "utf-16-be" if text[::2].count(0) > text[1::2].count(0) else "utf-16-le"
    return text.decode(code, "replace").rstrip("\x00")
