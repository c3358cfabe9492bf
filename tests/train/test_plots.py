"""Files that are pictures, for the data that come and for the poorest. How they look is for people to judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib, of the extra [train]")

from scanner.detector.model import Detector
from scanner.imaging.decode import decode
from train.cli import main
from train.data.index import read_samples
from train.evaluation import png_plots as plots
from train.evaluation.evaluate import evaluate, plot
from train.evaluation.metrics import Confusion


def pixels(file: Path) -> np.ndarray:
    picture = decode(file.read_bytes()).picture
    assert picture is not None
    return picture


def test_evaluate_draws_every_plot(toy, index, tmp_path):
    folder = tmp_path / "new" / "plots"
    assert main(["evaluate", str(toy), "--data", str(index), "--plots", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == [
        "confusion.png",
        "generators.png",
        "reliability.png",
        "roc.png",
    ]
    for file in folder.iterdir():
        assert min(pixels(file).shape[:2]) > 200


def test_of_one_class_only_what_makes_sense_is_drawn(toy, index, tmp_path):
    reals = [sample for sample in read_samples(index) if not sample.fake]
    plot(evaluate(Detector(toy), reals[:5]), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["confusion.png", "reliability.png"]


def test_of_no_picture_nothing_is_drawn(toy, index, tmp_path):
    broken = [sample for sample in read_samples(index) if sample.path == "broken.jpg"]
    plot(evaluate(Detector(toy), broken), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "epochs",
    [
        [{"loss": 0.7, "val_loss": 0.6, "accuracy": 0.5, "val_accuracy": 0.6}] * 3,
        [{"loss": 0.7, "val_loss": 0.6, "accuracy": 0.5, "val_accuracy": 0.6, "learning_rate": 0.1}],
        [{"loss": 0.7}],
    ],
)
def test_a_history_is_drawn_with_what_it_has(epochs, tmp_path):
    plots.history(tmp_path / "curves.png", epochs)
    height, width, _ = pixels(tmp_path / "curves.png").shape
    assert width > 2 * height  # two panels, side by side


def test_another_curve_is_another_picture(tmp_path):
    for i, bend in enumerate((1.0, 2.0)):
        fpr = np.linspace(0, 1, 50)
        plots.roc(tmp_path / f"{i}.png", {"a": (fpr, fpr ** (1 / bend), bend / (1 + bend))})
    assert not np.array_equal(pixels(tmp_path / "0.png"), pixels(tmp_path / "1.png"))


def test_the_same_data_are_the_same_file(tmp_path):
    for name in ("one.png", "two.png"):
        plots.confusion_matrix(tmp_path / name, Confusion(3, 1, 4, 0), "a model")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_class_without_pictures_divides_nothing_by_zero(tmp_path):
    plots.confusion_matrix(tmp_path / "confusion.png", Confusion(tp=3, fp=0, tn=0, fn=1))
    assert pixels(tmp_path / "confusion.png").size


def test_pyplot_and_its_state_are_not_used():
    script = "import sys, train.evaluation.png_plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
