"""Builds the network of a recipe, and lists its layers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import keras

from scanner.errors import FacescanError
from train.fitting.pytorch import as_pytorch
from train.recipes.schema import Recipe


def build(recipe: Recipe, weights: Mapping[str, str | None]) -> keras.Model:
    """Build the network of a recipe, before training.

    Args:
        recipe: names the architecture, its options and its inputs, which have one size.
        weights: files of initial weights by backbone; None for random ones.

    Raises:
        FacescanError: the recipe's dropout rates do not fit the network.
    """
    sizes = {spec.size for spec in recipe.inputs}
    (size,) = sizes
    model = importlib.import_module(recipe.architecture).build(size, weights, **recipe.options)
    _set_dropout(model, recipe)
    if recipe.framework == "pytorch":
        as_pytorch(model, pretrained=bool(recipe.backbones))
    return model


def _set_dropout(model: keras.Model, recipe: Recipe) -> None:
    """Set the rates of the network's dropout layers, if the recipe has rates.

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
    """List the layers from input to output: name, kind, output shape without None, and number of parameters.

    Args:
        model: whose layers are listed; a model within it is listed layer by layer.
        prefix: of the names.
    """
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
