"""The pictures to measure on, one at a time: the same number always gives the same picture.

Smooth surfaces make small files that decode fast. So that none decodes faster than a camera's would, all that was
enlarged or drawn gets a camera's noise before it is saved.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.faces.finder import FaceFinder
from scanner.imaging.crop import square_round_face
from scanner.imaging.decode import Picture

# Standard deviation in grey levels. At JPEG 90 it gives photographs of 12 MP the 3 to 4 MB that telephones write.
GRAIN = 5.0
# Cells across the picture and grey levels up or down: light and shade, things, their surfaces.
GROUND = ((4, 60), (32, 25), (256, 12))
PHOTOGRAPH_QUALITY = 90
SIDES = (256, 512)  # long sides of portraits, in pixels


def portrait(source: Picture, number: int) -> bytes:
    """A portrait 256 to 512 pixels long, mirrored or not, as a JPEG of quality 80 to 95."""
    rng = np.random.default_rng(number)
    side = int(rng.integers(*SIDES, endpoint=True))
    if rng.random() < 0.5:
        source = source[:, ::-1]
    pixels = _resized(source, side).astype(np.float32)
    return jpeg(_grained(pixels, rng, GRAIN / 2), int(rng.integers(80, 96)))


def photograph(sources: list[Picture], number: int, width: int, height: int) -> Picture:
    """Portraits that hang on a wall: the last one, which is whole, fills half of the height or more."""
    rng = np.random.default_rng(number)
    wall = np.full((height, width, 3), 120, np.float32)
    for cells, swing in GROUND:
        rows = max(1, cells * height // width)
        light, colour = rng.uniform(-swing, swing, (rows, cells, 1)), rng.uniform(-swing, swing, (rows, cells, 3))
        grid = (0.8 * light + 0.2 * colour).astype(np.float32)
        wall += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    for i, source in enumerate(sources):
        least, most = (0.5, 0.8) if i == len(sources) - 1 else (0.15, 0.4)
        hung = _resized(source, round(height * rng.uniform(least, most)))
        h, w = hung.shape[:2]
        top, left = int(rng.integers(height - h)), int(rng.integers(width - w))
        wall[top : top + h, left : left + w] = hung
    return _grained(wall, rng, GRAIN)


def tiny(source: Picture, finder: FaceFinder, side: int = 96) -> bytes | None:
    """The first face and as much again round it; None if there is no face."""
    faces = finder.find(source)
    if not faces:
        return None
    cut = square_round_face((source.shape[1], source.shape[0]), faces[0].box, 0.5, "clamp", faces[0].turn)
    return jpeg(cut.of(source, side, side), 90)


def jpeg(picture: Picture, quality: int = PHOTOGRAPH_QUALITY) -> bytes:
    """RGB pixels as a JPEG file."""
    _, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return content.tobytes()


def _resized(picture: Picture, long_side: int) -> Picture:
    scale = long_side / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)


def _grained(pixels: NDArray[np.float32], rng: np.random.Generator, deviation: float) -> Picture:
    """Adds noise, in place: most of it in the brightness, as it comes out of a camera."""
    height, width = pixels.shape[:2]
    pixels += rng.standard_normal((height, width, 1), np.float32) * np.float32(deviation)
    pixels += rng.standard_normal((height, width, 3), np.float32) * np.float32(deviation / 2)
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
