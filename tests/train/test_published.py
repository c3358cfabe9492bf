"""Every recipe is held against what its paper says: `tests.train.published`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow, of the extra [train]")

import keras
from keras import layers

from tests.train.published import ROWS, Row
from train.data.augment import COPIES
from train.data.samples import Sample
from train.data.split import split
from train.fitting.network import build
from train.recipes import RECIPES
from train.recipes.studies import Study

FIGURES = ("accuracy", "precision", "recall", "f1", "training_accuracy", "validation_accuracy", "balanced_accuracy")
# Layers that are the paper's own; those of a backbone are inside it, or were published with it.
NAMES = {
    layers.MaxPooling2D: "pool",
    layers.BatchNormalization: "norm",
    layers.Flatten: "flatten",
    layers.Activation: "relu",
}


def test_every_recipe_of_a_study_has_a_row():
    assert [row.recipe for row in ROWS] == [name for name, recipe in RECIPES.items() if recipe.study]


@pytest.mark.parametrize("row", ROWS, ids=[row.recipe for row in ROWS])
def test_a_recipe_trains_as_its_paper_says(row: Row):
    recipe = RECIPES[row.recipe]
    training = recipe.training
    said = {
        "optimizer": row.optimizer,
        "learning_rate": row.rate,
        "momentum": row.momentum,
        "coupled_decay": row.decay,
        "schedule": row.schedule,
        "patience": row.patience,
        "epochs": row.epochs,
        "batch": row.batch,
        "keep_best": row.best,
    }
    assert {key: getattr(training, key) for key, value in said.items() if value is not None} == {
        key: value for key, value in said.items() if value is not None
    }
    assert {name: part * training.learning_rate for name, part in training.slow_layers.items()} == pytest.approx(
        row.slow
    )
    assert 1 + len(COPIES.get(training.copies, ())) == row.copies
    assert bool(training.augmentation) == row.changes
    assert not recipe.normalise_format
    assert row.framework in (None, recipe.framework)
    assert row.label_1 in (None, recipe.labels[1])
    assert [spec.content for spec in recipe.inputs] == list(row.inputs)
    for spec in recipe.inputs:
        assert spec.size == (row.side, row.side)
        assert {key: getattr(spec, key) for key in row.pixels} == row.pixels
    assert row.branches in ((), recipe.options.get("branches"))


@pytest.mark.parametrize("row", ROWS, ids=[row.recipe for row in ROWS])
def test_a_recipe_has_the_figures_of_its_paper(row: Row):
    study = RECIPES[row.recipe].study
    published = {name: getattr(study, name) for name in (*FIGURES, "matrix")}
    assert {key: value for key, value in published.items() if value is not None} == {
        key: value for key, value in row.figures.items() if key != "positive" and value is not None
    }
    assert study.positive == row.figures.get("positive", "not said")


@pytest.mark.parametrize("row", [row for row in ROWS if row.test], ids=lambda row: row.recipe)
def test_a_recipe_splits_its_pictures_as_its_paper_does(row: Row):
    real, fake = row.pictures
    names = ["real"] * real + ["fake"] * fake
    if "easy" in row.test:
        names = ["real"] * real + ["easy"] * 240 + ["mid"] * 480 + ["hard"] * 240
    samples = [
        Sample(f"{name}_{i}.jpg", Path(f"{name}_{i}.jpg"), name != "real", "a", "", "") for i, name in enumerate(names)
    ]
    splits = split(samples, RECIPES[row.recipe].split, seed=0)

    def counts(part: str) -> dict[str, int]:
        return dict(Counter(sample.path.split("_")[0] for sample in getattr(splits, part)))

    assert counts("test") == row.test
    assert row.validation in (None, counts("validation"))


@pytest.mark.parametrize("row", [row for row in ROWS if row.layers or row.trained], ids=lambda row: row.recipe)
def test_a_network_has_the_layers_of_its_paper(row: Row):
    recipe = RECIPES[row.recipe]
    model = build(recipe, dict.fromkeys(recipe.backbones))
    found = list(own_layers(model, bool(recipe.backbones)))
    assert row.layers is None or found == list(row.layers)
    if row.trained is not None:
        trained = {layer.name for layer in model.layers if layer.trainable_weights}
        assert trained == {layer.name for layer in model.layers if layer.weights and layer.name.startswith(row.trained)}
    keras.backend.clear_session()


def own_layers(model: keras.Model, in_head: bool) -> Iterator[str]:
    """The layers as a paper lists them; of a network with a backbone, those of its head."""
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            yield f"dense {layer.units} {layer.activation.__name__}"
        elif isinstance(layer, layers.Dropout):
            yield f"dropout {layer.rate}"
        elif isinstance(layer, layers.Conv2D) and not in_head:
            relu = " relu" if layer.activation is keras.activations.relu else ""
            yield f"conv {layer.filters}{relu}"
        elif type(layer) in NAMES and (not in_head or isinstance(layer, layers.Flatten)):
            yield NAMES[type(layer)]


@pytest.mark.parametrize(
    "study", [recipe.study for recipe in RECIPES.values() if recipe.study and recipe.study.matrix], ids=lambda s: s.name
)
def test_a_matrix_gives_the_printed_figures(study: Study):
    """Two printed figures are misprints, within two units of the fourth decimal: VGG16 on Error Level Analysis."""
    real_real, real_fake, fake_real, fake_fake = study.matrix
    assert study.name != "Gautam and Chandra" or (real_real + real_fake, fake_real + fake_fake) == (300, 211)
    hits, misses, alarms = (
        (real_real, real_fake, fake_real) if study.positive == "real" else (fake_fake, fake_real, real_fake)
    )
    rounding = 6e-3 if study.name.startswith("Arjon") else 2e-4  # whole percents; five decimals
    assert (hits / (hits + misses), hits / (hits + alarms)) == pytest.approx(
        (study.recall, study.precision), abs=rounding
    )
    assert 2 * hits / (2 * hits + misses + alarms) == pytest.approx(study.f1, abs=rounding)
    if study.balanced_accuracy:
        recalls = real_real / (real_real + real_fake), fake_fake / (fake_real + fake_fake)
        assert sum(recalls) / 2 == pytest.approx(study.balanced_accuracy, abs=1e-5)
        assert (real_real + fake_fake) / sum(study.matrix) == pytest.approx(study.accuracy, abs=6e-5)
    else:  # Arjon's matrix is of the last epoch, its accuracy of the best of the last ten
        assert (real_real + fake_fake) / sum(study.matrix) == pytest.approx(0.8040, abs=6e-5)
