from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn, of the extra [train]")

from pathlib import Path

from train.data.crops import Crops
from train.data.samples import Sample
from train.evaluation.probe import PROBES, probe_aucs


def pictures(change, count=80, seed=0) -> Crops:
    """Smooth noise, changed by class; every second picture is a fake."""
    random = np.random.default_rng(seed)
    samples, regions = [], []
    for i in range(count):
        noise = random.integers(40, 216, (6, 6, 3), np.uint8)
        pixels = cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)
        fake = i % 2 == 1
        samples.append(Sample(f"{i}", Path(f"{i}"), fake, "s", "", ""))
        regions.append((change(pixels, fake),))
    return Crops(tuple(samples), (tuple(regions),), (), ())


def grained(pixels: np.ndarray, fake: bool) -> np.ndarray:
    """Fakes with fine grain: nothing that a thumbnail shows."""
    signs = np.indices(pixels.shape).sum(axis=0) % 2 * 2 - 1
    return np.clip(pixels.astype(int) + 12 * fake * signs, 0, 255).astype(np.uint8)


def framed(pixels: np.ndarray, fake: bool) -> np.ndarray:
    """Reals lit from the left, fakes from the right: as sharp, bright and rich in contrast."""
    light = np.rint(np.linspace(-40, 40, pixels.shape[1])).astype(int)[None, :, None]
    return np.clip(pixels + (light if fake else -light), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("name", "seen", "unseen"), [("file", grained, framed), ("framing", framed, grained)])
def test_each_probe_sees_its_own_shortcut_only(name, seen, unseen):
    assert probe_aucs(name, pictures(seen), pictures(seen, seed=1))[0] > 0.9
    assert probe_aucs(name, pictures(unseen), pictures(unseen, seed=1))[0] < 0.8


@pytest.mark.parametrize("name", PROBES)
def test_where_there_is_no_shortcut_there_is_none_to_see(name):
    same = pictures(lambda pixels, _: pixels, 400), pictures(lambda pixels, _: pixels, 400, seed=1)
    assert probe_aucs(name, *same)[0] == pytest.approx(0.5, abs=0.1)
