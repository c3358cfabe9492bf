"""Makes the batches that a network is trained on: drawn, augmented and normalised crops with their targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from scanner.detector.card import InputSpec
from scanner.detector.model import Region, normalise
from scanner.detector.runtime import available_cpus
from train.data.augment import AUGMENTATIONS, COPIES
from train.data.compose import Composer
from train.data.crops import Crops
from train.data.split import sampling_weights
from train.recipes.schema import Recipe

# Batches that are prepared ahead of the training step.
QUEUED_BATCHES = 8

# One tensor (n, height, width, 3) for each input of the network.
Tensors = tuple[NDArray[np.float32], ...]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no type stubs
    """Draws and normalises batches of crops; a batch depends on seed, epoch and position only.

    Each item is a pair: the input of the network, (n, height, width, 3) float32, or a tuple of these for a network
    with several inputs; and the targets (see `targets`).

    Args:
        crops: the crops, of which the first condition is used.
        recipe: gives batch size, sampling, augmentation and the inputs of the network.
        seed: of sampling and augmentation.
        augmented: whether pictures are augmented as the recipe says.
        drawn: whether pictures come in random order (or by the recipe's weights) rather than in the order of `crops`.
        epoch: number of the first epoch, from 0 on.
    """

    def __init__(
        self, crops: Crops, recipe: Recipe, seed: int, augmented: bool = True, drawn: bool = True, epoch: int = 0
    ) -> None:
        super().__init__(workers=available_cpus(), max_queue_size=QUEUED_BATCHES)
        self._regions, self._recipe, self._seed, self._drawn = crops.regions[0], recipe, seed, drawn
        self._copies = (_unchanged, *COPIES[recipe.training.copies]) if augmented and recipe.training.copies else ()
        self._fake, self._targets = crops.fake, targets(crops.fake, recipe)
        self._augment = (
            AUGMENTATIONS[recipe.training.augmentation] if augmented and recipe.training.augmentation else None
        )
        self._compose = _composer(crops) if augmented and recipe.training.composed else None
        self._weights = (
            sampling_weights(crops.samples, recipe.training.composed) if drawn and recipe.training.balanced else None
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
        return single_or_tuple(to_tensors(regions, self._recipe.inputs)), self._targets[chosen]

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self._epoch += 1
        self._order = self._draw()

    def _number(self) -> int:
        """Count the pictures of an epoch."""
        return len(self._regions) * max(1, len(self._copies))

    def _copy(self, picture: int, change: int) -> Region:
        """Make a changed copy of a picture, the same in every epoch: it depends on seed, picture and change only."""
        return self._copies[change](self._regions[picture], np.random.default_rng([self._seed, picture, change]))

    def _draw(self) -> NDArray[np.int64]:
        if not self._drawn:
            return np.arange(self._number())
        random = np.random.default_rng([self._seed, self._epoch])
        if self._weights is None:
            return random.permutation(self._number())
        return random.choice(len(self._regions), len(self) * self._recipe.training.batch, p=self._weights)


def steps_per_epoch(recipe: Recipe, train: Crops) -> int:
    """Count the batches of an epoch of training."""
    pictures = len(train.samples) * (1 + len(COPIES.get(recipe.training.copies, ())))
    return math.ceil(pictures / recipe.training.batch)


def to_tensors(regions: Sequence[Region], inputs: Sequence[InputSpec]) -> Tensors:
    """Normalise n regions, as the scanner does, into one (n, height, width, 3) tensor for each input."""
    return tuple(normalise(np.stack([region[i] for region in regions]), spec) for i, spec in enumerate(inputs))


def targets(fake: NDArray[np.bool_], recipe: Recipe) -> NDArray[Any]:
    """Turn labels into what the loss compares the output with.

    Args:
        fake: labels, (n,), True for fake.
        recipe: gives the order of the labels and the kind of output.

    Returns:
        For a softmax the index of the label, (n,) int32; otherwise 1 for the second label and 0 for the first, (n, 1)
        float32.
    """
    is_label_1: NDArray[np.bool_] = fake == (recipe.labels[1] == "fake")
    return is_label_1.astype(np.int32) if recipe.output == "softmax" else is_label_1.astype(np.float32)[:, None]


def single_or_tuple(tensors: Tensors) -> Any:
    """Return a single tensor without its tuple: Keras takes a tuple of one for a pair of picture and label."""
    return tensors[0] if len(tensors) == 1 else tensors


def _unchanged(region: Region, random: np.random.Generator) -> Region:
    return region


def _composer(crops: Crops) -> Composer:
    real = np.flatnonzero(~crops.fake)
    return Composer([crops.regions[0][i][0] for i in real], sampling_weights([crops.samples[i] for i in real]))
