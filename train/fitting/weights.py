"""Finds the initial weights of the backbones within a network: downloaded ImageNet weights, or the user's file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import FacescanError, first_line

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5")
# Radford et al. 2021; MIT licence. 600 MB: the picture encoder is a part of it.
CLIP, CLIP_PAGE = "clip", "https://huggingface.co/openai/clip-vit-base-patch16"
_STORE = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True, slots=True)
class Backbone:
    """Describes a network's ImageNet weights without the top, as keras.applications publishes them.

    Attributes:
        url: of the file.
        md5: of the file; None if Keras has none.
        parameters: number of values that Keras reads from it.
    """

    url: str
    md5: str | None
    parameters: int


BACKBONES = {
    "mobilenet": Backbone(
        f"{_STORE}/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
        None,
        3_228_864,
    ),
    "mobilenet_v2": Backbone(
        f"{_STORE}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        None,
        2_257_984,
    ),
    "resnet50": Backbone(
        f"{_STORE}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
        23_587_712,
    ),
    "vgg16": Backbone(
        f"{_STORE}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
        14_714_688,
    ),
}


def resolve(choices: Sequence[str], backbones: Sequence[str]) -> dict[str, str | None]:
    """Find the file of initial weights of each backbone of a recipe.

    Args:
        choices: each `[BACKBONE=]imagenet|none|PATH`. A choice for one backbone takes precedence over a choice for all
            of them, and a later choice over an earlier one of the same kind. The default is `imagenet`.
        backbones: names of the recipe's backbones, keys of `BACKBONES`. A recipe without any takes no file.

    Returns:
        The file of each backbone; None for random weights.

    Raises:
        FacescanError: a choice names no backbone of the recipe; a file does not exist, cannot be downloaded, or has
            another number of values.
    """
    if not backbones:
        for choice in choices:
            if choice not in ("imagenet", "none"):  # `imagenet` is the default, and `none` is what happens
                raise FacescanError(f"--weights {choice}: this recipe has no backbone, and starts from random weights")
        return {}
    general, named = "imagenet", {}
    for choice in choices:
        backbone, equals, value = choice.partition("=")
        if not equals or Path(choice).is_file():  # the name of a file may contain =
            general = choice
        elif backbone in backbones:
            named[backbone] = value
        else:
            raise FacescanError(f"--weights {choice}: this recipe has no {backbone!r}, but {', '.join(backbones)}")
    return {backbone: _file(named.get(backbone, general), backbone) for backbone in backbones}


def _file(choice: str, backbone: str) -> str | None:
    if choice == "none":
        return None
    if backbone == CLIP:
        return _clip_file(choice)
    file = _download(backbone) if choice == "imagenet" else choice
    if not Path(file).is_file():
        raise FacescanError(f"no file {file!r}: pass --weights {backbone}=FILE, imagenet or none")
    wrong = _what_is_wrong(file, backbone)
    if wrong:
        raise FacescanError(f"{file}: {wrong}: replace it, or pass --weights {backbone}=FILE, imagenet or none")
    return file


def _clip_file(choice: str) -> str:
    """Check that a file of CLIP's weights is there. `train.architectures.clip` reads it, and says what is wrong."""
    if Path(choice).is_file():
        return choice
    trouble = "CLIP's weights are not downloaded by themselves" if choice == "imagenet" else f"no file {choice!r}"
    raise FacescanError(f"{trouble}: pass --weights clip=FILE, the model.safetensors of {CLIP_PAGE}; or none")


def _download(backbone: str) -> str:
    import keras

    published = BACKBONES[backbone]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws a progress bar
            # In the folder and under the name that keras.applications uses, so that nobody downloads it twice.
            return str(keras.utils.get_file(origin=published.url, file_hash=published.md5, cache_subdir="models"))
    except Exception as error:  # Keras raises no other type where the network fails
        raise FacescanError(
            f"cannot download {published.url}: fetch it where there is a network and pass --weights {backbone}=FILE, "
            "or --weights none"
        ) from error


def _what_is_wrong(file: str, backbone: str) -> str:
    """Say why Keras could not load the file into the backbone; empty if it can."""
    import h5py

    if Path(file).suffix not in SUFFIXES:
        return f"Keras takes weights from {' and '.join(SUFFIXES)} files only"
    try:
        with h5py.File(file) as content:
            values = sum(_sizes(content))
    except (OSError, KeyError) as error:
        return f"not a file of Keras weights ({first_line(error)})"
    expected = BACKBONES[backbone].parameters
    return "" if values == expected else f"{values:,} values, but {backbone} without its top has {expected:,}"


def _sizes(content: h5py.File) -> list[int]:
    """Count the values of each weight that Keras reads."""
    import h5py

    if "layer_names" in content.attrs:  # Keras 1 and 2; the file may hold more than what is listed
        listed = [content[layer] for layer in content.attrs["layer_names"]]
        return [layer[weight].size for layer in listed for weight in layer.attrs["weight_names"]]
    sizes: list[int] = []
    content.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sizes
