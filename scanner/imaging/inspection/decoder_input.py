"""Makes of a file what its decoder should see: only what makes pixels, and closed where the file was cut.

How much of the picture is missing is told by what there is, never by an end mark alone: a picture whose pixels are all
there is judged though its file is damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from scanner.imaging.formats import bmp, gif_parts, png_parts, tiff, tiff_strips, webp_parts
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.jpeg_scans import missing_coefficients
from scanner.imaging.formats.zero_runs import MIN_RUN, count_zeros
from scanner.imaging.inspection import missing_jpeg_pixels
from scanner.imaging.inspection.header import Header

# Share of a picture that may be missing without its being refused: ten blocks of the 1,024 of a portrait.
MAX_MISSING_SHARE = 0.01
# What is said of a damaged file that is judged all the same.
NO_END, FEW_MISSING, LATE_SCANS, BAD_DATA = "no_end_mark", "few_pixels_missing", "late_scans_missing", "bad_data"
# What one byte can become at most: of deflate 258 bytes for two bits (RFC 1951); of a JPEG 64 pixels for each bit, as
# the mean of a block takes one.
_DEFLATE, _JPEG = 1032, 512
_SEQUENTIAL_OR_PROGRESSIVE = (0, 1, 2)  # by Huffman codes


@dataclass(frozen=True, slots=True)
class DecoderInput:
    """What is left of a file.

    Attributes:
        data: for the decoder.
        missing: share of the picture (0..1) that is not there; of a JPEG, only its pixels can say.
        missing_if_refused: the share, if the decoder refuses `data`, which is worth a try; 0 if it is not known.
        damage: what is wrong with a file that may be judged all the same; empty if nothing is.
    """

    data: bytes
    missing: float = 0.0
    missing_if_refused: float = 0.0
    damage: str = ""


def truncated_reason(share: float) -> str:
    """The reason of a picture of which a share (0..1) is missing."""
    return f"truncated:{min(max(share, 0.001), 1.0):.2g}"


def prepare_decoder_input(data: bytes, header: Header) -> DecoderInput | None:
    """Look at a file before it is decoded; takes microseconds for a whole one. Never raises.

    Args:
        data: the file.
        header: what it says of itself.

    Returns:
        None if the file is cut so that no decoder should see it.
    """
    try:
        return _FORMATS[header.format](data, header)
    except (struct.error, IndexError, ValueError, KeyError):
        return DecoderInput(data) if header.complete else None


def repair_refused_file(data: bytes, header: Header) -> DecoderInput | None:
    """What remains of a closed file that its decoder refused; None if nothing is missing.

    Args:
        data: the file.
        header: what it says of itself.
    """
    try:
        if header.format == "png":
            return _rows_of_png(data, "bad_data")
        if header.format == "gif":
            found = _pixels_of_gif(data)
            return found if found and found.missing < 1 else None
        empty = count_zeros(data, 0, len(data)) / len(data)
        return DecoderInput(data, empty) if empty > MAX_MISSING_SHARE else None
    except (struct.error, IndexError, ValueError):
        pass
    return None


def assess_jpeg(data: bytes, header: Header, picture: NDArray[Any], complaints: str) -> tuple[float, str]:
    """Share (0..1) of a decoded JPEG that is missing, and what is wrong with the file. Only suspicious ones cost time.

    Args:
        data: the file.
        header: what it says of itself.
        picture: decoded, in any orientation, uint8 (height, width, 3).
        complaints: of the decoder.
    """
    jpeg = header.jpeg
    if jpeg is None or jpeg.process not in _SEQUENTIAL_OR_PROGRESSIVE:
        return 0.0, ""
    lacking, unfinished = missing_coefficients(jpeg)
    if jpeg.has_end_mark and not lacking and not unfinished and not complaints:
        holes = jpeg.scans and data.find(bytes(MIN_RUN), jpeg.scans[0].start, jpeg.end) >= 0
        if not holes and not missing_jpeg_pixels.has_filler_grey(picture, data, jpeg):
            return 0.0, ""
    share = missing_jpeg_pixels.missing_share(data, jpeg)
    if not jpeg.has_end_mark:
        return share, NO_END
    if unfinished:
        return share, LATE_SCANS
    if share:
        return share, FEW_MISSING
    return share, BAD_DATA if "Corrupt JPEG data" in complaints else ""


def _jpeg(data: bytes, header: Header) -> DecoderInput:
    jpeg = header.jpeg
    if jpeg is None:
        return DecoderInput(data)
    pixels = header.width * header.height
    if jpeg.process in _SEQUENTIAL_OR_PROGRESSIVE and pixels > _JPEG * len(data):
        return DecoderInput(data, 1 - _JPEG * len(data) / pixels)
    return DecoderInput(missing_jpeg_pixels.with_end_mark(data, jpeg), damage="" if jpeg.has_end_mark else NO_END)


def _png(data: bytes, header: Header) -> DecoderInput | None:
    if not header.complete:
        return _rows_of_png(data, NO_END)
    plain, packed = png_parts.strip_png(data)
    unpacked = png_parts.unpacked_bytes(data)
    return DecoderInput(plain, 1 - _DEFLATE * packed / unpacked if 0 < _DEFLATE * packed < unpacked else 0.0)


def _rows_of_png(data: bytes, damage: str) -> DecoderInput | None:
    left = png_parts.share_of_rows(data)
    if left is None:
        return None
    if left < 1 - MAX_MISSING_SHARE:
        return DecoderInput(data, 1 - left)
    return DecoderInput(png_parts.complete_png(data), 1 - left, damage=damage)


def _gif(data: bytes, header: Header) -> DecoderInput | None:
    return DecoderInput(data) if header.complete else _pixels_of_gif(data)


def _pixels_of_gif(data: bytes) -> DecoderInput | None:
    """The first frame, which is the one that is decoded of a damaged file."""
    frames, closed = gif_parts.gif_frames(data)
    if not frames:
        return None
    missing = gif_parts.missing_gif_share(data, frames[0])
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return None if closed else DecoderInput(gif_parts.complete_gif(data, frames[0]), missing, damage=NO_END)


def _webp(data: bytes, header: Header) -> DecoderInput:
    if header.complete:
        return DecoderInput(data, webp_parts.zero_filled_share(data, header.width * header.height))
    missing = webp_parts.missing_webp_share(data)
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return DecoderInput(webp_parts.extract_first_picture(data), missing_if_refused=missing, damage=NO_END)


def _bmp(data: bytes, header: Header) -> DecoderInput:
    found = bmp.read_bmp_header(data)
    if header.complete or found.rows_end <= len(data):
        return DecoderInput(data)
    missing = (found.rows_end - len(data)) / max(1, found.rows_end - found.offset)
    if missing > MAX_MISSING_SHARE:
        return DecoderInput(data, missing)
    return DecoderInput(data + bytes(found.rows_end - len(data)), missing, damage=NO_END)


def _tiff(data: bytes, _: Header) -> DecoderInput:
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
    """The box that reaches beyond the end is cut short: what is missing may belong to no pixel."""
    if header.complete:
        return DecoderInput(data)
    for _, start, end in boxes(data, 0, len(data)):
        if end > len(data):
            wide = data[start - 16 : start - 12] == b"\x00\x00\x00\x01"  # the size has 64 bits, behind the type
            size = struct.pack(">Q", len(data) - start + 16) if wide else struct.pack(">I", len(data) - start + 8)
            short = data[: start - 8] + size + data[start - 8 + len(size) :]
            return DecoderInput(short, missing_if_refused=(end - len(data)) / (end - start), damage=NO_END)
    return None


_FORMATS: dict[str, Callable[[bytes, Header], DecoderInput | None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _heif,
    "heic": _heif,
}
