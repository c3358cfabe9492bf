"""Estimates the quality of a JPEG's last compression from its quantisation tables, on the scale of the IJG's libjpeg.

libjpeg, and with it Pillow, OpenCV and most programs, scale the example tables of ITU T.81, annex K, by a quality of 1
to 100. Cameras and Adobe's programs have tables of their own; for those it is the quality with the nearest table.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.inspection.header import jpeg_segments

# ITU T.81, tables K.1 and K.2, in rows.
_LUMINANCE = """
    16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""
_CHROMINANCE = """
    17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
"""
# Order in which tables and coefficients are stored (T.81, figure A.6): by diagonals, every other one backwards.
ZIGZAG = sorted(range(64), key=lambda i: (sum(divmod(i, 8)), i if sum(divmod(i, 8)) % 2 else -i))
_MAX_SEGMENTS = 2_000
Table = tuple[int, ...]


def _ladder(base: str) -> NDArray[Any]:
    """Return the tables for the qualities 1 to 100, (100, 64), as jpeg_quality_scaling and jpeg_add_quant_table
    make them.
    """
    steps = np.array(base.split(), np.int64)[ZIGZAG]
    scales = np.array([5000 // quality if quality < 50 else 200 - 2 * quality for quality in range(1, 101)])
    ladder: NDArray[Any] = ((steps * scales[:, None] + 50) // 100).clip(1, 255)
    return ladder


# Tables of luminance and chrominance: row q - 1 is for quality q.
LADDER, _CHROMINANCE_LADDER = _ladder(_LUMINANCE), _ladder(_CHROMINANCE)
_QUALITIES = {tuple(table): quality for quality, table in enumerate(LADDER.tolist(), 1)}


def quality(data: bytes) -> tuple[int, bool] | None:
    """Return the quality of a JPEG, 1 to 100, and whether its tables are exactly libjpeg's; None if it has no
    tables.
    """
    tables = quantisation_tables(data)
    if 0 not in tables:
        return None
    exact = _QUALITIES.get(tables[0])
    if exact is None:
        return int(np.abs(LADDER - np.array(tables[0])).sum(axis=1).argmin()) + 1, False
    return exact, 1 not in tables or tables[1] == tuple(_CHROMINANCE_LADDER[exact - 1].tolist())


def quantisation_tables(data: bytes) -> dict[int, Table]:
    """Return the tables before the first scan by their numbers (T.81, B.2.4.1), each with 64 steps in zigzag order."""
    tables: dict[int, Table] = {}
    try:
        for marker, at, end in islice(jpeg_segments(data), _MAX_SEGMENTS):
            while marker == 0xDB and at < end:
                wide, number = data[at] >> 4, data[at] & 15
                tables[number] = struct.unpack_from(">64H" if wide else "64B", data, at + 1)
                at += 129 if wide else 65
    except (struct.error, IndexError, ValueError):  # it is cut off
        pass
    return tables
