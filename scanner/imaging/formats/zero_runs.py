"""Finds runs of zero bytes in coded data: parts of a file that were never written, as broken downloads leave them."""

from __future__ import annotations

import re

# Zero bytes in a row that no encoder writes: 512 zero bits are longer than any coded block of a JPEG.
MIN_RUN = 64
_NOT_ZERO = re.compile(rb"[^\x00]")


def count_zeros(data: bytes, start: int, end: int, least: int = MIN_RUN) -> int:
    """Count the zero bytes that stand in long runs between two offsets.

    Args:
        data: the file.
        start: offset of the first byte to look at.
        end: offset behind the last byte to look at.
        least: bytes of the shortest run that counts.

    Returns:
        Bytes in all such runs together.
    """
    total, run = 0, bytes(least)
    while (at := data.find(run, start, end)) >= 0:
        behind = _NOT_ZERO.search(data, at + least, end)
        start = behind.start() if behind else end
        total += start - at
    return total
