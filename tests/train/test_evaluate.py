from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from scanner.cli import main as scan
from scanner.detector.model import Detector, find_model
from tests.conftest import write_toy
from tests.onnx_models import input_card, write_model
from train.cli import main
from train.data.crops import crops
from train.data.degrade import CONDITIONS, conditions
from train.data.index import read_samples
from train.evaluation.evaluate import evaluate, measure, table
from train.evaluation.score import CHUNK, score

# Set, generator, label and brightness, which is the toy's p_fake. The toy calls fake from 0.7 on.
GREYS = [
    ("old", "camera", "real", 0.1),
    ("old", "camera", "real", 0.2),
    ("old", "camera", "real", 0.8),
    ("old", "pixelmill", "fake", 0.75),
    ("old", "pixelmill", "fake", 0.9),
    ("new", "camera", "real", 0.45),
    ("new", "dreamer", "fake", 0.3),
    ("new", "dreamer", "fake", 0.95),
]


@pytest.fixture(scope="module")
def greys(tmp_path_factory) -> Path:
    """Pictures of one grey each, as `GREYS`; one broken; and one wholly black, for which the toy has no number."""
    folder = tmp_path_factory.mktemp("greys")
    rows = []
    for i, (name, generator, label, level) in enumerate([*GREYS, ("new", "camera", "real", 0.0)]):
        pixels = np.full((40, 40, 3), round(255 * level), np.uint8)
        (folder / f"{i}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        rows.append((f"{i}.png", label, name, generator, ""))
    (folder / "broken.png").write_bytes(b"\x89PNG")
    rows.append(("broken.png", "real", "new", "camera", ""))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "set", "generator", "group"), *rows])
    return folder / "index.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with real/ and fake/, six noisy pictures each."""
    place, random = tmp_path_factory.mktemp("folder"), np.random.default_rng(0)
    for label, low in (("real", 0), ("fake", 100)):
        (place / label).mkdir()
        for i in range(6):
            pixels = random.integers(low, low + 150, (48, 64, 3), np.uint8)
            (place / label / f"{i}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    return place


@pytest.fixture(scope="module")
def evaluation(toy, greys):
    return evaluate(Detector(toy), read_samples(greys))


def test_every_row_counts_its_own_pictures(evaluation):
    def counts(scope, name):
        row = evaluation.row(scope, name, "as_found")
        return row.n_real, row.n_fake, row.tp, row.fn, row.fp, row.tn

    assert counts("pooled", "all") == (4, 4, 3, 1, 1, 3)
    assert counts("set", "old") == (3, 2, 2, 0, 1, 2)
    assert counts("set", "new") == (1, 2, 1, 1, 0, 1)
    assert counts("generator", "dreamer (new)") == (0, 2, 1, 1, 0, 0)
    assert counts("reals", "old") == (3, 0, 0, 0, 1, 2)


def test_figures_follow_from_the_cards_threshold(evaluation):
    pooled, old = evaluation.row("pooled", "all", "as_found"), evaluation.row("set", "old", "as_found")
    assert evaluation.threshold == 0.7
    assert (pooled.accuracy, pooled.precision, pooled.recall, pooled.f1) == (0.75, 0.75, 0.75, 0.75)
    assert (old.accuracy, old.precision, old.recall, old.f1) == (0.8, pytest.approx(2 / 3), 1, pytest.approx(0.8))
    assert old.auc == pytest.approx(5 / 6)


def test_of_one_class_there_are_counts_and_recall_but_no_accuracy(evaluation):
    generator, reals = evaluation.row("generator", "dreamer (new)"), evaluation.row("reals", "old")
    assert generator.recall == generator.over_5 == 0.5
    assert generator.auc == pytest.approx((1 / 2 * 1 / 2) + 1 / 2)  # against all reals: 0.3 beats two of four
    assert reals.recall is None
    for row in (generator, reals):
        assert row.accuracy is row.precision is row.f1 is row.ece is None


def test_what_cannot_be_judged_is_named_and_counted_nowhere(evaluation):
    assert evaluation.broken == ("8.png", "broken.png")
    assert evaluation.faceless == ()
    assert len(evaluation.scores.samples) == len(GREYS)


def test_a_card_without_a_threshold_for_5_percent_is_taken_at_a_half(greys, tmp_path):
    for points in ({}, {"0.01": 0.9}):
        file = write_model(tmp_path / "tiny.onnx", operating_points=points)
        evaluation = evaluate(Detector(file), read_samples(greys))
        row = evaluation.row("pooled", "all")
        called = evaluation.scores.p_fake["re_encoded"] >= 0.5
        assert evaluation.threshold == 0.5
        assert row.over_5 is None
        assert row.accuracy == np.mean(called == evaluation.scores.fake)
        assert row.tp + row.fp == called.sum()


def test_a_model_of_picture_and_ela_is_measured(folder, tmp_path):
    file = write_model(tmp_path / "two.onnx", inputs=[input_card(), input_card("ela")])
    evaluation = evaluate(Detector(file), read_samples(folder))
    assert all(evaluation.row("pooled", "all", condition).auc is not None for condition in CONDITIONS)
    values = np.stack(list(evaluation.scores.p_fake.values()))
    assert len(np.unique(values, axis=0)) == len(CONDITIONS)


def test_a_model_that_takes_three_pictures_at_a_time_scores_the_same(toy, folder, tmp_path):
    model = onnx.load_model(toy)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    file = tmp_path / "threes.onnx"
    file.write_bytes(model.SerializeToString())
    samples = read_samples(folder)[1:]
    by_threes, at_once = score(Detector(file), samples), score(Detector(toy), samples)
    for condition in CONDITIONS:
        assert by_threes.p_fake[condition] == pytest.approx(at_once.p_fake[condition])


def test_pictures_in_parts_or_as_crops_are_measured_alike(toy, folder):
    detector, samples = Detector(toy), read_samples(folder) * 30
    assert len(samples) > CHUNK
    in_parts = evaluate(detector, samples)
    at_once = measure(detector, crops(samples, detector.card, list(conditions(detector.card).values())))
    assert in_parts == at_once
    assert in_parts.scores.samples == tuple(samples)


def test_pictures_of_which_none_can_be_judged_give_empty_rows(toy, greys):
    evaluation = evaluate(Detector(toy), read_samples(greys)[-2:])
    (row,) = evaluation.rows["as_found"]
    assert (row.n_real, row.n_fake, row.auc, row.accuracy) == (0, 0, None, None)
    assert "pooled" in table(evaluation)


def test_the_table_is_aligned_and_fits_a_wide_terminal(evaluation):
    title, *lines = table(evaluation, "as_found").splitlines()
    assert title == "toy, pictures as found; called fake from p_fake 0.7 on"
    assert {len(line) for line in lines} == {143}
    head = lines[0].split()
    old = next(line for line in lines if line.startswith("set       old "))
    cells = dict(zip(head, old[42:].split(), strict=True))
    assert (cells["TP"], cells["FN"], cells["FP"], cells["TN"]) == ("2", "0", "1", "2")
    assert (cells["acc"], cells["prec"], cells["rec"], cells["F1"]) == (".800", ".667", "1.00", ".800")


def test_json_has_every_figure_and_no_scores(evaluation):
    plain = json.loads(json.dumps(evaluation.to_json()))
    assert set(plain) == {"model", "sha256", "threshold", "rows", "faceless", "broken"}
    assert list(plain["rows"]) == list(CONDITIONS)
    assert {
        "auc",
        "ap",
        "tpr_5",
        "tpr_1",
        "ece",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "tp",
        "fp",
        "tn",
        "fn",
    } <= set(plain["rows"]["blur"][0])


def test_predictions_are_written_picture_by_picture(toy, greys, tmp_path, capsys):
    file = tmp_path / "predictions.csv"
    assert main(["evaluate", str(toy), "--data", str(greys), "--predictions", str(file)]) == 0
    assert "left out: 0 without a face, 2 broken" in capsys.readouterr().out
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["path", "label", "set", "generator", *CONDITIONS]
    assert [(row["set"], row["generator"], row["label"]) for row in rows] == [row[:3] for row in GREYS]
    assert [float(row["as_found"]) for row in rows] == pytest.approx([row[3] for row in GREYS], abs=0.5 / 255 + 1e-4)


@pytest.mark.parametrize("option", ["--out", "--predictions", "--plots"])
def test_a_place_that_cannot_be_written_is_one_line(option, toy, folder, tmp_path, capsys):
    if option == "--plots":
        pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    assert main(["evaluate", str(toy), "--data", str(folder), option, str(tmp_path / "file" / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("facescan-train: ")
    assert "file/x: No" in line


# Stands before every finder and refuses what only training needs; prints what was imported of it none the less.
REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
from train.cli import main
sys.exit(main({arguments}))
"""
OF_TRAINING = {"keras", "matplotlib", "onnx", "scipy", "sklearn", "tensorflow", "tf2onnx"}


def run_without(refused: set[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = REFUSING.format(refused=refused, arguments=[str(argument) for argument in arguments])
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)


def test_it_needs_nothing_that_the_scanner_does_not_need(folder, tmp_path):
    toy = write_toy(tmp_path / "toy.onnx", ela=True)
    figures, predictions = tmp_path / "figures.json", tmp_path / "predictions.csv"
    done = run_without(OF_TRAINING, "evaluate", toy, "--data", folder, "--out", figures, "--predictions", predictions)
    assert done.returncode == 0, done.stderr
    assert [line.split(";")[0] for line in done.stdout.splitlines() if line.startswith("toy, ")] == [
        f"toy, pictures {name.replace('_', ' ')}" for name in CONDITIONS
    ]
    assert json.loads(figures.read_text())["rows"]["re_encoded"][0]["auc"] == 1
    assert len(predictions.read_text().splitlines()) == 13


def test_plots_without_matplotlib_are_refused_before_anything_is_scored(folder, toy, tmp_path):
    done = run_without({"matplotlib"}, "evaluate", toy, "--data", folder, "--plots", tmp_path / "plots")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "facescan-train: matplotlib is missing: pip install matplotlib\n"
    assert not (tmp_path / "plots").exists()


def test_a_picture_of_several_faces_is_judged_as_a_scan_judges_it(examples, tmp_path):
    """The largest face is a photograph, a smaller one is generated: the highest score decides."""
    photograph = cv2.imdecode(np.fromfile(examples / "real_astronaut.jpg", np.uint8), cv2.IMREAD_COLOR)
    generated = cv2.imdecode(np.fromfile(examples / "generated_1.jpg", np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(generated, (photograph.shape[1] // 3, photograph.shape[0] // 3), interpolation=cv2.INTER_AREA)
    both = np.concatenate([photograph, np.full_like(photograph, 128)], axis=1)
    both[: small.shape[0], photograph.shape[1] : photograph.shape[1] + small.shape[1]] = small
    rows = []
    for name, pixels in (("both.png", both), ("none.png", np.full_like(photograph, 128)), ("one.png", photograph)):
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        rows.append(f"{name},{'fake' if name == 'both.png' else 'real'}")
    (tmp_path / "index.csv").write_text("\n".join(["path,label", *rows]))
    out = tmp_path / "scan.csv"
    assert scan([*map(str, sorted(tmp_path.glob("*.png"))), "--out", str(out), "--exit-zero", "-q", "--no-cache"]) == 0
    with out.open(newline="") as lines:
        by_scan = {Path(row["path"]).name: row for row in csv.DictReader(lines)}
    scores = score(Detector(find_model("fast")), read_samples(tmp_path / "index.csv"))
    assert [sample.path for sample in scores.samples] == ["both.png", "one.png"]
    assert [sample.path for sample in scores.faceless] == ["none.png"]
    assert by_scan["both.png"]["n_faces"] == "2"
    assert scores.p_fake["as_found"].tolist() == pytest.approx(
        [float(by_scan[name]["p_fake"]) for name in ("both.png", "one.png")], abs=2e-3
    )
    assert scores.p_fake["as_found"][0] > scores.p_fake["as_found"][1]
