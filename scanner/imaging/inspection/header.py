"""Reads format, size and completeness of a file without decoding it, and refuses what no decoder may be given."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from scanner.imaging.formats import tiff
from scanner.imaging.formats.bmp import read_bmp_header
from scanner.imaging.formats.boxes import boxes
from scanner.imaging.formats.gif_parts import gif_frames
from scanner.imaging.formats.jpeg_scans import MAX_SCANS, Jpeg, read_jpeg
from scanner.imaging.formats.png_parts import png_chunks, unpacked_bytes
from scanner.reasons import Reason

# The formats that facescan decodes. Others have a name so that a row can say `unsupported_format:psd`.
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
_MAX_SEGMENTS = 100_000  # of a JPEG: hundreds are many; without a limit, 100 MB of stray markers take 20 s
# Pixels of a JPEG times its scans: 50 passes over the largest picture that is accepted. 480 passes over it took 9 s.
_MAX_SCANNED_PIXELS = 10_000_000_000
# Packed bytes that a PNG may have beyond a tenth more than its unpacked pixels: what a packer may add, with a margin.
_PNG_SLACK_BYTES = 65_536
_SVG_BYTES = 1024  # the beginning of a text that is searched for the root element of an SVG
_PNM = re.compile(rb"P[1-6][ \t\n\r\x0b\f]")
_FILL = re.compile(rb"\xff+")
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOFn; the last one is that of JPEG-LS
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class Header:
    """The format of a file, and what its header announces.

    Attributes:
        format: `jpeg`, `png`, ...; empty if the content is no known picture format.
        width, height: pixels as stored, before the orientation is applied; 0 if the header could not be read.
        complete: False if the container ends before its end mark or its announced length.
        bits: bits of a sample; read only of AVIF, and 8 for other formats.
        tile_pixels: pixels of one tile of a TIFF, which may be larger than the picture and is decoded whole.
        refusal: reason of a row why no decoder may decode the file; empty if one may.
        jpeg: frame header and scans of a JPEG; None for other formats.
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
    """Recognise the format of a file and read its header. Never raises, whatever the bytes."""
    name = _recognise(data)
    reader = _READERS.get(name)
    if reader is None:
        return Header(name)
    try:
        return reader(data)
    except (struct.error, IndexError, ValueError):  # the file ends in its header
        return Header(name, complete=False)


def _recognise(data: bytes) -> str:
    """Return the name of a file's format by its first bytes; empty if it is not known."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _recognise_heif(data)
    if data[:2] == b"BM" and data[14:18] in _BMP_HEADERS:
        return "bmp"
    if _PNM.match(data):
        return "pnm"
    return "svg" if _is_svg(data) else ""


def _recognise_heif(data: bytes) -> str:
    """Return `avif` or `heic` by the brands of a container (ISO 14496-12, `ftyp`); empty if no brand is known."""
    brands_end = min(int.from_bytes(data[:4], "big"), 64, len(data))
    brands = {data[8:12]} | {data[i : i + 4] for i in range(16, brands_end, 4)}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIF_BRANDS else ""


def _is_svg(data: bytes) -> bool:
    """Tell whether a text begins like an SVG, perhaps behind a declaration or a comment of XML."""
    text = data[:_SVG_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in text)


def _jpeg(data: bytes) -> Header:
    """Read the frame header of a JPEG and list its scans."""
    for marker, at, _ in jpeg_segments(data):
        if marker in _FRAME_MARKERS:
            jpeg = read_jpeg(data, at - 4)
            pixels, scans = jpeg.width * jpeg.height, len(jpeg.scans)
            refusal = f"{Reason.TOO_MANY_SCANS}:over_{MAX_SCANS}" if scans > MAX_SCANS else ""
            if not refusal and scans * pixels > _MAX_SCANNED_PIXELS:
                refusal = f"{Reason.TOO_MANY_SCANS}:{scans}"
            return Header("jpeg", jpeg.width, jpeg.height, jpeg.has_end_mark, refusal=refusal, jpeg=jpeg)
    return Header("jpeg")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the content of every segment before the first scan (ITU T.81, table B.1).

    Stray bytes are skipped as libjpeg does. The last segment may end beyond the file.

    Raises:
        struct.error, IndexError, ValueError: the file ends in a segment's header, or has no scan.
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
    """Read IHDR, which must be the first chunk and the only one: a decoder that gets fewer chunks could use another.

    Raises:
        struct.error: the file ends in IHDR.
    """
    width, height = struct.unpack_from(">II", data, 16)
    complete = False
    packed = 0  # bytes of the IDAT chunks
    for kind, at, end in png_chunks(data):
        if (kind == b"IHDR") != (at == 8) or (at == 8 and end != 33):
            return Header("png")
        packed += end - at if kind == b"IDAT" else 0
        complete = kind == b"IEND" and end <= len(data)
    surplus = complete and packed > 1.1 * unpacked_bytes(data) + _PNG_SLACK_BYTES
    return Header(
        "png", width, height, complete, refusal=implausible_size_reason(width * height, packed) if surplus else ""
    )


def implausible_size_reason(pixels: int, size: int) -> str:
    """Return the reason of a row for a file that announces too many or too few pixels for its bytes."""
    return f"{Reason.IMPLAUSIBLE_SIZE}:{pixels}_pixels_in_{size}_bytes"


def _gif(data: bytes) -> Header:
    """Read the size of a GIF's screen, and find its frames."""
    width, height = struct.unpack_from("<HH", data, 6)
    frames, complete = gif_frames(data)
    refusal = next((implausible_size_reason(frame.pixels, frame.size) for frame in frames if frame.implausible), "")
    return Header("gif", width, height, complete, refusal=refusal)


def _webp(data: bytes) -> Header:
    """Read the size of a WebP's picture or canvas (RFC 9649)."""
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
    """Read the size of a BMP."""
    bmp = read_bmp_header(data)
    return Header("bmp", abs(bmp.width), abs(bmp.height), complete=bmp.rows_end <= len(data))


def _tiff(data: bytes) -> Header:
    """Read the first directory of a TIFF, whose page OpenCV decodes. Complete if its last strip or tile is there."""
    numbers = tiff.read_first_directory(data)
    if not numbers:
        return Header("tiff")
    ends = numbers["strip_offset"] + numbers["strip_size"], numbers["tile_offset"] + numbers["tile_size"]
    return Header(
        "tiff",
        numbers["width"],
        numbers["height"],
        complete=max(ends) <= len(data) and not tiff.has_values_beyond_end(data),
        tile_pixels=numbers["tile_width"] * numbers["tile_height"],
        refusal=tiff.opencv_refusal(numbers),
    )


def _heif(name: str, data: bytes) -> Header:
    """Read the largest size (`ispe`) in a container of AVIF or HEIC: tiles and thumbnails have smaller ones."""
    width = height = end = 0
    bits = 8
    has_coded_data = False
    for kind, start, end in boxes(data, 0, len(data)):
        has_coded_data |= kind == b"mdat" or (kind == b"meta" and b"idat" in data[start:end])
        if kind == b"meta":
            for prop, at in _item_properties(data, start, end):
                if prop == b"ispe":
                    size = struct.unpack_from(">II", data, at + 4)
                    width, height = max((width, height), size, key=lambda s: s[0] * s[1])
                elif prop == b"av1C":
                    bits = max(bits, {0x40: 10, 0x60: 12}.get(data[at + 2] & 0x60, 8))
    return Header(name, width, height, has_coded_data and end <= len(data), bits)


def _item_properties(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield kind and content offset of each property in a `meta` box.

    A box that reaches beyond the box around it is cut there: otherwise a file could have each byte walked many times.

    Args:
        data: the file.
        start: offset of the content of `meta`.
        end: offset behind the box.
    """
    for kind, at, stop in boxes(data, start + 4, end):
        if kind == b"iprp":
            for inner, inner_at, inner_stop in boxes(data, at, min(stop, end)):
                if inner == b"ipco":
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
