"""A small labelled data set that can be learned: smooth pictures are real, pictures with a fine grid are fake."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.detector.card import InputSpec
from train.recipes.schema import Recipe, Training

SIDE = 64


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """128 pictures in two sets, in pairs that share a group; and one that is broken."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    rows = []
    for i in range(128):
        fake, name = i % 2 == 1, ("old", "new")[i % 4 // 2]
        pixels = cv2.resize(random.integers(0, 256, (4, 4, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        if fake:
            pixels[::4] //= 2
        path = f"{name}_{i}.jpg"
        (folder / path).write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        rows.append((path, "fake" if fake else "real", name, "grid" if fake else "camera", str(i // 8)))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    rows.append(("broken.jpg", "real", "old", "camera", ""))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "set", "generator", "group"), *rows])
    return folder / "index.csv"


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Whole pictures of 32 pixels, three convolutions, two epochs."""
    return Recipe(
        name="tiny",
        version="0",
        summary="A detector of grids",
        source="this test",
        task="synthesis",
        architecture="tests.train.tiny",
        inputs=(InputSpec("pixels", (32, 32), range=(-1.0, 1.0)),),
        output="logit",
        training=Training("adam", 3e-3, epochs=2, batch=8, schedule="cosine", warmup=0.1, balanced=True, ema=0.9),
        normalise_format=False,
    )
