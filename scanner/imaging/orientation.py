"""Reads the orientation of a picture, and turns it upright, as Chromium does (see tests/orientation_cases.py).

JPEG and PNG store the orientation in EXIF, AVIF in properties of its container. WebP, GIF and BMP are shown as they are
stored, whatever their EXIF contains. The decoders of TIFF and HEIC, libtiff and libheif, turn the picture themselves.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging.formats.png_parts import png_chunks
from scanner.imaging.inspection.exif import SHORT, byte_order, walk
from scanner.imaging.inspection.header import jpeg_segments
from scanner.imaging.inspection.heif import properties

_ORIENTATION = 0x0112
_APP1 = 0xE1
_EXIF = b"Exif\x00"  # one more byte follows, which is 0 in the standard and anything in practice
# Chunks of a PNG before its pixels that are searched.
_MAX_CHUNKS = 20_000
# The orientation by the axis of AVIF's `imir`, and by its counter-clockwise quarter turns (`irot`), which come first.
_AVIF_ORIENTATIONS = {None: (1, 8, 3, 6), 0: (4, 5, 2, 7), 1: (2, 7, 4, 5)}


def read_orientation(data: bytes, format: str) -> int:
    """Read the orientation that a file declares, 1..8 as EXIF counts; 1 if it declares none. Never raises.

    Args:
        data: the file.
        format: of its content.
    """
    try:
        return _READERS.get(format, _as_stored)(data)
    except (struct.error, IndexError, ValueError):  # the file is cut
        return 1


def read_exif_orientation(block: bytes) -> int:
    """Read the first valid orientation of an EXIF block, which begins with its byte order mark; 1 if it has none."""
    order = byte_order(block)
    for entry in walk(block):
        if entry.tag == _ORIENTATION and (entry.kind, entry.count) == (SHORT, 1):
            value: int = struct.unpack_from(order + "H", block, entry.at)[0]
            if 1 <= value <= 8:
                return value
    return 1


def turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels upright.

    Args:
        pixels: (height, width) or (height, width, channels).
        orientation: 1..8 as EXIF counts; 5 to 8 are stored sideways.

    Returns:
        Pixels of the same type, contiguous.
    """
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    rows, columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if rows or columns:
        pixels = cv2.flip(pixels, -1 if rows and columns else int(columns))
    return np.ascontiguousarray(pixels)


def _as_stored(data: bytes) -> int:
    """Return the orientation of a format that declares none."""
    return 1


def _jpeg(data: bytes) -> int:
    """Read the first EXIF block before the first scan; no other one counts, even if the first is broken."""
    for marker, at, end in jpeg_segments(data):
        if marker == _APP1 and data.startswith(_EXIF, at) and end - at > len(_EXIF) + 1:
            return read_exif_orientation(data[at + len(_EXIF) + 1 : end])
    return 1


def _png(data: bytes) -> int:
    """Read the first eXIf chunk with a right checksum, which must stand before the pixels."""
    for kind, at, end in islice(png_chunks(data), _MAX_CHUNKS):
        if kind == b"IDAT":
            break
        if kind == b"eXIf" and zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]:
            return read_exif_orientation(data[at + 8 : end - 4])
    return 1


def _avif(data: bytes) -> int:
    """Read the first `irot` and the first `imir` of the picture; readers must ignore its EXIF (ISO 23008-12)."""
    turns, mirror = 0, None
    for kind, at, _ in reversed(properties(data)):
        if kind == b"irot":
            turns = data[at] & 3
        elif kind == b"imir":
            mirror = data[at] & 1
    return _AVIF_ORIENTATIONS[mirror][turns]


_READERS: dict[str, Callable[[bytes], int]] = {"jpeg": _jpeg, "png": _png, "avif": _avif}
