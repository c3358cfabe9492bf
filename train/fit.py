"""The training loop of a recipe: crops in, a fitted Keras model and its history out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from scanner.errors import FacescanError
from scanner.model import Region, normalise
from scanner.runtime import available_cpus
from train.augment import augment
from train.data import Crops, sampling_weights
from train.recipes import Recipe

# Batches made ahead of the step that takes them.
QUEUE = 8
# Regions normalised at once for scoring: 100 MB of float32 at 128 px.
SCORED = 512


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network and how it got there.

    Attributes:
        model: with the weights to keep.
        history: for each epoch, the training `loss` and, on pictures not trained on, the `auc`.
    """

    model: keras.Model
    history: tuple[dict[str, float], ...]


class Batches(keras.utils.PyDataset):
    """Endless variety, drawn by `sampling_weights`; a batch depends on seed, epoch and position only."""

    def __init__(self, crops: Crops, recipe: Recipe, seed: int) -> None:
        super().__init__(workers=available_cpus(), max_queue_size=QUEUE)
        self._regions, self._labels, self._recipe, self._seed = crops.regions[0], crops.fake, recipe, seed
        self._weights = sampling_weights(crops.samples)
        self._epoch = 0
        self._drawn = self._draw()

    def __len__(self) -> int:
        return max(1, len(self._regions) // self._recipe.batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        random = np.random.default_rng([self._seed, self._epoch, index])
        chosen = self._drawn[index]
        regions = [self._regions[i] for i in chosen]
        if self._recipe.augment:
            regions = [(augment(region[0], random),) for region in regions]
        return to_tensor(regions, self._recipe), self._labels[chosen].astype(np.float32)[:, None]

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self._epoch += 1
        self._drawn = self._draw()

    def _draw(self) -> NDArray[np.int64]:
        random = np.random.default_rng([self._seed, self._epoch])
        return random.choice(len(self._regions), (len(self), self._recipe.batch), p=self._weights)


def to_tensor(regions: Sequence[Region], recipe: Recipe) -> NDArray[np.float32]:
    """Regions (n) -> the (n, height, width, 3) that the network takes, as the scanner makes it."""
    return normalise(np.stack([region[0] for region in regions]), recipe.input)


def fit(
    recipe: Recipe,
    train: Crops,
    validation: Crops,
    seed: int,
    weights: Path | None = None,
    epochs: int | None = None,
    report: Callable[[str], None] = print,
) -> Fitted:
    """Train a recipe's network.

    Adam with a warm-up and a cosine; what is kept is the running average of the weights at the end. Nothing is chosen
    by the validation pictures: they only draw a curve.

    Args:
        recipe: the hyper-parameters.
        train: crops to learn from, of both classes.
        validation: crops to follow the training by.
        seed: of the draws, the changes and the new weights.
        weights: ImageNet weights to start from.
        epochs: instead of the recipe's.
        report: told a line after each epoch.
    """
    if train.fake.all() or not train.fake.any():
        raise FacescanError("one class has no face to train on: see the counts above")
    keras.utils.set_random_seed(seed)
    builder = importlib.import_module(recipe.architecture)
    model = builder.build(recipe.input.size, weights)
    epochs = recipe.epochs if epochs is None else epochs
    batches = Batches(train, recipe, seed)
    model.compile(
        optimizer=_optimizer(recipe, epochs * len(batches)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        # XLA made TensorFlow several times slower here, on a CPU; JAX knows nothing else.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    curve = _Curve(recipe, validation, report)
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.ema else []
    model.fit(batches, epochs=epochs, callbacks=[*swap, curve], verbose=0, shuffle=False)
    return Fitted(model, tuple(curve.history))


def logits(model: keras.Model, regions: Sequence[Region], recipe: Recipe) -> NDArray[np.float64]:
    """The network's log-odds of fake for n regions, (n,), by Keras."""
    # Compiled, in small batches: calling the model on 256 at once took four to five times as long.
    parts = [
        model.predict(to_tensor(regions[i : i + SCORED], recipe), batch_size=32, verbose=0)[:, 0]
        for i in range(0, len(regions), SCORED)
    ]
    return np.concatenate(parts).astype(np.float64)


class _Curve(keras.callbacks.Callback):
    """The area under the ROC curve after every epoch, with the averaged weights."""

    def __init__(self, recipe: Recipe, validation: Crops, report: Callable[[str], None]) -> None:
        super().__init__()
        self._recipe, self._validation, self._report = recipe, validation, report
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        point = {"loss": float((logs or {})["loss"])}
        labels = self._validation.fake
        if labels.any() and not labels.all():
            scores = logits(self.model, self._validation.regions[0], self._recipe)
            point["auc"] = float(roc_auc_score(labels, scores))
        self.history.append(point)
        self._report(f"epoch {epoch + 1}: " + ", ".join(f"{key} {value:.4f}" for key, value in point.items()))


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    warmup = round(steps * recipe.warmup)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warmup),
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    averaging = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    return keras.optimizers.Adam(schedule, **averaging)
