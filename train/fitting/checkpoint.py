"""The state of a training run after an epoch, on disk: what is needed to go on as if nothing had stopped it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from scanner.errors import FacescanError

# Attributes of Keras' callbacks that change while they watch a run. Others are settings.
WATCHED = {
    "EarlyStopping": ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "SwapEMAWeights": ("_ema_weights_in_model",),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run had come when its checkpoint was written.

    Attributes:
        history: the figures of each epoch, as in `train.fitting.fit.Fitted`.
        stopped: whether early stopping had ended the training.
        finished: whether the weights are the final ones.
    """

    history: tuple[dict[str, float], ...]
    stopped: bool
    finished: bool


class Checkpoint:
    """One file that holds weights, optimiser, random states and what the callbacks have seen.

    Args:
        file: is replaced as a whole, so that a stop while it is written costs nothing.
        identity: of the run: recipe, pictures, seed. A file with another one is refused.
    """

    def __init__(self, file: Path, identity: str) -> None:
        self._file, self._identity = file, identity

    def progress(self) -> Progress | None:
        """How far the run had come; None if it has no checkpoint.

        Raises:
            FacescanError: the file is damaged, or belongs to another run.
        """
        if not self._file.exists():
            return None
        with self._read() as content:
            about = json.loads(str(content["about"]))
        if about["identity"] != self._identity:
            raise FacescanError(
                f"{self._file}: belongs to a run with another recipe, seed or pictures: --force starts anew, "
                "or --out names another folder"
            )
        return Progress(tuple(about["history"]), about["stopped"], about["finished"])

    def write(
        self,
        model: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        history: Sequence[Mapping[str, float]],
        finished: bool = False,
    ) -> None:
        """Save the state after an epoch or, `finished`, the final weights without the optimiser."""
        arrays = {f"model_{i}": variable.numpy() for i, variable in enumerate(_variables(model))}
        seen: dict[str, dict[str, Any]] = {}
        if not finished:
            arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
            for name, attribute, value in _watched(callbacks):
                if isinstance(value, list):  # of weights
                    arrays |= {f"{name}.{attribute}:{i}": array for i, array in enumerate(value)}
                else:
                    seen.setdefault(name, {})[attribute] = None if value is None else float(value)
        about = {
            "identity": self._identity,
            "history": list(history),
            "stopped": bool(model.stop_training),
            "finished": finished,
            "seen": seen,
        }
        draft = self._file.with_suffix(".part")
        with draft.open("wb") as file:
            np.savez(file, about=json.dumps(about), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._file)

    def restore(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        """Bring a compiled model and its callbacks to the saved state."""
        with self._read() as content:
            about = json.loads(str(content["about"]))
            for i, variable in enumerate(_variables(model)):
                variable.assign(content[f"model_{i}"])
            if about["finished"]:
                return
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            for i, variable in enumerate(model.optimizer.variables):
                variable.assign(content[f"optimizer_{i}"])
            for callback in callbacks:
                name = type(callback).__name__
                for attribute in WATCHED.get(name, ()):
                    weights = [content[key] for key in _in_order(content, f"{name}.{attribute}:")]
                    value = weights or about["seen"].get(name, {}).get(attribute)
                    if value is not None:
                        setattr(callback, attribute, _like(value, getattr(callback, attribute)))

    def remove(self) -> None:
        """Delete the file, if there is one, and what a stop left of writing it."""
        self._file.unlink(missing_ok=True)
        self._file.with_suffix(".part").unlink(missing_ok=True)

    def _read(self) -> Any:
        try:
            return np.load(self._file, allow_pickle=False)
        except (OSError, ValueError, BadZipFile) as error:
            raise FacescanError(f"{self._file}: a damaged checkpoint ({error}): --force starts anew") from error


class EachEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type stubs
    """Restores a checkpoint when training begins and writes it after every epoch. Must come last of the callbacks.

    Args:
        checkpoint: to read and write.
        others: the callbacks whose state belongs to the run.
        history: grows by one point an epoch.
        resumed: whether there is something to restore.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        others: Sequence[keras.callbacks.Callback],
        history: Sequence[Mapping[str, float]],
        resumed: bool,
    ) -> None:
        super().__init__()
        self._checkpoint, self._others, self._history, self._resumed = checkpoint, others, history, resumed

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self._resumed:
            self._checkpoint.restore(self.model, self._others)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._checkpoint.write(self.model, self._others, self._history)


def _variables(model: keras.Model) -> list[Any]:
    """Weights and random states; metrics start anew in every epoch."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def _watched(callbacks: Sequence[keras.callbacks.Callback]) -> list[tuple[str, str, Any]]:
    return [
        (type(callback).__name__, attribute, getattr(callback, attribute))
        for callback in callbacks
        for attribute in WATCHED.get(type(callback).__name__, ())
    ]


def _in_order(content: Any, prefix: str) -> list[str]:
    keys = [key for key in content.files if key.startswith(prefix)]
    return sorted(keys, key=lambda key: int(key.removeprefix(prefix)))


def _like(value: Any, old: Any) -> Any:
    """The value as what it was: whole numbers and truth values were saved as floats."""
    return type(old)(value) if isinstance(old, (bool, int)) else value
