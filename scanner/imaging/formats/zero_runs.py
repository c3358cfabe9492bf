"""Finds runs of zeros in coded data: parts of a file that were never written, as torn downloads leave them."""

from __future__ import annotations

import re

# Zeros in a row that no encoder writes. 512 bits of zeros are a whole block of a JPEG at least.
MIN_RUN = 64
_NOT_ZERO = re.compile(rb"[^\x00]")


def count_zeros(data: bytes, start: int, end: int, least: int = MIN_RUN) -> int:
    """Bytes in runs of at least `least` zeros between two offsets."""
    total, needle = 0, bytes(least)
    while (at := data.find(needle, start, end)) >= 0:
        found = _NOT_ZERO.search(data, at + least, end)
        start = found.start() if found else end
        total += start - at
    return total
