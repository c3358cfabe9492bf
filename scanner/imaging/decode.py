"""Bytes -> upright sRGB picture, or the reason why not. The only place that calls OpenCV's decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging import libjpeg_warnings, optional_decoders
from scanner.imaging.colour.convert import convert_to_srgb
from scanner.imaging.formats import bmp
from scanner.imaging.inspection import decoder_input, decoding_memory
from scanner.imaging.inspection.decoder_input import DecoderInput, prepare_decoder_input, truncated_reason
from scanner.imaging.inspection.header import DECODABLE, Header, implausible_size_reason, read_header
from scanner.imaging.inspection.unsupported_kinds import unsupported_reason
from scanner.imaging.orientation import read_orientation, turn_upright
from scanner.imaging.transparency import hides_second_picture
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
        alternatives: the picture laid on black, and the picture without its colour profile, as some viewers show them;
            only where they differ much from `picture`. Same size; the highest score of all decides the row.
        damage: what is wrong with the file of a picture whose pixels are all there, or almost; empty if nothing is.
    """

    format: str
    picture: Picture | None = None
    reason: str = ""
    colour_profile: dict[str, str] | None = None
    alternatives: tuple[Picture, ...] = ()
    damage: str = ""


class OverBudgetError(Exception):
    """The picture would be larger than there is room for now."""

    def __init__(self, pixels: int) -> None:
        super().__init__(f"{pixels} pixels")
        self.pixels = pixels


def decode(data: bytes, max_pixels: int = MAX_PIXELS, pixel_budget: int | None = None) -> Decoded:
    """Decode the first frame of an encoded picture.

    Args:
        data: the file's content.
        max_pixels: refuse, before decoding, what would be larger.
        pixel_budget: pixels of a plain picture whose memory is free now; None is no limit.

    Returns:
        The picture or a reason; never raises for bad content (but MemoryError may pass).

    Raises:
        OverBudgetError: there is no room; nothing was decoded.
    """
    if not data:
        return Decoded("", reason=Reason.EMPTY)
    header = read_header(data)
    if not header.format:
        return Decoded("", reason=Reason.GIT_LFS_POINTER if data.startswith(_GIT_LFS) else Reason.NOT_AN_IMAGE)
    announced = decoding_memory.count_decoded_pixels(data, header)
    if announced > max_pixels:
        return Decoded(header.format, reason=f"{Reason.TOO_MANY_PIXELS}:{announced}")
    if decoding_memory.is_implausibly_plain(announced, len(data)):
        return Decoded(header.format, reason=implausible_size_reason(announced, len(data)))
    needed = decoding_memory.estimate_bytes(data, header, announced)
    if pixel_budget is not None and decoding_memory.as_plain_pixels(needed) > pixel_budget:
        raise OverBudgetError(decoding_memory.as_plain_pixels(needed))
    if header.format == "heic":
        return _decode_heic(data, header, max_pixels, needed)
    if header.format not in DECODABLE:
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_FORMAT}:{header.format}")
    if not (header.width and header.height):
        return Decoded(header.format, reason=_failure(header))
    if header.refusal:
        return _by_library(data, header, header.refusal)
    return _decode_by_opencv(data, header, needed)


def _failure(header: Header) -> Reason:
    """Return the reason for a file that cannot be decoded and shows no better one."""
    return Reason.CORRUPT if header.complete else Reason.TRUNCATED


def _decode_by_opencv(data: bytes, header: Header, needed: int) -> Decoded:
    """Decode the part of a file that has pixels; try the repaired file if OpenCV refuses it.

    Args:
        data: the file's content.
        header: of a format that OpenCV decodes.
        needed: bytes that decoding may take.
    """
    left = prepare_decoder_input(data, header)
    if left is None:
        return Decoded(header.format, reason=_failure(header))
    if left.missing > decoder_input.MAX_MISSING_SHARE:
        return Decoded(header.format, reason=truncated_reason(left.missing))
    libjpeg_warnings.take()  # of an earlier picture
    pixels = _tried(data, header, left, needed)
    if pixels is None and (kind := unsupported_reason(data, header)):
        return _by_library(data, header, kind)
    if pixels is None and header.complete and (repaired := decoder_input.repair_refused_file(data, header)):
        left = repaired
        pixels = None if left.missing > decoder_input.MAX_MISSING_SHARE else _tried(data, header, left, needed)
    if pixels is None:
        missing = left.missing_if_refused or left.missing
        return Decoded(header.format, reason=truncated_reason(missing) if missing else _failure(header))
    return _assessed(pixels, data, header, left.damage)


def _assessed(pixels: NDArray[Any], data: bytes, header: Header, damage: str) -> Decoded:
    """Return the picture of decoded pixels, unless too many of them are made up or their type is not supported.

    Args:
        pixels: upright, as OpenCV gives them.
        data: the file's content.
        header: of the file.
        damage: what is wrong with the file, as far as that is known before its pixels are looked at.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_PIXELS}:{pixels.dtype}")
    if header.format == "jpeg":
        missing, damage = decoder_input.assess_jpeg(data, header, pixels, libjpeg_warnings.take())
        if missing > decoder_input.MAX_MISSING_SHARE:
            return Decoded(header.format, reason=truncated_reason(missing))
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
    converted = convert_to_srgb(pixels, data, format, bgr=bgr)
    pixels, before = converted.pixels, converted.unconverted
    if not bgr:
        return Decoded(format, pixels, "", converted.profile, () if before is None else (before,), damage)
    others = [_in_bands(pixels, premultiplied, ground=0)] if hides_second_picture(pixels) else []
    if before is not None:
        others.append(_in_bands(before, premultiplied))
    return Decoded(format, _in_bands(pixels, premultiplied), "", converted.profile, tuple(others), damage)


def _tried(data: bytes, header: Header, left: DecoderInput, needed: int) -> NDArray[Any] | None:
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
        decoding_memory.require(needed)
    return pixels


def _by_library(data: bytes, header: Header, reason: str) -> Decoded:
    """What OpenCV does not decode, by a library that does, if it is there; else the reason."""
    pixels = None
    left = prepare_decoder_input(data, header)
    if reason.startswith("unsupported_") and left and not left.missing:
        pixels = optional_decoders.decode_by_library(data, header)
    if pixels is None:
        return Decoded(header.format, reason=reason)
    return _shown(turn_upright(pixels, read_orientation(data, header.format)), data, header.format)


def _pixels(data: bytes, header: Header, plain: bytes) -> NDArray[Any] | None:
    """Upright pixels as OpenCV gives them; None if the file is broken.

    RGB uint8 of a JPEG; of others grey, BGR or BGRA, of whatever depth. `plain` is what is decoded of the file.
    """
    if header.format == "bmp" and (found := bmp.read_bmp_header(plain)).opencv_misreads:
        return bmp.decode_bmp(plain, found)
    buffer = np.frombuffer(plain, np.uint8)
    if header.format == "jpeg":  # no alpha, 8 bits: let OpenCV convert CMYK
        pixels = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    else:  # IMREAD_COLOR would drop alpha and show the colours hidden under it
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if pixels is not None and header.format == "avif" and pixels.dtype != np.uint8:
        pixels = _eight_bits(buffer, pixels, header.bits)
    return None if pixels is None else turn_upright(pixels, read_orientation(data, header.format))


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


def convert_opencv_frame(pixels: NDArray[Any], data: bytes, format: str, bits: int = 16) -> Picture:
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
    shown = _shown(np.ascontiguousarray(turn_upright(pixels, read_orientation(data, format))), data, format).picture
    if shown is None:
        raise ValueError("no picture")
    return shown


def _decode_heic(data: bytes, header: Header, max_pixels: int, needed: int) -> Decoded:
    """HEIC through the optional pillow-heif, which also turns the picture upright."""
    try:
        import pillow_heif
    except ImportError:
        return Decoded("heic", reason=f"{Reason.UNSUPPORTED_FORMAT}:heic")
    left = prepare_decoder_input(data, header)
    if left is None:
        return Decoded("heic", reason=Reason.TRUNCATED)
    try:
        heif = pillow_heif.open_heif(left.data, convert_hdr_to_8bit=True)
        width, height = heif.size
        if width * height > max_pixels:
            return Decoded("heic", reason=f"{Reason.TOO_MANY_PIXELS}:{width * height}")
        pixels = np.asarray(heif)
    except (ValueError, RuntimeError, OSError, EOFError, SyntaxError, IndexError):
        decoding_memory.require(needed)
        return Decoded("heic", reason=Reason.CORRUPT if header.complete else truncated_reason(left.missing_if_refused))
    pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.ndim == 3 else pixels
    return _shown(np.ascontiguousarray(pixels), data, "heic", left.damage)
