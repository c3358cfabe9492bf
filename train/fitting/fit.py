"""The training loop of a recipe: what the scanner would feed in, a fitted Keras model and its history out."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from scanner.detector.card import InputSpec
from scanner.detector.model import Region, normalise, to_logits
from scanner.detector.runtime import available_cpus
from scanner.errors import FacescanError
from train.data.augment import AUGMENTATIONS, COPIES
from train.data.compose import Composer
from train.data.crops import Crops
from train.data.split import sampling_weights
from train.fitting.checkpoint import Checkpoint, EachEpoch
from train.fitting.ensemble import ensemble
from train.fitting.frozen import part
from train.fitting.pytorch import ADAM_EPSILON, as_pytorch
from train.fitting.settle import settle
from train.recipes.schema import Recipe, Training

# Batches made ahead of the step that takes them.
QUEUE = 8
# Regions normalised at once for scoring: 100 MB of float32 at 128 px.
SCORED = 512
# Part of the learning rate that is left when it falls (schedule `plateau`).
FALL = 0.1
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
        partial: whether Ctrl-C ended the training before its last epoch.
    """

    model: keras.Model
    history: tuple[dict[str, float], ...]
    partial: bool = False


class Batches(keras.utils.PyDataset):
    """Normalised batches of regions; a batch depends on seed, epoch and position only.

    Args:
        seen: the regions, those of the first condition.
        recipe: says how large a batch is, how it is drawn and what the network wants.
        seed: of the draws and the changes.
        augmented: whether the recipe's changes are made.
        drawn: whether in random order (or by the recipe's weights) rather than in the order of `seen`.
        epoch: the first one to draw for.
    """

    def __init__(
        self, seen: Crops, recipe: Recipe, seed: int, augmented: bool = True, drawn: bool = True, epoch: int = 0
    ) -> None:
        super().__init__(workers=available_cpus(), max_queue_size=QUEUE)
        self._regions, self._recipe, self._seed, self._drawn = seen.regions[0], recipe, seed, drawn
        self._copies = (_unchanged, *COPIES[recipe.training.copies]) if augmented and recipe.training.copies else ()
        self._fake, self._targets = seen.fake, targets(seen.fake, recipe)
        self._augment = (
            AUGMENTATIONS[recipe.training.augmentation] if augmented and recipe.training.augmentation else None
        )
        self._compose = _composer(seen) if augmented and recipe.training.composed else None
        self._weights = (
            sampling_weights(seen.samples, recipe.training.composed) if drawn and recipe.training.balanced else None
        )
        self._epoch = epoch
        self._order = self._draw()

    def __len__(self) -> int:
        return math.ceil(self._number() / self._recipe.training.batch)

    def __getitem__(self, index: int) -> tuple[Any, NDArray[Any]]:
        random = np.random.default_rng([self._seed, self._epoch, index])
        batch = self._recipe.training.batch
        chosen = self._order[index * batch : (index + 1) * batch]
        if self._copies:
            chosen, changes = np.divmod(chosen, len(self._copies))
            regions = [self._copy(i, change) for i, change in zip(chosen, changes, strict=True)]
        else:
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

    def _number(self) -> int:
        """Pictures an epoch."""
        return len(self._regions) * max(1, len(self._copies))

    def _copy(self, picture: int, change: int) -> Region:
        """A copy is the same in every epoch: its draw depends on the seed, the picture and the change."""
        return self._copies[change](self._regions[picture], np.random.default_rng([self._seed, picture, change]))

    def _draw(self) -> NDArray[np.int64]:
        if not self._drawn:
            return np.arange(self._number())
        random = np.random.default_rng([self._seed, self._epoch])
        if self._weights is None:
            return random.permutation(self._number())
        return random.choice(len(self._regions), len(self) * self._recipe.training.batch, p=self._weights)


def _unchanged(region: Region, random: np.random.Generator) -> Region:
    return region


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
    checkpoints: Sequence[Checkpoint] = (),
) -> Fitted:
    """Train a recipe's network, or its networks.

    With checkpoints, training goes on where they say it had stopped, and Ctrl-C ends it after the last whole epoch.

    Args:
        recipe: the hyper-parameters.
        train: regions to learn from, of both classes.
        validation: regions that steer the training where the recipe says so, and draw a curve.
        seed: of the draws, the changes and the new weights; that of the next member is one higher.
        weights: files to start from, by backbone (`train.fitting.weights.resolve`).
        report: told a line after each epoch.
        checkpoints: one for each of the recipe's members, or none.
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
    trained, fit_arguments, validation_data = _feeds(model, recipe, train, validation, seed, first)
    _compile(trained, recipe, _steps(recipe, train))
    curve = _Curve(training.epochs, report, progress.history if progress else ())
    callbacks = [*_callbacks(training), curve]
    if checkpoint:
        callbacks.append(EachEpoch(checkpoint, tuple(callbacks), curve.history, bool(progress)))
    try:
        trained.fit(
            **fit_arguments,
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
        checkpoint.restore(trained)
        fitted = Fitted(model, progress.history, partial=True)
    else:
        fitted = Fitted(model, tuple(curve.history))
    if settle(model, lambda: Batches(train, recipe, seed), len(fitted.history) * _steps(recipe, train)):
        report("batch normalisation: too few steps for its moving averages; its statistics were measured anew")
    if checkpoint and not fitted.partial:
        checkpoint.write(model, (), fitted.history, finished=True)
    return fitted


def _steps(recipe: Recipe, train: Crops) -> int:
    """Steps an epoch."""
    pictures = len(train.samples) * (1 + len(COPIES.get(recipe.training.copies, ())))
    return math.ceil(pictures / recipe.training.batch)


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    model.compile(
        optimizer=_optimizer(recipe, steps),
        loss=_loss(recipe),
        metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0) if recipe.output == "logit" else "accuracy"
        ],
        # XLA made TensorFlow several times slower here, on a CPU; JAX knows nothing else.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )


def build(recipe: Recipe, weights: Mapping[str, str | None]) -> keras.Model:
    """The recipe's network, not trained."""
    sizes = {spec.size for spec in recipe.inputs}
    (size,) = sizes
    model = importlib.import_module(recipe.architecture).build(size, weights, **recipe.options)
    _set_dropout(model, recipe)
    if recipe.framework == "pytorch":
        as_pytorch(model, pretrained=bool(recipe.backbones))
    return model


def _set_dropout(model: keras.Model, recipe: Recipe) -> None:
    """Give the network's dropout layers the recipe's rates, where it has some.

    Raises:
        FacescanError: there are not as many rates as layers.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    rates = recipe.dropout * len(layers) if len(recipe.dropout) == 1 else recipe.dropout
    if rates and len(rates) != len(layers):
        raise FacescanError(f"{recipe.name}: {len(rates)} rates of dropout for {len(layers)} layers of it")
    for layer, rate in zip(layers, rates, strict=False):
        layer.rate = rate


def layer_table(model: keras.Model, prefix: str = "") -> list[dict[str, Any]]:
    """Every layer with weights or a shape of its own: name, kind, output shape and parameters, from top to bottom."""
    rows: list[dict[str, Any]] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            rows += layer_table(layer, f"{prefix}{layer.name}/")
            continue
        output = layer.output[0] if isinstance(layer.output, list) else layer.output
        shape = [size for size in output.shape if size is not None]
        kind = type(layer).__name__
        rows.append({"name": prefix + layer.name, "kind": kind, "output": shape, "parameters": layer.count_params()})
    return rows


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


class StudyAdam(keras.optimizers.Adam):
    """Adam with the weights' decay in their gradient, as PyTorch's has it, and a smaller rate for some layers.

    Keras' own decay stands beside the gradient, and Keras has one rate for all layers.

    Args:
        learning_rate: of all other layers.
        decay: times the weight, added to its gradient.
        slow_layers: prefix of layer names -> part of the learning rate.
        decoupled: decay beside the gradient (AdamW), in parts of each layer's own rate. Keras' own `weight_decay` goes
            by the rate of all other layers: it would shrink layers that hardly learn, or do not learn at all.
        more: of `keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: float = 0.0,
        slow_layers: Mapping[str, float] | None = None,
        decoupled: float = 0.0,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
        self._decay, self._slow_layers, self._decoupled = decay, dict(slow_layers or {}), decoupled

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step."""
        # By position, as every optimiser finds its moments: TensorFlow hands over variables of its own.
        names = self._trainable_variables[self._get_variable_index(variable)].path.split("/")
        parts = [part for prefix, part in self._slow_layers.items() if any(name.startswith(prefix) for name in names)]
        if self._decay:
            gradient = gradient + self._decay * keras.ops.convert_to_tensor(variable)
        rate = learning_rate * min(parts, default=1.0)
        if self._decoupled:
            weight = keras.ops.convert_to_tensor(variable)
            self.assign_sub(variable, weight * self._decoupled * keras.ops.cast(rate, weight.dtype))
        super().update_step(gradient, variable, rate)


def _feeds(
    model: keras.Model, recipe: Recipe, train: Crops, validation: Crops, seed: int, epoch: int
) -> tuple[keras.Model, dict[str, Any], Any]:
    """What is trained, the arguments of its `fit` from an epoch on, and its validation data."""
    training = recipe.training
    unchanged = replace(recipe, training=replace(training, augmentation="", composed=0.0))
    checks = Batches(validation, unchanged, seed, drawn=False)
    parts = None if training.augmentation or training.copies or training.balanced else part(model)
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
    return model, {"x": Batches(train, recipe, seed, epoch=epoch), "shuffle": False}, checks


def _loss(recipe: Recipe) -> keras.losses.Loss:
    if recipe.output == "softmax":
        return keras.losses.SparseCategoricalCrossentropy()
    return keras.losses.BinaryCrossentropy(
        from_logits=recipe.output == "logit", label_smoothing=recipe.training.label_smoothing
    )


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    training = recipe.training
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
    if training.ema:
        more |= {"use_ema": True, "ema_momentum": training.ema}
    if training.optimizer == "sgd":
        if training.coupled_decay or training.slow_layers:
            raise ValueError(f"{recipe.name}: SGD has neither coupled_decay nor slow_layers here")
        return keras.optimizers.SGD(rate, momentum=training.momentum, **more)
    if recipe.framework == "pytorch":
        more["epsilon"] = ADAM_EPSILON
    if not training.coupled_decay and not training.slow_layers:
        return keras.optimizers.Adam(rate, **more)
    more["decoupled"] = more.pop("weight_decay") or 0.0
    return StudyAdam(rate, training.coupled_decay, training.slow_layers, **more)


def _callbacks(training: Training) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = []
    if training.ema:
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if training.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=FALL, patience=training.plateau_patience)
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


def _only(inputs: Inputs) -> Any:
    """One input as it is: Keras takes a tuple of one for a pair of picture and label."""
    return inputs[0] if len(inputs) == 1 else inputs
