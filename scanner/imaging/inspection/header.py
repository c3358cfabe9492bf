"""First bytes -> format, size and completeness, without decoding: what must be known before a decoder may run."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from scanner.imaging.formats import tiff
from scanner.imaging.formats.bitmap import read_bitmap
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.gif_parts import gif_frames
from scanner.imaging.formats.jpeg_scans import MAX_SCANS, Jpeg, read_jpeg
from scanner.imaging.formats.png_parts import png_chunks, row_bytes
from scanner.reasons import Reason

# The formats facescan decodes. Others are named so that a row can say `unsupported_format:heic`.
DECODABLE = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"})

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "bigtiff"),
    (b"MM\x00+", "bigtiff"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"8BPS", "psd"),
    (b"v/1\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"DDS ", "dds"),
    (b"\x00\x00\x01\x00", "ico"),
)
_BMP_HEADERS = {struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124)}
_MAX_SEGMENTS = 100_000  # of a JPEG: hundreds are many; without a limit, 100 MB of stray marks take 20 s
# Pixels, times the scans: 50 passes over the largest picture that is let through. 480 of them took 9 s.
_MAX_PASSES = 10_000_000_000
# Beyond the bytes that a PNG's pixels have unpacked, which it never needs: what its packer may add, and some.
_PNG_SURPLUS = 65_536
_FILL = re.compile(rb"\xff+")
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before it is decoded.

    Attributes:
        format: `jpeg`, `png`, ...; empty if the content is no picture that we know.
        width, height: pixels as stored (before EXIF orientation); 0 where the header could not be read.
        complete: False if the container ends before its own end mark or announced length.
        bits: of an AVIF's samples.
        tile_pixels: of one tile of a TIFF; it may be larger than the picture, and is decoded as a whole.
        refusal: why no decoder should see it, as a reason; empty if nothing speaks against it.
        jpeg: the scans of a JPEG.
    """

    format: str
    width: int = 0
    height: int = 0
    complete: bool = True
    bits: int = 8
    tile_pixels: int = 0
    refusal: str = ""
    jpeg: Jpeg | None = field(default=None, compare=False, repr=False)


def read_header(data: bytes) -> Header:
    """Sniff the content. Never raises, whatever the bytes."""
    name = _sniff(data)
    reader = _READERS.get(name)
    if reader is None:
        return Header(name)
    try:
        return reader(data)
    except (struct.error, IndexError, ValueError):  # the header itself is cut off
        return Header(name, complete=False)


def _sniff(data: bytes) -> str:
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = {data[8:12]} | {data[i : i + 4] for i in range(16, min(_u32(data[:4]), 64, len(data)), 4)}
        if brands & _AVIF_BRANDS:
            return "avif"
        return "heic" if brands & _HEIF_BRANDS else ""
    if data[:2] == b"BM" and data[14:18] in _BMP_HEADERS:
        return "bmp"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "pnm"
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in head):
        return "svg"
    return ""


def _u32(four: bytes) -> int:
    return int.from_bytes(four, "big")


def _jpeg(data: bytes) -> Header:
    for marker, at, _ in jpeg_segments(data):
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:  # JPEG-LS has the last
            jpeg = read_jpeg(data, at - 4)
            pixels, scans = jpeg.width * jpeg.height, len(jpeg.scans)
            refusal = f"{Reason.TOO_MANY_SCANS}:over_{MAX_SCANS}" if scans > MAX_SCANS else ""
            if not refusal and scans * pixels > _MAX_PASSES:
                refusal = f"{Reason.TOO_MANY_SCANS}:{scans}"
            return Header("jpeg", jpeg.width, jpeg.height, jpeg.closed, refusal=refusal, jpeg=jpeg)
    return Header("jpeg")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of every segment before the first scan (ITU T.81, table B.1).

    Stray bytes are passed over as libjpeg does. The last segment may end beyond the data.

    Raises:
        struct.error, IndexError, ValueError: the data end in a segment's head, or without a scan.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        fill = _FILL.match(data, data.index(b"\xff", at))
        assert fill
        marker, at = data[fill.end()], fill.end() + 1
        if marker in (0xD9, 0xDA):
            return
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD7  # stuffing, TEM, RSTn: no segment follows
        if not alone:
            end = at + struct.unpack_from(">H", data, at)[0]
            yield marker, at + 2, end
            at = end


def _png(data: bytes) -> Header:
    """One IHDR, and it first: an animation is taken out, and what stands behind it must not be of another size."""
    width, height = struct.unpack_from(">II", data, 16)
    complete = False
    packed = 0
    for kind, at, end in png_chunks(data):
        if (kind == b"IHDR") != (at == 8) or (at == 8 and end != 33):
            return Header("png")
        packed += end - at if kind == b"IDAT" else 0
        complete = kind == b"IEND" and end <= len(data)
    surplus = complete and packed > 1.1 * row_bytes(data) + _PNG_SURPLUS
    return Header("png", width, height, complete, refusal=implausible(width * height, packed) if surplus else "")


def implausible(pixels: int, size: int) -> str:
    """The reason of a file that cannot be what it claims: so many pixels in so many bytes."""
    return f"{Reason.IMPLAUSIBLE_SIZE}:{pixels}_pixels_in_{size}_bytes"


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    frames, complete = gif_frames(data)
    refusal = next((implausible(frame.pixels, frame.size) for frame in frames if frame.implausible), "")
    return Header("gif", width, height, complete, refusal=refusal)


def _webp(data: bytes) -> Header:
    complete = len(data) >= struct.unpack_from("<I", data, 4)[0] + 8
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header("webp", width, height, complete)


def _bmp(data: bytes) -> Header:
    found = read_bitmap(data)
    return Header("bmp", abs(found.width), abs(found.height), complete=found.rows_end <= len(data))


def _tiff(data: bytes) -> Header:
    """First directory only: OpenCV, too, decodes the first page. Complete if its last strip or tile is there."""
    numbers = tiff.first_directory(data)
    if not numbers:
        return Header("tiff")
    ends = numbers["strip"] + numbers["strip_size"], numbers["tile"] + numbers["tile_size"]
    return Header(
        "tiff",
        numbers["width"],
        numbers["height"],
        complete=max(ends) <= len(data) and not tiff.is_cut(data),
        tile_pixels=numbers["tile_width"] * numbers["tile_height"],
        refusal=tiff.refusal(numbers),
    )


def _heif(name: str, data: bytes) -> Header:
    """The container of AVIF and HEIC. The largest of the `ispe` sizes: those of tiles and thumbnails are smaller."""
    width = height = end = 0
    bits = 8
    stored = False
    for kind, start, end in boxes(data, 0, len(data)):
        stored |= kind == b"mdat" or (kind == b"meta" and b"idat" in data[start:end])
        if kind == b"meta":
            for prop, at in _item_properties(data, start, end):
                if prop == b"ispe":
                    size = struct.unpack_from(">II", data, at + 4)
                    width, height = max((width, height), size, key=lambda s: s[0] * s[1])
                elif prop == b"av1C":
                    bits = max(bits, {0x40: 10, 0x60: 12}.get(data[at + 2] & 0x60, 8))
    return Header(name, width, height, stored and end <= len(data), bits)


def _item_properties(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    for kind, at, stop in boxes(data, start + 4, end):
        if kind == b"iprp":
            for inner, inner_at, inner_stop in boxes(data, at, min(stop, end)):
                if inner == b"ipco":  # no box reaches beyond the one it lies in: else every byte could be walked often
                    yield from (
                        (prop, prop_at) for prop, prop_at, _ in boxes(data, inner_at, min(inner_stop, stop, end))
                    )


_READERS: dict[str, Callable[[bytes], Header]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": partial(_heif, "avif"),
    "heic": partial(_heif, "heic"),
}
