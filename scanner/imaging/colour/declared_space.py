"""Reads the colour space that a file declares, whatever its pixels are.

JPEG, WebP, BMP and TIFF embed ICC profiles. PNG (W3C, third edition) has cICP, iCCP, sRGB, and gAMA with cHRM, of which
the first in this order counts. AVIF and HEIC have a profile, or code points (nclx). Broken declarations are skipped
where Chromium skips them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from scanner.imaging.colour.cicp import avif_space, coded_space
from scanner.imaging.colour.icc import MAX_PROFILE, profile_name, read_profile
from scanner.imaging.colour.srgb import SRGB, Space, colorants, power_curve, rgb_space
from scanner.imaging.formats import tiff
from scanner.imaging.formats.png_parts import png_chunks
from scanner.imaging.inspection.header import jpeg_segments
from scanner.imaging.inspection.heif import properties

# Chunks of a PNG or a WebP that are searched.
_MAX_CHUNKS = 20_000
_APP2, _ICC_NAME = 0xE2, b"ICC_PROFILE\x00"
_TIFF_PROFILE = 34675  # tag of a TIFF
_BMP_V5_HEADER_BYTES = 124
_BMP_EMBEDDED = b"DEBM"  # PROFILE_EMBEDDED, little-endian
_MAX_ICCP_NAME = 80  # bytes of the name in an iCCP chunk that is valid
# The gAMA of sRGB, the relative difference from it that libpng and Chromium accept, and the precision of cHRM.
_SRGB_GAMMA, _GAMMA_TOLERANCE, _PRIMARY_TOLERANCE = 1 / 2.2, 0.05, 0.0011


@dataclass(frozen=True, slots=True)
class DeclaredSpace:
    """A colour space that a file declares.

    Attributes:
        source: how it is declared: `icc`, `cicp`, `nclx` or `gamma`.
        name: name of the profile, the code points, or the exponent.
        space: None if the declaration is broken.
    """

    source: str
    name: str
    space: Space | None


def read_declared_space(data: bytes, format: str) -> DeclaredSpace | None:
    """Read the colour space that a file declares; None if it declares none. Never raises.

    Args:
        data: the file.
        format: of its content.
    """
    try:
        return _READERS.get(format, _no_declaration)(data)
    except (struct.error, IndexError, ValueError):  # the file is cut, or its tags are broken
        return None


def _no_declaration(data: bytes) -> DeclaredSpace | None:
    """Return None, for a format that declares no colour space."""
    return None


def _icc(profile: bytes) -> DeclaredSpace:
    """Read an ICC profile; an empty one stands for a broken one."""
    return DeclaredSpace("icc", profile_name(profile), read_profile(profile) if len(profile) <= MAX_PROFILE else None)


def _jpeg(data: bytes) -> DeclaredSpace | None:
    """Read the first complete profile, from one segment or from several numbered ones (ICC.1:2022, annex B.4)."""
    parts: dict[int, bytes] = {}
    total = 0
    for content in _profile_segments(data):
        if len(content) <= 2:
            return _icc(b"")
        number, announced = content[0], content[1]
        if not 1 <= number <= announced or number in parts or (parts and announced != total):
            return _icc(b"")
        total, parts[number] = announced, content[2:]
        if len(parts) == total:
            break
    if not parts:
        return None
    return _icc(_join(parts) if len(parts) == total else b"")


def _join(parts: dict[int, bytes]) -> bytes:
    """Join the parts of a profile in the order of their numbers."""
    return b"".join(parts[number] for number in sorted(parts))


def _profile_segments(data: bytes) -> Iterator[bytes]:
    """Yield the content of each segment of a profile: its number, the number of segments, and a part of the profile."""
    for marker, at, end in jpeg_segments(data):
        if marker == _APP2 and data.startswith(_ICC_NAME, at):
            yield data[at + len(_ICC_NAME) : end]


def _png(data: bytes) -> DeclaredSpace | None:
    """Read the first valid declaration of cICP, iCCP, sRGB and gAMA; an invalid one if none is valid."""
    chunks = dict(_png_colour_chunks(data))
    declared = _cicp(chunks.get(b"cICP", b""))
    if b"iCCP" in chunks and not (declared and declared.space):
        declared = _icc(_unpack_profile(chunks[b"iCCP"]))
    if (declared and declared.space) or _says_srgb(chunks):
        return declared
    if len(gamma := chunks.get(b"gAMA", b"")) == 4 and any(gamma):
        return _gamma(int.from_bytes(gamma, "big") / 100_000, chunks.get(b"cHRM", b"")) or declared
    return declared


def _cicp(content: bytes) -> DeclaredSpace | None:
    """Read the four bytes of a cICP chunk, which must be those of full-range RGB; None if there are not four."""
    if len(content) != 4:
        return None
    primaries, transfer, matrix, full_range = content
    is_rgb = matrix == 0 and full_range == 1
    return DeclaredSpace("cicp", f"{primaries}/{transfer}", coded_space(primaries, transfer) if is_rgb else None)


def _says_srgb(chunks: dict[bytes, bytes]) -> bool:
    """Tell whether a PNG has a valid sRGB chunk, so that its gAMA and cHRM do not count."""
    return len(chunks.get(b"sRGB", b"")) == 1 and chunks[b"sRGB"][0] < 4


def _png_colour_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the chunks before the pixels that declare colours and have a right checksum.

    The last chunk comes first, so that a dictionary keeps the first of each type.
    """
    chunks: list[tuple[bytes, bytes]] = []
    has_palette = False
    for kind, at, end in islice(png_chunks(data), _MAX_CHUNKS):
        if kind == b"IDAT":
            break
        has_palette |= kind == b"PLTE"
        wanted = kind in (b"iCCP", b"sRGB", b"gAMA", b"cHRM") or (kind == b"cICP" and not has_palette)
        if wanted and zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]:
            chunks.append((kind, data[at + 8 : end - 4]))
    yield from reversed(chunks)


def _unpack_profile(iccp: bytes) -> bytes:
    """Unpack the profile of an iCCP chunk, which follows a name and the method of packing; empty if it is broken."""
    name, _, packed = iccp.partition(b"\x00")
    if not 1 <= len(name) <= _MAX_ICCP_NAME or packed[:1] != b"\x00":
        return b""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if unpacker.eof else b""


def _gamma(gamma: float, chromaticities: bytes) -> DeclaredSpace | None:
    """Build a space from a power curve and primaries; None if they mean sRGB.

    They mean sRGB, whose curve is no power curve, if both are those of sRGB (PNG, third edition, 11.3.2.5).

    Args:
        gamma: of the gAMA chunk, the reciprocal of the exponent.
        chromaticities: content of the cHRM chunk; those of sRGB if it has another length than 32 bytes.
    """
    points = SRGB
    if len(chromaticities) == 32:
        numbers = [number / 100_000 for number in struct.unpack(">8I", chromaticities)]
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        points = (red, green, blue, white)
    other_primaries = np.abs(np.array(points) - np.array(SRGB)).max() > _PRIMARY_TOLERANCE
    name = f"gamma {gamma:.5f}" + (", own primaries" if other_primaries else "")
    if not other_primaries and abs(gamma / _SRGB_GAMMA - 1) < _GAMMA_TOLERANCE:
        return None
    try:
        curve = power_curve(1 / gamma)
        return DeclaredSpace("gamma", name, rgb_space(colorants(points), (curve, curve, curve)))
    except ValueError:
        return DeclaredSpace("gamma", name, None)


def _webp(data: bytes) -> DeclaredSpace | None:
    """Read the first ICCP chunk, if the header announces one (RFC 9649, 2.7.1.4)."""
    if data[12:16] != b"VP8X" or not data[20] & 0x20:
        return None
    at = 12
    for _ in range(_MAX_CHUNKS):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"ICCP":
            return _icc(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return None


def _heif(data: bytes) -> DeclaredSpace | None:
    """Read the profile of the picture of an AVIF or HEIC, or else its code points."""
    colours = {data[at : at + 4]: (at + 4, end) for kind, at, end in properties(data) if kind == b"colr"}
    for kind in (b"prof", b"rICC"):
        if kind in colours:
            return _icc(data[slice(*colours[kind])])
    if b"nclx" not in colours:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, colours[b"nclx"][0])
    return DeclaredSpace("nclx", f"{primaries}/{transfer}", avif_space(primaries, transfer))


def _tiff(data: bytes) -> DeclaredSpace | None:
    """Read the profile of the first page."""
    order = tiff.byte_order(data)
    start = struct.unpack_from(order + "I", data, 4)[0]
    for tag, _, count, at in tiff.entries(data, order, start):
        if tag == _TIFF_PROFILE:
            start = struct.unpack_from(order + "I", data, at)[0]
            return _icc(data[start : start + count])
    return None


def _bmp(data: bytes) -> DeclaredSpace | None:
    """Read the profile that a header of version 5 (BITMAPV5HEADER) embeds."""
    if data[14] != _BMP_V5_HEADER_BYTES or data[70:74] != _BMP_EMBEDDED:
        return None
    at, size = struct.unpack_from("<II", data, 14 + 112)
    return _icc(data[14 + at : 14 + at + size])


_READERS: dict[str, Callable[[bytes], DeclaredSpace | None]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _heif,
    "heic": _heif,
    "tiff": _tiff,
    "bmp": _bmp,
}
