"""The bundled detector, by its card and, where the picture sets are at hand, on a sample of what it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.model import Detector, find_model
from train.data import read_samples
from train.degrade import CONDITIONS, FAIR
from train.evaluate import evaluate
from train.recipes import RECIPES

LARGEST = 10_000_000


@pytest.fixture(scope="module")
def starter() -> Detector:
    return Detector(find_model("starter"))


def test_the_bundled_file_is_that_of_the_recipe(starter):
    recipe = RECIPES["starter"]
    assert starter.card.inputs == recipe.card().inputs
    assert (starter.card.source, starter.card.margin) == (recipe.region, recipe.margin)
    assert find_model("starter").stat().st_size <= LARGEST


def test_its_card_says_what_it_saw_and_how_good_it_is(starter):
    card, split = starter.card, RECIPES["starter"].split
    trained_on = {name.split("/")[0] for name in card.training["sets"]} | set(card.training["sets"])
    assert not trained_on & {*split.test_sets, *split.validation_sets, *split.excluded}
    assert set(card.operating_points) == {"0.05", "0.01", "0.005"}
    assert {FAIR} <= set(card.metrics["pooled"]) <= set(CONDITIONS)
    assert 0 < card.uncertain[0] < card.uncertain[1] < 1


def test_the_readme_says_what_the_card_says(starter):
    text = (Path(find_model("starter")).parent / "README.md").read_text(encoding="utf-8")
    assert starter.sha256 in text
    for condition, groups in starter.card.metrics["pooled"].items():
        for name, figures in groups.items():
            assert f"{figures['auc']:.3f}" in text, (condition, name)
    for generator, figures in starter.card.metrics["re_encoded"]["generator"].items():
        assert f"| {generator} |" in text
        assert f"{figures['auc']:.3f}" in text, generator


def test_it_keeps_its_promise_on_sets_it_never_saw(starter, picture_sets):
    index = picture_sets / "faces" / "index.csv"
    whole_sets = set(starter.card.training["test_sets"]) - set(starter.card.training["sets"])
    new = [s for s in read_samples(index) if f"{s.set}/{'fake' if s.fake else 'real'}" in whole_sets]
    promised = starter.card.metrics["pooled"]["re_encoded"]["sets never seen"]["auc"]
    row = evaluate(starter, new[::4]).row("pooled", "all")
    assert row.auc == pytest.approx(promised, abs=0.04)  # a quarter of the pictures: three standard errors
