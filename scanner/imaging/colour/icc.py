"""Reads an ICC profile as a colour space (ICC.1:2022), or as None if browsers ignore it.

What counts as broken is what Chromium's reader (skcms) takes for broken: a profile must not change a picture here that
stays as it is on the screens of those who look at it. Profiles of curves and a matrix are read here. Those of tables
are applied by LittleCMS, which gets nothing of them but the one table that is used.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np

from scanner.imaging.colour.cicp import coded_space
from scanner.imaging.colour.srgb import D50, Array, Curve, Space, grey_space, power_curve, rgb_space

# Bytes of a profile. Those of printers have some three million.
MAX_PROFILE = 2**23
_HEADER, _MAX_NAME = 128, 80
_CHANNELS = {b"GRAY": "GRAY", b"CMYK": "CMYK"}  # browsers take all others for RGB
_TABLE_TYPES = (b"mft1", b"mft2", b"mAB ")
_PARAMETERS = (1, 3, 4, 5, 7)  # of a parametric curve, by its type
_ILLUMINANT_TOLERANCE = 0.01
_IDENTITY = struct.pack(">9I", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)


class _BrokenError(Exception):
    """The profile is broken."""


@lru_cache(maxsize=16)
def read_profile(profile: bytes) -> Space | None:
    """Read the colour space of a profile; None if browsers ignore it. Never raises."""
    try:
        tags = _tags(profile)
        space = _tables(profile, tags) or _curves(profile, tags)
        return space and (_coded(tags) or space)
    except (_BrokenError, struct.error, IndexError, ValueError):
        return None


def profile_name(profile: bytes) -> str:
    """Read the name that a profile gives itself, as far as it can be printed; empty if it has none."""
    try:
        text = _tags(profile).get(b"desc", b"")
        if text[:4] == b"mluc":  # the first language
            size, at = struct.unpack_from(">II", text, 20)
            name = text[at : at + min(size, 4 * _MAX_NAME)].decode("utf-16-be", "ignore")
        else:
            (size,) = struct.unpack_from(">I", text, 8)
            name = text[12 : 12 + min(size, 4 * _MAX_NAME)].partition(b"\x00")[0].decode("latin-1")
    except (_BrokenError, struct.error):
        return ""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:_MAX_NAME]


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Read the content of each tag, of the first one if there are several.

    Raises:
        _BrokenError, struct.error: the header is not that of a profile, or a tag is not in it.
    """
    size, _, version = struct.unpack_from(">I4sB", profile, 0)
    illuminant = np.array(struct.unpack_from(">3i", profile, 68)) / 65_536
    if (
        not _HEADER < size <= len(profile)
        or profile[36:40] != b"acsp"
        or version > 4
        or profile[20:24] not in (b"XYZ ", b"Lab ")
        or np.abs(illuminant - D50).max() > _ILLUMINANT_TOLERANCE
    ):
        raise _BrokenError
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    if _HEADER + 4 + 12 * count > size:
        raise _BrokenError
    tags: dict[bytes, bytes] = {}
    for i in range(count):
        name, start, length = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * i)
        if length < 4 or start + length > size:
            raise _BrokenError
        tags.setdefault(name, profile[start : start + length])
    return tags


def _coded(tags: dict[bytes, bytes]) -> Space | None:
    """Read the space that a `cicp` tag names; it goes before the tables and curves of the same profile.

    Raises:
        _BrokenError: the tag is broken.
    """
    content = tags.get(b"cicp")
    if content is None:
        return None
    if content[:4] != b"cicp" or len(content) < 12:
        raise _BrokenError
    return coded_space(content[8], content[9])


def _curves(profile: bytes, tags: dict[bytes, bytes]) -> Space | None:
    channels = _CHANNELS.get(profile[16:20], "RGB")
    if channels == "GRAY" and b"kTRC" in tags:
        curve = _curve(tags[b"kTRC"])
        return grey_space(curve) if profile[20:24] == b"XYZ " else None
    names = [(colour + b"TRC", colour + b"XYZ") for colour in (b"r", b"g", b"b")]
    if channels != "RGB" or not all(curve in tags and colorant in tags for curve, colorant in names):
        return None
    red, green, blue = (_curve(tags[curve]) for curve, _ in names)
    matrix = np.stack([_xyz(tags[colorant]) for _, colorant in names], axis=1)
    return rgb_space(matrix, (red, green, blue))


def _xyz(content: bytes) -> Array:
    if content[:4] != b"XYZ ":
        raise _BrokenError
    return np.array(struct.unpack_from(">3i", content, 8)) / 65_536


def _curve(content: bytes) -> Curve:
    """Read a `curv` or `para` tag (ICC.1:2022, 10.6 and 10.18).

    Raises:
        _BrokenError, struct.error: it is broken.
    """
    if content[:4] == b"para":
        kind, _ = struct.unpack_from(">HH", content, 8)
        if kind >= len(_PARAMETERS):
            raise _BrokenError
        return _parametric(kind, [n / 65_536 for n in struct.unpack_from(f">{_PARAMETERS[kind]}i", content, 12)])
    if content[:4] != b"curv":
        raise _BrokenError
    (count,) = struct.unpack_from(">I", content, 8)
    if count > len(content):
        raise _BrokenError
    values = np.array(struct.unpack_from(f">{count}H", content, 12))
    if count < 2:
        return power_curve(values[0] / 256 if count else 1.0)
    return lambda code: np.interp(code, np.linspace(0, 1, count), values / 65_535)


def _parametric(kind: int, numbers: list[float]) -> Curve:
    """Make a curve: (a x + b)^g + e from d on, c x + f below. Negative numbers are refused, as browsers do."""
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


def _tables(profile: bytes, tags: dict[bytes, bytes]) -> Space | None:
    """Read the space of a table from device colours to CIELAB or XYZ; None if there is none.

    Raises:
        _BrokenError: there is one, and it cannot be used.
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
            ImageCms.ImageCmsProfile(io.BytesIO(_only(table, channels, profile))),
            ImageCms.createProfile("sRGB"),
            {"GRAY": "L"}.get(channels, channels),
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise _BrokenError from error
    return Space(channels, table=transform)


def _checked(table: bytes) -> bytes:
    """Change a table so that LittleCMS reads it as browsers do.

    Raises:
        _BrokenError, struct.error: it has a curve that browsers refuse.
    """
    if table[:3] == b"mft":  # the matrix is for device colours that are XYZ only (ICC.1:2022, 10.10)
        return table[:12] + _IDENTITY + table[48:]
    inputs, outputs = table[8], table[9]
    curves_b, _, curves_m, grid, curves_a = struct.unpack_from(">5I", table, 12)
    for at, count in ((curves_b, outputs), (curves_m, outputs), (curves_a, inputs)):
        for _ in range(count if at else 0):
            _curve(table[at:])
            kind, number = table[at : at + 4], struct.unpack_from(">I", table, at + 8)[0]
            at += 12 + (4 * _PARAMETERS[number >> 16] if kind == b"para" else 2 * number)
            at += -at % 4
    # One byte for each of up to 16 inputs says how many points the grid has; those of other inputs count nothing.
    return table[: grid + inputs] + bytes(16 - inputs) + table[grid + 16 :] if grid else table


def _only(table: bytes, channels: str, profile: bytes) -> bytes:
    """Make a profile of nothing but a table, so that LittleCMS cannot find another one that browsers do not look at.

    Raises:
        _BrokenError, struct.error: the table has a curve that browsers refuse.
    """
    table = _checked(table)
    start = _HEADER + 4 + 12
    header = bytearray(_HEADER)
    struct.pack_into(">I4sI4s4s4s", header, 0, start + len(table), b"", 0, b"mntr", b"", profile[20:24])
    header[8:12], header[16:20], header[36:40] = profile[8:12], channels.ljust(4).encode(), b"acsp"
    struct.pack_into(">3i", header, 68, *(D50 * 65_536).round().astype(int).tolist())
    return bytes(header) + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table
