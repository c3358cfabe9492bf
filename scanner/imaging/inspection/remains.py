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

from scanner.imaging.formats import bitmap, gif_parts, png_parts, tiff, tiff_strips, webp_parts
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.jpeg_scans import missing_bands
from scanner.imaging.formats.zero_runs import LEAST, zeros_in
from scanner.imaging.inspection import jpeg_missing
from scanner.imaging.inspection.header import Header
from scanner.reasons import Reason

# Share of a picture that may be missing without its being refused: ten blocks of the 1,024 of a portrait.
TOLERATED = 0.01
# What is said of a damaged file that is judged all the same.
NO_END, FEW_MISSING, LATE_SCANS, BAD_DATA = "no_end_mark", "few_pixels_missing", "late_scans_missing", "bad_data"
# What one byte can become at most: of deflate 258 bytes for two bits (RFC 1951); of a JPEG 64 pixels for each bit, as
# the mean of a block takes one.
_DEFLATE, _JPEG = 1032, 512
_SEQUENTIAL_OR_PROGRESSIVE = (0, 1, 2)  # by Huffman codes


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a file.

    Attributes:
        data: for the decoder.
        missing: share of the picture (0..1) that is not there; of a JPEG, only its pixels can say.
        otherwise: the share, if the decoder refuses `data`, which is worth a try; 0 if it is not known.
        damage: what is wrong with a file that may be judged all the same; empty if nothing is.
    """

    data: bytes
    missing: float = 0.0
    otherwise: float = 0.0
    damage: str = ""


def truncated(share: float) -> str:
    """The reason of a picture of which a share (0..1) is missing."""
    return f"{Reason.TRUNCATED}:{min(max(share, 0.001), 1.0):.2g}"


def what_remains(data: bytes, header: Header) -> Remains | None:
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
        return Remains(data) if header.complete else None


def after_failure(data: bytes, header: Header) -> Remains | None:
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
        empty = zeros_in(data, 0, len(data)) / len(data)
        return Remains(data, empty) if empty > TOLERATED else None
    except (struct.error, IndexError, ValueError):
        pass
    return None


def jpeg_state(data: bytes, header: Header, picture: NDArray[Any], complaints: str) -> tuple[float, str]:
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
    lacking, unfinished = missing_bands(jpeg)
    if jpeg.closed and not lacking and not unfinished and not complaints:
        holes = jpeg.scans and data.find(bytes(LEAST), jpeg.scans[0].start, jpeg.end) >= 0
        if not holes and not jpeg_missing.looks_unfinished(picture, data, jpeg):
            return 0.0, ""
    share = jpeg_missing.missing_share(data, jpeg)
    if not jpeg.closed:
        return share, NO_END
    if unfinished:
        return share, LATE_SCANS
    if share:
        return share, FEW_MISSING
    return share, BAD_DATA if "Corrupt JPEG data" in complaints else ""


def _jpeg(data: bytes, header: Header) -> Remains:
    jpeg = header.jpeg
    if jpeg is None:
        return Remains(data)
    pixels = header.width * header.height
    if jpeg.process in _SEQUENTIAL_OR_PROGRESSIVE and pixels > _JPEG * len(data):
        return Remains(data, 1 - _JPEG * len(data) / pixels)
    return Remains(jpeg_missing.closed(data, jpeg), damage="" if jpeg.closed else NO_END)


def _png(data: bytes, header: Header) -> Remains | None:
    if not header.complete:
        return _rows_of_png(data, NO_END)
    plain, packed = png_parts.plain_png(data)
    unpacked = png_parts.row_bytes(data)
    return Remains(plain, 1 - _DEFLATE * packed / unpacked if 0 < _DEFLATE * packed < unpacked else 0.0)


def _rows_of_png(data: bytes, damage: str) -> Remains | None:
    left = png_parts.rows_left(data)
    if left is None:
        return None
    if left < 1 - TOLERATED:
        return Remains(data, 1 - left)
    return Remains(png_parts.completed(data), 1 - left, damage=damage)


def _gif(data: bytes, header: Header) -> Remains | None:
    return Remains(data) if header.complete else _pixels_of_gif(data)


def _pixels_of_gif(data: bytes) -> Remains | None:
    """The first frame, which is the one that is decoded of a damaged file."""
    frames, closed = gif_parts.gif_frames(data)
    if not frames:
        return None
    missing = gif_parts.missing_pixels(data, frames[0])
    if missing > TOLERATED:
        return Remains(data, missing)
    return None if closed else Remains(gif_parts.closed_gif(data, frames[0]), missing, damage=NO_END)


def _webp(data: bytes, header: Header) -> Remains:
    if header.complete:
        return Remains(data, webp_parts.empty_share(data, header.width * header.height))
    missing = webp_parts.missing_bytes(data)
    if missing > TOLERATED:
        return Remains(data, missing)
    return Remains(webp_parts.closed_webp(data), otherwise=missing, damage=NO_END)


def _bmp(data: bytes, header: Header) -> Remains:
    found = bitmap.read_bitmap(data)
    if header.complete or found.rows_end <= len(data):
        return Remains(data)
    missing = (found.rows_end - len(data)) / max(1, found.rows_end - found.offset)
    if missing > TOLERATED:
        return Remains(data, missing)
    return Remains(data + bytes(found.rows_end - len(data)), missing, damage=NO_END)


def _tiff(data: bytes, _: Header) -> Remains:
    strips = tiff_strips.read_strips(data)
    if strips is None:
        return Remains(data)
    missing = tiff_strips.missing_strips(data, strips, tiff.least_bytes(tiff.first_directory(data)))
    if not missing or missing > TOLERATED:
        return Remains(data, missing)
    return Remains(data + bytes(max(0, strips.end - len(data))), missing, otherwise=missing, damage=FEW_MISSING)


def _heif(data: bytes, header: Header) -> Remains | None:
    """The box that reaches beyond the end is cut short: what is missing may belong to no pixel."""
    if header.complete:
        return Remains(data)
    for _, start, end in boxes(data, 0, len(data)):
        if end > len(data):
            wide = data[start - 16 : start - 12] == b"\x00\x00\x00\x01"  # the size has 64 bits, behind the type
            size = struct.pack(">Q", len(data) - start + 16) if wide else struct.pack(">I", len(data) - start + 8)
            short = data[: start - 8] + size + data[start - 8 + len(size) :]
            return Remains(short, otherwise=(end - len(data)) / (end - start), damage=NO_END)
    return None


_FORMATS: dict[str, Callable[[bytes, Header], Remains | None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _heif,
    "heic": _heif,
}
