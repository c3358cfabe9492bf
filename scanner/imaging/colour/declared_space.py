"""Reads what a file says of its colours: the space that it names, whatever its pixels are.

JPEG, WebP, BMP and TIFF embed ICC profiles. PNG (W3C, third edition) has cICP, iCCP, sRGB, and gAMA with cHRM, of which
the first in this order counts. AVIF and HEIC have a profile, or code points (nclx). What is broken is passed over where
Chromium does so.
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

# Chunks of a PNG or a WebP that are looked at.
_MAX_CHUNKS = 20_000
_APP2, _ICC_NAME = 0xE2, b"ICC_PROFILE\x00"
_TIFF_PROFILE = 34675
# A PNG's gAMA of sRGB, how far from it libpng and Chromium let it be, and how exact its cHRM is.
_SRGB_GAMMA, _GAMMA_TOLERANCE, _PRIMARY_TOLERANCE = 1 / 2.2, 0.05, 0.0011


@dataclass(frozen=True, slots=True)
class DeclaredSpace:
    """A colour space, as a file names it.

    Attributes:
        source: `icc`, `cicp`, `nclx` or `gamma`.
        name: of the profile, the code points, or the exponent.
        space: None if it is broken.
    """

    source: str
    name: str
    space: Space | None


def read_declared_space(data: bytes, format: str) -> DeclaredSpace | None:
    """Read the colour space that a file names; None if it names none. Never raises.

    Args:
        data: the file.
        format: of its content.
    """
    try:
        return _READERS.get(format, _nothing)(data)
    except (struct.error, IndexError, ValueError):  # it is cut off, or its tags are broken
        return None


def _nothing(data: bytes) -> DeclaredSpace | None:
    return None


def _icc(profile: bytes) -> DeclaredSpace:
    return DeclaredSpace("icc", profile_name(profile), read_profile(profile) if len(profile) <= MAX_PROFILE else None)


def _jpeg(data: bytes) -> DeclaredSpace | None:
    """Join a profile in one segment, or in several that are numbered (ICC.1:2022, annex B.4); the first whole one."""
    parts: dict[int, bytes] = {}
    total = 0
    for marker, at, end in jpeg_segments(data):
        if marker == _APP2 and data.startswith(_ICC_NAME, at) and end - at > len(_ICC_NAME) + 2:
            number, of = data[at + 12], data[at + 13]
            if not 1 <= number <= of or number in parts or (parts and of != total):
                return _icc(b"")
            total, parts[number] = of, data[at + 14 : end]
            if len(parts) == total:
                break
        elif marker == _APP2 and data.startswith(_ICC_NAME, at):
            return _icc(b"")
    if not parts:
        return None
    return _icc(b"".join(parts[number] for number in sorted(parts)) if len(parts) == total else b"")


def _png(data: bytes) -> DeclaredSpace | None:
    chunks = dict(_png_colours(data))
    found = None  # what is ignored if nothing else counts
    if len(cicp := chunks.get(b"cICP", b"")) == 4:
        full_range_rgb = cicp[2] == 0 and cicp[3] == 1
        found = DeclaredSpace("cicp", f"{cicp[0]}/{cicp[1]}", coded_space(cicp[0], cicp[1]) if full_range_rgb else None)
    if b"iCCP" in chunks and not (found and found.space):
        found = _icc(_unpacked(chunks[b"iCCP"]))
    if found and found.space:
        return found
    if len(chunks.get(b"sRGB", b"")) == 1 and chunks[b"sRGB"][0] < 4:
        return found  # sRGB by name
    if len(gamma := chunks.get(b"gAMA", b"")) == 4 and any(gamma):
        return _gamma(int.from_bytes(gamma, "big") / 100_000, chunks.get(b"cHRM", b"")) or found
    return found


def _png_colours(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks before the pixels that say something of colours and have a right checksum.

    The last comes first, so that a dictionary keeps the first of each kind.
    """
    found: list[tuple[bytes, bytes]] = []
    palette = False
    for kind, at, end in islice(png_chunks(data), _MAX_CHUNKS):
        if kind == b"IDAT":
            break
        palette |= kind == b"PLTE"
        wanted = kind in (b"iCCP", b"sRGB", b"gAMA", b"cHRM") or (kind == b"cICP" and not palette)
        if wanted and zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]:
            found.append((kind, data[at + 8 : end - 4]))
    yield from reversed(found)


def _unpacked(iccp: bytes) -> bytes:
    """Unpack the profile in an iCCP chunk, behind a name and the method of packing; empty if it is broken."""
    name, _, packed = iccp.partition(b"\x00")
    if not 1 <= len(name) <= 80 or packed[:1] != b"\x00":
        return b""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if unpacker.eof else b""


def _gamma(gamma: float, chromaticities: bytes) -> DeclaredSpace | None:
    """Make a space of a power curve, with primaries that may be others than those of sRGB.

    The gamma of sRGB without other primaries means sRGB, whose curve is no power curve (PNG, third edition, 11.3.2.5).
    """
    points = SRGB
    if len(chromaticities) == 32:
        numbers = [number / 100_000 for number in struct.unpack(">8I", chromaticities)]
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        points = (red, green, blue, white)
    own = np.abs(np.array(points) - np.array(SRGB)).max() > _PRIMARY_TOLERANCE
    name = f"gamma {gamma:.5f}" + (", own primaries" if own else "")
    if not own and abs(gamma / _SRGB_GAMMA - 1) < _GAMMA_TOLERANCE:
        return None
    try:
        curve = power_curve(1 / gamma)
        return DeclaredSpace("gamma", name, rgb_space(colorants(points), (curve, curve, curve)))
    except ValueError:
        return DeclaredSpace("gamma", name, None)


def _webp(data: bytes) -> DeclaredSpace | None:
    """Take the first ICCP chunk, if the header announces one (RFC 9649, 2.7.1.4)."""
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
    """Take the profile of the picture, or else its code points."""
    colours = {data[at : at + 4]: (at + 4, end) for kind, at, end in properties(data) if kind == b"colr"}
    for kind in (b"prof", b"rICC"):
        if kind in colours:
            return _icc(data[slice(*colours[kind])])
    if b"nclx" not in colours:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, colours[b"nclx"][0])
    return DeclaredSpace("nclx", f"{primaries}/{transfer}", avif_space(primaries, transfer))


def _tiff(data: bytes) -> DeclaredSpace | None:
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    for tag, _, count, at in tiff.entries(data, order, start):
        if tag == _TIFF_PROFILE:
            place = struct.unpack_from(order + "I", data, at)[0]
            return _icc(data[place : place + count])
    return None


def _bmp(data: bytes) -> DeclaredSpace | None:
    """Take the profile that a header of version 5 (BITMAPV5HEADER: 124 bytes) embeds."""
    if data[14] != 124 or data[70:74] != b"DEBM":  # PROFILE_EMBEDDED, the other way round
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
