"""The way of notebooks: Keras reads a folder and predicts. The same network.

Without faces, the folder is judged as it is, whole pictures. With them, the faces are first cropped into a folder of
their own, one picture after the other, every core given to the face finder; then Keras reads that one.

The network's weights are random: they do not matter for speed, and that spares Keras the reading of a file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import keras

from scanner.detector.model import DEFAULT_MODEL
from scanner.detector.runtime import available_cpus
from tests.bench.peers.work import BATCH, Outcome, files_in, look, main
from train.fitting.ensemble import ensemble
from train.fitting.network import build
from train.recipes import find_recipe


def scan(folder: Path, faces: bool) -> Outcome:
    """The faces' crops are JPEG files, as OpenCV writes them unless told otherwise."""
    if not faces:
        scored = predict(folder)
        return Outcome(scored, scored)
    with TemporaryDirectory() as crops:
        files = crop_faces(folder, Path(crops))
        return Outcome(files, predict(Path(crops)))


def crop_faces(folder: Path, crops: Path) -> int:
    """Write every face of every picture in `folder` to `crops`; the number of pictures."""
    see, files = look(True, available_cpus(), spinning=True), files_in(folder)
    for number, file in enumerate(files):
        for i, crop in enumerate(see(file.read_bytes())):
            _, content = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
            (crops / f"{number}-{i}.jpg").write_bytes(content.tobytes())
    return len(files)


def predict(folder: Path) -> int:
    """Decoding, resizing and batching as `image_dataset_from_directory` does them by itself; the number of scores."""
    (spec,) = find_recipe(DEFAULT_MODEL).inputs
    low, high = spec.range
    model = keras.Sequential([keras.layers.Rescaling((high - low) / 255, low), network()])
    pictures = keras.utils.image_dataset_from_directory(
        str(folder), labels=None, image_size=spec.size, batch_size=BATCH, shuffle=False, verbose=False
    )
    return len(model.predict(pictures, verbose=0))


def network() -> keras.Model:
    """The default model's, all of its members."""
    recipe = find_recipe(DEFAULT_MODEL)
    return ensemble([build(recipe, dict.fromkeys(recipe.backbones)) for _ in range(recipe.training.members)])


if __name__ == "__main__":
    main(scan, faces="--faces" in sys.argv)
