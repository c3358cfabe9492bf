"""Every network of the recipes, small: trained for a moment, exported, and run by the scanner on real pictures."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from scanner.cli import main as facescan
from scanner.decode import decode
from scanner.model import Detector, calibrate, prepare
from train.data import crops, read_samples
from train.export import TOLERANCE, export
from train.fit import fit, logits
from train.recipes import RECIPES

SIDE = 64  # pixels, instead of 128 to 300


def one_of_each_network() -> list[str]:
    """Recipes. Those that differ in what they see or how they learn share a network: it is converted but once."""
    names: dict[tuple[object, ...], str] = {}
    for recipe in RECIPES.values():
        network = (recipe.architecture, str(recipe.options), recipe.output, len(recipe.inputs))
        names.setdefault(network, recipe.name)
    return list(names.values())


@pytest.fixture(scope="module")
def photographs(examples) -> list[np.ndarray]:
    """Real pictures, RGB."""
    return [decode(file.read_bytes()).picture for file in sorted(examples.glob("*.jpg"))]


@pytest.mark.parametrize("name", one_of_each_network())
def test_the_scanner_scores_as_keras_does(name, index, photographs, tmp_path, examples):
    keras.utils.clear_session()
    recipe = RECIPES[name]
    small = replace(
        recipe,
        inputs=tuple(replace(spec, size=(SIDE, SIDE)) for spec in recipe.inputs),
        training=replace(recipe.training, epochs=1, batch=16),
        region="image",
    )
    card = small.card()
    seen = crops(read_samples(index)[:32], card)
    tf.config.run_functions_eagerly(True)  # two steps of ResNet50 are over before its graph would be traced
    try:
        model = fit(small, seen, seen, 0, dict.fromkeys(recipe.backbones), lambda line: None).model
    finally:
        tf.config.run_functions_eagerly(False)
    regions = [prepare(picture, None, card) for picture in photographs]
    file = tmp_path / f"{name}.onnx"
    assert export(model, small, card, file, regions) <= TOLERANCE

    by_keras = calibrate(logits(model, regions, small), card)
    assert Detector(file).p_fake(regions) == pytest.approx(by_keras, abs=TOLERANCE)
    rows = scanned(file, examples, tmp_path / "rows.csv")
    assert [float(row["p_fake"]) for row in rows] == pytest.approx(by_keras, abs=TOLERANCE)


def scanned(model: Path, folder: Path, out: Path) -> list[dict[str, str]]:
    assert facescan([str(folder), "--model", str(model), "--out", str(out), "--exit-zero", "-q"]) == 0
    with out.open(newline="") as file:
        return list(csv.DictReader(file))
