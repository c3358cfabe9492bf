"""Make files that declare their colour space in many ways, with the colours that Chromium 156 shows of each.

tests/test_colour.py compares `table()` with an installed Chromium, so that a wrong line is found.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.imaging.decode import Picture
from tests.orientation_cases import avif, box, segment, wrong_checksum
from tests.pictures import encode, png_16_bit, png_chunk

Array = NDArray[np.float64]
RGB = (b"r", b"g", b"b")
D50, D65 = (0.9642, 1.0, 0.8249), (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def chart() -> Picture:
    """Make a picture of 4,096 colours from all over the cube, RGB uint8 (64, 64, 3)."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(64, 64, 3)


def colorants(*primaries: tuple[float, float], white: tuple[float, float] = D65) -> Array:
    """Compute the matrix from linear light to XYZ, adapted to D50 (Bradford), from chromaticities of RGB and white."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*primaries, white)]).T
    scaled = xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
    return np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ D50 / (_BRADFORD @ xyz[:, 3])) @ _BRADFORD @ scaled


SRGB = colorants((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = colorants((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = colorants((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = colorants((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), white=(0.3457, 0.3585))
BT2020 = colorants((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def linear(code: Array) -> Array:
    """Compute the linear light of sRGB codes (0..1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def shown(matrix: Array, curve: Callable[[Array], Array], pixels: Picture | None = None) -> Picture:
    """Compute how pixels of a space, given by matrix and curve, look in sRGB; the chart if there are none."""
    light = curve((chart() if pixels is None else pixels) / 255) @ matrix.T @ np.linalg.inv(SRGB).T
    light = np.clip(light, 0, 1)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * code).round().astype(np.uint8)


def stored(pixels: Picture, matrix: Array, curve: Callable[[Array], Array]) -> Picture:
    """Compute pixels of a space that look like given ones of sRGB; the curve is inverted by interpolation."""
    light = np.clip(linear(pixels / 255) @ SRGB.T @ np.linalg.inv(matrix).T, 0, 1)
    codes = np.linspace(0, 1, 256)
    return (255 * np.interp(light, curve(codes), codes)).round().astype(np.uint8)


@cache
def looks() -> dict[str, Picture]:
    """Compute how the chart looks in each declared colour space, by a name that the cases refer to."""
    return {
        "as it is": chart(),
        "negative": 255 - chart(),
        "gamma 1": shown(SRGB, lambda v: v),
        "gamma 1.8": shown(SRGB, lambda v: v**1.8),
        "gamma 2.2": shown(SRGB, lambda v: v**2.2),
        "gamma 2.4": shown(SRGB, lambda v: v**2.4),
        "p3": shown(P3, linear),
        "p3, gamma 1": shown(P3, lambda v: v),
        "p3, gamma 2.2": shown(P3, lambda v: v**2.2),
        "adobe": shown(ADOBE, lambda v: v**2.19921875),
        "prophoto": shown(PROPHOTO, lambda v: v**1.8),
        "bt2020": shown(BT2020, linear),
        "exchanged": chart()[..., [1, 0, 2]],
        "white": np.full((64, 64, 3), 255, np.uint8),
    }


# Tags of ICC profiles (ICC.1:2022, section 10).


def _fixed(*values: float) -> bytes:
    """Encode numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def xyz(values: Sequence[float]) -> bytes:
    """Build an `XYZ ` tag."""
    return b"XYZ \x00\x00\x00\x00" + _fixed(*values)


def curve(*values: int) -> bytes:
    """Build a `curv` tag: linear without values, a gamma of one value, a table of several."""
    return b"curv\x00\x00\x00\x00" + struct.pack(f">I{len(values)}H", len(values), *values)


def gamma(exponent: float) -> bytes:
    """Build the tag of a power curve."""
    return curve(round(exponent * 256))


def sampled(function: Callable[[Array], Array]) -> bytes:
    """Build the tag of a curve with 1,024 samples."""
    return curve(*(65_535 * function(np.linspace(0, 1, 1024))).round().astype(int).tolist())


def parametric(kind: int, *values: float) -> bytes:
    """Build a `para` tag."""
    return b"para\x00\x00\x00\x00" + struct.pack(">HH", kind, 0) + _fixed(*values)


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
NEGATIVE_CURVE = sampled(lambda v: linear(1 - v))


def named(name: str) -> bytes:
    """Build a `desc` tag of version 2."""
    text = name.encode() + b"\x00"
    return b"desc\x00\x00\x00\x00" + struct.pack(">I", len(text)) + text + bytes(78)


def icc(tags: Sequence[tuple[bytes, bytes]], **header: Any) -> bytes:
    """Build an ICC profile.

    Args:
        tags: names and contents.
        header: fields with other values than usual: `space`, `pcs`, `kind`, `version`, `white`, `size`, `signature`,
            `count`.
    """
    directory, body = b"", b""
    for name, content in tags:
        content += bytes(-len(content) % 4)
        directory += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content
    space, pcs, kind = header.get("space", b"RGB "), header.get("pcs", b"XYZ "), header.get("kind", b"mntr")
    size = header.get("size", 132 + len(directory) + len(body))
    head = struct.pack(">I4sI4s4s4s", size, b"test", header.get("version", 2) << 24, kind, space, pcs)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + header.get("signature", b"acsp")
    head = head.ljust(68, b"\x00") + _fixed(*header.get("white", D50))
    return head.ljust(128, b"\x00") + struct.pack(">I", header.get("count", len(tags))) + directory + body


def by_matrix(matrix: Array, *curves: bytes, more: Sequence[tuple[bytes, bytes]] = (), **header: Any) -> bytes:
    """Build a profile of a matrix and one curve, or three; `more` tags come first."""
    curves = curves * 3 if len(curves) == 1 else curves
    columns = [(colour + b"XYZ", xyz(matrix[:, i])) for i, colour in enumerate(RGB)]
    tones = [(colour + b"TRC", curves[i]) for i, colour in enumerate(RGB)]
    return icc([*more, (b"desc", named("Test")), *columns, *tones], **header)


def grey(tone: bytes, **header: Any) -> bytes:
    """Build a profile of grey with one curve."""
    return icc([(b"desc", named("Test grey")), (b"kTRC", tone)], space=b"GRAY", **header)


def lab(rgb: Array) -> Array:
    """Compute CIELAB of sRGB codes (0..1)."""
    light = linear(rgb) @ SRGB.T / np.array(D50)
    f = np.where(light > 216 / 24389, np.cbrt(light), (24389 / 27 * light + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def grid(colours: Callable[[Array], Array], inputs: int = 3, points: int = 17) -> tuple[bytes, Array]:
    """Build the beginning of a table, up to its matrix or curves, and compute CIELAB at its points."""
    device = np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * inputs, indexing="ij"), axis=-1)
    return bytes([inputs, 3, points, 0]), lab(colours(device))


IDENTITY = _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)


def table_8(colours: Callable[[Array], Array], inputs: int = 3, points: int = 17, matrix: bytes = IDENTITY) -> bytes:
    """Build a table of 8 bits (`mft1`) that shows device colours as `colours` (sRGB) does."""
    head, values = grid(colours, inputs, points)
    encoded = (values * [2.55, 1, 1] + [0, 128, 128]).round().clip(0, 255).astype(np.uint8).tobytes()
    return b"mft1" + bytes(4) + head + matrix + bytes(range(256)) * inputs + encoded + bytes(range(256)) * 3


def table_mab(colours: Callable[[Array], Array], tone: bytes = curve()) -> bytes:
    """Build a table of version 4 (`mAB `), with curves on all sides of it."""
    head, values = grid(colours)
    encoded = (65_535 * (values / [100, 255, 255] + [0, 128 / 255, 128 / 255])).round().clip(0, 65_535)
    points = bytes([17, 17, 17]) + bytes(13) + b"\x02\x00\x00\x00" + encoded.astype(">u2").tobytes()
    parts = [tone * 3, _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0), tone * 3, points + bytes(-len(points) % 4), tone * 3]
    offsets = np.cumsum([32, *map(len, parts[:-1])]).tolist()
    return b"mAB \x00\x00\x00\x00" + head[:2] + bytes(2) + struct.pack(">5I", *offsets) + b"".join(parts)


def by_table(content: bytes, name: bytes = b"A2B0", more: Sequence[tuple[bytes, bytes]] = (), **header: Any) -> bytes:
    """Build a profile of one table; `more` tags come behind it."""
    return icc([(b"desc", named("Test table")), (name, content), *more], pcs=b"Lab ", **header)


def inverse(device: Array) -> Array:
    """Compute the negative of device colours."""
    return 1 - device


def inks(device: Array) -> Array:
    """Compute sRGB of cyan, magenta, yellow and black by the simplest mixture."""
    return (1 - device[..., :3]) * (1 - device[..., 3:])


def inverse_inks(device: Array) -> Array:
    """Compute the negative of what `inks` shows."""
    return 1 - inks(device)


def cicp_tag(primaries: int, transfer: int) -> bytes:
    """Build a `cicp` tag."""
    return b"cicp\x00\x00\x00\x00" + bytes([primaries, transfer, 0, 1])


NEGATIVE = by_matrix(SRGB, NEGATIVE_CURVE)
POSITIVE_TAGS = [(c + b"XYZ", xyz(SRGB[:, i])) for i, c in enumerate(RGB)] + [(c + b"TRC", SRGB_CURVE) for c in RGB]
CMYK = by_table(table_8(inks, 4, 9), space=b"CMYK", kind=b"prtr")
CMYK_NEGATIVE = by_table(table_8(inverse_inks, 4, 9), space=b"CMYK", kind=b"prtr")

# Profiles for RGB, the name in `looks` of what Chromium shows of the chart, and the state in the row; by name.
PROFILES: dict[str, tuple[bytes, str, str]] = {
    "srgb": (by_matrix(SRGB, SRGB_CURVE), "as it is", "srgb"),
    "srgb, sampled": (by_matrix(SRGB, sampled(linear)), "as it is", "srgb"),
    "srgb, version 4": (by_matrix(SRGB, SRGB_CURVE, version=4), "as it is", "srgb"),
    "p3": (by_matrix(P3, SRGB_CURVE), "p3", "applied"),
    "adobe": (by_matrix(ADOBE, gamma(2.19921875)), "adobe", "applied"),
    "prophoto": (by_matrix(PROPHOTO, gamma(1.8)), "prophoto", "applied"),
    "linear": (by_matrix(SRGB, curve()), "gamma 1", "applied"),
    "gamma 2.2": (by_matrix(SRGB, gamma(2.2)), "gamma 2.2", "applied"),
    "bt2020": (by_matrix(BT2020, SRGB_CURVE), "bt2020", "applied"),
    "three kinds of curves": (by_matrix(P3, SRGB_CURVE, sampled(linear), SRGB_CURVE), "p3", "applied"),
    "exchanged": (by_matrix(SRGB[:, [1, 0, 2]], SRGB_CURVE), "exchanged", "applied"),
    "negative": (NEGATIVE, "negative", "applied"),
    "negative, version 4.4": (by_matrix(SRGB, NEGATIVE_CURVE, version=4), "negative", "applied"),
    "negative, of a scanner": (by_matrix(SRGB, NEGATIVE_CURVE, kind=b"scnr"), "negative", "applied"),
    "negative, of an unknown space": (by_matrix(SRGB, NEGATIVE_CURVE, space=b"xxxx"), "negative", "applied"),
    "negative, and bytes behind": (NEGATIVE + bytes(99), "negative", "applied"),
    "negative, said twice": (
        by_matrix(SRGB, SRGB_CURVE, more=[(c + b"TRC", NEGATIVE_CURVE) for c in RGB]),
        "negative",
        "applied",
    ),
    "table": (by_table(table_8(inverse)), "negative", "applied"),
    "table, with a matrix": (by_table(table_8(inverse, matrix=_fixed(*[0.1] * 9))), "negative", "applied"),
    "table of version 4": (by_table(table_mab(inverse), version=4), "negative", "applied"),
    "second table": (by_table(table_8(inverse), b"A2B1", POSITIVE_TAGS), "negative", "applied"),
    "first of two tables": (by_table(table_8(inverse), more=[(b"A2B1", table_8(lambda v: v))]), "negative", "applied"),
    "table before curves": (by_table(table_8(inverse), more=POSITIVE_TAGS), "negative", "applied"),
    "code points": (by_matrix(SRGB, SRGB_CURVE, more=[(b"cicp", cicp_tag(12, 13))]), "p3", "applied"),
    "code points, positive": (by_matrix(SRGB, NEGATIVE_CURVE, more=[(b"cicp", cicp_tag(1, 13))]), "as it is", "srgb"),
    "unknown code points": (by_matrix(P3, SRGB_CURVE, more=[(b"cicp", cicp_tag(2, 2))]), "p3", "applied"),
    # What Chromium ignores, though other programs would show a negative.
    "negative gamma": (by_matrix(SRGB, parametric(0, -1)), "as it is", "ignored"),
    "falling line": (by_matrix(SRGB, parametric(1, 1, -1, 1)), "as it is", "ignored"),
    "falling line, offset": (by_matrix(SRGB, parametric(4, 1, 1, 0, -1, 2, 0, 1)), "as it is", "ignored"),
    "curve of an unknown kind": (by_matrix(SRGB, parametric(5, 1, 1, 1, 1, 1, 1, 1)), "as it is", "ignored"),
    "cut curve": (by_matrix(SRGB, parametric(3, 2.4)), "as it is", "ignored"),
    "version 5": (by_matrix(SRGB, NEGATIVE_CURVE, version=5), "as it is", "ignored"),
    "no signature": (by_matrix(SRGB, NEGATIVE_CURVE, signature=b"xxxx"), "as it is", "ignored"),
    "white of D65": (by_matrix(SRGB, NEGATIVE_CURVE, white=(0.95, 1, 1.09)), "as it is", "ignored"),
    "size beyond the end": (by_matrix(SRGB, NEGATIVE_CURVE, size=99_999), "as it is", "ignored"),
    "size too small": (by_matrix(SRGB, NEGATIVE_CURVE, size=200), "as it is", "ignored"),
    "more tags announced": (by_matrix(SRGB, NEGATIVE_CURVE, count=100), "as it is", "ignored"),
    "unknown connection space": (by_matrix(SRGB, NEGATIVE_CURVE, pcs=b"RGB "), "as it is", "ignored"),
    "cut": (NEGATIVE[:-1], "as it is", "ignored"),
    "curves missing": (icc([(b"rTRC", NEGATIVE_CURVE), *POSITIVE_TAGS[:3]]), "as it is", "ignored"),
    "broken table before curves": (by_table(b"mft2" + bytes(60), more=POSITIVE_TAGS), "as it is", "ignored"),
    "table with a falling line": (
        by_table(table_mab(lambda v: v, parametric(1, 1, -1, 1)), version=4),
        "as it is",
        "ignored",
    ),
    "broken code points": (by_matrix(SRGB, NEGATIVE_CURVE, more=[(b"cicp", b"cicp")]), "as it is", "ignored"),
    "third table": (by_table(table_8(inverse), b"A2B2"), "as it is", "ignored"),
    "floating table": (by_table(table_mab(inverse), b"D2B0", version=4), "as it is", "ignored"),
    "of grey": (grey(NEGATIVE_CURVE), "as it is", "ignored"),
    "of inks": (CMYK_NEGATIVE, "as it is", "ignored"),
    "empty": (b"", "as it is", "ignored"),
    "garbage": (b"garbage" * 50, "as it is", "ignored"),
}


@cache
def plain(kind: str) -> bytes:
    """Encode the chart without a colour space."""
    best = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    return encode(chart(), kind, **best.get(kind, {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}))


def png(*chunks: bytes, base: bytes = b"") -> bytes:
    """Build a PNG with chunks before its pixels."""
    base = base or plain("PNG")
    return base[:33] + b"".join(chunks) + base[33:]


def iccp(profile: bytes, name: bytes = b"test", method: bytes = b"\x00") -> bytes:
    """Build the chunk of a profile."""
    return png_chunk(b"iCCP", name + b"\x00" + method + zlib.compress(profile))


def gama(value: float) -> bytes:
    """Build a gAMA chunk."""
    return png_chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(*points: tuple[float, float]) -> bytes:
    """Build a cHRM chunk from chromaticities of white, red, green and blue."""
    return png_chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for point in points for v in point)))


def cicp(*values: int) -> bytes:
    """Build a cICP chunk."""
    return png_chunk(b"cICP", bytes(values))


_SRGB_CHUNK = png_chunk(b"sRGB", b"\x00")
_P3_POINTS = chrm(D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
_SRGB_POINTS = chrm(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_BROKEN = iccp(b"x" * 200)
PNGS: dict[str, tuple[bytes, str, str]] = {
    "gamma 1": (png(gama(1)), "gamma 1", "applied"),
    "gamma 1.8": (png(gama(1 / 1.8)), "gamma 1.8", "applied"),
    "gamma of sRGB": (png(gama(0.45455)), "as it is", ""),
    "gamma 0": (png(gama(0)), "as it is", ""),
    "gamma of 3 bytes": (png(png_chunk(b"gAMA", b"\x01\x02\x03")), "as it is", ""),
    "gamma, wrong checksum": (png(wrong_checksum(gama(1))), "as it is", ""),
    "two gammas": (png(gama(1), gama(0.45455)), "gamma 1", "applied"),
    "gamma behind the pixels": (plain("PNG")[:-12] + gama(1) + plain("PNG")[-12:], "as it is", ""),
    "primaries alone": (png(_P3_POINTS), "as it is", ""),
    "primaries and gamma": (png(_P3_POINTS, gama(1)), "p3, gamma 1", "applied"),
    "primaries and the gamma of sRGB": (png(gama(0.45455), _P3_POINTS), "p3, gamma 2.2", "applied"),
    "primaries of nothing": (png(chrm(*[(0, 0)] * 4), gama(1)), "as it is", "ignored"),
    "primaries on one line": (png(chrm(D65, *[(0.3, 0.3)] * 3), gama(1)), "as it is", "ignored"),
    "primaries of sRGB and gamma 1": (png(_SRGB_POINTS, gama(1)), "gamma 1", "applied"),
    "sRGB before gamma": (png(gama(1), _SRGB_CHUNK), "as it is", ""),
    "empty sRGB": (png(png_chunk(b"sRGB", b""), gama(1)), "gamma 1", "applied"),
    "unknown sRGB": (png(png_chunk(b"sRGB", b"\x09"), gama(1)), "gamma 1", "applied"),
    "profile before sRGB": (png(_SRGB_CHUNK, iccp(NEGATIVE)), "negative", "applied"),
    "profile before gamma": (png(gama(1), iccp(NEGATIVE)), "negative", "applied"),
    "first of two profiles": (png(iccp(PROFILES["p3"][0]), iccp(NEGATIVE)), "p3", "applied"),
    "second profile, the first is broken": (png(_BROKEN, iccp(NEGATIVE)), "as it is", "ignored"),
    "gamma behind a broken profile": (png(_BROKEN, gama(1)), "gamma 1", "applied"),
    "sRGB behind a broken profile": (png(_BROKEN, _SRGB_CHUNK, gama(1)), "as it is", "ignored"),
    "gamma behind a profile of grey": (png(iccp(grey(gamma(1.8))), gama(1)), "as it is", "ignored"),
    "profile without a name": (png(iccp(NEGATIVE, b"")), "as it is", "ignored"),
    "profile with a long name": (png(iccp(NEGATIVE, b"a" * 81)), "as it is", "ignored"),
    "profile packed otherwise": (png(iccp(NEGATIVE, method=b"\x01")), "as it is", "ignored"),
    "profile cut in its packing": (
        png(png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(NEGATIVE)[:-4])),
        "as it is",
        "ignored",
    ),
    "profile, wrong checksum": (png(wrong_checksum(iccp(NEGATIVE))), "as it is", ""),
    "code points of P3": (png(cicp(12, 13, 0, 1)), "p3", "applied"),
    "code points of sRGB": (png(cicp(1, 13, 0, 1)), "as it is", "srgb"),
    "code points of linear light": (png(cicp(1, 8, 0, 1)), "gamma 1", "applied"),
    "code points of video": (png(cicp(1, 1, 0, 1)), "gamma 2.4", "applied"),
    "code points before a profile": (png(iccp(NEGATIVE), cicp(12, 13, 0, 1)), "p3", "applied"),
    "code points of a narrow range": (png(cicp(12, 13, 0, 0)), "as it is", "ignored"),
    "unknown code points": (png(cicp(1, 99, 0, 1)), "as it is", "ignored"),
    "gamma behind unknown code points": (png(cicp(1, 99, 0, 1), gama(1)), "gamma 1", "applied"),
    "first of two code points": (png(cicp(1, 8, 0, 1), cicp(1, 13, 0, 1)), "gamma 1", "applied"),
    "16 bits, negative": (png(iccp(NEGATIVE), base=png_16_bit(chart())), "negative", "applied"),
    "16 bits, linear": (png(gama(1), base=png_16_bit(chart())), "gamma 1", "applied"),
}


def app2(number: int, total: int, part: bytes) -> bytes:
    """Build one of `total` segments of a profile."""
    return segment(b"ICC_PROFILE\x00" + bytes([number, total]) + part, 0xE2)


def jpeg(*segments: bytes, base: bytes = b"") -> bytes:
    """Build a JPEG with segments before all others."""
    base = base or plain("JPEG")
    return base[:2] + b"".join(segments) + base[2:]


_THIRDS = [NEGATIVE[:900], NEGATIVE[900:1800], NEGATIVE[1800:]]
_ONE, _TWO, _THREE = (app2(i, 3, part) for i, part in enumerate(_THIRDS, 1))
JPEGS: dict[str, tuple[bytes, str, str]] = {
    "in one segment": (jpeg(app2(1, 1, NEGATIVE)), "negative", "applied"),
    "in three": (jpeg(_ONE, _TWO, _THREE), "negative", "applied"),
    "in three, the last first": (jpeg(_THREE, _TWO, _ONE), "negative", "applied"),
    "one of three missing": (jpeg(_ONE, _THREE), "as it is", "ignored"),
    "one of three twice": (jpeg(_ONE, _ONE, _TWO, _THREE), "as it is", "ignored"),
    "another total": (jpeg(_ONE, app2(2, 4, _THIRDS[1]), _THREE), "as it is", "ignored"),
    "counted from 0": (jpeg(*(app2(i, 3, part) for i, part in enumerate(_THIRDS))), "as it is", "ignored"),
    "first of two": (jpeg(app2(1, 1, NEGATIVE), app2(1, 1, PROFILES["p3"][0])), "negative", "applied"),
    "behind another APP2": (jpeg(segment(b"MPF\x00" + bytes(30), 0xE2), app2(1, 1, NEGATIVE)), "negative", "applied"),
    "in APP1": (jpeg(segment(b"ICC_PROFILE\x00\x01\x01" + NEGATIVE)), "as it is", ""),
}


def webp(flags: int, *profiles: bytes) -> bytes:
    """Build a WebP with an extended header and profiles before its pixels."""
    chunks = b"VP8X\x0a\x00\x00\x00" + bytes([flags, 0, 0, 0]) + (63).to_bytes(3, "little") * 2
    for profile in profiles:
        chunks += b"ICCP" + struct.pack("<I", len(profile)) + profile + bytes(len(profile) % 2)
    chunks += plain("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


WEBPS: dict[str, tuple[bytes, str, str]] = {
    "profile": (webp(0x20, NEGATIVE), "negative", "applied"),
    "profile, unannounced": (webp(0, NEGATIVE), "as it is", ""),
    "first of two": (webp(0x20, PROFILES["p3"][0], NEGATIVE), "p3", "applied"),
}


def bmp(profile: bytes, kind: bytes = b"DEBM") -> bytes:
    """Build a BMP of version 5, with a profile behind its pixels."""
    pixels = chart()[::-1, :, ::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, 64, 64, 1, 24, 0, len(pixels), 2835, 2835, 0, 0) + bytes(16) + kind
    head = head.ljust(112, b"\x00") + struct.pack("<III", 124 + len(pixels), len(profile), 0)
    content = head + pixels + profile
    return b"BM" + struct.pack("<IHHI", 14 + len(content), 0, 0, 138) + content


BMPS: dict[str, tuple[bytes, str, str]] = {
    "profile": (bmp(NEGATIVE), "negative", "applied"),
    "sRGB": (bmp(NEGATIVE, b"BGRs"), "as it is", ""),
}


def nclx(primaries: int, transfer: int, matrix: int = 6) -> bytes:
    """Build the box of code points."""
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, 0x80))


def embedded(profile: bytes, kind: bytes = b"prof") -> bytes:
    """Build the box of a profile."""
    return box(b"colr", kind + profile)


def recoloured(code_points: bytes, base: bytes = b"") -> bytes:
    """Replace the code points that Pillow wrote into an AVIF by others of the same length."""
    base = base or plain("AVIF")
    at = base.index(b"colrnclx") - 4
    return base[:at] + code_points + base[at + len(code_points) :]


AVIFS: dict[str, tuple[bytes, str, str]] = {
    "P3": (recoloured(nclx(12, 13)), "p3", "applied"),
    "P3 of video": (recoloured(nclx(12, 1)), "p3", "applied"),
    "linear": (recoloured(nclx(1, 8)), "gamma 1", "applied"),
    "gamma 2.2": (recoloured(nclx(1, 4)), "gamma 2.2", "applied"),
    "video": (recoloured(nclx(1, 1)), "as it is", "srgb"),
    "unspecified": (recoloured(nclx(2, 2)), "as it is", "srgb"),
    "unspecified transfer": (recoloured(nclx(12, 2)), "p3", "applied"),
    "unknown primaries": (recoloured(nclx(99, 8)), "gamma 1", "applied"),
    "forbidden transfer": (recoloured(nclx(12, 3)), "as it is", "ignored"),
    "forbidden primaries": (recoloured(nclx(0, 8)), "as it is", "ignored"),
    "BT.2020": (recoloured(nclx(9, 14)), "bt2020", "applied"),
    "profile": (avif(embedded(NEGATIVE), base=plain("AVIF")), "negative", "applied"),
    "restricted profile": (avif(embedded(NEGATIVE, b"rICC"), base=plain("AVIF")), "negative", "applied"),
    "profile before code points": (
        avif(embedded(PROFILES["p3"][0]), base=recoloured(nclx(1, 8))),
        "p3",
        "applied",
    ),
    "nobody's profile": (avif(embedded(NEGATIVE), order=(), base=plain("AVIF")), "as it is", "srgb"),
}


def table() -> dict[str, tuple[str, bytes, str, str]]:
    """Return format, file, name in `looks` and state in the row of each case, by name."""
    files = {"png": PNGS, "jpeg": JPEGS, "webp": WEBPS, "bmp": BMPS, "avif": AVIFS}
    return {
        **{f"profile {name}": ("png", png(iccp(p)), look, state) for name, (p, look, state) in PROFILES.items()},
        **{
            f"{kind} {name}": (kind, data, look, state)
            for kind, named in files.items()
            for name, (data, look, state) in named.items()
        },
    }
