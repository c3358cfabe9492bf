"""Prepares the bytes that a decoder is given: only those that make pixels, and with an end where the file was cut.

How much of a picture is missing is measured from the data that are there, never from an end mark alone: a picture that
has all its pixels is judged, though its file is damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from scanner.imaging.formats import bmp, gif_parts, png_parts, tiff, tiff_strips, webp_parts
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.jpeg_scans import Jpeg, missing_coefficients
from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros
from scanner.imaging.inspection import missing_jpeg_pixels
from scanner.imaging.inspection.header import Header
from scanner.reasons import Reason

# Share of a picture that may be missing without the picture being refused: ten of the 1,024 blocks of a portrait.
MAX_MISSING_SHARE = 0.01
# Kinds of damage that a row names when the picture is judged all the same.
NO_END, FEW_MISSING, LATE_SCANS, BAD_DATA = "no_end_mark", "few_pixels_missing", "late_scans_missing", "bad_data"
# Bytes that one deflated byte can become at most: 258 for two bits (RFC 1951).
_MAX_INFLATION = 1032
# Pixels that one byte of a JPEG can become at most: a block of 64 for each bit, as its mean takes at least one.
_MAX_JPEG_PIXELS_PER_BYTE = 512
# Processes of JPEGs whose decoder invents missing pixels: sequential or progressive, with Huffman codes.
_INVENTS_PIXELS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class DecoderInput:
    """The bytes that a decoder is given, and what is known to be missing in them.

    Attributes:
        data: for the decoder.
        missing: share of the picture (0..1) that is missing; of most JPEGs it is measured later, on their pixels.
        missing_if_refused: share of the picture (0..1) that is missing if the decoder refuses `data`; 0 if unknown.
        damage: kind of damage of a file that may be judged all the same; empty if it is not damaged.
    """

    data: bytes
    missing: float = 0.0
    missing_if_refused: float = 0.0
    damage: str = ""


def truncated_reason(share: float) -> str:
    """Return the reason of a row for a picture of which a share (0..1) is missing."""
    return f"{Reason.TRUNCATED}:{min(max(share, 0.001), 1.0):.2g}"


def prepare_decoder_input(data: bytes, header: Header) -> DecoderInput | None:
    """Prepare a file for its decoder; takes microseconds for an undamaged file. Never raises.

    Args:
        data: the file.
        header: its header.

    Returns:
        The decoder's input; None if so much is cut off that no decoder may be given the file.
    """
    try:
        return _PREPARERS[header.format](data, header)
    except (struct.error, IndexError, ValueError, KeyError):
        return DecoderInput(data) if header.complete else None


def repair_refused_file(data: bytes, header: Header) -> DecoderInput | None:
    """Prepare a file again that has an end, but was refused by its decoder.

    Args:
        data: the file.
        header: its header.

    Returns:
        The decoder's new input; None if nothing is found to be missing, so that another try would fail, too.
    """
    try:
        if header.format == "png":
            return _complete_png(data, BAD_DATA)
        if header.format == "gif":
            completed = _complete_gif(data)
            return completed if completed and completed.missing < 1 else None
        unwritten = count_zeros(data, 0, len(data)) / len(data)
        return DecoderInput(data, unwritten) if unwritten > MAX_MISSING_SHARE else None
    except (struct.error, IndexError, ValueError):  # the file is damaged where its structure is read
        return None


def assess_jpeg(data: bytes, header: Header, picture: NDArray[Any], warnings: str) -> tuple[float, str]:
    """Measure what is missing in a decoded JPEG. Only suspicious files cost time: they are decoded again.

    Args:
        data: the file.
        header: its header.
        picture: decoded, in any orientation, uint8 (height, width, 3).
        warnings: what libjpeg wrote while it decoded the file; empty if nobody captured it.

    Returns:
        Share of the picture (0..1) that is missing, and the kind of damage, empty if there is none.
    """
    jpeg = header.jpeg
    if jpeg is None or jpeg.process not in _INVENTS_PIXELS:
        return 0.0, ""
    if not warnings and not _is_suspicious(data, jpeg, picture):
        return 0.0, ""
    share = missing_jpeg_pixels.missing_share(data, jpeg)
    _, unfinished = missing_coefficients(jpeg)
    if not jpeg.has_end_mark:
        return share, NO_END
    if unfinished:
        return share, LATE_SCANS
    if share:
        return share, FEW_MISSING
    return share, BAD_DATA if "Corrupt JPEG data" in warnings else ""


def _is_suspicious(data: bytes, jpeg: Jpeg, picture: NDArray[Any]) -> bool:
    """Tell whether pixels of a JPEG may be missing.

    Args:
        data: the file.
        jpeg: its frame header and scans.
        picture: decoded, in any orientation, uint8 (height, width, 3).
    """
    lacking, unfinished = missing_coefficients(jpeg)
    if not jpeg.has_end_mark or lacking or unfinished:
        return True
    has_zeros = bool(jpeg.scans) and data.find(bytes(MIN_RUN), jpeg.scans[0].start, jpeg.end) >= 0
    return has_zeros or missing_jpeg_pixels.has_filler_grey(picture, data, jpeg)


def _jpeg(data: bytes, header: Header) -> DecoderInput:
    """Close a JPEG that lacks its end; refuse one that is too short for its pixels."""
    jpeg = header.jpeg
    if jpeg is None:
        return DecoderInput(data)
    pixels = header.width * header.height
    most = _MAX_JPEG_PIXELS_PER_BYTE * len(data)
    if jpeg.process in _INVENTS_PIXELS and pixels > most:
        return DecoderInput(data, 1 - most / pixels)
    return DecoderInput(missing_jpeg_pixels.with_end_mark(data, jpeg), damage="" if jpeg.has_end_mark else NO_END)


def _png(data: bytes, header: Header) -> DecoderInput | None:
    """Reduce a PNG to what makes its pixels; complete one that is cut; refuse one that is too short for its pixels."""
    if not header.complete:
        return _complete_png(data, NO_END)
    stripped, packed = png_parts.strip_png(data)
    unpacked, most = png_parts.unpacked_bytes(data), _MAX_INFLATION * packed
    return DecoderInput(stripped, 1 - most / unpacked if 0 < most < unpacked else 0.0)


def _complete_png(data: bytes, damage: str) -> DecoderInput | None:
    """Complete a damaged PNG that has almost all its rows; None if it is damaged in another way."""
    there = png_parts.share_of_rows(data)
    if there is None:
        return None
    if there < 1 - MAX_MISSING_SHARE:
        return DecoderInput(data, 1 - there)
    return DecoderInput(png_parts.complete_png(data), 1 - there, damage=damage)


def _gif(data: bytes, header: Header) -> DecoderInput | None:
    """Complete a GIF that is cut."""
    return DecoderInput(data) if header.complete else _complete_gif(data)


def _complete_gif(data: bytes) -> DecoderInput | None:
    """Reduce a damaged GIF to its first frame, completed; None if there is no frame, or the frame is not damaged."""
    frames, closed = gif_parts.gif_frames(data)
    if not frames:
        return None
    missing = gif_parts.missing_gif_share(data, frames[0])
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return None if closed else DecoderInput(gif_parts.complete_gif(data, frames[0]), missing, damage=NO_END)


def _webp(data: bytes, header: Header) -> DecoderInput:
    """Reduce a WebP that is cut to its first picture."""
    if header.complete:
        return DecoderInput(data, webp_parts.zero_filled_share(data, header.width * header.height))
    missing = webp_parts.missing_webp_share(data)
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return DecoderInput(webp_parts.extract_first_picture(data), missing_if_refused=missing, damage=NO_END)


def _bmp(data: bytes, header: Header) -> DecoderInput:
    """Complete a BMP that is cut with zeros."""
    sizes = bmp.read_bmp_header(data)
    if header.complete or sizes.rows_end <= len(data):
        return DecoderInput(data)
    missing = (sizes.rows_end - len(data)) / max(1, sizes.rows_end - sizes.offset)
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return DecoderInput(data + bytes(sizes.rows_end - len(data)), missing, damage=NO_END)


def _tiff(data: bytes, _: Header) -> DecoderInput:
    """Complete a TIFF whose last strip or tile is cut with zeros."""
    strips = tiff_strips.read_strips(data)
    if strips is None:
        return DecoderInput(data)
    missing = tiff_strips.missing_strip_share(data, strips, tiff.min_unpacked_bytes(tiff.read_first_directory(data)))
    if not missing or missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return DecoderInput(
        data + bytes(max(0, strips.end - len(data))), missing, missing_if_refused=missing, damage=FEW_MISSING
    )


def _heif(data: bytes, header: Header) -> DecoderInput | None:
    """Shorten the box that reaches beyond the end of an AVIF or HEIC: what is missing may belong to no pixel."""
    if header.complete:
        return DecoderInput(data)
    for _, start, end in boxes(data, 0, len(data)):
        if end > len(data):
            has_64_bit_size = data[start - 16 : start - 12] == b"\x00\x00\x00\x01"
            length = len(data) - start
            size = struct.pack(">Q", length + 16) if has_64_bit_size else struct.pack(">I", length + 8)
            short = data[: start - 8] + size + data[start - 8 + len(size) :]
            return DecoderInput(short, missing_if_refused=(end - len(data)) / (end - start), damage=NO_END)
    return None


_PREPARERS: dict[str, Callable[[bytes, Header], DecoderInput | None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _heif,
    "heic": _heif,
}
