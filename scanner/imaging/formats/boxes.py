"""Walks the boxes of ISO 14496-12 files: AVIF and HEIC."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """ISO 14496-12 boxes between two offsets: (type, start of the payload, end of the box, even if that is beyond)."""
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = stop - at
        if size < head:
            return
        yield kind, at + head, at + size
        at += size
