"""Reads the header of a BMP, and decodes the BMPs that OpenCV reads wrong or not at all.

OpenCV 5.0 ignores colour masks: fields of the header that say which bits of a pixel are red, green, blue and alpha.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.reasons import Reason

_RGB, _BITFIELDS, _CMYK, _ALPHA_BITFIELDS = 0, 3, 11, 6  # compression: BI_RGB, ...
_COMPRESSION_NAMES = {1: "rle8", 2: "rle4", 4: "jpeg", 5: "png", 11: "cmyk", 12: "cmyk_rle8", 13: "cmyk_rle4"}
_UNSUPPORTED_COMPRESSIONS = (4, 5, 11, 12, 13)
_OS2_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """The header of a BMP.

    Attributes:
        offset: where the rows of pixels begin, in bytes.
        width, height: pixels; a negative height means that the top row comes first.
        bits: bits of a pixel.
        compression: number of the compression (BI_RGB is 0).
        header_bytes: size of the information header; 12 is that of OS/2.
        masks: bits of a pixel that are red, green, blue and, if there is a fourth mask, alpha; empty without masks.
    """

    offset: int
    width: int
    height: int
    bits: int
    compression: int
    header_bytes: int
    masks: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Return the bytes of an uncompressed row, padded to a multiple of four."""
        return (abs(self.width) * self.bits + 31) // 32 * 4

    @property
    def rows_end(self) -> int:
        """Return the offset where the rows end; where they begin, if they are compressed and have no fixed length."""
        if self.compression not in (_RGB, _BITFIELDS, _ALPHA_BITFIELDS, _CMYK):
            return self.offset
        return self.offset + self.row_bytes * abs(self.height)

    @property
    def opencv_misreads(self) -> bool:
        """Tell whether OpenCV 5.0 reads the file wrong or not at all, and `decode_bmp` reads it right."""
        if self.bits == 24:
            return self.header_bytes == _OS2_HEADER_BYTES and self.compression == _RGB
        has_masks = self.compression in (_BITFIELDS, _ALPHA_BITFIELDS) and len(self.masks) >= 3
        return self.bits in (16, 32) and has_masks

    @property
    def unsupported_reason(self) -> str:
        """Return the reason of a row why no decoder here reads such a BMP; empty if one does."""
        if self.compression in _UNSUPPORTED_COMPRESSIONS:
            return f"{Reason.UNSUPPORTED_COMPRESSION}:{_COMPRESSION_NAMES[self.compression]}"
        return f"{Reason.UNSUPPORTED_PIXELS}:{self.bits}bit" if self.bits not in (1, 4, 8, 16, 24, 32) else ""


def read_bmp_header(data: bytes) -> BmpHeader:
    """Read the header of a BMP.

    Raises:
        struct.error, IndexError: the file ends in its header.
    """
    offset, header_bytes = struct.unpack_from("<I4x", data, 10)[0], data[14]
    if header_bytes == _OS2_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return BmpHeader(offset, width, height, bits, _RGB, header_bytes, ())
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    masks: tuple[int, ...] = ()
    if compression in (_BITFIELDS, _ALPHA_BITFIELDS) and bits in (16, 32):
        has_alpha_mask = compression == _ALPHA_BITFIELDS or header_bytes >= 56
        masks = struct.unpack_from("<4I" if has_alpha_mask else "<3I", data, 54)
    return BmpHeader(offset, width, height, bits, compression, header_bytes, masks)


def decode_bmp(data: bytes, header: BmpHeader) -> NDArray[Any]:
    """Decode a BMP that `BmpHeader.opencv_misreads`.

    Args:
        data: the file.
        header: its header.

    Returns:
        BGR or BGRA, uint8 (height, width, channels).

    Raises:
        ValueError: the file ends before its last row.
    """
    width, height = abs(header.width), abs(header.height)
    rows = np.frombuffer(data, np.uint8, header.row_bytes * height, header.offset).reshape(height, header.row_bytes)
    if header.height > 0:
        rows = rows[::-1]
    if header.bits == 24:
        return np.ascontiguousarray(rows[:, : 3 * width].reshape(height, width, 3))
    words = np.ascontiguousarray(rows[:, : header.bits // 8 * width]).view("<u2" if header.bits == 16 else "<u4")
    red, green, blue, *alpha = header.masks
    channels = [_extract_channel(words, mask) for mask in (blue, green, red, *(mask for mask in alpha if mask))]
    if len(channels) == 4 and not channels[3].any():  # programs without transparency leave zeros there
        channels.pop()
    return np.dstack(channels)


def _extract_channel(words: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """Extract the bits of each pixel under a mask, scaled to 0..255."""
    if not mask:
        return np.zeros(words.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    surplus = max(0, (mask >> low).bit_length() - 16)  # low bits that change no 8-bit value, and would overflow 32 bits
    values = (words.astype(np.uint32) & np.uint32(mask)) >> np.uint32(low + surplus)
    return (values * np.uint32(255) // np.uint32(mask >> low + surplus)).astype(np.uint8)
