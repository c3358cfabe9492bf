"""Decides from the DCT coefficients of a JPEG whether it was a JPEG of lower quality before.

A coefficient that was a multiple of the first compression's step stays close to one when it is rounded to multiples of
the second's finer step: some values then occur too often, and others hardly at all. Popescu and Farid, "Statistical
Tools for Digital Forensics", 2004, looked for such periods. Here the histograms of the coefficients decide between
hypotheses, one for every quality that the first compression may have had, as in Bianchi and Piva, "Image Forgery
Localization via Block-Grained Analysis of JPEG Artifacts", 2012.

Does not detect a first compression of about the same or a higher quality, nor pictures that were resized, turned, or
cropped off the grid of 8 x 8 pixels in between.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.provenance.jpeg_tables import LADDER, ZIGZAG, quality, quantisation_tables

# Logarithm of how much more likely the coefficients are after two savings than after one. What was saved once, or at
# first at a higher quality, seldom gets there; see scanner/README.md.
ENOUGH = 80.0
# Score that one frequency may add, so that several must agree: in drawings and gradients one alone is unreliable.
_MAX_EVIDENCE = ENOUGH / 4
# Lowest first quality that is tried (lower ones are rare), and its least distance from the second quality.
_MIN_QUALITY, _MIN_DISTANCE = 30, 5
# Frequencies that are analysed, out of 64 in zigzag order: the first, without the mean, have the widest histograms.
_FREQUENCIES = range(1, 13)
# Values of a quantised coefficient that are counted, and the largest step: with larger ones nearly all values are 0.
_VALUES, _MAX_STEP = 20, 60
_MIN_BLOCKS, _MAX_BLOCKS = 100, 16_384
# Standard deviation of a coefficient due to rounding of pixels between the compressions, with a margin.
_NOISE = 0.6
# Share of the coefficients that may fit no hypothesis.
_OUTLIERS = 0.08
_WIDTH_RATIO = 1.25  # of two neighbouring widths of the distribution for which evidence is computed

_N = np.arange(8)
_COSINES = np.cos((2 * _N + 1) * _N[:, None] * np.pi / 16) * np.where(_N[:, None], 0.5, 0.5**1.5)


def double_compression(data: bytes) -> dict[str, Any] | None:
    """Return whether a JPEG that can be decoded seems to have been one before, at a lower quality.

    Returns:
        found: whether the score is at least `ENOUGH`.
        first_quality: of the first compression, on libjpeg's scale, if found; mostly within 2.
        score: logarithm of the likelihood ratio of two compressions to one, limited for each frequency.
        blocks: number of blocks of 8 x 8 pixels that were analysed.
        None if the picture cannot be analysed, or has too few blocks.
    """
    tables, saved = quantisation_tables(data), quality(data)
    try:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        grey = None
    if grey is None or saved is None:
        return None
    coefficients = _coefficients(grey)
    candidates = np.arange(_MIN_QUALITY, saved[0] - _MIN_DISTANCE + 1)  # for the first quality
    if len(coefficients) < _MIN_BLOCKS:
        return None
    scores = np.zeros((2, len(candidates)))  # sums over frequencies: of all evidence, and with `_MAX_EVIDENCE`
    for frequency in _FREQUENCIES:
        step = tables[0][frequency]
        if len(candidates) and 0 < step <= _MAX_STEP:
            levels = np.abs(coefficients[:, frequency])
            counts = np.bincount(np.rint(levels / step).astype(int), minlength=_VALUES + 1)[1 : _VALUES + 1]
            width = round(np.log(max(float(levels.mean()), 0.5)) / np.log(_WIDTH_RATIO))
            first_steps = LADDER[candidates - 1, frequency]
            evidence = (_evidence(step, width) @ counts)[first_steps]
            evidence = np.where(first_steps == step, 0, evidence)
            scores += evidence, np.minimum(evidence, _MAX_EVIDENCE)
    score = float(scores[1].max(initial=0))
    found = score >= ENOUGH
    likely = np.where(scores[1] >= ENOUGH, scores[0], -np.inf)
    return {
        "found": found,
        "first_quality": int(candidates[likely.argmax()]) if found else None,
        "score": round(score, 1),
        "blocks": len(coefficients),
    }


def _coefficients(grey: NDArray[Any]) -> NDArray[Any]:
    """Return DCT coefficients of blocks, (n, 64) in zigzag order, without clipped blocks; of many blocks only a sample.

    Args:
        grey: pixels, (height, width), uint8.
    """
    height, width = (side // 8 * 8 for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    blocks = blocks[:: len(blocks) // _MAX_BLOCKS + 1]
    blocks = blocks[(blocks.min(axis=(1, 2)) > 0) & (blocks.max(axis=(1, 2)) < 255)]
    transformed: NDArray[Any] = _COSINES @ (blocks.astype(np.float32) - 128) @ _COSINES.T
    return transformed.reshape(-1, 64)[:, ZIGZAG]


@lru_cache(maxsize=1024)
def _evidence(step: int, width: int) -> NDArray[Any]:
    """Return the evidence of each value of a quantised coefficient for two compressions, as log-likelihood ratios.

    Args:
        step: of the second compression.
        width: of the Laplace distribution of coefficients before quantisation, as a power of `_WIDTH_RATIO`.

    Returns:
        (first steps, `_VALUES`): row s is for a first compression with step s.
    """
    values = np.arange(1, _VALUES + 1)[:, None]
    levels = np.arange((_VALUES + 2) * step)
    density = np.exp(-levels / _WIDTH_RATIO**width)
    rounded = _normal(((values + 0.5) * step - levels) / _NOISE) - _normal(((values - 0.5) * step - levels) / _NOISE)
    once = np.maximum(rounded @ density, 1e-300)
    rows = np.zeros((256, _VALUES))
    for first in np.unique(LADDER[_MIN_QUALITY - 1 :, list(_FREQUENCIES)]):
        twice = rounded[:, ::first] @ density[::first]
        ratio = twice / once * (once.sum() / max(float(twice.sum()), 1e-300))
        rows[first] = np.log((1 - _OUTLIERS) * ratio + _OUTLIERS)
    return rows


def _normal(x: NDArray[Any]) -> NDArray[Any]:
    """Return the normal distribution function, within 0.0003 (Page, 1977)."""
    approximately: NDArray[Any] = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return approximately
