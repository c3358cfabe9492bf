"""Reads and writes recipes as TOML files, and changes them by `--set KEY=VALUE`."""

from __future__ import annotations

import difflib
import importlib.util
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from scanner.detector.card import InputSpec
from scanner.errors import FacescanError
from train.recipes import find_recipe
from train.recipes.schema import Recipe, Split, Training

OUTPUTS = ("logit", "sigmoid", "softmax")
# Fields whose values are names from a list, besides `augmentation` and `copies`.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("adam", "sgd"),
    "schedule": ("constant", "cosine", "time_decay", "plateau"),
    "output": OUTPUTS,
    "region": ("face", "image"),
    "framework": ("keras", "pytorch"),
}
# Numbers of `Training` that are over 0, and those that may be 0.
POSITIVE = ("learning_rate", "epochs", "batch", "members")
NOT_NEGATIVE = (
    "momentum",
    "weight_decay",
    "coupled_decay",
    "warmup",
    "composed",
    "label_smoothing",
    "ema",
    "patience",
)
# Fields that a TOML file does not have: the published figures belong to the study's own recipe.
LEFT_OUT = ("study",)


def as_toml(recipe: Recipe) -> str:
    """Write a recipe as the text of a TOML file that `facescan-train fit` takes."""
    values = {key: value for key, value in asdict(recipe).items() if key not in LEFT_OUT}
    tables = {key: values.pop(key) for key in ("training", "split", "options")}
    inputs = values.pop("inputs")
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    for one in inputs:
        lines += ["", "[[inputs]]", *(f"{key} = {_toml(value)}" for key, value in one.items())]
    return "\n".join(lines)


def load_recipe(name: str, settings: Iterable[str] = ()) -> Recipe:
    """Find a recipe by its name, or read it from a TOML file; then change settings.

    Args:
        name: of a recipe, or a path that ends in `.toml`.
        settings: each `KEY=VALUE`; KEY is a field of `Training`, `Split` or `Recipe`, or an option of the network.

    Raises:
        FacescanError: there is no such recipe, the file is no recipe, or a setting is wrong.
    """
    recipe = _read_toml(Path(name)) if name.endswith(".toml") else find_recipe(name)
    for setting in settings:
        recipe = _with(recipe, setting)
    return _checked(recipe, name)


def _read_toml(file: Path) -> Recipe:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise FacescanError(f"{file}: {error.strerror}") from error
    except ValueError as error:  # no TOML, or no text
        raise FacescanError(f"{file}: not TOML: {error}") from error
    where = str(file)
    inputs = values.pop("inputs", None)
    if not isinstance(inputs, list) or not inputs:
        raise FacescanError(f"{where}: no [[inputs]]: facescan-train list kim-cnn --format toml prints an example")
    recipe: Recipe = _made(
        Recipe,
        values
        | {
            "training": _made(Training, values.get("training", {}), f"{where}: training"),
            "split": _made(Split, values.get("split", {}), f"{where}: split"),
            "inputs": tuple(_made(InputSpec, one, f"{where}: inputs") for one in inputs),
        },
        where,
    )
    return recipe


def _made(kind: Callable[..., Any], values: Any, where: str) -> Any:
    """Make a dataclass from a TOML table.

    Args:
        kind: the dataclass.
        values: the table; its keys must be fields of the dataclass.
        where: name of the file and table, for the message.

    Raises:
        FacescanError: it is no table, or it has an unknown key or lacks a needed one.
    """
    if not isinstance(values, dict):
        raise FacescanError(f"{where}: not a table")
    known = [field.name for field in fields(kind) if field.name not in LEFT_OUT]  # type: ignore[arg-type]  # kind is a dataclass; mypy has no type for "the class of a dataclass" that can be called
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise FacescanError(f"{where}: no setting {key!r}" + (f": did you mean {near[0]}?" if near else ""))
    try:
        return kind(**{key: _plain(value) for key, value in values.items()})
    except TypeError as error:
        raise FacescanError(f"{where}: {str(error).partition(') ')[2] or error}") from error


def _with(recipe: Recipe, setting: str) -> Recipe:
    """Return the recipe with one setting, `KEY=VALUE`, changed."""
    key, equals, text = setting.partition("=")
    if not equals:
        raise FacescanError(f"--set {setting}: not KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text  # a word need not be quoted
    value = _plain(value)
    if key == "dropout":
        return replace(recipe, dropout=value if isinstance(value, tuple) else (value,))
    if key in recipe.options:
        return replace(recipe, options={**recipe.options, key: value})
    for part in ("training", "split"):
        if key in {field.name for field in fields(getattr(recipe, part))}:
            return replace(recipe, **{part: replace(getattr(recipe, part), **{key: value})})
    recipe_fields = {"margin", "region", "normalise_format", "framework", "task", "summary", "version"}
    if key in recipe_fields:
        return replace(recipe, **{key: value})
    known = [*recipe_fields, "dropout", *recipe.options, *(f.name for kind in (Training, Split) for f in fields(kind))]
    near = difflib.get_close_matches(key, known, n=1)
    raise FacescanError(f"--set {key}: no such setting" + (f": did you mean {near[0]}?" if near else ""))


def _checked(recipe: Recipe, where: str) -> Recipe:
    """Return the recipe if its values are possible.

    Args:
        recipe: to check.
        where: name of the file or recipe, for the message.

    Raises:
        FacescanError: a value is not possible; names the field.
    """
    _check_choices(recipe, where)
    _check_numbers(recipe, where)
    training = recipe.training
    if training.optimizer == "sgd" and (training.coupled_decay or training.slow_layers):
        raise FacescanError(f"{where}: coupled_decay and slow_layers are of Adam, not of SGD")
    if not all(isinstance(getattr(recipe, key), str) for key in ("name", "version", "summary", "task", "architecture")):
        raise FacescanError(f"{where}: name, version, summary, task and architecture are texts")
    if not recipe.name or Path(recipe.name).name != recipe.name:
        raise FacescanError(f"{where}: name {recipe.name!r} cannot be that of a file")
    if importlib.util.find_spec("keras") is not None and not _can_be_found(recipe.architecture):
        raise FacescanError(
            f"{where}: no architecture {recipe.architecture!r}: a module like train.architectures.kim_cnn"
        )
    return recipe


def _check_choices(recipe: Recipe, where: str) -> None:
    """Check the fields whose values are names from a list."""
    from train.data.augment import AUGMENTATIONS, COPIES

    choices = {**CHOICES, "augmentation": ("", *AUGMENTATIONS), "copies": ("", *COPIES)}
    for part in (recipe, recipe.training):
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name in choices and value not in choices[field.name]:
                raise FacescanError(f"{where}: {field.name} {value!r} is none of {_listed(choices[field.name])}")


def _check_numbers(recipe: Recipe, where: str) -> None:
    """Check the fields that are numbers."""
    for key in POSITIVE:
        value = getattr(recipe.training, key)
        if not _is_number(value) or value <= 0:
            raise FacescanError(f"{where}: {key} {value!r} is no number over 0")
    for key in NOT_NEGATIVE:
        value = getattr(recipe.training, key)
        if not _is_number(value) or value < 0:
            raise FacescanError(f"{where}: {key} {value!r} is no number from 0 on")
    for rate in recipe.dropout:
        if not _is_number(rate) or not 0 <= rate < 1:
            raise FacescanError(f"{where}: dropout {rate!r} is no number from 0 to below 1")


def _can_be_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name or "''" for name in names)


def _plain(value: Any) -> Any:
    """Turn lists into tuples, as the dataclasses have them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return tuple(_plain(one) for one in value) if isinstance(value, list) else value


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
