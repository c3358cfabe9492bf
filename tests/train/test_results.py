from __future__ import annotations

import json
from pathlib import Path

import pytest

from scanner.errors import FacescanError
from train.recipes import RECIPES
from train.results import HEAD, RESULTS, blocks, keep, read_kept, read_records, table


def record(name: str, form: str, **changes) -> dict:
    """What `train.run` writes, as far as a table needs it."""
    recipe = RECIPES[name]
    own = {"accuracy": 0.75, "precision": 0.7, "recall": None, "f1": None}
    training = {"epochs": recipe.training.epochs, "learning_rate": recipe.training.learning_rate}
    return {
        "recipe": {"name": name, "study": {"accuracy": recipe.study.accuracy}, "training": training},
        "format": form,
        "seed": 0,
        "epochs": recipe.training.epochs,
        "planned": dict(training),
        "weights": dict.fromkeys(recipe.backbones),
        "own_rule": {"train": own | {"accuracy": 0.99}, "test": own},
        "test_auc": {form: 0.8},
        "probes": {"file": {form: 0.6}, "framing": {form: 0.65}},
        "minutes": 1.25,
        "machine": "2 cores, a processor",
        "backend": "tensorflow",
        "versions": {"keras": "3"},
    } | changes


@pytest.fixture
def runs(tmp_path) -> Path:
    for found in (
        record("kim-cnn", "as_found", epochs=3, planned={"epochs": 3, "learning_rate": 2e-4}),
        record("gautam-fusion-1", "re_encoded", weights={"mobilenet": "file.h5", "resnet50": None}),
        record("kim-cnn", "re_encoded"),
        record("ceng-simplecnn", "re_encoded", epochs=12),
    ):
        folder = tmp_path / found["recipe"]["name"] / found["format"]
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(found))
    return tmp_path


def cells(text: str) -> list[dict[str, str]]:
    return [dict(zip(HEAD, line.strip("| ").split(" | "), strict=True)) for line in text.splitlines()[2:]]


def test_runs_come_in_the_order_of_the_recipes_with_the_fair_ones_first(runs):
    found = [(row["recipe"], row["pictures"]) for row in cells(table(read_records(runs)))]
    assert found == [
        ("gautam-fusion-1", "re-encoded"),
        ("kim-cnn", "re-encoded"),
        ("kim-cnn", "as found"),
        ("ceng-simplecnn", "re-encoded"),
    ]


def test_a_line_says_what_was_shortened_and_what_it_started_from(runs):
    fusion, whole, short, halted = cells(table(read_records(runs)))
    assert fusion["started from"] == "mobilenet ImageNet, resnet50 random"
    assert (whole["epochs"], whole["published accuracy"]) == ("10", "0.9961")
    assert short["epochs"] == "3 of 10, at 2 times the rate"
    assert halted["epochs"] == "12 of 30 (halted early)"
    assert (whole["on its training pictures"], whole["held out"], whole["recall"]) == ("0.990", "**0.750**", "-")


def test_what_was_not_run_is_named(runs):
    parts = blocks(read_records(runs))
    assert "Not run yet" not in parts["HaeLee Kim"]
    assert "perisic-cnn (re-encoded), perisic-cnn (as found), perisic-vgg16" in parts["Perisic and Jovanovic"]
    assert parts["circumstances"].startswith("4 runs, 5 minutes of training, on: 2 cores, a processor. Keras 3")


def test_a_file_that_is_no_record_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FacescanError, match="no record of a run"):
        read_records(tmp_path)


def test_the_results_have_a_place_for_every_block():
    text = RESULTS.read_text("utf-8")
    assert all(f"<!-- {name} -->" in text for name in blocks([]))


def test_the_results_are_those_of_the_records_that_are_kept():
    text = RESULTS.read_text("utf-8")
    assert [
        name for name, block in blocks(read_kept()).items() if f"<!-- {name} -->\n{block}\n<!-- end -->" not in text
    ] == []


def test_of_a_run_is_kept_what_its_line_says_and_a_later_run_takes_its_place(runs, tmp_path):
    kept = tmp_path / "records.jsonl"
    kept.touch()
    found = read_records(runs)
    keep([dict(found[0], splits={"train": ["a.jpg"]}), *found[1:]], kept)
    assert table(read_kept(kept)) == table(found)
    assert "splits" not in kept.read_text("utf-8")
    keep([record("kim-cnn", "re_encoded", minutes=99.0), record("kim-cnn", "re_encoded", seed=1)], kept)
    rows = [(row["recipe"], row["pictures"], row["minutes"]) for row in cells(table(read_kept(kept)))]
    assert [row for row in rows if row[0] == "kim-cnn"] == [
        ("kim-cnn", "re-encoded", "99.0"),
        ("kim-cnn", "re-encoded, seed 1", "1.2"),
        ("kim-cnn", "as found", "1.2"),
    ]


def test_the_results_show_every_recipe():
    text = RESULTS.read_text("utf-8")
    assert [name for name, recipe in RECIPES.items() if recipe.study and name not in text] == []


def test_another_seed_is_told():
    assert [row["pictures"] for row in cells(table([record("kim-cnn", "as_found", seed=7)]))] == ["as found, seed 7"]
