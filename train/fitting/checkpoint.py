"""Saves the state of a training run after every epoch, so that a stopped run continues as if it had not stopped."""

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

# Attributes of Keras' callbacks that are state of the training, by class; their other attributes are settings.
CALLBACK_STATE = {
    "EarlyStopping": ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
    "SwapEMAWeights": ("_ema_weights_in_model",),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Says how far a run was when its checkpoint was written.

    Attributes:
        history: figures of each epoch, as in `train.fitting.fit.Fitted`.
        stopped: whether early stopping has ended the training.
        finished: whether the weights are the final ones.
    """

    history: tuple[dict[str, float], ...]
    stopped: bool
    finished: bool


class Checkpoint:
    """Reads and writes one file with weights, optimiser, random states and the state of the callbacks.

    Args:
        file: replaced as a whole, so that a stop during the write leaves the previous one.
        identity: hash of recipe, pictures and seed. A file with another identity is refused.
    """

    def __init__(self, file: Path, identity: str) -> None:
        self._file, self._identity = file, identity

    def progress(self) -> Progress | None:
        """Return how far the run was; None if it has no checkpoint.

        Raises:
            FacescanError: the file is damaged, or belongs to another run.
        """
        if not self._file.exists():
            return None
        with self._read() as content:
            about = json.loads(str(content["about"]))
        if about["identity"] != self._identity:
            raise FacescanError(
                f"{self._file}: belongs to a run with another recipe, seed or pictures: --force starts again, "
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
        """Save the state after an epoch, or the final weights without the optimiser.

        Args:
            model: compiled, with the weights to save.
            callbacks: whose state is saved.
            history: figures of each epoch.
            finished: whether the weights are the final ones.

        Raises:
            OSError: the file cannot be written.
        """
        arrays = {f"model_{i}": variable.numpy() for i, variable in enumerate(_variables(model))}
        states: dict[str, dict[str, Any]] = {}
        if not finished:
            arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
            for name, attribute, value in _callback_state(callbacks):
                if isinstance(value, list):  # a list of weight arrays
                    arrays |= {f"{name}.{attribute}:{i}": array for i, array in enumerate(value)}
                else:
                    states.setdefault(name, {})[attribute] = None if value is None else float(value)
        about = {
            "identity": self._identity,
            "history": list(history),
            "stopped": bool(model.stop_training),
            "finished": finished,
            "seen": states,
        }
        draft = self._file.with_suffix(".part")
        with draft.open("wb") as file:
            np.savez(file, about=json.dumps(about), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._file)

    def restore(self, model: keras.Model, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        """Set a compiled model and its callbacks to the saved state.

        Raises:
            FacescanError: the file is damaged.
        """
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
                for attribute in CALLBACK_STATE.get(name, ()):
                    weights = [content[key] for key in _numbered_keys(content, f"{name}.{attribute}:")]
                    value = weights or about["seen"].get(name, {}).get(attribute)
                    if value is not None:
                        setattr(callback, attribute, _as_type_of(value, getattr(callback, attribute)))

    def remove(self) -> None:
        """Delete the file and the draft of an interrupted write, if they exist."""
        self._file.unlink(missing_ok=True)
        self._file.with_suffix(".part").unlink(missing_ok=True)

    def _read(self) -> Any:
        try:
            return np.load(self._file, allow_pickle=False)
        except (OSError, ValueError, BadZipFile) as error:
            raise FacescanError(f"{self._file}: a damaged checkpoint ({error}): --force starts again") from error


class EachEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type stubs
    """Restores a checkpoint when training begins and writes it after every epoch. It must be the last callback.

    Args:
        checkpoint: to read and write.
        others: the callbacks whose state belongs to the run.
        history: figures of each epoch, appended to by another callback.
        resumed: whether the checkpoint has a state to restore.
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
        """Restore the checkpoint of a stopped run."""
        if self._resumed:
            self._checkpoint.restore(self.model, self._others)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the checkpoint."""
        self._checkpoint.write(self.model, self._others, self._history)


def _variables(model: keras.Model) -> list[Any]:
    """List weights and random states, without metrics, which are reset in every epoch."""
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in metrics]


def _callback_state(callbacks: Sequence[keras.callbacks.Callback]) -> list[tuple[str, str, Any]]:
    return [
        (type(callback).__name__, attribute, getattr(callback, attribute))
        for callback in callbacks
        for attribute in CALLBACK_STATE.get(type(callback).__name__, ())
    ]


def _numbered_keys(content: Any, prefix: str) -> list[str]:
    keys = [key for key in content.files if key.startswith(prefix)]
    return sorted(keys, key=lambda key: int(key.removeprefix(prefix)))


def _as_type_of(value: Any, old: Any) -> Any:
    """Convert a value back to int or bool, if the old value is one: both are saved as floats."""
    return type(old)(value) if isinstance(old, (bool, int)) else value
