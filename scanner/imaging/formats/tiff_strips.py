"""Measures which strips or tiles of a TIFF's first page are there (TIFF 6.0). OpenCV shows black for missing ones."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.formats.tiff import NUMBER_FORMATS, byte_order, entries, find_values
from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

_COMPRESSION = 259
_ARRAYS = {273: "offsets", 279: "sizes", 324: "offsets", 325: "sizes"}
_DTYPES = {1: "u1", 3: "u2", 4: "u4"}  # by the type of an entry
_NONE, _LZW, _DEFLATE = 1, 5, (8, 32946)
# Bytes that one packed byte can become at most: 4,096 for 12 bits of LZW, 258 for two bits of deflate, 64 of PackBits.
_MAX_EXPANSION = {_NONE: 1, _LZW: 2731, 8: 1032, 32773: 64, 32946: 1032}
_SLACK = 0.01  # share of the pixels; some writers count the last strip short
# Compressions whose encoders write no long runs of zeros; deflate may, for a plain area.
_NEVER_ZEROS = {_LZW, *_DEFLATE, 7, 32773}


@dataclass(frozen=True, slots=True)
class Strips:
    """The places of the strips or tiles of a page.

    Attributes:
        compression: of all strips.
        offsets: where each strip begins, in bytes; int64 (n,).
        sizes: bytes of each strip; int64 (n,).
    """

    compression: int
    offsets: NDArray[Any]
    sizes: NDArray[Any]

    @property
    def end(self) -> int:
        """Return the offset where the strip that reaches farthest ends."""
        return int((self.offsets + self.sizes).max())


def read_strips(data: bytes) -> Strips | None:
    """Read the places of the first page's strips or tiles; None if the directory names none.

    Raises:
        struct.error, ValueError: the file ends in the directory or in its values.
    """
    order = byte_order(data)
    start = struct.unpack_from(order + "I", data, 4)[0]
    arrays: dict[str, NDArray[Any]] = {}
    compression = _NONE
    for tag, kind, count, at in entries(data, order, start):
        if kind not in NUMBER_FORMATS:
            continue
        if tag == _COMPRESSION:
            compression = struct.unpack_from(order + NUMBER_FORMATS[kind], data, at)[0]
        elif count and (name := _ARRAYS.get(tag)) and name not in arrays:
            dtype = np.dtype(order + _DTYPES[kind])
            values = find_values(data, order, at, count * dtype.itemsize)
            arrays[name] = np.frombuffer(data, dtype, count, values).astype(np.int64)
    if len(arrays) < 2:
        return None
    shorter = min(map(len, arrays.values()))
    return Strips(compression, arrays["offsets"][:shorter], arrays["sizes"][:shorter])


def missing_strip_share(data: bytes, strips: Strips, unpacked: int) -> float:
    """Measure the share of the pixels (0..1) that lie beyond the end of the file or were never written.

    Args:
        data: the file.
        strips: places of its strips or tiles.
        unpacked: bytes that all pixels have at least.
    """
    if strips.compression == _NONE and not strips.sizes.any():  # libtiff computes the sizes
        return 0.0
    expansion = _MAX_EXPANSION.get(strips.compression)
    if expansion and (most := expansion * int(strips.sizes.sum())) < (1 - _SLACK) * unpacked:
        return 1 - most / unpacked
    sizes = np.maximum(strips.sizes, 1)  # a strip without bytes is missing, too
    there = np.clip(len(data) - strips.offsets, 0, strips.sizes)
    there[strips.offsets == 0] = 0
    total = int(sizes.sum())
    return min(1.0, (total - int(there.sum()) + _unwritten_bytes(data, strips, there)) / total)


def _unwritten_bytes(data: bytes, strips: Strips, there: NDArray[Any]) -> int:
    """Count the bytes of strips that were never written, and are long runs of zeros.

    Args:
        data: the file.
        strips: places of its strips or tiles.
        there: bytes of each strip that lie in the file; int64 (n,).
    """
    if strips.compression not in _NEVER_ZEROS or (first := data.find(bytes(MIN_RUN))) < 0:
        return 0
    unwritten = 0
    for offset, size in zip(strips.offsets.tolist(), there.tolist(), strict=True):
        zeros = count_zeros(data, offset, offset + size) if offset + size > first else 0
        if zeros and not (strips.compression in _DEFLATE and _unpacks(data[offset : offset + size])):
            unwritten += zeros
    return unwritten


def _unpacks(strip: bytes) -> bool:
    """Tell whether zlib finds a strip complete: deflate may pack a plain area into zeros."""
    unpacker = zlib.decompressobj()
    try:
        for at in range(0, len(strip), 2**16):
            rest = strip[at : at + 2**16]
            while rest and not unpacker.eof:
                unpacker.decompress(rest, 2**20)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof
