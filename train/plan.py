"""Holds what the user chooses for a run, and applies it to a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scanner.errors import FacescanError
from train.data.degrade import AS_FOUND, FAIR
from train.data.index import names
from train.data.samples import Sample
from train.recipes.schema import Recipe, Split


@dataclass(frozen=True, slots=True)
class Plan:
    """Holds what the user chooses for a run.

    Attributes:
        weights: initial weights of the backbones, as `train.fitting.weights.resolve` takes them.
        epochs: instead of the recipe's.
        learning_rate: instead of the recipe's.
        seed: of splits, sampling and initial weights.
        sets: the sets of an index to use; empty for all.
        left_out: sets held out for the test entirely, besides the recipe's, as `set`, `set/real` or `set/fake`. A group
            with a picture in such a set is held out, too. A recipe with test counts is split by shares instead.
        normalise_format: whether every picture is resized to one size and saved in one format first.
        terms: of use of the pictures, for the card, in the user's words.
        resume: whether to continue a stopped run, and to leave a finished one as it is.
        force: whether to replace a run in the same folder.
    """

    weights: tuple[str, ...] = ()
    epochs: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    sets: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    normalise_format: bool = False
    terms: str = ""
    resume: bool = False
    force: bool = False

    @property
    def format(self) -> str:
        """Return the condition (`train.data.degrade`) of the training pictures."""
        return FAIR if self.normalise_format else AS_FOUND

    def applied_to(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the epochs and the learning rate of the plan."""
        training = replace(
            recipe.training,
            epochs=self.epochs or recipe.training.epochs,
            learning_rate=self.learning_rate or recipe.training.learning_rate,
        )
        return replace(recipe, training=training)


def split_rule(recipe: Recipe, samples: Sequence[Sample], left_out: tuple[str, ...]) -> Split:
    """Return the recipe's split with more sets held out for the test.

    Args:
        recipe: whose split is changed.
        samples: that are to be split.
        left_out: names of the sets, as `set`, `set/real` or `set/fake`.

    Raises:
        FacescanError: there are no pictures of one of these sets.
    """
    if not left_out:
        return recipe.split
    known = {name for sample in samples for name in names(sample)}
    missing = [name for name in left_out if name not in known]
    if missing:
        raise FacescanError(f"no pictures of {', '.join(missing)} among {', '.join(sorted(known))}: see --leave-out")
    return replace(recipe.split, test_counts={}, test_sets=(*recipe.split.test_sets, *left_out))
