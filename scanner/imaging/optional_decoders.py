"""Decodes what OpenCV does not, by imagecodecs and tifffile, if they are installed (the extra `more_formats`)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.inspection.header import Header, jpeg_segments
from scanner.imaging.inspection.missing_jpeg_pixels import missing_share

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6  # PhotometricInterpretation
_JPEG_LS = 0x37  # SOF55
_STARVING = (0, 1, 2)  # processes whose decoders make up pixels where data are missing
_MOST_BITS = 16  # of a difference between two samples


def decode_by_library(data: bytes, header: Header) -> NDArray[Any] | None:
    """Pixels as they are stored: grey, BGR or BGRA, uint8 or uint16; None if no library is there, or none can do it.

    Args:
        data: the file.
        header: what it says of itself.
    """
    decode = {"jpeg": _jpeg, "tiff": _tiff}.get(header.format)
    if decode is None:
        return None
    try:
        pixels = decode(data, header)
    except MemoryError:
        raise
    except Exception:  # libraries that are not there, and the errors of a dozen that are
        return None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[:2] != (header.height, header.width):
        return None
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        return np.ascontiguousarray(pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]])
    return pixels[:, :, 0] if pixels.ndim == 3 else pixels


def _jpeg(data: bytes, header: Header) -> NDArray[Any] | None:
    import imagecodecs

    jpeg = header.jpeg
    if jpeg is None:
        return None
    if jpeg.process == _JPEG_LS:  # what looks like a marker may be data there
        return _full_range(imagecodecs.jpegls_decode(data), jpeg.bits)
    if not jpeg.has_end_mark:
        return None
    pixels: NDArray[Any] = imagecodecs.jpeg8_decode(_without_spare_codes(data))
    if jpeg.process in _STARVING and missing_share(data, jpeg, lambda again: _in_3d(imagecodecs.jpeg8_decode(again))):
        return None
    return _full_range(pixels, jpeg.bits)


def _in_3d(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def _without_spare_codes(data: bytes) -> bytes:
    """A lossless JPEG without codes for differences that there cannot be, which FFmpeg lists and libjpeg refuses."""
    pieces, at = [], 0
    for marker, start, end in jpeg_segments(data):
        if marker == 0xC4 and data[start] < 0x10 and start + 17 + sum(data[start + 1 : start + 17]) == end:
            values = data[start + 17 : end]
            used = 1 + max((i for i, value in enumerate(values) if value <= _MOST_BITS), default=-1)
            counts, left = [], used
            for count in data[start + 1 : start + 17]:
                counts.append(min(count, left))
                left -= counts[-1]
            table = data[start : start + 1] + bytes(counts) + values[:used]
            pieces += [data[at : start - 2], (len(table) + 2).to_bytes(2, "big"), table]
            at = end
    return b"".join((*pieces, data[at:]))


def _tiff(data: bytes, _: Header) -> NDArray[Any] | None:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if page.dtype is None or page.dtype.kind != "u" or page.bitspersample > 16:
            return None  # of other numbers nobody knows how bright white is
        pixels: NDArray[Any] = page.asarray()
        colours, bits = int(page.photometric), int(page.bitspersample)
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        if colours == _PALETTE:
            return _full_range(np.moveaxis(page.colormap, 0, -1)[pixels], 16)
        pixels = _full_range(pixels, bits)
        if colours == _MIN_IS_WHITE:
            return ~pixels
        if colours == _CMYK:
            most = np.iinfo(pixels.dtype).max
            ink = (most - pixels).astype(np.uint32)
            return (ink[:, :, :3] * ink[:, :, 3:4] // most).astype(pixels.dtype)
        known = (_MIN_IS_BLACK, _RGB, _YCBCR)
        return pixels if colours in known and (pixels.ndim == 2 or pixels.shape[2] in (1, 2, 3, 4)) else None


def _full_range(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Samples of any number of bits, as uint8 or uint16 that use all of it."""
    if bits in (8, 16):
        return pixels
    most = 255 if bits < 8 else 65535
    scaled = pixels.astype(np.uint32) * most // ((1 << bits) - 1)
    return scaled.astype(np.uint8 if bits < 8 else np.uint16)
