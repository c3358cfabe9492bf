"""Makes the optimizer of a recipe, with its learning-rate schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from train.fitting.pytorch import ADAM_EPSILON
from train.recipes.schema import Recipe


class StudyAdam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras has no type stubs
    """Adam with L2 decay in the gradient, as PyTorch has it, and with a smaller learning rate for some layers.

    Keras' own weight decay is decoupled from the gradient, and Keras has one learning rate for all layers.

    Args:
        learning_rate: of all layers that are not slow: a number, or a Keras schedule.
        decay: coupled weight decay: this factor times the weight is added to the weight's gradient.
        slow_layers: maps a prefix of layer names to the fraction of the learning rate that these layers get.
        decoupled: decoupled weight decay (AdamW), times each layer's own learning rate. Keras' `weight_decay` goes by
            the rate of the layers that are not slow: it would shrink layers that hardly learn, or do not learn at all.
        more: keyword arguments of `keras.optimizers.Adam`.
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
        """Update one variable.

        Args:
            gradient: of the loss, with the shape of the variable.
            variable: the backend's variable.
            learning_rate: of layers that are not slow, a scalar tensor.
        """
        # Looked up by position, as every optimizer finds its moments: TensorFlow passes variables of its own here.
        names = self._trainable_variables[self._get_variable_index(variable)].path.split("/")
        fractions = [
            fraction for prefix, fraction in self._slow_layers.items() if any(name.startswith(prefix) for name in names)
        ]
        if self._decay:
            gradient = gradient + self._decay * keras.ops.convert_to_tensor(variable)
        rate = learning_rate * min(fractions, default=1.0)
        if self._decoupled:
            weight = keras.ops.convert_to_tensor(variable)
            self.assign_sub(variable, weight * self._decoupled * keras.ops.cast(rate, weight.dtype))
        super().update_step(gradient, variable, rate)


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer of a recipe.

    Args:
        recipe: whose training names optimizer, learning rate, schedule and decay.
        steps: batches in one epoch.

    Raises:
        ValueError: the recipe asks SGD for `coupled_decay` or `slow_layers`.
    """
    training = recipe.training
    rate = _learning_rate(recipe, steps)
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


def _learning_rate(recipe: Recipe, steps: int) -> Any:
    """Return a number, or the Keras schedule that the recipe names; `plateau` is a callback and changes the number."""
    training = recipe.training
    rate, epochs = training.learning_rate, training.epochs
    if training.schedule == "cosine":
        warmup = round(epochs * steps * training.warmup)
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, epochs * steps - warmup),
            warmup_target=rate,
            warmup_steps=warmup,
        )
    if training.schedule == "time_decay":
        return keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=rate / epochs)
    return rate
