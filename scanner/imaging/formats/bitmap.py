"""Decodes the BMPs that OpenCV reads wrong or not at all: those whose header says which bits are which colour."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.reasons import Reason

_RGB, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6
_COMPRESSIONS = {1: "rle8", 2: "rle4", 4: "jpeg", 5: "png", 11: "cmyk", 12: "cmyk_rle8", 13: "cmyk_rle4"}


@dataclass(frozen=True, slots=True)
class Bitmap:
    """The header of a BMP.

    Attributes:
        offset: where the rows begin.
        width, height: pixels; a negative height means rows from the top.
        bits: of a pixel.
        compression: BI_RGB, ...
        header: bytes of the information header; 12 is OS/2's.
        masks: which bits are red, green, blue and alpha; empty if the header does not say.
    """

    offset: int
    width: int
    height: int
    bits: int
    compression: int
    header: int
    masks: tuple[int, ...]

    @property
    def row(self) -> int:
        """Bytes of a row, padded to four."""
        return (abs(self.width) * self.bits + 31) // 32 * 4

    @property
    def rows_end(self) -> int:
        """Where the file should end; compressed rows have no length to hold the file against."""
        packed = self.compression not in (_RGB, _BITFIELDS, _ALPHA_BITFIELDS, 11)
        return self.offset if packed else self.offset + self.row * abs(self.height)

    @property
    def ours(self) -> bool:
        """Whether `pixels_of` decodes it: what OpenCV 5.0 gets wrong, from 16 bits a pixel on."""
        if self.bits == 24:
            return self.header == 12 and self.compression == _RGB
        return self.bits in (16, 32) and self.compression in (_BITFIELDS, _ALPHA_BITFIELDS) and len(self.masks) >= 3

    @property
    def unusual(self) -> str:
        """Why nobody decodes it, as a reason; empty if it is a usual one."""
        if self.compression in (4, 5, 11, 12, 13):
            return f"{Reason.UNSUPPORTED_COMPRESSION}:{_COMPRESSIONS[self.compression]}"
        return f"{Reason.UNSUPPORTED_PIXELS}:{self.bits}bit" if self.bits not in (1, 4, 8, 16, 24, 32) else ""


def read_bitmap(data: bytes) -> Bitmap:
    """Read the header.

    Raises:
        struct.error: it is cut.
    """
    offset, header = struct.unpack_from("<I4x", data, 10)[0], data[14]
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return Bitmap(offset, width, height, bits, _RGB, header, ())
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    masks: tuple[int, ...] = ()
    if compression in (_BITFIELDS, _ALPHA_BITFIELDS) and bits in (16, 32):
        alpha = compression == _ALPHA_BITFIELDS or header >= 56
        masks = struct.unpack_from("<4I" if alpha else "<3I", data, 54)
    return Bitmap(offset, width, height, bits, compression, header, masks)


def pixels_of(data: bytes, bitmap: Bitmap) -> NDArray[Any]:
    """Decode what is `ours`: BGR or BGRA, uint8, (height, width, channels).

    Raises:
        ValueError: the rows are not all there.
    """
    width, height = abs(bitmap.width), abs(bitmap.height)
    rows = np.frombuffer(data, np.uint8, bitmap.row * height, bitmap.offset).reshape(height, bitmap.row)
    if bitmap.height > 0:
        rows = rows[::-1]
    if bitmap.bits == 24:
        return np.ascontiguousarray(rows[:, : 3 * width].reshape(height, width, 3))
    words = np.ascontiguousarray(rows[:, : bitmap.bits // 8 * width]).view("<u2" if bitmap.bits == 16 else "<u4")
    red, green, blue, *alpha = bitmap.masks
    channels = [_channel(words, mask) for mask in (blue, green, red, *(mask for mask in alpha if mask))]
    if len(channels) == 4 and not channels[3].any():  # as most programs write it who do not care
        channels.pop()
    return np.dstack(channels)


def _channel(words: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """The bits under a mask, spread over 0 to 255."""
    if not mask:
        return np.zeros(words.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    surplus = max(0, (mask >> low).bit_length() - 16)  # bits that make no difference, and would not fit
    values = (words.astype(np.uint32) & np.uint32(mask)) >> np.uint32(low + surplus)
    return (values * np.uint32(255) // np.uint32(mask >> low + surplus)).astype(np.uint8)
