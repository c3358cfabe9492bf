"""Finds the blocks of metadata in files of each format: EXIF, XMP, IPTC, text, C2PA. Decodes no pixels.

JPEG: APP1 (EXIF, XMP), APP11 (JUMBF), APP13 (Photoshop's resources), COM. PNG (W3C, third edition): eXIf, tEXt, zTXt,
iTXt; caBX. WebP (RFC 9649): EXIF, XMP, C2PA. TIFF: its first directory. AVIF and HEIC: `scanner.provenance.heif`.
The places of C2PA are in its specification, 2.2, appendix A.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from scanner.imaging.formats.png_parts import png_chunks
from scanner.imaging.inspection.header import jpeg_segments
from scanner.provenance.exif import exif_values
from scanner.provenance.heif import items, uuid_boxes

# Segments or chunks that are read, at most. A PNG of 100 MB has 12,800 of 8 KB.
_MAX_PARTS = 20_000
# Blocks of a file, and bytes of a block, at most.
_MAX_BLOCKS = 200
_MAX_BLOCK = 2**18
# Bytes of a C2PA manifest store, at most; most of it is thumbnails.
_MAX_STORE = 2**22
_EXIF, _XMP, _MORE_XMP = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00", b"http://ns.adobe.com/xmp/extension/\x00"
_RESOURCES = b"Photoshop 3.0\x00"
_XMP_TAG, _IPTC_TAG, _C2PA_TAG = 700, 33723, 52545
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass(frozen=True, slots=True)
class Block:
    """Holds one block of metadata.

    Attributes:
        kind: `exif`, `xmp`, `iptc` (IIM datasets), `text`, `comment` or `c2pa` (a JUMBF box).
        content: of the block; cut if it is long.
        key: the keyword of a text.
    """

    kind: str
    content: bytes
    key: str = ""


def blocks(data: bytes, format: str) -> Iterator[Block]:
    """Yield the blocks of metadata in a file, as far as it is intact. Never raises.

    Args:
        data: the file.
        format: of its content.
    """
    try:
        yield from islice(_READERS.get(format, _nothing)(data), _MAX_BLOCKS)
    except (struct.error, IndexError, ValueError):  # the file is cut off
        return


def _nothing(data: bytes) -> Iterator[Block]:
    yield from ()


def _jpeg(data: bytes) -> Iterator[Block]:
    jumbf: dict[bytes, bytearray] = {}  # boxes by their numbers
    for marker, at, end in islice(_whole_segments(data), _MAX_PARTS):
        content = data[at : min(end, at + _MAX_BLOCK)]
        if marker == 0xE1 and content.startswith(_EXIF):
            yield Block("exif", content)
        elif marker == 0xE1 and content.startswith(_XMP):
            yield Block("xmp", content.removeprefix(_XMP))
        elif marker == 0xE1 and content.startswith(_MORE_XMP):
            yield Block("xmp", content[len(_MORE_XMP) + 40 :])  # after a digest, a length and an offset
        elif marker == 0xED and content.startswith(_RESOURCES):
            yield from (Block("iptc", part) for part in _iptc(content))
        elif marker == 0xFE:
            yield Block("comment", content)
        elif marker == 0xEB and content.startswith(b"JP"):  # then the numbers of box and segment
            box = jumbf.setdefault(content[2:4], bytearray())
            if len(box) < _MAX_STORE:
                box += content[16 if box else 8 :]  # every segment repeats the box's head
    for box in jumbf.values():
        yield from _c2pa(bytes(box))


def _whole_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments of a JPEG, as far as it is intact."""
    try:
        yield from jpeg_segments(data)
    except (struct.error, IndexError, ValueError):  # the file is cut off
        return


def _iptc(resources: bytes) -> Iterator[bytes]:
    """Yield the IPTC datasets among Photoshop's image resources (Adobe Photoshop File Formats Specification)."""
    at = len(_RESOURCES)
    while resources[at : at + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", resources, at + 4)
        at += 6 + (resources[at + 6] // 2 + 1) * 2  # after its name
        (size,) = struct.unpack_from(">I", resources, at)
        if number == 0x0404:
            yield resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


def _png(data: bytes) -> Iterator[Block]:
    for kind, at, end in islice(png_chunks(data), _MAX_PARTS):
        content = data[at + 8 : min(end - 4, at + 8 + (_MAX_STORE if kind == b"caBX" else _MAX_BLOCK))]
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            key, text = _text(kind, content)
            yield Block("xmp" if key == "XML:com.adobe.xmp" else "text", text, key)
        elif kind == b"eXIf":
            yield Block("exif", content)
        elif kind == b"caBX":
            yield from _c2pa(content)


def _text(kind: bytes, content: bytes) -> tuple[str, bytes]:
    """Return keyword and text of a PNG's text chunk, as UTF-8. A text that cannot be decompressed is empty."""
    keyword, _, text = content.partition(b"\x00")
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, text = text[:1] == b"\x01", text[2:].split(b"\x00", 2)[-1]  # after flag, method, language, translation
    elif packed:
        text = text[1:]
    if packed:
        try:
            text = zlib.decompressobj().decompress(text, _MAX_BLOCK)
        except zlib.error:
            text = b""
    if kind != b"iTXt":  # the standard demands Latin-1, but many programs write UTF-8
        text = text if _is_utf8(text) else text.decode("latin-1").encode()
    return keyword[:79].decode("latin-1"), text


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _webp(data: bytes) -> Iterator[Block]:
    at = 12
    for _ in range(_MAX_PARTS):
        if at + 8 > len(data):
            return
        kind, size = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + min(size, _MAX_STORE)] if kind in (b"EXIF", b"XMP ", b"C2PA") else b""
        if kind == b"EXIF":
            yield Block("exif", content[:_MAX_BLOCK])
        elif kind == b"XMP ":
            yield Block("xmp", content[:_MAX_BLOCK])
        elif kind == b"C2PA":
            yield from _c2pa(content)
        at += 8 + size + size % 2


def _tiff(data: bytes) -> Iterator[Block]:
    yield Block("exif", data)
    values = exif_values(data, (_XMP_TAG, _IPTC_TAG, _C2PA_TAG))
    for tag, kind in ((_XMP_TAG, "xmp"), (_IPTC_TAG, "iptc")):
        if tag in values:
            yield Block(kind, values[tag])
    yield from _c2pa(values.get(_C2PA_TAG, b""))


def _heif(data: bytes) -> Iterator[Block]:
    for uuid, at, end in uuid_boxes(data):
        if uuid == _XMP_UUID:
            yield Block("xmp", data[at : min(end, at + _MAX_BLOCK)])
        elif uuid == _C2PA_UUID:  # version, purpose up to a NUL, an offset, then the box
            store = data[at + 4 : min(end, at + _MAX_STORE)]
            yield from _c2pa(store.partition(b"\x00")[2][8:])
    for kind, content_type, at, end in items(data):
        content = data[at : min(end, at + _MAX_BLOCK)]
        if kind == b"Exif":  # the offset of the byte order mark, then EXIF
            yield Block("exif", content[4 + int.from_bytes(content[:4], "big") :])
        elif content_type == b"application/rdf+xml":
            yield Block("xmp", content)


def _c2pa(box: bytes) -> Iterator[Block]:
    """Yield a JUMBF superbox if it is one of C2PA: its description begins with the type `c2pa`."""
    if box[4:8] == b"jumb" and box[12:20] == b"jumdc2pa":
        yield Block("c2pa", box)


_READERS: dict[str, Callable[[bytes], Iterator[Block]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "tiff": _tiff,
    "avif": _heif,
    "heic": _heif,
}
