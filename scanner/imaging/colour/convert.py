"""Converts pixels to sRGB if their file declares another colour space, as Chromium does (see tests/colour_cases.py).

If browsers ignore the declaration, the pixels are taken for sRGB, and the row says so.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging.colour.declared_space import read_declared_space
from scanner.imaging.colour.srgb import Space, is_drastic, is_srgb, to_srgb
from scanner.imaging.formats import tiff
from scanner.imaging.inspection.header import jpeg_segments
from scanner.imaging.orientation import read_orientation, turn_upright

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn
_RGB = 2  # PhotometricInterpretation of a TIFF
_TIFF_CHANNELS = {0: "GRAY", 1: "GRAY", 5: "CMYK"}  # by PhotometricInterpretation
_GREY_PNG = (0, 4)  # colour types, the byte of IHDR at offset 25


@dataclass(frozen=True, slots=True)
class Converted:
    """Pixels in sRGB, and what the row says about their conversion.

    Attributes:
        pixels: unchanged if they were sRGB already; otherwise colours of 8 bits.
        profile: of the row: `source` (`icc`, `cicp`, `nclx` or `gamma`), `name`, and `state`: `srgb` (nothing to
            convert), `applied`, or `ignored` (broken, or for another kind of pixels: they are taken for sRGB). None if
            the file declares nothing.
        unconverted: the original pixels, if viewers that ignore the profile show a quite different picture.
    """

    pixels: NDArray[Any]
    profile: dict[str, str] | None = None
    unconverted: NDArray[Any] | None = None


def convert_to_srgb(pixels: NDArray[Any], data: bytes, format: str, bgr: bool = True) -> Converted:
    """Convert pixels to sRGB if their file declares another colour space.

    Args:
        pixels: grey, colour, or either with alpha; uint8 or uint16; upright; (height, width) or (height, width,
            channels).
        data: the file.
        format: of its content.
        bgr: whether blue is the first colour.
    """
    declared = read_declared_space(data, format)
    if declared is None:
        return Converted(pixels)
    state, space, channels = "ignored", declared.space, _stored_channels(data, format, pixels)
    converted, unconverted = None, None
    # A space of RGB fits grey pixels, too.
    if space and (space.channels == channels or (space.channels, channels) == ("RGB", "GRAY")):
        if space.channels == "CMYK":
            converted = _convert_cmyk(data, format, space, bgr)
        elif is_srgb(space):
            state = "srgb"
        else:
            converted = to_srgb(_with_three_colours(pixels), space, bgr)
            unconverted = pixels if is_drastic(space) else None
    if converted is not None:
        state, pixels = "applied", converted
    return Converted(pixels, {"source": declared.source, "name": declared.name, "state": state}, unconverted)


def _with_three_colours(pixels: NDArray[Any]) -> NDArray[Any]:
    """Repeat a grey channel three times; alpha stays the last channel."""
    if pixels.ndim == 3 and pixels.shape[2] > 2:
        return pixels
    planes = cv2.split(pixels)
    return cv2.merge([planes[0]] * 3 + list(planes[1:]))


def _stored_channels(data: bytes, format: str, pixels: NDArray[Any]) -> str:
    """Find out which channels the file stores, `GRAY`, `RGB` or `CMYK`: decoders may have converted them.

    Args:
        data: the file.
        format: of its content.
        pixels: decoded.
    """
    if format == "jpeg":
        components = next((data[at + 5] for marker, at, _ in jpeg_segments(data) if marker in _FRAME_MARKERS), 3)
        return {1: "GRAY", 4: "CMYK"}.get(components, "RGB")
    if format == "tiff":
        return _TIFF_CHANNELS.get(tiff.read_first_directory(data).get("photometric", _RGB), "RGB")
    if format == "png":
        return "GRAY" if data[25] in _GREY_PNG else "RGB"
    return "GRAY" if pixels.ndim == 2 or pixels.shape[2] < 3 else "RGB"


def _convert_cmyk(data: bytes, format: str, space: Space, bgr: bool) -> NDArray[Any] | None:
    """Convert four inks by a printer's profile. OpenCV returns only three colours, so Pillow decodes the file again.

    Args:
        data: the file.
        format: of its content.
        space: with a table, for CMYK.
        bgr: whether blue is to be the first colour.

    Returns:
        BGR or RGB uint8 (height, width, 3), upright; None if Pillow cannot decode the file to CMYK.
    """
    from PIL import Image, ImageCms

    assert space.table is not None
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            if picture.mode != "CMYK":
                return None
            pixels = np.asarray(ImageCms.applyTransform(picture, space.table))
    except (Image.DecompressionBombError, ImageCms.PyCMSError, OSError, ValueError, SyntaxError):
        return None
    pixels = turn_upright(pixels, read_orientation(data, format))  # not of a TIFF, which Pillow turns as OpenCV does
    return np.ascontiguousarray(pixels[:, :, ::-1]) if bgr else pixels
