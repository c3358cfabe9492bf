from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from scanner.errors import FacescanError
from train.maintenance.results import HEAD, RESULTS, blocks, is_whole, keep, read_kept, read_records, table
from train.recipes import RECIPES
from train.run_record import RunRecord


def record(name: str, form: str, **changes) -> RunRecord:
    return RunRecord.from_json(run_json(name, form, **changes))


def run_json(name: str, form: str, **changes) -> dict:
    """What `train.run` writes of a whole run, as far as a table needs it."""
    recipe = RECIPES[name]
    own = dict(zip(("tp", "fp", "tn", "fn"), (139, 0, 118, 1), strict=True))
    training = json.loads(json.dumps(asdict(recipe.training)))
    return {
        "recipe": {"name": name, "training": training},
        "format": form,
        "seed": 0,
        "epochs": recipe.training.epochs,
        "planned": {key: training[key] for key in ("epochs", "learning_rate")},
        "weights": dict.fromkeys(recipe.backbones, "file.h5"),
        "own_rule": {"train": own, "test": own},
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
        run_json("kim-cnn", "re_encoded"),
        run_json("gautam-mobilenet", "re_encoded"),
        run_json("kim-cnn", "as_found"),
        run_json("ceng-simplecnn", "as_found", epochs=5),
        run_json("arjon-cnn", "as_found", partial=True),
    ):
        folder = tmp_path / found["recipe"]["name"] / found["format"]
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(found))
    return tmp_path


def cells(text: str) -> list[dict[str, str]]:
    names = [f"{name} {i}" if HEAD.count(name) > 1 else name for i, name in enumerate(HEAD)]
    return [dict(zip(names, line.strip("| ").split(" | "), strict=True)) for line in text.splitlines()[2:]]


def test_runs_come_in_the_order_of_the_recipes_as_found_first_and_partial_ones_not_at_all(runs):
    found = [(row["recipe"], row["pictures"]) for row in cells(table(read_records(runs)))]
    assert found == [
        ("gautam-mobilenet", "one format"),
        ("kim-cnn", "as found"),
        ("kim-cnn", "one format"),
        ("ceng-simplecnn", "as found"),
    ]


def test_a_line_has_both_figures_of_the_same_class(runs):
    mobilenet, kim, _, halted = cells(table(read_records(runs)))
    assert kim["test"] == "118 real, 140 fake"
    assert (kim["accuracy: published"], kim["here 4"], kim["95 % interval"]) == (
        "0.9961",
        "**0.9961**",
        "0.978 to 0.999",
    )
    assert (kim["precision, recall, F1 of"], kim["published"], kim["here 8"]) == (
        "both columns", "-, -, 0.996", "-, -, 0.996",
    )  # fmt: skip
    assert (mobilenet["precision, recall, F1 of"], mobilenet["published"]) == ("fake", "0.667, 0.645, 0.655")
    assert halted["epochs"] == "5 of 30 (stopped early, as the study did)"


@pytest.mark.parametrize(
    "changes",
    [
        {"planned": {"epochs": 3, "learning_rate": 1e-4}},
        {"planned": {"epochs": 10, "learning_rate": 1e-3}},
        {"recipe": {"name": "kim-cnn", "training": {"epochs": 10, "learning_rate": 1e-4}}},  # an older recipe
    ],
)
def test_only_whole_runs_are_shown(changes):
    assert is_whole(record("kim-cnn", "as_found"))
    short = record("kim-cnn", "as_found", **changes)
    assert not is_whole(short)
    assert blocks([short])["whole runs"] == "No whole run is finished yet."


def test_a_run_from_random_weights_is_not_whole():
    assert not is_whole(record("gautam-mobilenet", "as_found", weights={"mobilenet": None}))


def test_what_was_not_run_and_what_cannot_be_is_named(runs):
    parts = blocks(read_records(runs))
    assert "kim-cnn" not in parts["not run yet"]
    assert "perisic-cnn (as found), perisic-cnn (one format), gautam-cnn" in parts["not run yet"]
    assert "vgg16" not in parts["not run yet"]
    assert "`facescan-train reproduce ceng-resnet50-frozen --data DATA --both`" in parts["not reproduced here"]
    assert parts["circumstances"].startswith("4 runs, 5 minutes of training, on: 2 cores, a processor. Keras 3")
    assert parts["papers"].count("Kaggle, ") == 4


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
    keep([replace(found[0], splits={"train": ["a.jpg"]}), *found[1:]], kept)
    assert table(read_kept(kept)) == table(found)
    assert all(map(is_whole, read_kept(kept)))
    assert "splits" not in kept.read_text("utf-8")
    keep([record("kim-cnn", "re_encoded", minutes=99.0), record("kim-cnn", "re_encoded", seed=1)], kept)
    rows = [(row["recipe"], row["pictures"], row["minutes"]) for row in cells(table(read_kept(kept)))]
    assert [row for row in rows if row[0] == "kim-cnn"] == [
        ("kim-cnn", "as found", "1.2"),
        ("kim-cnn", "one format", "99.0"),
        ("kim-cnn", "one format, seed 1", "1.2"),
    ]


def test_the_results_show_every_recipe():
    text = RESULTS.read_text("utf-8")
    assert [name for name, recipe in RECIPES.items() if recipe.study and name not in text] == []


def test_another_seed_is_told():
    assert [row["pictures"] for row in cells(table([record("kim-cnn", "as_found", seed=7)]))] == ["as found, seed 7"]
