"""Converts pixels to sRGB if their file declares another colour space, as Chromium does (see tests/colour_cases.py).

Where a file says something that browsers ignore, its pixels are taken for sRGB, and the row tells.
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

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a frame header
_SEPARATED = 5  # PhotometricInterpretation of CMYK; 0 and 1 are grey


@dataclass(frozen=True, slots=True)
class Converted:
    """Pixels in sRGB.

    Attributes:
        pixels: untouched if they were sRGB, else colours of 8 bits.
        profile: what a row tells of it: `source` (`icc`, `cicp`, `nclx`, `gamma`), `name`, and `state`: `srgb` (nothing
            to do), `applied`, or `ignored` (broken, or for pixels of another kind: taken for sRGB). None if the file
            says nothing.
        unconverted: the pixels as they were, if whoever ignores the profile sees quite another picture.
    """

    pixels: NDArray[Any]
    profile: dict[str, str] | None = None
    unconverted: NDArray[Any] | None = None


def convert_to_srgb(pixels: NDArray[Any], data: bytes, format: str, bgr: bool = True) -> Converted:
    """Convert pixels to sRGB if their file says that they are something else.

    Args:
        pixels: grey, colour, or either with alpha; uint8 or uint16; upright.
        data: the file.
        format: of its content.
        bgr: whether blue comes first in colours.
    """
    found = read_declared_space(data, format)
    if found is None:
        return Converted(pixels)
    state, space, channels = "ignored", found.space, _channels(data, format, pixels)
    converted, before = None, None
    # Spaces of colours fit grey pixels, too.
    if space and (space.channels == channels or (space.channels, channels) == ("RGB", "GRAY")):
        if space.channels == "CMYK":
            converted = _from_cmyk(data, format, space, bgr)
        elif is_srgb(space):
            state = "srgb"
        else:
            converted = to_srgb(_colours(pixels), space, bgr)
            before = pixels if is_drastic(space) else None
    if converted is not None:
        state, pixels = "applied", converted
    return Converted(pixels, {"source": found.source, "name": found.name, "state": state}, before)


def _colours(pixels: NDArray[Any]) -> NDArray[Any]:
    """Make three equal channels of grey; alpha stays the last."""
    if pixels.ndim == 3 and pixels.shape[2] > 2:
        return pixels
    planes = cv2.split(pixels)
    return cv2.merge([planes[0]] * 3 + list(planes[1:]))


def _channels(data: bytes, format: str, pixels: NDArray[Any]) -> str:
    """Tell what pixels are in the file: `GRAY`, `RGB` or `CMYK`."""
    if format == "jpeg":
        components = next((data[at + 5] for marker, at, _ in jpeg_segments(data) if marker in _FRAMES), 3)
        return {1: "GRAY", 4: "CMYK"}.get(components, "RGB")
    if format == "tiff":
        colours = tiff.read_first_directory(data).get("photometric")
        return "CMYK" if colours == _SEPARATED else "GRAY" if colours in (0, 1) else "RGB"
    if format == "png":
        return "GRAY" if data[25] in (0, 4) else "RGB"  # IHDR's colour type
    return "GRAY" if pixels.ndim == 2 or pixels.shape[2] < 3 else "RGB"


def _from_cmyk(data: bytes, format: str, space: Space, bgr: bool) -> NDArray[Any] | None:
    """Convert four inks by a printer's profile. OpenCV gives only three colours of them, so Pillow decodes again."""
    from PIL import Image, ImageCms

    assert space.table is not None
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            if picture.mode != "CMYK":
                return None
            made = np.asarray(ImageCms.applyTransform(picture, space.table))
    except (Image.DecompressionBombError, ImageCms.PyCMSError, OSError, ValueError, SyntaxError):
        return None
    made = turn_upright(made, read_orientation(data, format))  # Pillow turns TIFF by itself, as OpenCV does
    return np.ascontiguousarray(made[:, :, ::-1]) if bgr else made
