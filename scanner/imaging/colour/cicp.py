"""Looks up the colour spaces that code points name (ITU-T H.273), in PNG (cICP), AVIF (nclx) and ICC profiles.

The known code points are those of Chromium, except XYZ (code 10), which this module does not know.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scanner.imaging.colour.srgb import SRGB, Array, Curve, Space, colorants, power_curve, rgb_space, srgb_curve

_D65, _C, _E = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3)
# Chromaticities (x, y) of red, green, blue and white, by ColourPrimaries (table 2).
_PRIMARIES = {
    1: SRGB,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# TransferCharacteristics of video: BT.709, BT.601 and BT.2020.
VIDEO = frozenset({1, 6, 14, 15})
_SRGB_PRIMARIES, _SRGB_TRANSFER = 1, 13
# Luminance in cd/m2 of a picture's white (ITU-R BT.2408), and of its brightest highlight (BT.2100, table 5).
_WHITE, _PEAK = 203.0, 1000.0


@lru_cache(maxsize=64)
def coded_space(primaries: int, transfer: int) -> Space | None:
    """Look up the space of two code points, ColourPrimaries and TransferCharacteristics; None if one is unknown."""
    curve = _TRANSFERS.get(transfer)
    points = _PRIMARIES.get(primaries)
    return rgb_space(colorants(points), (curve, curve, curve)) if curve and points else None


def avif_space(primaries: int, transfer: int) -> Space | None:
    """Look up the space of two code points in an AVIF; None if a code point is forbidden.

    Chromium replaces unknown code points, and the transfer of video, by those of sRGB.
    """
    if primaries == 0 or transfer in (0, 3):
        return None
    known = transfer in _TRANSFERS and transfer not in VIDEO
    return coded_space(primaries if primaries in _PRIMARIES else _SRGB_PRIMARIES, transfer if known else _SRGB_TRANSFER)


def _smpte_240(code: Array) -> Array:
    """Compute the linear light of SMPTE ST 240."""
    return np.where(code < 0.0913, code / 4, ((code + 0.1115) / 1.1115) ** (1 / 0.45))


def _smpte_428(code: Array) -> Array:
    """Compute the linear light of SMPTE ST 428-1, at most 1."""
    return np.minimum(52.37 / 48 * code**2.6, 1)


def _pq(code: Array) -> Array:
    """Compute the linear light of SMPTE ST 2084 (PQ), toned down for a screen whose brightest colour is white."""
    root = code ** (32 / 2523)
    light = (np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16_384 / 2610)
    return _tone_down(10_000 * light)


def _hlg(code: Array) -> Array:
    """Compute the linear light of hybrid log-gamma (ITU-R BT.2100), toned down for a screen without highlights."""
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return _tone_down(_PEAK * scene**1.2)


def _tone_down(light: Array) -> Array:
    """Compress light in cd/m2 to 0..1: linear up to white, which becomes 0.5; highlights above; as Chromium 156."""
    above = np.clip(np.log(np.maximum(light, _WHITE) / _WHITE) / np.log(_PEAK / _WHITE), 0, 1)
    return np.where(light < _WHITE, light / _WHITE, 1 + above * (1.25 - 0.25 * above)) / 2


# Curves by TransferCharacteristics (table 3). Video is shown as on a screen of ITU-R BT.1886.
_TRANSFERS: dict[int, Curve] = {
    **dict.fromkeys((*VIDEO, 11), power_curve(2.4)),
    4: power_curve(2.2),
    5: power_curve(2.8),
    7: _smpte_240,
    8: power_curve(1.0),
    _SRGB_TRANSFER: srgb_curve,
    16: _pq,
    17: _smpte_428,
    18: _hlg,
}
