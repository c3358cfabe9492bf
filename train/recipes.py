"""One table: every detector that can be trained here, and with what hyper-parameters."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from scanner.card import CARD_SCHEMA, Card, InputSpec, OutputSpec
from scanner.errors import FacescanError

LABELS = ("real", "fake")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a detector is made.

    Attributes:
        name: of the recipe, and of the detector that comes of it.
        version: of the detector.
        summary: one sentence on what it is.
        source: of the architecture: the paper and its page.
        task: what kind of fake it is made to tell (see `scanner.card.TASKS`).
        architecture: a module whose `build` makes the network, as those of `train.architectures`.
        input: the input tensor.
        region: `face` or `image`.
        margin: round the face, in parts of the box's longer side.
        augment: whether training crops are changed at random (`train.augment`).
        batch: pictures a step.
        epochs: as many pictures as the training split holds are drawn each time.
        learning_rate: of Adam, at its peak.
        warmup: share of the steps over which the rate rises to it; a cosine takes it back to zero.
        label_smoothing: of the cross-entropy.
        ema: momentum of the running average of the weights that is kept in the end; 0 keeps the last ones.
        excluded: sets not used at all.
        test_sets: sets kept for the test entirely, as `set`, `set/real` or `set/fake`.
        calibration_sets: the same for calibration.
    """

    name: str
    version: str
    summary: str
    source: str
    task: str
    architecture: str
    input: InputSpec
    region: str
    margin: float
    augment: bool
    batch: int
    epochs: int
    learning_rate: float
    warmup: float
    label_smoothing: float
    ema: float
    excluded: tuple[str, ...] = ()
    test_sets: tuple[str, ...] = ()
    calibration_sets: tuple[str, ...] = ()

    def card(self) -> Card:
        """The card of a detector that is not trained yet: no calibration, no operating points, no metrics."""
        return Card(
            schema=CARD_SCHEMA,
            name=self.name,
            version=self.version,
            task=self.task,
            labels=LABELS,
            fake=LABELS.index("fake"),
            inputs=(self.input,),
            output=OutputSpec("logit", "logit"),
            source=self.region,
            calibration=(1.0, 0.0),
            operating_points={},
            uncertain=(0.5, 0.5),
            margin=self.margin,
            description=self.summary,
        )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="starter",
            version="1",
            summary="facescan's first detector of wholly generated faces: a shortened MobileNet v1 at 128 px",
            source="Howard et al. 2017, arXiv:1704.04861",
            task="synthesis",
            architecture="train.architectures.mobilenet",
            input=InputSpec("pixels", (128, 128), range=(-1.0, 1.0)),
            region="face",
            margin=0.15,
            augment=True,
            batch=32,
            epochs=8,
            learning_rate=5e-4,
            warmup=0.05,
            label_smoothing=0.05,
            ema=0.99,
            excluded=("ciplab",),  # composites of real parts: another task
            # roeishc's fakes come partly from generated.photos, which is to stay unseen.
            test_sets=("stylegan3", "sd21", "generated_photos", "roeishc/fake", "team18f", "ethcc"),
            calibration_sets=("sdxl", "congress"),
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        FacescanError: there is none; names the nearest.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(RECIPES))}"
    raise FacescanError(f"no recipe {name!r}: {hint}")
