"""Bytes -> upright sRGB picture, or the reason why not. The only place that calls OpenCV's decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.alpha import hides_another
from scanner.colour import in_srgb
from scanner.header import DECODABLE, Header, png_chunks, read_header
from scanner.orientation import orientation, upright
from scanner.settings import MAX_PIXELS

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is a reason, not a page of log

# How a file begins that stands for another one, which Git LFS has not fetched.
_GIT_LFS = b"version https://git-lfs.github.com/spec/v1"
# RGB, uint8, (height, width, 3). OpenCV's type hints promise no dtype, so neither can this one.
Picture = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, or the reason why there is none.

    Attributes:
        format: from the content; empty if unknown.
        picture: sRGB, uint8, (height, width, 3), upright, alpha laid on white; None on failure.
        reason: empty on success.
        colour_profile: what the file says of its colours, and whether they were converted (`scanner.colour`).
        others: what viewers show that lay transparency on black, or that ignore the colour profile; only where that is
            quite another picture. They are as large, and belong to the same row: the highest score decides.
    """

    format: str
    picture: Picture | None = None
    reason: str = ""
    colour_profile: dict[str, str] | None = None
    others: tuple[Picture, ...] = ()


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
        room: pixels that may be decoded now, if there is a limit.

    Returns:
        The picture or a reason; never raises for bad content (but MemoryError may pass).

    Raises:
        NoRoomError: there is no room; nothing was decoded.
    """
    if not data:
        return Decoded("", reason="empty")
    header = read_header(data)
    if not header.format:
        return Decoded("", reason="git_lfs_pointer" if data.startswith(_GIT_LFS) else "not_an_image")
    announced = max(header.width * header.height, header.tile_pixels)
    if announced > max_pixels:
        return Decoded(header.format, reason=f"too_many_pixels:{announced}")
    if room is not None and announced > room:
        raise NoRoomError(announced)
    if header.format == "heic":
        return _decode_heic(data, header, max_pixels)
    if header.format not in DECODABLE:
        return Decoded(header.format, reason=f"unsupported_format:{header.format}")
    failure = "corrupt" if header.complete else "truncated"
    if not (header.width and header.height):
        return Decoded(header.format, reason=failure)
    if header.refusal:
        return Decoded(header.format, reason=header.refusal)
    if header.format != "tiff" and not header.complete:  # what a TIFF lacks, its decoder knows better
        return Decoded(header.format, reason=failure)
    try:
        pixels = _pixels(data, header)
    except cv2.error as error:
        if "OutOfMemory" in str(error) or "Insufficient memory" in str(error):
            raise MemoryError from error
        pixels = None
    if pixels is None:
        return Decoded(header.format, reason=failure)
    if pixels.dtype not in (np.uint8, np.uint16):
        return Decoded(header.format, reason=f"unsupported_pixels:{pixels.dtype}")
    return _shown(pixels, data, header.format)


def _shown(pixels: NDArray[Any], data: bytes, format: str) -> Decoded:
    """The picture that most viewers show of pixels, and the others that some of them do.

    Args:
        pixels: RGB of a JPEG; of others grey, BGR or BGRA.
        data: the file.
        format: of its content.
    """
    # libtiff's RGBA reader, which OpenCV uses for 8 bits, hands out colours already multiplied by alpha.
    premultiplied = format == "tiff" and pixels.dtype == np.uint8
    converted = in_srgb(pixels, data, format, bgr=format != "jpeg")
    pixels, before = converted.pixels, converted.before
    if format == "jpeg":
        return Decoded(format, pixels, "", converted.profile, () if before is None else (before,))
    others = [_to_rgb(pixels, premultiplied, ground=0)] if hides_another(pixels) else []
    if before is not None:
        others.append(_to_rgb(before, premultiplied))
    return Decoded(format, _to_rgb(pixels, premultiplied), "", converted.profile, tuple(others))


def _pixels(data: bytes, header: Header) -> NDArray[Any] | None:
    """Upright pixels as OpenCV gives them; None if the file is broken.

    RGB uint8 of a JPEG; of others grey, BGR or BGRA, of whatever depth.
    """
    buffer = np.frombuffer(_first_picture(data) if header.format == "png" else data, np.uint8)
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


def _first_picture(png: bytes) -> bytes:
    """A PNG without its animation and without what stands behind its end.

    Of broken animations OpenCV 5.0 shows a later frame as the first, or dies. Where nothing was shown before the end it
    reads on, and makes room for a chunk of gigabytes that is only announced.
    """
    animation = (b"acTL", b"fcTL", b"fdAT")
    chunks = list(png_chunks(png))
    if not any(kind in animation for kind, _, _ in chunks):
        return png[: chunks[-1][2]]
    return png[:8] + b"".join(png[at:end] for kind, at, end in chunks if kind not in animation)


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


def _decode_heic(data: bytes, header: Header, max_pixels: int) -> Decoded:
    """HEIC through the optional pillow-heif, which also turns the picture upright."""
    try:
        import pillow_heif
    except ImportError:
        return Decoded("heic", reason="unsupported_format:heic")
    if not header.complete:
        return Decoded("heic", reason="truncated")
    try:
        heif = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
        width, height = heif.size
        if width * height > max_pixels:
            return Decoded("heic", reason=f"too_many_pixels:{width * height}")
        pixels = np.asarray(heif)
    except (ValueError, RuntimeError, OSError, EOFError, SyntaxError, IndexError):
        return Decoded("heic", reason="corrupt")
    pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.ndim == 3 else pixels
    return _shown(np.ascontiguousarray(pixels), data, "heic")
