"""Trains the networks of a recipe: crops as the scanner makes them in, a fitted Keras model and its history out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from scanner.detector.model import Region
from scanner.detector.outputs import to_logits
from scanner.errors import FacescanError
from train.data.crops import Crops
from train.fitting.batch_statistics import remeasure_statistics
from train.fitting.batches import Batches, single_or_tuple, steps_per_epoch, targets, to_tensors
from train.fitting.checkpoint import Checkpoint, EachEpoch
from train.fitting.ensemble import ensemble
from train.fitting.frozen import split_frozen
from train.fitting.network import build
from train.fitting.optimizers import make_optimizer
from train.recipes.schema import Recipe, Training

# Regions that are normalised at once for scoring: 100 MB of float32 at 128 px.
SCORING_CHUNK = 512
# Factor by which the schedule `plateau` lowers the learning rate.
PLATEAU_FACTOR = 0.1
# Outputs of frozen layers are cached in memory up to this size, and computed in every epoch beyond it.
MAX_CACHED_FEATURE_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Fitted:
    """Holds a trained network and its training history.

    Attributes:
        model: with its final weights.
        history: for each epoch `loss`, `accuracy`, `val_loss`, `val_accuracy` and `seconds`; the epochs of several
            members follow one another.
        partial: whether Ctrl-C ended the training before its last epoch.
    """

    model: keras.Model
    history: tuple[dict[str, float], ...]
    partial: bool = False


def fit(
    recipe: Recipe,
    train: Crops,
    validation: Crops,
    seed: int,
    weights: Mapping[str, str | None],
    report: Callable[[str], None] = print,
    checkpoints: Sequence[Checkpoint] = (),
) -> Fitted:
    """Train a recipe's network; or, if the recipe has several members, all of them, and join them to an ensemble.

    With checkpoints, training resumes after the last epoch that they hold, and Ctrl-C ends it after the last whole
    epoch instead of raising.

    Args:
        recipe: the hyper-parameters.
        train: crops to learn from, of both classes.
        validation: crops for the validation loss, by which the recipe may stop early or choose the best weights.
        seed: of sampling, augmentation and initial weights; each further member adds one.
        weights: files of initial weights by backbone (`train.fitting.weights.resolve`).
        report: called with a line of text after each epoch.
        checkpoints: one for each of the recipe's members, or none.

    Raises:
        FacescanError: a class is missing among the training crops; or a checkpoint is damaged or of another run.
        KeyboardInterrupt: Ctrl-C, and there is no checkpoint of a whole epoch to return.
    """
    if train.fake.all() or not train.fake.any():
        raise FacescanError("one class has no face to train on: see the counts above")
    members = recipe.training.members
    fitted: list[Fitted] = []
    for i in range(members):
        if members > 1:
            report(f"network {i + 1} of {members}")
        checkpoint = checkpoints[i] if checkpoints else None
        fitted.append(_fit_one(recipe, train, validation, seed + i, weights, report, checkpoint))
        if fitted[-1].partial:
            break
    if members == 1:
        return fitted[0]
    return Fitted(
        ensemble([one.model for one in fitted]),
        tuple(point for one in fitted for point in one.history),
        fitted[-1].partial,
    )


def _fit_one(
    recipe: Recipe,
    train: Crops,
    validation: Crops,
    seed: int,
    weights: Mapping[str, str | None],
    report: Callable[[str], None],
    checkpoint: Checkpoint | None,
) -> Fitted:
    keras.utils.set_random_seed(seed)
    training = recipe.training
    model = build(recipe, weights)
    progress = checkpoint.progress() if checkpoint else None
    if checkpoint and progress and progress.finished:
        checkpoint.restore(model)
        return Fitted(model, progress.history)
    first = len(progress.history) if progress else 0
    if first:
        report(f"resumed after epoch {first}")
    fitted_model, fit_kwargs, validation_data = _training_inputs(model, recipe, train, validation, seed, first)
    _compile(fitted_model, recipe, steps_per_epoch(recipe, train))
    curve = _Curve(training.epochs, report, progress.history if progress else ())
    callbacks = [*_callbacks(training), curve]
    if checkpoint:
        callbacks.append(EachEpoch(checkpoint, tuple(callbacks), curve.history, bool(progress)))
    try:
        fitted_model.fit(
            **fit_kwargs,
            validation_data=validation_data,
            initial_epoch=training.epochs if progress and progress.stopped else first,
            epochs=training.epochs,
            callbacks=callbacks,
            verbose=0,
        )
    except KeyboardInterrupt:
        progress = checkpoint.progress() if checkpoint else None
        if not checkpoint or not progress:
            raise
        report(f"stopped by Ctrl-C: the weights are those after epoch {len(progress.history)} of {training.epochs}")
        checkpoint.restore(fitted_model)
        fitted = Fitted(model, progress.history, partial=True)
    else:
        fitted = Fitted(model, tuple(curve.history))
    if remeasure_statistics(
        model, lambda: Batches(train, recipe, seed), len(fitted.history) * steps_per_epoch(recipe, train)
    ):
        report("batch normalisation: too few steps for its moving averages; its statistics were recomputed")
    if checkpoint and not fitted.partial:
        checkpoint.write(model, (), fitted.history, finished=True)
    return fitted


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    model.compile(
        optimizer=make_optimizer(recipe, steps),
        loss=_loss(recipe),
        metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if recipe.output == "logit" else "accuracy"
        ],
        # On a CPU, XLA made TensorFlow several times slower. JAX has no other mode.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )


def logits(model: keras.Model, regions: Sequence[Region], recipe: Recipe) -> NDArray[np.float64]:
    """Return the network's log-odds of fake, computed by Keras.

    Args:
        model: of the recipe.
        regions: n crops.
        recipe: gives the inputs and the kind of output.

    Returns:
        Log-odds, (n,) float64.
    """
    # `predict` in batches of 32: calling the model on 256 regions at once took four to five times as long.
    parts = [
        model.predict(
            single_or_tuple(to_tensors(regions[i : i + SCORING_CHUNK], recipe.inputs)), batch_size=32, verbose=0
        )
        for i in range(0, len(regions), SCORING_CHUNK)
    ]
    return to_logits(np.concatenate(parts).astype(np.float64), recipe.card())


class _Curve(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type stubs
    """Records and reports the figures of every epoch; shows a progress bar of its steps on a terminal."""

    def __init__(self, epochs: int, report: Callable[[str], None], history: Sequence[dict[str, float]] = ()) -> None:
        super().__init__()
        self._epochs, self._report = epochs, report
        self._started = 0.0
        self._bar = tqdm(disable=True)
        self.history: list[dict[str, float]] = list(history)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()
        name = f"epoch {epoch + 1}/{self._epochs}"
        self._bar = tqdm(total=self.params["steps"], desc=name, unit="step", leave=False, disable=None)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.close()
        keys = ("loss", "accuracy", "val_loss", "val_accuracy")
        point = {key: float((logs or {})[key]) for key in keys if key in (logs or {})}
        self._report(
            f"epoch {epoch + 1}/{self._epochs}: " + ", ".join(f"{key} {value:.4f}" for key, value in point.items())
        )
        self.history.append(point | {"seconds": round(time.monotonic() - self._started, 2)})


def _training_inputs(
    model: keras.Model, recipe: Recipe, train: Crops, validation: Crops, seed: int, epoch: int
) -> tuple[keras.Model, dict[str, Any], Any]:
    """Choose the model to fit and the data to fit it on.

    If the first layers are frozen and nothing else changes a picture from epoch to epoch, only the head is fitted, on
    outputs of the frozen layers that are computed once and cached in memory.

    Args:
        model: the whole network.
        recipe: the hyper-parameters.
        train: crops to learn from.
        validation: crops for the validation loss.
        seed: of sampling and augmentation.
        epoch: number of the first epoch, from 0 on.

    Returns:
        The model to fit, the arguments of its `fit`, and its validation data.
    """
    training = recipe.training
    not_augmented = replace(recipe, training=replace(training, augmentation="", composed=0.0))
    validation_batches = Batches(validation, not_augmented, seed, drawn=False)
    parts = None if training.augmentation or training.copies or training.balanced else split_frozen(model)
    if parts is not None:
        trunk, head = parts
        if np.prod(trunk.output.shape[1:]) * 4 * len(train.samples) <= MAX_CACHED_FEATURE_BYTES:
            features = trunk.predict(Batches(train, recipe, seed, drawn=False), verbose=0)
            fit_kwargs = {
                "x": features,
                "y": targets(train.fake, recipe),
                "batch_size": training.batch,
                "shuffle": True,
            }
            validation_data = trunk.predict(validation_batches, verbose=0), targets(validation.fake, recipe)
            return head, fit_kwargs, validation_data
    return model, {"x": Batches(train, recipe, seed, epoch=epoch), "shuffle": False}, validation_batches


def _loss(recipe: Recipe) -> keras.losses.Loss:
    if recipe.output == "softmax":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.BinaryCrossentropy(
        from_logits=recipe.output == "logit", label_smoothing=recipe.training.label_smoothing
    )


def _callbacks(training: Training) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = []
    if training.ema:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if training.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", factor=PLATEAU_FACTOR, patience=training.plateau_patience
            )
        )
    if training.keep_best or training.patience:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss",
                patience=training.patience or training.epochs,
                restore_best_weights=training.keep_best,
            )
        )
    return callbacks
