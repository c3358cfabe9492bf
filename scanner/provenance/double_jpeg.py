"""Was this JPEG a JPEG of lower quality before? What its DCT coefficients tell.

A coefficient that was a multiple of the first saving's step stays near one when it is rounded to multiples of the
second's, finer one: some values then come too often, and others hardly at all. Popescu and Farid, "Statistical Tools
for Digital Forensics", 2004, looked for such periods; here the coefficients' histograms decide between hypotheses, one
for every quality that the first saving may have had, as in Bianchi and Piva, "Image Forgery Localization via
Block-Grained Analysis of JPEG Artifacts", 2012.

Blind for a first saving at about the same or at a higher quality, and for pictures that were resized, turned, or cut
off the grid of 8 x 8 pixels in between.
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
# What one frequency may add: several have to agree. In drawings and gradients a single one says whatever one likes.
_MOST = ENOUGH / 4
# Qualities of a first saving: lower ones are rare. It has to be so much below that of the second.
_LOWEST, _APART = 30, 5
# Of 64, in zigzag order: the first ones, without the mean, have the widest histograms.
_FREQUENCIES = range(1, 13)
# Values of a quantised coefficient that are counted, and the longest step: beyond, nearly all of them are 0.
_VALUES, _LONGEST_STEP = 20, 60
_MIN_BLOCKS, _MAX_BLOCKS = 100, 16_384
# Pixels were rounded between the savings: the standard deviation that this makes in a coefficient, with some to spare.
_NOISE = 0.6
# Part of the coefficients that need fit no hypothesis.
_OUTLIERS = 0.08
_WIDTHS = 1.25  # between two widths of a distribution that are told apart

_N = np.arange(8)
_COSINES = np.cos((2 * _N + 1) * _N[:, None] * np.pi / 16) * np.where(_N[:, None], 0.5, 0.5**1.5)


def double_compression(data: bytes) -> dict[str, Any] | None:
    """Whether a JPEG that can be decoded seems to have been one before, at a lower quality.

    Returns:
        found: if the score is `ENOUGH`.
        first_quality: of the first saving, libjpeg's scale, if found; within 2, mostly.
        score: see there.
        blocks: of 8 x 8 pixels that were looked at.
        None if there are too few blocks to tell, or none.
    """
    tables, saved = quantisation_tables(data), quality(data)
    try:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        grey = None
    if grey is None or saved is None:
        return None
    coefficients = _coefficients(grey)
    candidates = np.arange(_LOWEST, saved[0] - _APART + 1)  # of a first quality
    if len(coefficients) < _MIN_BLOCKS:
        return None
    scores = np.zeros((2, len(candidates)))  # what all frequencies say together, and no more than `_MOST` of each
    for frequency in _FREQUENCIES:
        step = tables[0][frequency]
        if len(candidates) and 0 < step <= _LONGEST_STEP:
            levels = np.abs(coefficients[:, frequency])
            counts = np.bincount(np.rint(levels / step).astype(int), minlength=_VALUES + 1)[1 : _VALUES + 1]
            width = round(np.log(max(float(levels.mean()), 0.5)) / np.log(_WIDTHS))
            first_steps = LADDER[candidates - 1, frequency]
            evidence = (_evidence(step, width) @ counts)[first_steps]
            evidence = np.where(first_steps == step, 0, evidence)
            scores += evidence, np.minimum(evidence, _MOST)
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
    """DCT coefficients of the blocks, (n, 64) in zigzag order; without those that were clipped, and not all of many."""
    height, width = (side // 8 * 8 for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    blocks = blocks[:: len(blocks) // _MAX_BLOCKS + 1]
    blocks = blocks[(blocks.min(axis=(1, 2)) > 0) & (blocks.max(axis=(1, 2)) < 255)]
    transformed: NDArray[Any] = _COSINES @ (blocks.astype(np.float32) - 128) @ _COSINES.T
    return transformed.reshape(-1, 64)[:, ZIGZAG]


@lru_cache(maxsize=1024)
def _evidence(step: int, width: int) -> NDArray[Any]:
    """What each value of a quantised coefficient says for two savings, (first steps, `_VALUES`); row s is of step s.

    Args:
        step: of the second saving.
        width: of the Laplace distribution that coefficients have before they are quantised, as a power of `_WIDTHS`.
    """
    values = np.arange(1, _VALUES + 1)[:, None]
    levels = np.arange((_VALUES + 2) * step)
    density = np.exp(-levels / _WIDTHS**width)
    rounded = _normal(((values + 0.5) * step - levels) / _NOISE) - _normal(((values - 0.5) * step - levels) / _NOISE)
    once = np.maximum(rounded @ density, 1e-300)
    rows = np.zeros((256, _VALUES))
    for first in np.unique(LADDER[_LOWEST - 1 :, list(_FREQUENCIES)]):
        twice = rounded[:, ::first] @ density[::first]
        ratio = twice / once * (once.sum() / max(float(twice.sum()), 1e-300))
        rows[first] = np.log((1 - _OUTLIERS) * ratio + _OUTLIERS)
    return rows


def _normal(x: NDArray[Any]) -> NDArray[Any]:
    """The normal distribution function, within 0.0003 (Page, 1977)."""
    approximately: NDArray[Any] = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return approximately
