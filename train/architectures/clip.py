"""Loads the weights of CLIP's picture encoder, or of a detector made of it, into a vision transformer.

Files: `.safetensors` as openai/clip-vit-base-patch16 publishes them on the Hugging Face hub (names
`vision_model.*`, matrices as PyTorch has them: output by input), the same names in an `.npz`, or an `.npz` of ours, in
which matrices may lie as int8 with a scale for every row (`NAME#q`, `NAME#s`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from scanner.errors import FacescanError

Arrays = Mapping[str, NDArray[np.float32]]
SUFFIXES = (".npz", ".safetensors")
# The arrays of each layer in our files, and in the published ones (which misspell the first normalisation).
_OUTER: dict[str, list[tuple[str, ...]]] = {
    "pre_norm": [("pre",), ("vision_model.pre_layrnorm",)],
    "post_norm": [("post",)],
    "logit": [("fc",)],
}
_INNER = {
    "norm_1": ("n1", ("layer_norm1",)),
    "qkv": ("qkv", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    "out": ("o", ("self_attn.out_proj",)),
    "norm_2": ("n2", ("layer_norm2",)),
    "hidden": ("f1", ("mlp.fc1",)),
    "shrink": ("f2", ("mlp.fc2",)),
}


def load(model: keras.Model, file: str) -> None:
    """Set the weights of a `vision_transformer` to those of a file; a head that the file lacks keeps its weights.

    Raises:
        FacescanError: the file is of another kind, or its arrays do not fit the network.
    """
    arrays = read_arrays(file)
    try:
        for layer in model.layers:
            if layer.weights and (found := _weights_of(layer.name, layer.get_weights(), arrays)):
                layer.set_weights(found)
    except (KeyError, ValueError) as error:
        raise FacescanError(f"{file}: these are no weights of CLIP's ViT-B/16 ({error})") from error


def read_arrays(file: str) -> dict[str, NDArray[np.float32]]:
    """Read every array of a file as float32, by name.

    Raises:
        FacescanError: the file cannot be read.
    """
    if Path(file).suffix not in SUFFIXES:
        raise FacescanError(f"{file}: weights of CLIP come as {' or '.join(SUFFIXES)}")
    try:
        if file.endswith(".npz"):
            with np.load(file) as archive:
                stored = dict(archive)
        else:
            from safetensors.numpy import load_file

            stored = load_file(file)
    except (OSError, ValueError, ImportError) as error:
        raise FacescanError(f"{file}: {error}") from error
    whole = {name: array.astype(np.float32) for name, array in stored.items() if "#" not in name}
    for name in (name.removesuffix("#q") for name in stored if name.endswith("#q")):
        whole[name] = stored[f"{name}#q"].astype(np.float32) * stored[f"{name}#s"][:, None]
    return whole


def _weights_of(layer: str, current: list[NDArray[np.float32]], arrays: Arrays) -> list[NDArray[np.float32]]:
    """Return the weights of one layer in Keras' order and layout; empty if the file has none of that layer.

    Args:
        layer: name of the Keras layer.
        current: weights of the layer, for their shapes.
        arrays: of the file, by name.
    """
    if layer == "patch_embedding":
        kernel = _first(arrays, "patch.weight", "vision_model.embeddings.patch_embedding.weight")
        return [] if kernel is None else [kernel.transpose(2, 3, 1, 0)]
    if layer == "embeddings":
        token = _first(arrays, "cls", "vision_model.embeddings.class_embedding")
        positions = _first(arrays, "pos", "vision_model.embeddings.position_embedding.weight")
        return [] if token is None or positions is None else [token, resampled(positions, len(current[1]))]
    for names in _names(layer):
        if all(f"{name}.weight" in arrays for name in names):
            weight = np.concatenate([arrays[f"{name}.weight"] for name in names])
            return [
                weight.T if weight.ndim == 2 else weight,
                np.concatenate([arrays[f"{name}.bias"] for name in names]),
            ]
    return []


def _names(layer: str) -> list[tuple[str, ...]]:
    """Return the names of a layer's arrays in our files and in the published ones, without `.weight` and `.bias`.

    Several names are parts of one layer: the published files keep queries, keys and values apart.
    """
    if not layer.startswith("block_"):
        return _OUTER.get(layer, [])
    _, number, part = layer.split("_", 2)
    ours, theirs = _INNER[part]
    return [(f"l.{number}.{ours}",), tuple(f"vision_model.encoder.layers.{number}.{name}" for name in theirs)]


def _first(arrays: Arrays, *names: str) -> NDArray[np.float32] | None:
    return next((arrays[name] for name in names if name in arrays), None)


def resampled(positions: NDArray[np.float32], tokens: int) -> NDArray[np.float32]:
    """Resample the position embeddings of a square grid of patches by antialiased bicubic interpolation.

    Args:
        positions: (1 + side * side, width), the class token's first.
        tokens: 1 + the number of patches after resampling, which is a square number.

    Returns:
        (tokens, width).
    """
    before, after = (round((count - 1) ** 0.5) for count in (len(positions), tokens))
    if before == after:
        return positions
    grid = positions[1:].reshape(before, before, -1)
    weights = _bicubic(before, after)
    grid = np.einsum("ai,ijc,bj->abc", weights, grid, weights).reshape(after * after, -1)
    return np.concatenate([positions[:1], grid.astype(np.float32)])


def _bicubic(before: int, after: int) -> NDArray[np.float64]:
    """Return a matrix (after, before): the weight of each input sample in each output sample.

    Keys' cubic kernel with a = -0.5, as wide as the samples lie apart in the coarser of the two, which is what PyTorch
    calls antialiased.
    """
    scale = before / after
    width = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale - 0.5
    x = np.abs(centres[:, None] - np.arange(before)[None]) / width
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    kernel: NDArray[np.float64] = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    kernel /= kernel.sum(axis=1, keepdims=True)
    return kernel
