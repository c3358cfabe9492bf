"""Says what a recipe is: inputs, network, training and split of a detector, and the study that it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scanner.detector.card import CARD_SCHEMA, Card, CropSpec, InputSpec, OutputSpec
from train.recipes.studies import Paper, Study

REAL_FIRST = ("real", "fake")
FAKE_FIRST = ("fake", "real")  # a sigmoid of P(real)


@dataclass(frozen=True, slots=True)
class Training:
    """How the weights are found.

    Attributes:
        optimizer: `adam` or `sgd`.
        learning_rate: at its peak.
        epochs: passes over the training split.
        batch: pictures a step.
        momentum: of SGD.
        weight_decay: of AdamW; 0 for none.
        coupled_decay: of Adam, added to its gradient (L2, as PyTorch's Adam does); 0 for none.
        slow_layers: prefix of layer names -> part of the learning rate that their weights get, of Adam.
        schedule: `constant`; `cosine` to zero, after `warmup`; `time_decay`, lr / (1 + lr / epochs * step); `plateau`,
            a tenth of it whenever the validation loss has not fallen for `plateau_patience` epochs.
        warmup: share of the steps over which a cosine's rate rises first.
        plateau_patience: epochs, of the schedule `plateau`.
        augmentation: a name of `data.augment.AUGMENTATIONS`, or empty: every picture is changed anew in every epoch.
        copies: a name of `data.augment.COPIES`, or empty: every picture of the training and validation splits comes
            as itself and once more for each change, made once for all epochs.
        balanced: whether pictures are drawn by `data.split.sampling_weights`; otherwise each is seen once an epoch.
        composed: share of the fakes drawn in whose place comes a composite of real ones (`train.data.compose`).
        label_smoothing: of the cross-entropy.
        ema: momentum of the running average of the weights that is kept in the end; 0 keeps the last ones.
        keep_best: whether the weights of the epoch with the lowest validation loss are kept.
        patience: epochs without a lower validation loss after which training stops; 0 never stops it.
        members: networks that are trained one after the other, with new weights and draws of their own; the detector is
            the mean of their logits.
    """

    optimizer: str
    learning_rate: float
    epochs: int
    batch: int
    momentum: float = 0.0
    weight_decay: float = 0.0
    coupled_decay: float = 0.0
    slow_layers: Mapping[str, float] = field(default_factory=dict)
    schedule: str = "constant"
    warmup: float = 0.0
    plateau_patience: int = 1
    augmentation: str = ""
    copies: str = ""
    balanced: bool = False
    composed: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    keep_best: bool = False
    patience: int = 0
    members: int = 1


@dataclass(frozen=True, slots=True)
class Split:
    """Which pictures are used for what; a group is never parted.

    Attributes:
        validation, test: shares of the groups. Validation pictures steer the training and calibrate what comes of it.
        test_counts: instead of shares, so many pictures for the test of each part of a set: `real`, or the prefix of
            a fake's file name.
        validation_counts: with `test_counts`, the same for validation.
        redraw: whether the split that a data set comes with is set aside.
        excluded: sets not used at all.
        stratified: whether each class of each set gives its share, drawn by the contents of the files.
        test_sets: sets kept for the test entirely, as `set`, `set/real` or `set/fake`.
        validation_sets: the same for validation.
    """

    validation: float = 0.15
    test: float = 0.15
    test_counts: Mapping[str, int] = field(default_factory=dict)
    validation_counts: Mapping[str, int] = field(default_factory=dict)
    stratified: bool = False
    redraw: bool = False
    excluded: tuple[str, ...] = ()
    test_sets: tuple[str, ...] = ()
    validation_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a detector is made.

    Attributes:
        name: of the recipe, and of the detector that comes of it.
        version: of the detector.
        summary: one sentence on what it is.
        source: of the architecture: the paper and its page.
        task: what kind of fake it is made to tell (see `scanner.detector.card.TASKS`).
        architecture: a module whose `build` makes the network, as those of `train.architectures`.
        inputs: the input tensors, in the order of the network's.
        output: `logit`, `sigmoid` or `softmax`: the network's last layer.
        training: how it is trained.
        split: of the pictures.
        options: further arguments of `build`.
        dropout: rates of the network's dropout layers, from top to bottom, or one for all; empty for its own.
        backbones: networks within it that may start from published weights (see `train.fitting.weights`).
        labels: in the order of the output's columns; of a single column, that of label 1.
        region: `face` or `image`.
        margin: round the face, in parts of the box's longer side.
        edge: what stands for the crop's pixels outside of the picture (see `scanner.detector.card.CropSpec`).
        normalise_format: whether all pictures are brought to one size and saved alike before anything else.
        framework: `keras` or `pytorch`: whose batch normalisation, initial weights and Adam (see `fitting.pytorch`).
        study: what was published of it, if it was.
        notes: where the study is silent, what was chosen and why.
    """

    name: str
    version: str
    summary: str
    source: str
    task: str
    architecture: str
    inputs: tuple[InputSpec, ...]
    output: str
    training: Training
    split: Split = field(default_factory=Split)
    options: Mapping[str, Any] = field(default_factory=dict)
    dropout: tuple[float, ...] = ()
    backbones: tuple[str, ...] = ()
    labels: tuple[str, ...] = REAL_FIRST
    region: str = "image"
    margin: float = 0.0
    edge: str = "clamp"
    normalise_format: bool = False
    framework: str = "keras"
    study: Study | None = None
    notes: str = ""

    def card(self) -> Card:
        """The card of a detector that is not trained yet: no calibration, no operating points, no metrics."""
        return Card(
            schema=CARD_SCHEMA,
            name=self.name,
            version=self.version,
            task=self.task,
            labels=self.labels,
            fake=self.labels.index("fake"),
            inputs=self.inputs,
            output=OutputSpec(self.output, self.output),
            source=self.region,
            calibration=(1.0, 0.0),
            operating_points={},
            uncertain=(0.5, 0.5),
            margin=self.margin,
            crop=CropSpec(self.edge),
            description=self.summary,
        )


# How the networks of keras.applications want their pixels, so that ImageNet weights mean something.
CENTRED = {"range": (-1.0, 1.0)}  # MobileNet v1
CAFFE = {"color": "BGR", "range": (0.0, 255.0), "mean": (103.939, 116.779, 123.68)}  # VGG16, ResNet50
CLIP = {"range": (0.0, 255.0), "mean": (122.77, 116.75, 104.09), "std": (68.5, 66.63, 70.32)}  # its training's
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the pixels of ImageNet, 0..1


def picture_input(side: int, **scaling: Any) -> InputSpec:
    return InputSpec("pixels", (side, side), **scaling)


def ela_input(side: int, **scaling: Any) -> InputSpec:
    return InputSpec("ela", (side, side), content="ela", **scaling)


def cite(paper: Paper) -> str:
    return f"{paper.name}, {paper.title!r}: {paper.venue}"
