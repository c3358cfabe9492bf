"""One small detector, all the way: fitted, exported, calibrated, measured, and run by the scanner."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import onnx

from scanner.detector.model import Detector
from scanner.errors import FacescanError
from train.cli import main
from train.data.crops import Crops, crops
from train.data.degrade import conditions
from train.data.index import read_samples
from train.evaluation.evaluate import evaluate, table
from train.fitting.fit import logits
from train.maintenance.tables import blocks
from train.onnx_export.card import write_card
from train.onnx_export.export import TOLERANCE, export
from train.plan import Plan
from train.recipes.schema import Split
from train.reexport import recalibrate
from train.run import run


@pytest.fixture(scope="module")
def out(index, recipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    run(recipe, index, folder, Plan(seed=3, terms="of this test alone"), report=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def seen(index, recipe) -> Crops:
    return crops(read_samples(index), recipe.card())


@pytest.fixture(scope="module")
def model(out) -> keras.Model:
    return keras.models.load_model(out / "tiny.keras", compile=False)


def test_the_scanner_scores_as_keras_does_in_batches_of_any_size(out, model, recipe, seen):
    detector, regions = Detector(out / "tiny.onnx"), seen.regions[0]
    by_keras = logits(model, regions, recipe)
    assert np.ptp(by_keras) > 100 * TOLERANCE  # the scores differ, so that their likeness says something
    for size in (1, 3, 64):
        assert detector.logits(regions, batch_size=size) == pytest.approx(by_keras, abs=TOLERANCE)


def test_the_file_is_tidy_and_describes_itself(out):
    graph = onnx.load_model(out / "tiny.onnx").graph
    assert [tensor.name for tensor in graph.input] == ["pixels"]
    assert [tensor.name for tensor in graph.output] == ["logit", "activation"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    card = Detector(out / "tiny.onnx").card
    assert set(card.operating_points) == {"0.05", "0.01", "0.005"}
    assert card.training["sets"] == ["new/fake", "new/real", "old/fake", "old/real"]
    assert card.training["seed"] == 3
    assert card.metrics["pooled"]["re_encoded"]["all"]["auc"] >= 0


def test_the_record_holds_splits_that_share_nothing(out, index):
    record = json.loads((out / "run.json").read_text())
    paths = [path for part in record["splits"].values() for path in part]
    assert len(paths) == len(set(paths)) == len(read_samples(index))
    assert len(record["history"]) == record["epochs"] == 2
    assert record["onnx_minus_keras"] <= TOLERANCE
    assert len(record["data_sha256"]) == 64


def test_a_file_that_is_gone_costs_its_picture_only(index, recipe, tmp_path):
    rows = index.with_name("gone.csv")
    rows.write_text(index.read_text() + "gone.jpg,real,old,camera,\n")
    told: list[str] = []
    run(recipe, rows, tmp_path, Plan(seed=3, epochs=1, normalise_format=False), told.append)
    assert sum(int(line.rsplit(" ", 2)[-2]) for line in told if line.endswith(" broken")) == 2
    assert (tmp_path / "run.json").is_file()


def test_a_split_without_a_class_is_found_before_anything_is_trained(index, recipe, tmp_path):
    alone = replace(recipe, split=Split(validation=0.15, test=1e-9))
    with pytest.raises(FacescanError, match="test: no real picture in this split"):
        run(alone, index, tmp_path, Plan(normalise_format=False), report=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_what_is_left_out_is_all_in_the_test_and_never_learned_from(index, recipe, tmp_path):
    ungrouped = index.with_name("ungrouped.csv")  # a group that reaches into what is left out would follow it
    with index.open(newline="") as file:
        rows = [row[:-1] for row in csv.reader(file)]
    with ungrouped.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    plan = Plan(seed=3, epochs=1, left_out=("old/fake",), normalise_format=False)
    run(recipe, ungrouped, tmp_path, plan, report=lambda line: None)
    splits = json.loads((tmp_path / "run.json").read_text())["splits"]
    fakes_of_old = {s.path for s in read_samples(index) if s.set == "old" and s.fake}
    assert fakes_of_old <= set(splits["test"])
    card = Detector(tmp_path / "tiny.onnx").card
    assert card.training["sets"] == ["new/fake", "new/real", "old/real"]


def test_an_evaluation_counts_every_picture_once(out, index, recipe):
    evaluation = evaluate(Detector(out / "tiny.onnx"), read_samples(index))
    assert evaluation.broken == ("broken.jpg",)
    for condition, rows in evaluation.rows.items():
        pooled = evaluation.row("pooled", "all", condition)
        assert (pooled.n_real, pooled.n_fake) == (64, 64)
        assert sum(row.n_fake for row in rows if row.scope == "generator") == 64
        assert sum(row.n_real for row in rows if row.scope == "reals") == 64
        assert all(row.fake + row.uncertain + row.real == pytest.approx(1) for row in rows)
        assert all(name in table(evaluation, condition) for name in ("grid (old)", "grid (new)", "old", "new"))
    assert evaluation.to_json()["rows"]["half"][0]["n_fake"] == 64


def test_the_readme_tables_hold_every_row(out, index):
    detector = Detector(out / "tiny.onnx")
    evaluation = evaluate(detector, read_samples(index)).to_json()
    written = blocks(detector, evaluation["rows"])
    assert detector.sha256 in written["facts"]
    assert written["pooled"].count("\n") == 1 + len(evaluation["rows"]) * len(
        [row for row in evaluation["rows"]["as_found"] if row["scope"] == "pooled"]
    )
    assert [line.split(" | ")[0] for line in written["generators"].splitlines()[2:]] == ["| grid (new)", "| grid (old)"]
    assert "| new | " in written["reals"]


def test_evaluate_says_loudly_which_pictures_were_trained_on(out, index, tmp_path, capsys):
    trained = json.loads((out / "run.json").read_text())["splits"]["train"]
    figures = tmp_path / "figures.json"
    command = ["evaluate", str(out / "tiny.onnx"), "--data", str(index), "--out", str(figures)]
    assert main(command) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert f"the model was trained on {len(trained)} of these 129 pictures" in line
    assert set(json.loads(figures.read_text())["trained_on"]) == set(trained)
    assert main([*command, "--run", str(out / "run.json")]) == 0
    assert "WARNING" not in capsys.readouterr().err
    assert json.loads(figures.read_text())["trained_on"] == []


def test_the_terms_on_a_card_are_the_users(out, index, recipe, tmp_path):
    assert Detector(out / "tiny.onnx").card.training["terms"] == "of this test alone"
    run(replace(recipe, training=replace(recipe.training, epochs=1)), index, tmp_path, Plan(), lambda line: None)
    assert Detector(tmp_path / "tiny.onnx").card.training["terms"] == "not stated"


@pytest.mark.parametrize("training", [None, "on pictures"])
def test_a_card_that_says_nothing_of_the_training_can_be_calibrated_again(training, out, seen, recipe, tmp_path):
    file = tmp_path / "tiny.onnx"
    file.write_bytes((out / "tiny.onnx").read_bytes())
    write_card(file, replace(Detector(file).card, training=training))
    ways = list(conditions(recipe.card()).values())
    recalibrate(file, crops(seen.samples[:40], recipe.card(), ways))
    assert Detector(file).card.training == training


def test_an_export_that_differs_from_keras_is_not_written(model, recipe, seen, tmp_path):
    wrong = replace(recipe.card(), inputs=(replace(recipe.inputs[0], range=(0.0, 1.0)),))
    with pytest.raises(FacescanError, match="ONNX and Keras differ"):
        export(model, recipe, wrong, tmp_path / "tiny.onnx", seen.regions[0][:4])
    assert not list(tmp_path.iterdir())


def test_a_card_is_replaced_and_foreign_metadata_stay(out, seen, tmp_path):
    file = tmp_path / "tiny.onnx"
    graph = onnx.load_model(out / "tiny.onnx")
    graph.metadata_props.add(key="author", value="somebody")
    file.write_bytes(graph.SerializeToString())
    before = Detector(file)
    write_card(file, replace(before.card, version="7"))
    assert {prop.key: prop.value for prop in onnx.load_model(file).metadata_props}["author"] == "somebody"
    assert Detector(file).card == replace(before.card, version="7")
    assert np.array_equal(Detector(file).logits(seen.regions[0]), before.logits(seen.regions[0]))


def test_a_card_that_the_scanner_refuses_leaves_the_file_alone(out, tmp_path):
    file = tmp_path / "tiny.onnx"
    file.write_bytes((out / "tiny.onnx").read_bytes())
    card = Detector(file).card
    with pytest.raises(FacescanError, match="task 'mischief'"):
        write_card(file, replace(card, task="mischief"))
    assert Detector(file).card == card
    assert list(tmp_path.iterdir()) == [file]
