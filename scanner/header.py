"""First bytes -> format, size and completeness, without decoding: what must be known before a decoder may run."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from scanner import tiff

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
# Of a JPEG; real ones have a dozen or so. Each costs a pass over all pixels and may be ten bytes long: D. Stone,
# "Two Issues with the JPEG Standard" (libjpeg-turbo.org), whose own fuzzers allow as many.
_MAX_SCANS = 500
_FILL = re.compile(rb"\xff+")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
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
    """

    format: str
    width: int = 0
    height: int = 0
    complete: bool = True
    bits: int = 8
    tile_pixels: int = 0
    refusal: str = ""


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
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 1)
            refusal = f"too_many_scans:over_{_MAX_SCANS}" if _has_too_many_scans(data, at - 3) else ""
            return Header("jpeg", width, height, data.find(b"\xff\xd9", at) >= 0, refusal=refusal)
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


def _has_too_many_scans(data: bytes, at: int) -> bool:
    """Walk on from the frame header's marker; a thumbnail's scans do not count, nor do those behind the picture."""
    progressive, components = data[at] in (0xC2, 0xC6, 0xCA, 0xCE), data[at + 8]
    scans = 0
    for _ in range(_MAX_SEGMENTS):
        marker = _JPEG_MARKER.search(data, at)
        if marker is None or marker[0] == b"\xff\xd9":
            return False
        at = marker.end()
        if marker[0] == b"\xff\xda":
            if scans == 0 and not progressive and data[at + 2] == components:
                return False  # it holds everything
            if scans == 0 and data.count(b"\xff\xda", at) < _MAX_SCANS:
                return False
            scans += 1
            if scans > _MAX_SCANS:
                return True
        at += struct.unpack_from(">H", data, at)[0]
    return True


def _png(data: bytes) -> Header:
    """One IHDR, and it first: an animation is taken out, and what stands behind it must not be of another size."""
    width, height = struct.unpack_from(">II", data, 16)
    complete = False
    for kind, at, end in png_chunks(data):
        if (kind == b"IHDR") != (at == 8) or (at == 8 and end != 33):
            return Header("png")
        complete = kind == b"IEND" and end <= len(data)
    return Header("png", width, height, complete)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of every chunk up to IEND; the last one may end beyond the data."""
    kind, at = b"", 8
    while kind != b"IEND" and at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length


def _gif(data: bytes) -> Header:
    """Walk the blocks of every frame to the trailer (GIF89a, appendix B)."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _gif_colours(flags)
    while data[at : at + 1] in (b"!", b","):
        if data[at : at + 1] == b"!":  # extension: label, sub-blocks
            at += 2
        else:  # frame: position and size, flags, colours, code size, sub-blocks
            at += 11 + _gif_colours(data[at + 9])
        while data[at]:
            at += 1 + data[at]
        at += 1
    return Header("gif", width, height, complete=data[at : at + 1] == b";")


def _gif_colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


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
    offset = struct.unpack_from("<I", data, 10)[0]
    if data[14] == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)  # a negative height means rows from the top
    # Rows are padded to four bytes; compressed ones have no length to hold the file against.
    needed = 0 if compression in (1, 2) else (width * bits + 31) // 32 * 4 * height
    return Header("bmp", width, height, complete=offset + needed <= len(data))


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
        complete=max(ends) <= len(data),
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


def boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """ISO 14496-12 boxes between two offsets: (type, start of the payload, end of the box, even if that is beyond)."""
    while at + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = stop - at
        if size < head:
            return
        yield kind, at + head, at + size
        at += size


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
