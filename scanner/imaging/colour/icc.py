"""Reads the colour space of an ICC profile (ICC.1:2022), unless browsers ignore the profile.

A profile is broken if Chromium's reader (skcms) takes it for broken: it must not change a picture here that stays
unchanged on its viewers' screens. Profiles of curves and a matrix are read here. Those of tables are applied by
LittleCMS, which is given only the one table that browsers use.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np

from scanner.imaging.colour.cicp import coded_space
from scanner.imaging.colour.srgb import D50, Array, Curve, Space, grey_space, power_curve, rgb_space

# Bytes of the largest profile that is read. Profiles of printers have about three million.
MAX_PROFILE = 2**23
_HEADER_BYTES = 128
_MAX_NAME = 80  # characters
_CHANNELS = {b"GRAY": "GRAY", b"CMYK": "CMYK"}  # browsers take all other spaces for RGB
_TABLE_TYPES = (b"mft1", b"mft2", b"mAB ")
_PARAMETERS = (1, 3, 4, 5, 7)  # numbers of a parametric curve, by its type
_ILLUMINANT_TOLERANCE = 0.01
_IDENTITY = struct.pack(">9I", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)


class _BrokenError(Exception):
    """A profile is broken, so that browsers ignore it."""


@lru_cache(maxsize=16)
def read_profile(profile: bytes) -> Space | None:
    """Read the colour space of a profile; None if browsers ignore the profile. Never raises."""
    try:
        tags = _read_tags(profile)
        space = _read_table(profile, tags) or _read_curves(profile, tags)
        return space and (_read_code_points(tags) or space)
    except (_BrokenError, struct.error, IndexError, ValueError):
        return None


def profile_name(profile: bytes) -> str:
    """Read the printable part of a profile's description; empty if it has none."""
    try:
        text = _read_tags(profile).get(b"desc", b"")
        if text[:4] == b"mluc":  # the first language
            size, at = struct.unpack_from(">II", text, 20)
            name = text[at : at + min(size, 4 * _MAX_NAME)].decode("utf-16-be", "ignore")
        else:
            (size,) = struct.unpack_from(">I", text, 8)
            name = text[12 : 12 + min(size, 4 * _MAX_NAME)].partition(b"\x00")[0].decode("latin-1")
    except (_BrokenError, struct.error):
        return ""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:_MAX_NAME]


def _read_tags(profile: bytes) -> dict[bytes, bytes]:
    """Read the content of each tag; of tags with the same name, the first one.

    Raises:
        _BrokenError, struct.error: the header is not that of a profile, or a tag lies outside of the profile.
    """
    size, _, version = struct.unpack_from(">I4sB", profile, 0)
    illuminant = np.array(struct.unpack_from(">3i", profile, 68)) / 65_536
    if (
        not _HEADER_BYTES < size <= len(profile)
        or profile[36:40] != b"acsp"
        or version > 4
        or profile[20:24] not in (b"XYZ ", b"Lab ")
        or np.abs(illuminant - D50).max() > _ILLUMINANT_TOLERANCE
    ):
        raise _BrokenError
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if _HEADER_BYTES + 4 + 12 * count > size:
        raise _BrokenError
    tags: dict[bytes, bytes] = {}
    for i in range(count):
        name, start, length = struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + 12 * i)
        if length < 4 or start + length > size:
            raise _BrokenError
        tags.setdefault(name, profile[start : start + length])
    return tags


def _read_code_points(tags: dict[bytes, bytes]) -> Space | None:
    """Read the space that a `cicp` tag names, which overrides tables and curves; None if there is none.

    Raises:
        _BrokenError: the tag is broken.
    """
    content = tags.get(b"cicp")
    if content is None:
        return None
    if content[:4] != b"cicp" or len(content) < 12:
        raise _BrokenError
    return coded_space(content[8], content[9])


def _read_curves(profile: bytes, tags: dict[bytes, bytes]) -> Space | None:
    """Read the space of one curve for grey, or of three curves and a matrix; None if any of them is missing.

    Raises:
        _BrokenError, struct.error: a curve or the matrix is broken.
    """
    channels = _CHANNELS.get(profile[16:20], "RGB")
    if channels == "GRAY" and b"kTRC" in tags:
        curve = _read_curve(tags[b"kTRC"])
        return grey_space(curve) if profile[20:24] == b"XYZ " else None
    curves, columns = (b"rTRC", b"gTRC", b"bTRC"), (b"rXYZ", b"gXYZ", b"bXYZ")
    if channels != "RGB" or not tags.keys() >= {*curves, *columns}:
        return None
    red, green, blue = (_read_curve(tags[name]) for name in curves)
    matrix = np.stack([_read_xyz(tags[name]) for name in columns], axis=1)
    return rgb_space(matrix, (red, green, blue))


def _read_xyz(content: bytes) -> Array:
    """Read an `XYZ ` tag, float64 (3,).

    Raises:
        _BrokenError, struct.error: it is broken.
    """
    if content[:4] != b"XYZ ":
        raise _BrokenError
    return np.array(struct.unpack_from(">3i", content, 8)) / 65_536


def _read_curve(content: bytes) -> Curve:
    """Read a `curv` or `para` tag (ICC.1:2022, 10.6 and 10.18).

    Raises:
        _BrokenError, struct.error: it is broken.
    """
    if content[:4] == b"para":
        kind, _ = struct.unpack_from(">HH", content, 8)
        if kind >= len(_PARAMETERS):
            raise _BrokenError
        return _make_parametric_curve(
            kind, [n / 65_536 for n in struct.unpack_from(f">{_PARAMETERS[kind]}i", content, 12)]
        )
    if content[:4] != b"curv":
        raise _BrokenError
    (count,) = struct.unpack_from(">I", content, 8)
    if count > len(content):
        raise _BrokenError
    values = np.array(struct.unpack_from(f">{count}H", content, 12))
    if count < 2:
        return power_curve(values[0] / 256 if count else 1.0)
    return lambda code: np.interp(code, np.linspace(0, 1, count), values / 65_535)


def _make_parametric_curve(kind: int, numbers: list[float]) -> Curve:
    """Build a curve: (a x + b)^g + e from d on, c x + f below. Negative numbers are refused, as browsers do.

    Args:
        kind: type of the curve, 0..4.
        numbers: its parameters, in the order g, a, b, c, d, e, f; types with fewer parameters lack the last ones.

    Raises:
        _BrokenError: browsers refuse the curve.
    """
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - len(numbers))
    if kind == 0:
        a = 1.0
    elif kind in (1, 2):
        if a == 0:
            raise _BrokenError
        e = f = c if kind == 2 else 0.0
        c, d = 0.0, -b / a
    if min(a, c, d, g) < 0 or a * d + b < 0:
        raise _BrokenError
    return lambda code: np.where(code < d, c * code + f, np.power(np.maximum(a * code + b, 0), g) + e)


def _read_table(profile: bytes, tags: dict[bytes, bytes]) -> Space | None:
    """Read the space of a table from device colours to CIELAB or XYZ; None if there is no table.

    Raises:
        _BrokenError: there is a table that cannot be used.
    """
    table = tags.get(b"A2B0", tags.get(b"A2B1"))
    if table is None:
        return None
    channels = _CHANNELS.get(profile[16:20], "RGB")
    if table[:4] not in _TABLE_TYPES or (table[8], table[9]) != ({"GRAY": 1, "CMYK": 4}.get(channels, 3), 3):
        raise _BrokenError
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(_make_profile(table, channels, profile))),
            ImageCms.createProfile("sRGB"),
            {"GRAY": "L"}.get(channels, channels),
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise _BrokenError from error
    return Space(channels, table=transform)


def _adapt_table(table: bytes) -> bytes:
    """Change a table so that LittleCMS reads it as browsers do.

    Raises:
        _BrokenError, struct.error: the table has a curve that browsers refuse.
    """
    if table[:3] == b"mft":  # its matrix is only for device colours that are XYZ (ICC.1:2022, 10.10)
        return table[:12] + _IDENTITY + table[48:]
    inputs, outputs = table[8], table[9]
    curves_b, _, curves_m, grid, curves_a = struct.unpack_from(">5I", table, 12)
    for at, count in ((curves_b, outputs), (curves_m, outputs), (curves_a, inputs)):
        for _ in range(count if at else 0):
            _read_curve(table[at:])
            kind, number = table[at : at + 4], struct.unpack_from(">I", table, at + 8)[0]
            at += 12 + (4 * _PARAMETERS[number >> 16] if kind == b"para" else 2 * number)
            at += -at % 4
    # One byte for each of 16 inputs gives the points of the grid; those of inputs that do not exist are set to 0.
    return table[: grid + inputs] + bytes(16 - inputs) + table[grid + 16 :] if grid else table


def _make_profile(table: bytes, channels: str, profile: bytes) -> bytes:
    """Build a profile that contains only one table, so that LittleCMS cannot use another one, which browsers ignore.

    Args:
        table: content of the tag.
        channels: of device colours: `RGB`, `GRAY` or `CMYK`.
        profile: which contains the table.

    Raises:
        _BrokenError, struct.error: the table has a curve that browsers refuse.
    """
    table = _adapt_table(table)
    start = _HEADER_BYTES + 4 + 12
    header = bytearray(_HEADER_BYTES)
    struct.pack_into(">I4sI4s4s4s", header, 0, start + len(table), b"", 0, b"mntr", b"", profile[20:24])
    header[8:12], header[16:20], header[36:40] = profile[8:12], channels.ljust(4).encode(), b"acsp"
    struct.pack_into(">3i", header, 68, *(D50 * 65_536).round().astype(int).tolist())
    return bytes(header) + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table
