"""The bundled detector, by its card and, where the picture sets are at hand, on a sample of what it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.model import Detector, find_model
from train.data import read_samples, split
from train.degrade import CONDITIONS, FAIR
from train.evaluate import evaluate
from train.recipes import RECIPES

LARGEST = 10_000_000


@pytest.fixture(scope="module")
def default() -> Detector:
    return Detector(find_model("default"))


def test_the_bundled_file_is_that_of_the_recipe(default):
    recipe = RECIPES["default"]
    assert default.card.inputs == recipe.card().inputs
    assert (default.card.source, default.card.margin) == (recipe.region, recipe.margin)
    assert find_model("default").stat().st_size <= LARGEST


def test_its_card_says_what_it_saw_and_how_good_it_is(default):
    card, rule = default.card, RECIPES["default"].split
    trained_on = {name.split("/")[0] for name in card.training["sets"]} | set(card.training["sets"])
    assert not trained_on & {*rule.test_sets, *rule.validation_sets, *rule.excluded}
    assert set(card.operating_points) == {"0.05", "0.01", "0.005"}
    assert {FAIR} <= set(card.metrics["pooled"]) <= set(CONDITIONS)
    assert 0 < card.uncertain[0] < card.uncertain[1] < 1


def test_the_readme_says_what_the_card_says(default):
    text = (Path(find_model("default")).parent / "README.md").read_text(encoding="utf-8")
    assert default.sha256 in text
    for condition, groups in default.card.metrics["pooled"].items():
        for name, figures in groups.items():
            assert f"{figures['auc']:.3f}" in text, (condition, name)
    for generator, figures in default.card.metrics["re_encoded"]["generator"].items():
        assert f"| {generator} |" in text
        assert f"{figures['auc']:.3f}" in text, generator


def test_it_keeps_its_promise_on_pictures_it_never_saw(default, picture_sets):
    samples = read_samples(picture_sets / "faces" / "index.csv")
    kept = split(samples, RECIPES["default"].split, default.card.training["seed"]).test
    assert len(kept) == default.card.training["pictures"]["test"]
    promised = default.card.metrics["pooled"][FAIR]["all"]["auc"]
    row = evaluate(default, kept[::4]).row("pooled", "all")
    assert row.auc == pytest.approx(promised, abs=0.03)  # a quarter of the pictures: three standard errors
