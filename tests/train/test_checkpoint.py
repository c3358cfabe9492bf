"""A run that is stopped after any epoch and continued ends as one that was not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from scanner.errors import FacescanError
from train.data.crops import Crops, crops
from train.data.index import read_samples
from train.fitting.checkpoint import Checkpoint
from train.fitting.fit import fit, logits
from train.recipes.schema import Recipe, Training

SOFTMAX = {"output": "softmax", "options": {"output": "softmax"}}


@pytest.fixture(scope="module")
def seen(index, recipe) -> Crops:
    return crops(read_samples(index)[:64], recipe.card())


class StopError(Exception):
    """Stands for a kill: nothing of the run goes on after it."""


def stopped_after(epoch: int):
    def report(line: str) -> None:
        if line.startswith(f"epoch {epoch + 1}/"):  # the checkpoint of the epoch before is the last one
            raise StopError

    return report


def quiet(line: str) -> None:
    pass


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({}, 1),  # cosine, balanced, running average
        ({"training": Training("sgd", 0.05, epochs=3, batch=16, momentum=0.9, copies="gautam")} | SOFTMAX, 2),
        (
            {
                "training": Training(
                    "adam", 0.02, 4, 16, coupled_decay=1e-4, schedule="plateau", keep_best=True, patience=2
                ),
                "framework": "pytorch",
            }
            | SOFTMAX,
            2,
        ),
    ],
    ids=["ema", "copies", "plateau"],
)
def test_a_stopped_run_ends_as_one_that_was_not(changes, stopped, recipe, seen, tmp_path):
    recipe = replace(recipe, **changes)
    whole = fit(recipe, seen, seen, 3, {}, quiet, [Checkpoint(tmp_path / "whole.npz", "a")])
    checkpoint = Checkpoint(tmp_path / "stopped.npz", "a")
    with pytest.raises(StopError):
        fit(recipe, seen, seen, 3, {}, stopped_after(stopped), [checkpoint])
    assert len(checkpoint.progress().history) == stopped
    told: list[str] = []
    resumed = fit(recipe, seen, seen, 3, {}, told.append, [checkpoint])
    assert told[0] == f"resumed after epoch {stopped}"
    assert [p["loss"] for p in resumed.history] == pytest.approx([p["loss"] for p in whole.history], rel=1e-4)
    for one, other in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    again = fit(recipe, seen, seen, 3, {}, quiet, [checkpoint])  # finished: nothing is trained anew
    assert again.history == resumed.history
    assert logits(again.model, seen.regions[0], recipe) == pytest.approx(
        logits(resumed.model, seen.regions[0], recipe), abs=1e-5
    )


def test_ctrl_c_keeps_the_last_whole_epoch(recipe, seen, tmp_path):
    def report(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "run.npz", "a")
    fitted = fit(replace(recipe, training=replace(recipe.training, epochs=5)), seen, seen, 3, {}, report, [checkpoint])
    assert fitted.partial
    assert np.isfinite(logits(fitted.model, seen.regions[0], recipe)).all()


def test_a_checkpoint_of_another_run_is_refused(recipe: Recipe, seen, tmp_path):
    fit(recipe, seen, seen, 3, {}, quiet, [Checkpoint(tmp_path / "run.npz", "a")])
    with pytest.raises(FacescanError, match="another recipe, seed or pictures: --force starts again"):
        Checkpoint(tmp_path / "run.npz", "b").progress()


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "run.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(FacescanError, match="a damaged checkpoint"):
        Checkpoint(tmp_path / "run.npz", "a").progress()
