"""Tells which strips or tiles of a TIFF's first page are there (TIFF 6.0). OpenCV shows black for the others."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.formats.tiff import entries
from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros

_COMPRESSION = 259
_ARRAYS = {273: "offsets", 279: "sizes", 324: "offsets", 325: "sizes"}
_KINDS = {1: "u1", 3: "u2", 4: "u4"}
_NONE, _LZW, _DEFLATE = 1, 5, (8, 32946)
# What one byte can become at most: of LZW 4,096 for 12 bits, of deflate 258 for two bits, of PackBits 64.
_GAINS = {_NONE: 1, _LZW: 2731, 8: 1032, 32773: 64, 32946: 1032}
_SLACK = 0.01  # some writers count the last strip short
# Compressions whose encoders write no long runs of zeros, unless zlib says that they did.
_NEVER_ZEROS = {_LZW, *_DEFLATE, 7, 32773}


@dataclass(frozen=True, slots=True)
class Strips:
    """Where the pixels are.

    Attributes:
        compression: of all of them.
        offsets, sizes: of the strips or tiles, bytes.
    """

    compression: int
    offsets: NDArray[Any]
    sizes: NDArray[Any]

    @property
    def end(self) -> int:
        """Where the last of them ends."""
        return int((self.offsets + self.sizes).max())


def read_strips(data: bytes) -> Strips | None:
    """Read the first directory; None if it names no strips.

    Raises:
        struct.error, ValueError: it is cut.
    """
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    arrays: dict[str, NDArray[Any]] = {}
    compression = _NONE
    for tag, kind, count, at in entries(data, order, start):
        if tag == _COMPRESSION and kind in _KINDS:
            compression = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], data, at)[0]
        elif tag in _ARRAYS and kind in _KINDS and count and _ARRAYS[tag] not in arrays:
            dtype = np.dtype(order + _KINDS[kind])
            place = at if count * dtype.itemsize <= 4 else struct.unpack_from(order + "I", data, at)[0]
            arrays[_ARRAYS[tag]] = np.frombuffer(data, dtype, count, place).astype(np.int64)
    if len(arrays) < 2:
        return None
    shorter = min(map(len, arrays.values()))
    return Strips(compression, arrays["offsets"][:shorter], arrays["sizes"][:shorter])


def missing_strip_share(data: bytes, strips: Strips, unpacked: int) -> float:
    """Share of the pixels (0..1) that are beyond the end of the file or were never written.

    Args:
        data: the file.
        strips: of it.
        unpacked: bytes that all pixels have at least.
    """
    if strips.compression == _NONE and not strips.sizes.any():  # libtiff finds out by itself
        return 0.0
    gain = _GAINS.get(strips.compression)
    if gain and (most := gain * int(strips.sizes.sum())) < (1 - _SLACK) * unpacked:
        return 1 - most / unpacked
    sizes = np.maximum(strips.sizes, 1)  # a strip without bytes is missing as well
    there = np.clip(len(data) - strips.offsets, 0, strips.sizes)
    there[strips.offsets == 0] = 0
    total = int(sizes.sum())
    lacking = total - int(there.sum())
    if strips.compression in _NEVER_ZEROS and (at := data.find(bytes(MIN_RUN))) >= 0:
        for offset, size in zip(strips.offsets.tolist(), there.tolist(), strict=True):
            zeros = count_zeros(data, offset, offset + size) if offset + size > at else 0
            if zeros and not (strips.compression in _DEFLATE and _unpacks(data[offset : offset + size])):
                lacking += zeros
    return min(1.0, lacking / total)


def _unpacks(strip: bytes) -> bool:
    """Whether zlib finds the strip whole: a plain area may be packed into zeros."""
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
