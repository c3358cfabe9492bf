"""Decodes a file's bytes to an upright sRGB picture, or finds the reason why not.

A file is refused before a decoder runs if its header announces too much; repaired if it was cut behind its pixels; and
decoded by OpenCV, or by an optional library where OpenCV does not know the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.imaging import libjpeg_warnings, optional_decoders
from scanner.imaging.colour.convert import convert_to_srgb
from scanner.imaging.inspection import decoding_memory
from scanner.imaging.inspection.decoder_input import (
    MAX_MISSING_SHARE,
    DecoderInput,
    assess_jpeg,
    prepare_decoder_input,
    repair_refused_file,
    truncated_reason,
)
from scanner.imaging.inspection.header import DECODABLE, Header, implausible_size_reason, read_header
from scanner.imaging.inspection.unsupported_kinds import unsupported_reason
from scanner.imaging.opencv_decoder import decode_by_opencv
from scanner.imaging.orientation import read_orientation, turn_upright
from scanner.imaging.transparency import BLACK, flatten, hides_second_picture
from scanner.reasons import Reason
from scanner.settings import MAX_PIXELS

# Beginning of a pointer file, which stands for a file that Git LFS has not fetched.
_GIT_LFS = b"version https://git-lfs.github.com/spec/v1"
# RGB, uint8, (height, width, 3). OpenCV's type hints promise no dtype, so neither can this one.
Picture = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture, or the reason why there is none.

    Attributes:
        format: of the content; empty if unknown.
        picture: sRGB, uint8, (height, width, 3), upright, transparency laid on white; None on failure.
        reason: reason of a row; empty on success.
        colour_profile: what the file declares about its colours, and whether they were converted (see `Converted` in
            `scanner.imaging.colour.convert`); None if it declares nothing.
        alternatives: the picture laid on black, and the picture without its colour profile, as some viewers show them;
            only where they differ much from `picture`. Same size; the highest score of all decides the row.
        damage: kind of damage of a file whose pixels are all there, or almost all; empty if it is not damaged.
    """

    format: str
    picture: Picture | None = None
    reason: str = ""
    colour_profile: dict[str, str] | None = None
    alternatives: tuple[Picture, ...] = ()
    damage: str = ""


class OverBudgetError(Exception):
    """A picture needs more memory to decode than is free now. Nothing was decoded; it can be decoded later.

    Attributes:
        pixels: the memory that decoding takes, in pixels of a plain picture.
    """

    def __init__(self, pixels: int) -> None:
        super().__init__(f"{pixels} pixels")
        self.pixels = pixels


def decode(data: bytes, max_pixels: int = MAX_PIXELS, pixel_budget: int | None = None) -> Decoded:
    """Decode the first frame of an encoded picture.

    Args:
        data: the file.
        max_pixels: refuse larger pictures before decoding them.
        pixel_budget: pixels of a plain picture whose memory is free now; None is no limit.

    Returns:
        The picture or a reason; bad content raises nothing.

    Raises:
        OverBudgetError: decoding takes more memory than the budget.
        MemoryError: decoding took more memory than there is.
    """
    if not data:
        return Decoded("", reason=Reason.EMPTY)
    header = read_header(data)
    if not header.format:
        return Decoded("", reason=Reason.GIT_LFS_POINTER if data.startswith(_GIT_LFS) else Reason.NOT_AN_IMAGE)
    pixels = decoding_memory.count_decoded_pixels(data, header)
    if reason := _size_refusal(pixels, len(data), max_pixels):
        return Decoded(header.format, reason=reason)
    memory = decoding_memory.estimate_bytes(data, header, pixels)
    if pixel_budget is not None and decoding_memory.as_plain_pixels(memory) > pixel_budget:
        raise OverBudgetError(decoding_memory.as_plain_pixels(memory))
    if header.format == "heic":
        return _decode_heic(data, header, max_pixels, memory)
    if header.format not in DECODABLE:
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_FORMAT}:{header.format}")
    if not (header.width and header.height):
        return Decoded(header.format, reason=_failure(header))
    if header.refusal:
        return _decode_by_library(data, header, header.refusal)
    return _decode_repaired(data, header, memory)


def _size_refusal(pixels: int, size: int, max_pixels: int) -> str:
    """Return the reason of a row for a picture with too many pixels; empty if it may be decoded.

    Args:
        pixels: that the decoder would produce.
        size: bytes of the file.
        max_pixels: that are allowed.
    """
    if pixels > max_pixels:
        return f"{Reason.TOO_MANY_PIXELS}:{pixels}"
    if decoding_memory.is_implausibly_plain(pixels, size):
        return implausible_size_reason(pixels, size)
    return ""


def _failure(header: Header) -> str:
    """Return the reason of a row for a file that cannot be decoded, and of which no missing share is known."""
    return Reason.CORRUPT if header.complete else Reason.TRUNCATED


def _decode_repaired(data: bytes, header: Header, memory: int) -> Decoded:
    """Decode a file, repaired if need be, and measure what is missing.

    Args:
        data: the file.
        header: its header.
        memory: bytes that decoding takes, estimated.
    """
    decoder_input = prepare_decoder_input(data, header)
    if decoder_input is None:
        return Decoded(header.format, reason=_failure(header))
    if decoder_input.missing > MAX_MISSING_SHARE:
        return Decoded(header.format, reason=truncated_reason(decoder_input.missing))
    libjpeg_warnings.take()  # discards those of an earlier picture
    pixels = decode_by_opencv(data, header, decoder_input, memory)
    if pixels is None:
        return _decode_refused(data, header, decoder_input, memory)
    return _check_and_convert(pixels, data, header, decoder_input.damage)


def _decode_refused(data: bytes, header: Header, decoder_input: DecoderInput, memory: int) -> Decoded:
    """Decode a file that OpenCV refused: by a library if its kind is unsupported, or after a repair.

    Args:
        data: the file.
        header: its header.
        decoder_input: what OpenCV was given of the file.
        memory: bytes that decoding takes, estimated.
    """
    if reason := unsupported_reason(data, header):
        return _decode_by_library(data, header, reason)
    pixels = None
    if header.complete and (repaired := repair_refused_file(data, header)):
        decoder_input = repaired
        if decoder_input.missing <= MAX_MISSING_SHARE:
            pixels = decode_by_opencv(data, header, decoder_input, memory)
    if pixels is None:
        missing = decoder_input.missing_if_refused or decoder_input.missing
        return Decoded(header.format, reason=truncated_reason(missing) if missing else _failure(header))
    return _check_and_convert(pixels, data, header, decoder_input.damage)


def _check_and_convert(pixels: NDArray[Any], data: bytes, header: Header, damage: str) -> Decoded:
    """Convert what OpenCV decoded, unless too much is missing.

    Args:
        pixels: upright, as `decode_by_opencv` returns them.
        data: the file.
        header: its header.
        damage: kind of damage that was repaired; empty if none.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        return Decoded(header.format, reason=f"{Reason.UNSUPPORTED_PIXELS}:{pixels.dtype}")
    if header.format == "jpeg":
        missing, damage = assess_jpeg(data, header, pixels, libjpeg_warnings.take())
        if missing > MAX_MISSING_SHARE:
            return Decoded(header.format, reason=truncated_reason(missing))
    # libtiff's RGBA reader, which OpenCV uses for 8 bits, returns colours that are multiplied by alpha already.
    premultiplied = header.format == "tiff" and pixels.dtype == np.uint8
    return _convert(pixels, data, header.format, damage, bgr=header.format != "jpeg", premultiplied=premultiplied)


def _convert(
    pixels: NDArray[Any],
    data: bytes,
    format: str,
    damage: str = "",
    bgr: bool = True,
    premultiplied: bool = False,
) -> Decoded:
    """Convert pixels to the picture that most viewers show, and to the alternatives that some viewers show.

    Args:
        pixels: upright; grey, or in the order that `bgr` gives, the last channel of two or four being alpha.
        data: the file.
        format: of its content.
        damage: kind of damage of the file; empty if none.
        bgr: whether colours are BGR or BGRA; otherwise they are RGB uint8 without alpha.
        premultiplied: whether colours are multiplied by alpha already.
    """
    converted = convert_to_srgb(pixels, data, format, bgr=bgr)
    pixels, unconverted = converted.pixels, converted.unconverted
    if not bgr:
        alternatives = () if unconverted is None else (unconverted,)
        return Decoded(format, pixels, "", converted.profile, alternatives, damage)
    others = [flatten(pixels, premultiplied, BLACK)] if hides_second_picture(pixels) else []
    if unconverted is not None:
        others.append(flatten(unconverted, premultiplied))
    return Decoded(format, flatten(pixels, premultiplied), "", converted.profile, tuple(others), damage)


def _decode_by_library(data: bytes, header: Header, reason: str) -> Decoded:
    """Decode what OpenCV does not by an optional library.

    Args:
        data: the file.
        header: its header.
        reason: of a row, if no library decodes the file.
    """
    pixels = None
    decoder_input = prepare_decoder_input(data, header)
    if reason.startswith("unsupported_") and decoder_input and not decoder_input.missing:
        pixels = optional_decoders.decode_by_library(data, header)
    if pixels is None:
        return Decoded(header.format, reason=reason)
    return _convert(turn_upright(pixels, read_orientation(data, header.format)), data, header.format)


def convert_opencv_frame(pixels: NDArray[Any], data: bytes, format: str, bits: int = 16) -> Picture:
    """Convert one frame of an animation: upright RGB uint8 in sRGB, transparency laid on white.

    Args:
        pixels: as the container stores them: grey, BGR or BGRA; uint8 or uint16.
        data: the file, which gives orientation and colours.
        format: of its content.
        bits: of samples that are uint16.

    Raises:
        ValueError: there is no picture.
    """
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / (2**bits - 1))
    pixels = np.ascontiguousarray(turn_upright(pixels, read_orientation(data, format)))
    picture = _convert(pixels, data, format).picture
    if picture is None:
        raise ValueError("no picture")
    return picture


def _decode_heic(data: bytes, header: Header, max_pixels: int, memory: int) -> Decoded:
    """Decode HEIC through the optional pillow-heif, which turns the picture upright, too.

    Args:
        data: the file.
        header: its header.
        max_pixels: refuse larger pictures before decoding them.
        memory: bytes that decoding takes, estimated.
    """
    try:
        import pillow_heif
    except ImportError:
        return Decoded("heic", reason=f"{Reason.UNSUPPORTED_FORMAT}:heic")
    decoder_input = prepare_decoder_input(data, header)
    if decoder_input is None:
        return Decoded("heic", reason=Reason.TRUNCATED)
    try:
        heif = pillow_heif.open_heif(decoder_input.data, convert_hdr_to_8bit=True)
        width, height = heif.size
        if width * height > max_pixels:
            return Decoded("heic", reason=f"{Reason.TOO_MANY_PIXELS}:{width * height}")
        pixels = np.asarray(heif)
    except (ValueError, RuntimeError, OSError, EOFError, SyntaxError, IndexError):
        decoding_memory.require(memory)
        return Decoded(
            "heic", reason=Reason.CORRUPT if header.complete else truncated_reason(decoder_input.missing_if_refused)
        )
    pixels = pixels[:, :, [2, 1, 0, *range(3, pixels.shape[2])]] if pixels.ndim == 3 else pixels
    return _convert(np.ascontiguousarray(pixels), data, "heic", decoder_input.damage)
