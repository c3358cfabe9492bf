"""Manages the folder of a run: what it holds already, and the checkpoints that a stopped run continues from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from scanner.errors import FacescanError
from train.fitting.checkpoint import Checkpoint
from train.plan import Plan
from train.recipes.schema import Recipe
from train.run_record import RECORD, read_record

# The fields of a recipe that change the trained weights: a checkpoint is refused if one of them differs.
TRAINED_BY = (
    "architecture",
    "options",
    "dropout",
    "inputs",
    "output",
    "labels",
    "training",
    "split",
    "region",
    "margin",
    "framework",
)


def make_folder(out: Path) -> None:
    """Make the folder of the run, and write to it once, so that a folder without permission is found early."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise FacescanError(f"{out}: {error.strerror}") from error


def is_finished(out: Path) -> bool:
    """Find out whether the folder holds a run that was not stopped.

    Raises:
        FacescanError: its run.json is no record of a run.
    """
    file = out / RECORD
    if not file.exists():
        return False
    try:
        return not read_record(file).partial
    except FacescanError as error:
        raise FacescanError(f"{file}: no record of a run: --force replaces it") from error


def run_checkpoints(recipe: Recipe, out: Path, plan: Plan, hashed: str) -> list[Checkpoint]:
    """Return the checkpoints of a run, one for each member; with `force`, delete those of an earlier run.

    Args:
        recipe: with the epochs and the learning rate of the plan.
        out: folder of the run.
        plan: the user's choices.
        hashed: hash of the pictures and labels.

    Raises:
        FacescanError: the folder holds a run that the user did not ask to continue or to replace.
    """
    files = [out / f"checkpoint_{number}.npz" for number in range(1, recipe.training.members + 1)]
    if plan.force:
        (out / RECORD).unlink(missing_ok=True)
        for file in out.glob("checkpoint_*.npz"):
            file.unlink()
    elif is_finished(out):
        raise FacescanError(f"{out}: holds a finished run: --force replaces it, --out names another folder")
    elif not plan.resume and any(file.exists() for file in files):
        raise FacescanError(f"{out}: holds a run that was stopped: --resume continues it, --force starts again")
    made_by = {key: value for key, value in _non_default(recipe).items() if key in TRAINED_BY}
    values = json.dumps([made_by, plan.seed, plan.weights, plan.left_out, plan.format, hashed], sort_keys=True)
    identity = hashlib.sha256(values.encode()).hexdigest()
    return [Checkpoint(file, identity) for file in files]


def _non_default(value: Any) -> Any:
    """Return only the fields that differ from their defaults.

    A field that is added to a recipe later does not change the identity of earlier runs.
    """
    if not is_dataclass(value):
        return [_non_default(one) for one in value] if isinstance(value, tuple) else value
    changed = {}
    for field in fields(value):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if getattr(value, field.name) != default:
            changed[field.name] = _non_default(getattr(value, field.name))
    return changed
