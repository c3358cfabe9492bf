from __future__ import annotations

from pathlib import Path

import pytest

from train.data.samples import Sample
from train.evaluation.comparison import comparison, figures_of, other_pictures, over_seeds
from train.evaluation.metrics import Confusion
from train.recipes import RECIPES
from train.run_record import RunRecord


def record(name: str, found: tuple[int, int, int, int], seed: int = 0, **more) -> RunRecord:
    recipe = RECIPES[name]
    about = {"name": name, "output": recipe.output, "training": {"epochs": recipe.training.epochs}}
    own = dict(zip(("tp", "fp", "tn", "fn"), found, strict=True))
    values = {
        "recipe": about, "format": "as_found", "seed": seed, "epochs": recipe.training.epochs,
        "own_rule": {"test": own}, "weights": dict.fromkeys(recipe.backbones, "file.h5"), "other_pictures": "",
    } | more  # fmt: skip
    return RunRecord.from_json(values)


def test_the_studys_own_matrix_gives_the_published_figures_of_the_class_they_are_of():
    """Gautam and Chandra's figures are of real for the five convolutions, of fake for MobileNet."""
    for name, found in (("gautam-cnn", (119, 131, 169, 92)), ("gautam-mobilenet", (136, 68, 232, 75))):
        text = comparison(record(name, found), RECIPES[name].study)
        for line in text.splitlines()[3:7]:
            published, here = line.split()[-5:-3] if " to " in line else line.split()[-2:]
            assert float(here) == pytest.approx(float(published), abs=1e-4), line
    assert "recall (fake)         0.6445    0.6445   0.5779 to 0.7060" in text
    assert "300 real, 211 fake; the larger of two outputs decides" in text


def test_an_f1_of_both_columns_is_the_accuracy():
    assert figures_of(Confusion(tp=139, fp=0, tn=118, fn=1), "both columns") == {
        "accuracy": 257 / 258, "precision": None, "recall": None, "f1": 257 / 258,
    }  # fmt: skip


def test_what_makes_a_run_another_is_said():
    text = comparison(
        record("gautam-fusion-1", (1, 1, 1, 1), epochs=2, partial=True, weights={"mobilenet": "a.h5", "resnet50": None},
               other_pictures="not the study's pictures: here ..."),
        RECIPES["gautam-fusion-1"].study,
    )  # fmt: skip
    assert text.startswith("gautam-fusion-1, as found, seed 0, 2 of 15 epochs, stopped by hand\n")
    assert "resnet50 started from random weights" in text
    assert "not the study's pictures" in text


def test_seeds_have_a_mean_and_a_deviation():
    runs = [record("kim-cnn", (139, 0, 118, 1)), record("kim-cnn", (130, 0, 118, 10), seed=1)]
    text = over_seeds(runs, RECIPES["kim-cnn"].study)
    assert "over seeds 0, 1: accuracy 0.9787 ± 0.0247" in text


def samples(**counts: int) -> list[Sample]:
    return [
        Sample(f"{part}_{i}.jpg", Path(f"{part}_{i}.jpg"), part != "real", "", "", "")
        for part, number in counts.items()
        for i in range(number)
    ]


def test_the_studys_pictures_are_known_by_number_and_name():
    paper = RECIPES["gautam-cnn"].study.paper
    assert other_pictures(samples(real=1081, easy=240, mid=480, hard=240), paper) == ""
    assert "there 1,081 real, 240 easy" in other_pictures(samples(real=1081, easy=960), paper)
    assert other_pictures(samples(real=589, fake=700), RECIPES["kim-cnn"].study.paper) == ""
