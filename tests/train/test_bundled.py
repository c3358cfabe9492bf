"""The bundled detectors, by their cards and, where the picture sets are at hand, on a sample of what they never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.detector.model import DEFAULT_MODEL, Detector, bundled_models, find_model
from train.data.degrade import CONDITIONS, FAIR
from train.data.index import read_samples
from train.data.split import split
from train.evaluation.evaluate import evaluate
from train.recipes import RECIPES

# Bytes of all of them that a recipe makes.
LARGEST = 90_000_000
# The default's weights come of a run elsewhere: its card has figures of other sources than its sets.
MADE = [name for name in bundled_models() if name in RECIPES and name != DEFAULT_MODEL]


@pytest.fixture(scope="module", params=MADE)
def bundled(request) -> Detector:
    return Detector(find_model(request.param))


def test_the_default_comes_first():
    assert bundled_models()[0] == DEFAULT_MODEL


@pytest.mark.parametrize("name", [DEFAULT_MODEL, *MADE])
def test_the_bundled_file_is_that_of_the_recipe(name):
    card, recipe = Detector(find_model(name)).card, RECIPES[name]
    assert card.inputs == recipe.card().inputs
    assert (card.source, card.margin, card.crop) == (recipe.region, recipe.margin, recipe.card().crop)
    assert (card.name, card.task, card.version) == (name, recipe.task, recipe.version)


def test_the_readme_says_what_the_cards_of_the_default_and_its_figures_say():
    detector = Detector(find_model(DEFAULT_MODEL))
    text = find_model(DEFAULT_MODEL).with_name("README.md").read_text(encoding="utf-8")
    assert detector.sha256 in text
    assert set(detector.card.operating_points) == {"0.05", "0.01", "0.005"}
    assert set(detector.card.metrics["unseen"]) == {"in the wild", "hard"}
    for figures in detector.card.metrics["unseen"].values():
        for key in ("auc", "tpr_5", "tpr_1", "over_5_real", "over_1_real", "uncertain", "wrong"):
            assert f"{figures[key]:.3f}" in text, key


def test_together_they_are_small():
    assert sum(find_model(name).stat().st_size for name in bundled_models()) <= LARGEST


def test_its_card_says_what_it_saw_and_how_good_it_is(bundled):
    card, rule = bundled.card, RECIPES[bundled.card.name].split
    trained_on = {name.split("/")[0] for name in card.training["sets"]} | set(card.training["sets"])
    whole = {name for name in rule.excluded if "/" not in name}
    assert not trained_on & {*rule.test_sets, *rule.validation_sets, *whole}
    assert not set(card.training["sets"]) & set(rule.excluded)
    assert set(card.operating_points) == {"0.05", "0.01", "0.005"}
    assert {FAIR} <= set(card.metrics["pooled"]) <= set(CONDITIONS)
    assert 0 < card.uncertain[0] < card.uncertain[1] < 1


def test_the_readme_says_what_the_card_says(bundled):
    text = (Path(find_model(bundled.card.name)).parent / "README.md").read_text(encoding="utf-8")
    assert bundled.sha256 in text
    for condition, groups in bundled.card.metrics["pooled"].items():
        for name, figures in groups.items():
            assert f"{figures['auc']:.3f}" in text, (condition, name)
    for generator, figures in bundled.card.metrics["re_encoded"]["generator"].items():
        assert f"| {generator} |" in text
        assert f"{figures['auc']:.3f}" in text, generator


@pytest.mark.parametrize(("name", "every", "within"), [("fast", 4, 0.03), ("composites", 2, 0.07)])
def test_it_keeps_its_promise_on_pictures_it_never_saw(name, every, within, picture_sets):
    """A part of the pictures will do; within three standard errors."""
    detector = Detector(find_model(name))
    samples = read_samples(picture_sets / "faces" / "index.csv")
    kept = split(samples, RECIPES[name].split, detector.card.training["seed"]).test
    assert len(kept) == detector.card.training["pictures"]["test"]
    promised = detector.card.metrics["pooled"][FAIR]["all"]["auc"]
    row = evaluate(detector, kept[::every]).row("pooled", "all")
    assert row.auc == pytest.approx(promised, abs=within)
