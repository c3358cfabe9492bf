"""The training loop of a recipe: what the scanner would feed in, a fitted Keras model and its history out."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from scanner.card import InputSpec
from scanner.errors import FacescanError
from scanner.model import Region, normalise, to_logits
from scanner.runtime import available_cpus
from train.augment import AUGMENTATIONS
from train.compose import Composer
from train.data import Crops, sampling_weights
from train.ensemble import ensemble
from train.frozen import part
from train.recipes import Recipe, Training

# Batches made ahead of the step that takes them.
QUEUE = 8
# Regions normalised at once for scoring: 100 MB of float32 at 128 px.
SCORED = 512
# Epochs without a lower validation loss after which the rate falls, and to what part of it (schedule `plateau`).
PLATEAU, FALL = 3, 0.1
# Outputs of a frozen trunk that are kept in memory rather than computed in every epoch, in bytes.
KEPT = 4 * 2**30

Inputs = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network and how it got there.

    Attributes:
        model: with the weights to keep.
        history: for each epoch `loss`, `accuracy`, `val_loss`, `val_accuracy` and `seconds`; of one member after the
            other.
    """

    model: keras.Model
    history: tuple[dict[str, float], ...]


class Batches(keras.utils.PyDataset):
    """Normalised batches of regions; a batch depends on seed, epoch and position only.

    Args:
        seen: the regions, those of the first condition.
        recipe: says how large a batch is, how it is drawn and what the network wants.
        seed: of the draws and the changes.
        augmented: whether the recipe's changes are made.
        drawn: whether in random order (or by the recipe's weights) rather than in the order of `seen`.
    """

    def __init__(self, seen: Crops, recipe: Recipe, seed: int, augmented: bool = True, drawn: bool = True) -> None:
        super().__init__(workers=available_cpus(), max_queue_size=QUEUE)
        self._regions, self._recipe, self._seed, self._drawn = seen.regions[0], recipe, seed, drawn
        self._fake, self._targets = seen.fake, targets(seen.fake, recipe)
        self._augment = (
            AUGMENTATIONS[recipe.training.augmentation] if augmented and recipe.training.augmentation else None
        )
        self._compose = _composer(seen) if augmented and recipe.training.composed else None
        self._weights = (
            sampling_weights(seen.samples, recipe.training.composed) if drawn and recipe.training.balanced else None
        )
        self._epoch = 0
        self._order = self._draw()

    def __len__(self) -> int:
        return math.ceil(len(self._regions) / self._recipe.training.batch)

    def __getitem__(self, index: int) -> tuple[Any, NDArray[Any]]:
        random = np.random.default_rng([self._seed, self._epoch, index])
        batch = self._recipe.training.batch
        chosen = self._order[index * batch : (index + 1) * batch]
        regions = [self._regions[i] for i in chosen]
        if self._compose is not None:
            regions = [
                (self._compose(random),)
                if self._fake[i] and random.random() < self._recipe.training.composed
                else region
                for i, region in zip(chosen, regions, strict=True)
            ]
        if self._augment is not None:
            regions = [self._augment(region, random) for region in regions]
        return _only(to_tensors(regions, self._recipe.inputs)), self._targets[chosen]

    def on_epoch_end(self) -> None:
        """Draw anew."""
        self._epoch += 1
        self._order = self._draw()

    def _draw(self) -> NDArray[np.int64]:
        if not self._drawn:
            return np.arange(len(self._regions))
        random = np.random.default_rng([self._seed, self._epoch])
        if self._weights is None:
            return random.permutation(len(self._regions))
        return random.choice(len(self._regions), len(self) * self._recipe.training.batch, p=self._weights)


def _composer(seen: Crops) -> Composer:
    real = np.flatnonzero(~seen.fake)
    return Composer([seen.regions[0][i][0] for i in real], sampling_weights([seen.samples[i] for i in real]))


def to_tensors(regions: Sequence[Region], inputs: Sequence[InputSpec]) -> Inputs:
    """Regions (n) -> for each input the (n, height, width, 3) that the network takes, as the scanner makes it."""
    return tuple(normalise(np.stack([region[i] for region in regions]), spec) for i, spec in enumerate(inputs))


def targets(fake: NDArray[np.bool_], recipe: Recipe) -> NDArray[Any]:
    """Labels (n,), True for fake -> what the loss compares with: the label's index, or (n, 1) whether it is label 1."""
    is_label_1 = fake == (recipe.labels[1] == "fake")
    return is_label_1.astype(np.int32) if recipe.output == "softmax" else is_label_1.astype(np.float32)[:, None]


def fit(
    recipe: Recipe,
    train: Crops,
    validation: Crops,
    seed: int,
    weights: Mapping[str, str | None],
    report: Callable[[str], None] = print,
) -> Fitted:
    """Train a recipe's network, or its networks.

    Args:
        recipe: the hyper-parameters.
        train: regions to learn from, of both classes.
        validation: regions that steer the training where the recipe says so, and draw a curve.
        seed: of the draws, the changes and the new weights; that of the next member is one higher.
        weights: files to start from, by backbone (`train.weights.resolve`).
        report: told a line after each epoch.
    """
    if train.fake.all() or not train.fake.any():
        raise FacescanError("one class has no face to train on: see the counts above")
    members = recipe.training.members
    fitted = []
    for i in range(members):
        if members > 1:
            report(f"network {i + 1} of {members}")
        fitted.append(_fit_one(recipe, train, validation, seed + i, weights, report))
    if members == 1:
        return fitted[0]
    return Fitted(ensemble([one.model for one in fitted]), tuple(point for one in fitted for point in one.history))


def _fit_one(
    recipe: Recipe,
    train: Crops,
    validation: Crops,
    seed: int,
    weights: Mapping[str, str | None],
    report: Callable[[str], None],
) -> Fitted:
    keras.utils.set_random_seed(seed)
    training = recipe.training
    model = build(recipe, weights)
    learner, lessons, checks = _feeds(model, recipe, train, validation, seed)
    steps = math.ceil(len(train.samples) / training.batch)
    learner.compile(
        optimizer=_optimizer(training, steps),
        loss=_loss(recipe),
        metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if recipe.output == "logit" else "accuracy"
        ],
        # XLA made TensorFlow several times slower here, on a CPU; JAX knows nothing else.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    curve = _Curve(training.epochs, report)
    learner.fit(
        **lessons,
        validation_data=checks,
        epochs=training.epochs,
        callbacks=[*_callbacks(training), curve],
        verbose=0,
    )
    return Fitted(model, tuple(curve.history))


def build(recipe: Recipe, weights: Mapping[str, str | None]) -> keras.Model:
    """The recipe's network, not trained."""
    sizes = {spec.size for spec in recipe.inputs}
    (size,) = sizes
    return importlib.import_module(recipe.architecture).build(size, weights, **recipe.options)


def logits(model: keras.Model, regions: Sequence[Region], recipe: Recipe) -> NDArray[np.float64]:
    """The network's log-odds of fake for n regions, (n,), by Keras."""
    # Compiled, in small batches: calling the model on 256 at once took four to five times as long.
    parts = [
        model.predict(_only(to_tensors(regions[i : i + SCORED], recipe.inputs)), batch_size=32, verbose=0)
        for i in range(0, len(regions), SCORED)
    ]
    return to_logits(np.concatenate(parts).astype(np.float64), recipe.card())


class _Curve(keras.callbacks.Callback):
    """Keeps and tells the figures of every epoch; draws a bar of its steps on a terminal."""

    def __init__(self, epochs: int, report: Callable[[str], None]) -> None:
        super().__init__()
        self._epochs, self._report = epochs, report
        self._started = 0.0
        self._bar = tqdm(disable=True)
        self.history: list[dict[str, float]] = []

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


class CoupledAdam(keras.optimizers.Adam):
    """Adam with the decay of the weights in their gradient, as PyTorch's: Keras' own decays apart from it."""

    def __init__(self, learning_rate: Any, decay: float, **more: Any) -> None:
        super().__init__(learning_rate, **more)
        self._decay = decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step."""
        super().update_step(gradient + self._decay * keras.ops.convert_to_tensor(variable), variable, learning_rate)


class LayerwiseAdam(keras.optimizers.Adam):
    """Adam with a part of the learning rate for some layers, told by the prefix of their names."""

    def __init__(self, learning_rate: Any, slow_layers: Mapping[str, float], **more: Any) -> None:
        super().__init__(learning_rate, **more)
        self._slow_layers = dict(slow_layers)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step."""
        # By position, as every optimiser finds its moments: TensorFlow hands over variables of its own.
        names = self._trainable_variables[self._get_variable_index(variable)].path.split("/")
        parts = [part for prefix, part in self._slow_layers.items() if any(name.startswith(prefix) for name in names)]
        super().update_step(gradient, variable, learning_rate * min(parts, default=1.0))


def _feeds(
    model: keras.Model, recipe: Recipe, train: Crops, validation: Crops, seed: int
) -> tuple[keras.Model, dict[str, Any], Any]:
    """What is trained, the arguments of its `fit`, and its validation data."""
    training = recipe.training
    checks = Batches(validation, recipe, seed, augmented=training.augment_validation, drawn=False)
    parts = None if training.augmentation or training.balanced else part(model)
    if parts is not None:
        trunk, head = parts
        if np.prod(trunk.output.shape[1:]) * 4 * len(train.samples) <= KEPT:
            seen = trunk.predict(Batches(train, recipe, seed, drawn=False), verbose=0)
            lessons = {
                "x": seen,
                "y": targets(train.fake, recipe),
                "batch_size": training.batch,
                "shuffle": True,
            }
            return head, lessons, (trunk.predict(checks, verbose=0), targets(validation.fake, recipe))
    return model, {"x": Batches(train, recipe, seed), "shuffle": False}, checks


def _loss(recipe: Recipe) -> keras.losses.Loss:
    if recipe.output == "softmax":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.BinaryCrossentropy(
        from_logits=recipe.output == "logit", label_smoothing=recipe.training.label_smoothing
    )


def _optimizer(training: Training, steps: int) -> keras.optimizers.Optimizer:
    rate: Any = training.learning_rate
    epochs = training.epochs
    if training.schedule == "cosine":
        warmup = round(epochs * steps * training.warmup)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, epochs * steps - warmup),
            warmup_target=training.learning_rate,
            warmup_steps=warmup,
        )
    elif training.schedule == "time_decay":
        rate = keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=rate / epochs)
    more: dict[str, Any] = {"weight_decay": training.weight_decay or None}
    if training.coupled_decay:
        return CoupledAdam(rate, training.coupled_decay)
    if training.ema:
        more |= {"use_ema": True, "ema_momentum": training.ema}
    if training.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=training.momentum, **more)
    if training.slow_layers:
        return LayerwiseAdam(rate, training.slow_layers, **more)
    return keras.optimizers.Adam(rate, **more)


def _callbacks(training: Training) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = []
    if training.ema:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if training.schedule == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=FALL, patience=PLATEAU))
    if training.keep_best or training.patience:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss",
                patience=training.patience or training.epochs,
                restore_best_weights=training.keep_best,
            )
        )
    return callbacks


def _only(inputs: Inputs) -> Any:
    """One input as it is: Keras takes a tuple of one for a pair of picture and label."""
    return inputs[0] if len(inputs) == 1 else inputs
