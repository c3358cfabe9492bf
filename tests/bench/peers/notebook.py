"""The way of notebooks: Keras reads the folder and predicts. The same network, whole pictures, no faces.

Its weights are random: they do not matter for speed, and that spares Keras the reading of a file.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import keras

from scanner.model import DEFAULT_MODEL
from tests.bench.peers.work import BATCH, Outcome, main
from train.recipes import find_recipe


def scan(folder: Path) -> Outcome:
    """Decoding, resizing and batching as `image_dataset_from_directory` does them by itself."""
    recipe = find_recipe(DEFAULT_MODEL)
    (spec,) = recipe.inputs
    network = importlib.import_module(recipe.architecture).build(
        spec.size, dict.fromkeys(recipe.backbones), **recipe.options
    )
    low, high = spec.range
    model = keras.Sequential([keras.layers.Rescaling((high - low) / 255, low), network])
    pictures = keras.utils.image_dataset_from_directory(
        str(folder), labels=None, image_size=spec.size, batch_size=BATCH, shuffle=False, verbose=False
    )
    scores = model.predict(pictures, verbose=0)
    return Outcome(len(scores), len(scores))


if __name__ == "__main__":
    main(scan)
