"""Decodes what OpenCV does not, by imagecodecs and tifffile, if they are installed (the extra `more_formats`)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.inspection.header import Header, jpeg_segments
from scanner.imaging.inspection.missing_jpeg_pixels import missing_share

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6  # PhotometricInterpretation
_SEPARATE_PLANES = 2  # PlanarConfiguration
_JPEG_LS = 0x37  # SOF55
_DHT = 0xC4
_INVENTS_PIXELS = (0, 1, 2)  # processes of JPEGs whose decoder invents missing pixels
_MAX_DIFFERENCE_BITS = 16  # of the difference between two samples of a lossless JPEG


def decode_by_library(data: bytes, header: Header) -> NDArray[Any] | None:
    """Decode a JPEG or a TIFF to pixels as they are stored, not turned.

    Args:
        data: the file.
        header: its header.

    Returns:
        Grey, BGR or BGRA, uint8 or uint16; None if no library is installed, or none decodes the file.
    """
    decode = {"jpeg": _decode_jpeg, "tiff": _decode_tiff}.get(header.format)
    if decode is None:
        return None
    try:
        pixels = decode(data, header)
    except MemoryError:
        raise
    except Exception:  # a library that is not installed, or one of the dozen errors of those that are
        return None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[:2] != (header.height, header.width):
        return None
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        return np.ascontiguousarray(pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]])
    return pixels[:, :, 0] if pixels.ndim == 3 else pixels


def _decode_jpeg(data: bytes, header: Header) -> NDArray[Any] | None:
    """Decode a JPEG of any process to RGB or grey; None if pixels are missing."""
    import imagecodecs

    jpeg = header.jpeg
    if jpeg is None:
        return None
    if jpeg.process == _JPEG_LS:  # its data may look like markers, so that its end is not known
        return _scale_to_full_range(imagecodecs.jpegls_decode(data), jpeg.bits)
    if not jpeg.has_end_mark:
        return None
    pixels: NDArray[Any] = imagecodecs.jpeg8_decode(_without_unused_codes(data))
    if jpeg.process in _INVENTS_PIXELS and missing_share(
        data, jpeg, lambda filled: _in_3d(imagecodecs.jpeg8_decode(filled))
    ):
        return None
    return _scale_to_full_range(pixels, jpeg.bits)


def _in_3d(pixels: NDArray[Any]) -> NDArray[Any]:
    """Add an axis of one channel to grey pixels."""
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def _without_unused_codes(data: bytes) -> bytes:
    """Remove the codes for impossible differences, which FFmpeg writes into lossless JPEGs, and libjpeg refuses."""
    pieces, at = [], 0
    for marker, start, end in jpeg_segments(data):
        if marker == _DHT and data[start] < 0x10 and start + 17 + sum(data[start + 1 : start + 17]) == end:
            values = data[start + 17 : end]
            used = 1 + max((i for i, value in enumerate(values) if value <= _MAX_DIFFERENCE_BITS), default=-1)
            counts, left = [], used
            for count in data[start + 1 : start + 17]:
                counts.append(min(count, left))
                left -= counts[-1]
            table = data[start : start + 1] + bytes(counts) + values[:used]
            pieces += [data[at : start - 2], (len(table) + 2).to_bytes(2, "big"), table]
            at = end
    return b"".join((*pieces, data[at:]))


def _decode_tiff(data: bytes, _: Header) -> NDArray[Any] | None:
    """Decode the first page of a TIFF to grey, RGB or RGBA; None if its numbers or colours are of another kind."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        if page.dtype is None or page.dtype.kind != "u" or page.bitspersample > 16:
            return None  # signed and floating-point numbers do not say how bright white is
        pixels: NDArray[Any] = page.asarray()
        if page.planarconfig == _SEPARATE_PLANES and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        if int(page.photometric) == _PALETTE:
            return _scale_to_full_range(np.moveaxis(page.colormap, 0, -1)[pixels], 16)
        return _to_rgb(_scale_to_full_range(pixels, int(page.bitspersample)), int(page.photometric))


def _to_rgb(pixels: NDArray[Any], photometric: int) -> NDArray[Any] | None:
    """Convert the pixels of a TIFF to grey, RGB or RGBA; None if their kind (PhotometricInterpretation) is unknown."""
    if photometric == _MIN_IS_WHITE:
        return ~pixels
    if photometric == _CMYK:
        most = np.iinfo(pixels.dtype).max
        ink = (most - pixels).astype(np.uint32)
        return (ink[:, :, :3] * ink[:, :, 3:4] // most).astype(pixels.dtype)
    known = photometric in (_MIN_IS_BLACK, _RGB, _YCBCR)
    return pixels if known and (pixels.ndim == 2 or pixels.shape[2] in (1, 2, 3, 4)) else None


def _scale_to_full_range(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Scale samples of `bits` bits to all values of uint8 or uint16."""
    if bits in (8, 16):
        return pixels
    most = 255 if bits < 8 else 65535
    scaled = pixels.astype(np.uint32) * most // ((1 << bits) - 1)
    return scaled.astype(np.uint8 if bits < 8 else np.uint16)
