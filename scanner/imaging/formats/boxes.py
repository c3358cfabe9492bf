"""Walks the boxes of ISO 14496-12 containers, such as AVIF and HEIC."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes between two offsets, one after the other, without entering them.

    Args:
        data: the file.
        at: offset of the first box.
        stop: offset behind the last box.

    Yields:
        Type, start of the content and end of the box; the last box may end beyond `stop` and beyond the data.

    Raises:
        struct.error: the file ends in the 64-bit size of a box.
    """
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        header_bytes = 8
        if size == 1:  # a 64-bit size follows the type
            size, header_bytes = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:  # the box reaches to the end of its container
            size = stop - at
        if size < header_bytes:
            return
        yield kind, at + header_bytes, at + size
        at += size
