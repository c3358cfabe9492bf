"""Bytes -> upright sRGB picture, or the reason why not. The only place that calls OpenCV's decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging import complaints, more_formats
from scanner.imaging.alpha import hides_another
from scanner.imaging.colour.convert import in_srgb
from scanner.imaging.formats import bitmap
from scanner.imaging.inspection import cost, remains
from scanner.imaging.inspection.header import DECODABLE, Header, implausible, read_header
from scanner.imaging.inspection.remains import Remains, truncated, what_remains
from scanner.imaging.inspection.unusual import unusual
from scanner.imaging.orientation import orientation, upright
from scanner.reasons import Reason
from scanner.settings import MAX_PIXELS
from scanner.system.allocator import lacks_memory

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is a reason, not a page of log

# How a file begins that stands for another one, which Git LFS has not fetched.
_GIT_LFS = b"version https://git-lfs.github.com/spec/v1"
# RGB, uint8, (height, width, 3). OpenCV's type hints promise no dtype, so neither can this one.
Picture = NDArray[Any]
# Pixels that are converted at once.
_BAND = 1_000_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, or the reason why there is none.

    Attributes:
        format: from the content; empty if unknown.
        picture: sRGB, uint8, (height, width, 3), upright, alpha laid on white; None on failure.
        reason: empty on success.
        colour_profile: what the file says of its colours, and whether they were converted (`imaging.colour`).
        others: what viewers show that lay transparency on black, or that ignore the colour profile; only where that is
            quite another picture. They are as large, and belong to the same row: the highest score decides.
        damage: what is wrong with the file of a picture whose pixels are all there, or almost; empty if nothing is.
    """

    format: str
    picture: Picture | None = None
    reason: str = ""
    colour_profile: dict[str, str] | None = None
    others: tuple[Picture, ...] = ()
    damage: str = ""


class NoRoomError(Exception):
    """The picture would be larger than there is room for now."""

    def __init__(self, pixels: int) -> None:
        super().__init__(f"{pixels} pixels")
        self.pixels = pixels


def decode(data: bytes, max_pixels: int = MAX_PIXELS, room: int | None = None) -> Decoded:
    """Decode the first frame of an encoded picture.

    Args:
        data: the file's content.
        max_pixels: refuse, before decoding, what would be larger.
        room: pixels of a plain picture that may be decoded now, if there is a limit (`cost.in_pixels`).

    Returns:
        The picture or a reason; never raises for bad content (but MemoryError may pass).

    Raises:
        NoRoomError: there is no room; nothing was decoded.
    """
    if not data:
        return Decoded("", reason=Reason.EMPTY)
    header = read_header(data)
    if not header.format:
        return Decoded("", reason=Reason.GIT_LFS_POINTER if data.startswith(_GIT_LFS) else Reason.NOT_AN_IMAGE)
    announced = cost.pixels_made(data, header)
    if announced > max_pixels:
        return Decoded(header.format, reason=f"{Reason.TOO_MANY_PIXELS}:{announced}")
    if cost.is_too_plain(announced, len(data)):
        return Decoded(header.format, reason=implausible(announced, len(data)))
    needed = cost.memory(data, header, announced)
    if room is not None and cost.in_pixels(needed) > room:
        raise NoRoomError(cost.in_pixels(needed))
    if header.format == "heic":
        return _decode_heic(data, header, max_pixels, needed)
    if header.format not in DECODABLE:
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_FORMAT}:{header.format}")
    failure = Reason.CORRUPT if header.complete else Reason.TRUNCATED
    if not (header.width and header.height):
        return Decoded(header.format, reason=failure)
    if header.refusal:
        return _by_library(data, header, header.refusal)
    left = what_remains(data, header)
    if left is None:
        return Decoded(header.format, reason=failure)
    if left.missing > remains.TOLERATED:
        return Decoded(header.format, reason=truncated(left.missing))
    complaints.heard()  # of an earlier picture
    pixels = _tried(data, header, left, needed)
    if pixels is None and (kind := unusual(data, header)):
        return _by_library(data, header, kind)
    if pixels is None and header.complete and (less := remains.after_failure(data, header)):
        left = less
        pixels = None if left.missing > remains.TOLERATED else _tried(data, header, left, needed)
    if pixels is None:
        missing = left.otherwise or left.missing
        return Decoded(header.format, reason=truncated(missing) if missing else failure)
    if pixels.dtype not in (np.uint8, np.uint16):
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_PIXELS}:{pixels.dtype}")
    damage = left.damage
    if header.format == "jpeg":
        missing, damage = remains.jpeg_state(data, header, pixels, complaints.heard())
        if missing > remains.TOLERATED:
            return Decoded(header.format, reason=truncated(missing))
    # libtiff's RGBA reader, which OpenCV uses for 8 bits, hands out colours already multiplied by alpha.
    premultiplied = header.format == "tiff" and pixels.dtype == np.uint8
    return _shown(pixels, data, header.format, damage, bgr=header.format != "jpeg", premultiplied=premultiplied)


def _shown(
    pixels: NDArray[Any],
    data: bytes,
    format: str,
    damage: str = "",
    bgr: bool = True,
    premultiplied: bool = False,
) -> Decoded:
    """Make the picture that most viewers show of pixels, and the others that some of them do.

    Args:
        pixels: upright; grey, or in the order that `bgr` tells, the last channel of two or four being alpha.
        data: the file.
        format: of its content.
        damage: what is wrong with the file.
        bgr: whether colours come as BGR or BGRA; otherwise they are RGB uint8 without alpha.
        premultiplied: whether colours are multiplied by alpha already.
    """
    converted = in_srgb(pixels, data, format, bgr=bgr)
    pixels, before = converted.pixels, converted.before
    if not bgr:
        return Decoded(format, pixels, "", converted.profile, () if before is None else (before,), damage)
    others = [_in_bands(pixels, premultiplied, ground=0)] if hides_another(pixels) else []
    if before is not None:
        others.append(_in_bands(before, premultiplied))
    return Decoded(format, _in_bands(pixels, premultiplied), "", converted.profile, tuple(others), damage)


def _tried(data: bytes, header: Header, left: Remains, needed: int) -> NDArray[Any] | None:
    """Upright pixels; None if the decoder refuses them.

    Raises:
        MemoryError: for want of memory, of which most decoders only say that they failed.
    """
    try:
        pixels = _pixels(data, header, left.data)
    except cv2.error as error:
        if lacks_memory(error):
            raise MemoryError from error
        pixels = None
    if pixels is None:
        cost.probe(needed)
    return pixels


def _by_library(data: bytes, header: Header, reason: str) -> Decoded:
    """What OpenCV does not decode, by a library that does, if it is there; else the reason."""
    pixels = None
    left = what_remains(data, header)
    if reason.startswith("unsupported_") and left and not left.missing:
        pixels = more_formats.pixels_of(data, header)
    if pixels is None:
        return Decoded(header.format, reason=reason)
    return _shown(upright(pixels, orientation(data, header.format)), data, header.format)


def _pixels(data: bytes, header: Header, plain: bytes) -> NDArray[Any] | None:
    """Upright pixels as OpenCV gives them; None if the file is broken.

    RGB uint8 of a JPEG; of others grey, BGR or BGRA, of whatever depth. `plain` is what is decoded of the file.
    """
    if header.format == "bmp" and (found := bitmap.read_bitmap(plain)).ours:
        return bitmap.pixels_of(plain, found)
    buffer = np.frombuffer(plain, np.uint8)
    if header.format == "jpeg":  # no alpha, 8 bits: let OpenCV convert CMYK
        pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    else:  # IMREAD_COLOR would drop alpha and show the colours hidden under it
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if pixels is not None and header.format == "avif" and pixels.dtype != np.uint8:
        pixels = _eight_bits(buffer, pixels, header.bits)
    return None if pixels is None else upright(pixels, orientation(data, header.format))


def _eight_bits(buffer: NDArray[np.uint8], deep: NDArray[Any], bits: int) -> NDArray[Any] | None:
    """An AVIF of 10 or 12 bits, of which OpenCV does not say how many they are.

    Its colours are decoded again, to 8 bits. Only `deep` has alpha; if it has fewer bits than the container says,
    OpenCV 5.0 fills one half of each row with pairs of bytes, and leaves the other as memory was.
    """
    colour = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if colour is None or deep.ndim == 2 or deep.shape[2] == 3:
        return colour
    if deep.max() >= 2**bits:
        return None
    return np.dstack([colour, cv2.convertScaleAbs(deep[:, :, 3], alpha=255 / (2**bits - 1))])


def _in_bands(pixels: NDArray[Any], premultiplied: bool = False, ground: int = 255) -> Picture:
    """`_to_rgb`, some rows at a time: of 200 megapixels, its copies would take 3 GB."""
    rows = max(1, _BAND // pixels.shape[1])
    if pixels.shape[0] <= rows:
        return _to_rgb(pixels, premultiplied, ground)
    picture = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, pixels.shape[0], rows):
        picture[top : top + rows] = _to_rgb(pixels[top : top + rows], premultiplied, ground)
    return picture


def _to_rgb(pixels: NDArray[Any], premultiplied: bool = False, ground: int = 255) -> Picture:
    """OpenCV's channel orders and depths -> contiguous RGB uint8, alpha composited on white, or on black (0)."""
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels in (2, 4):  # the last one is alpha
        alpha = np.ascontiguousarray(pixels[:, :, -1])
        colour = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB) if channels == 4 else cv2.merge([pixels[:, :, 0]] * 3)
        if alpha.min() == 255:
            return colour
        alpha = cv2.merge([alpha] * 3)
        if not premultiplied:
            colour = cv2.multiply(colour, alpha, scale=1 / 255)
        return cv2.add(colour, cv2.bitwise_not(alpha)) if ground else colour  # what alpha leaves open shows white
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB)


def from_opencv(pixels: NDArray[Any], data: bytes, format: str, bits: int = 16) -> Picture:
    """Make the picture of one frame of an animation: upright RGB uint8 in sRGB, alpha laid on white.

    Args:
        pixels: as the container has them: grey, BGR or BGRA; uint8 or uint16.
        data: the file, which says how its pictures are turned, and their colours.
        format: of its content.
        bits: of samples that are uint16.

    Raises:
        ValueError: there is no picture.
    """
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / (2**bits - 1))
    shown = _shown(np.ascontiguousarray(upright(pixels, orientation(data, format))), data, format).picture
    if shown is None:
        raise ValueError("no picture")
    return shown


def _decode_heic(data: bytes, header: Header, max_pixels: int, needed: int) -> Decoded:
    """HEIC through the optional pillow-heif, which also turns the picture upright."""
    try:
        import pillow_heif
    except ImportError:
        return Decoded("heic", reason=f"{Reason.UNSUPPORTED_FORMAT}:heic")
    left = what_remains(data, header)
    if left is None:
        return Decoded("heic", reason=Reason.TRUNCATED)
    try:
        heif = pillow_heif.open_heif(left.data, convert_hdr_to_8bit=True)
        width, height = heif.size
        if width * height > max_pixels:
            return Decoded("heic", reason=f"{Reason.TOO_MANY_PIXELS}:{width * height}")
        pixels = np.asarray(heif)
    except (ValueError, RuntimeError, OSError, EOFError, SyntaxError, IndexError):
        cost.probe(needed)
        return Decoded("heic", reason=Reason.CORRUPT if header.complete else truncated(left.otherwise))
    pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.ndim == 3 else pixels
    return _shown(np.ascontiguousarray(pixels), data, "heic", left.damage)
