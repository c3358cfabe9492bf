"""One small detector, all the way: fitted, exported, calibrated, measured, and run by the scanner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import onnx

from scanner.decode import decode
from scanner.errors import FacescanError
from scanner.model import Detector, normalise, prepare
from train.data import LABELS, Crops, crops, read_samples
from train.evaluate import evaluate, table
from train.export import TOLERANCE, export, write_card
from train.fit import Batches, fit, logits, to_tensor
from train.run import run
from train.tables import blocks


@pytest.fixture(scope="module")
def out(index, recipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    run(recipe, index, folder, seed=3, report=lambda line: None)
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
        parts = [detector.logits(regions[i : i + size]) for i in range(0, len(regions), size)]
        assert np.concatenate(parts) == pytest.approx(by_keras, abs=TOLERANCE)


def test_a_recipe_trains_on_what_the_scanner_feeds_bit_for_bit(index, recipe, seen):
    batches = Batches(seen, recipe, seed=0)
    tensors, labels = batches[0]
    card = recipe.card()
    by_scanner = {
        normalise(np.stack(prepare(decode(s.file.read_bytes()).picture, None, card)), card.inputs[0]).tobytes(): s.fake
        for s in seen.samples
    }
    assert tensors.shape == (recipe.batch, 32, 32, 3)
    for tensor, label in zip(tensors, labels[:, 0], strict=True):
        assert by_scanner[tensor.tobytes()] == bool(label)


def test_batches_depend_on_seed_and_epoch_only(recipe, seen):
    recipe = replace(recipe, augment=True)
    one, two, other = (Batches(seen, recipe, seed) for seed in (5, 5, 6))
    assert np.array_equal(one[2][0], two[2][0])
    assert not np.array_equal(one[2][0], other[2][0])
    first_epoch = one[2][0]
    for batches in (one, two):
        batches.on_epoch_end()
    assert np.array_equal(one[2][0], two[2][0])
    assert not np.array_equal(one[2][0], first_epoch)


def test_the_file_is_tidy_and_describes_itself(out):
    graph = onnx.load_model(out / "tiny.onnx").graph
    assert [tensor.name for tensor in graph.input] == ["pixels"]
    assert [tensor.name for tensor in graph.output] == ["logit"]
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


def test_grids_are_learned(recipe, seen):
    """Fitting fits: after a few epochs the training pictures are told apart."""
    fitted = fit(replace(recipe, epochs=6), seen, seen, seed=0, report=lambda line: None)
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert logits(fitted.model, seen.regions[0], recipe)[seen.fake].mean() > (
        logits(fitted.model, seen.regions[0], recipe)[~seen.fake].mean()
    )


def test_one_class_cannot_be_fitted(recipe, seen):
    fakes = [i for i, s in enumerate(seen.samples) if LABELS[s.fake] == "fake"]
    only = Crops(tuple(seen.samples[i] for i in fakes), (tuple(seen.regions[0][i] for i in fakes),), (), ())
    with pytest.raises(FacescanError, match="one class"):
        fit(recipe, only, only, seed=0)


def test_an_export_that_differs_from_keras_is_not_written(model, recipe, seen, tmp_path):
    wrong = replace(recipe.card(), inputs=(replace(recipe.input, range=(0.0, 1.0)),))
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


def test_the_tensor_has_the_cards_range(recipe, seen):
    tensor = to_tensor(seen.regions[0], recipe)
    assert tensor.dtype == np.float32
    assert -1 <= tensor.min() < 0 < tensor.max() <= 1
