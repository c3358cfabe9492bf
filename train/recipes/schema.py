"""Defines a recipe: inputs, network, training and split of a detector, and the study that it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scanner.detector.card import CARD_SCHEMA, Card, CropSpec, InputSpec, OutputSpec
from train.recipes.studies import Paper, Study

REAL_FIRST = ("real", "fake")
FAKE_FIRST = ("fake", "real")  # a sigmoid output is then the probability of real


@dataclass(frozen=True, slots=True)
class Training:
    """Holds the hyper-parameters of the training.

    Attributes:
        optimizer: `adam` or `sgd`.
        learning_rate: the largest of the schedule.
        epochs: passes over the training split.
        batch: pictures in a step.
        momentum: of SGD.
        weight_decay: decoupled decay, as AdamW has it; 0 for none.
        coupled_decay: L2 decay added to Adam's gradient, as PyTorch's Adam does; 0 for none.
        slow_layers: maps a prefix of layer names to the fraction of the learning rate that these layers get; Adam only.
        schedule: `constant`; `cosine` to zero, after `warmup`; `time_decay`, lr / (1 + lr / epochs * step); `plateau`,
            a tenth of the rate whenever the validation loss has not fallen for `plateau_patience` epochs.
        warmup: share of the steps over which the learning rate of `cosine` rises first.
        plateau_patience: epochs without a lower validation loss before `plateau` lowers the rate.
        augmentation: a name of `data.augment.AUGMENTATIONS`, or empty: every picture is changed anew in every epoch.
        copies: a name of `data.augment.COPIES`, or empty: every picture of the training and validation splits comes
            as itself and once more for each change, made once for all epochs.
        balanced: whether pictures are drawn by `data.split.sampling_weights`; otherwise each is drawn once an epoch.
        composed: share of the fakes drawn that are replaced by composites of real pictures (`train.data.compose`).
        label_smoothing: of the cross-entropy.
        ema: momentum of an exponential moving average of the weights, which are the final ones; 0 for no average.
        keep_best: whether the final weights are those of the epoch with the lowest validation loss.
        patience: epochs without a lower validation loss after which training stops; 0 never stops it early.
        members: number of networks, trained one after the other with other seeds; the detector is the mean of their
            logits.
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
    """Holds the rule that splits pictures into training, validation and test; a group stays together.

    Attributes:
        validation, test: shares of the groups. Validation pictures steer the training and calibrate the detector.
        test_counts: instead of shares, the number of test pictures of each part of a set: `real`, or the prefix of a
            fake's file name.
        validation_counts: with `test_counts`, the same for validation.
        redraw: whether to ignore the split that a data set comes with.
        excluded: sets not used at all.
        stratified: whether the shares hold for each class of each set, drawn by the contents of the files.
        test_sets: sets held out for the test entirely, as `set`, `set/real` or `set/fake`.
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
    """Holds all that is needed to make a detector, but the pictures.

    Attributes:
        name: of the recipe and of its detector.
        version: of the detector.
        summary: one sentence on what it is.
        source: of the architecture: the paper and its page.
        task: the kind of fake that it detects, one of `scanner.detector.card.TASKS`.
        architecture: a module whose `build` makes the network, such as those of `train.architectures`.
        inputs: the input tensors, in the order of the network's inputs.
        output: the network's last layer: `logit`, `sigmoid` or `softmax`.
        training: the hyper-parameters.
        split: of the pictures.
        options: further arguments of `build`.
        dropout: rates of the network's dropout layers, from input to output, or one rate for all of them; empty for
            the rates of the architecture.
        backbones: names of the networks within it that may start from published weights (`train.fitting.weights`).
        labels: in the order of the output's columns; a single column is the probability of the second label.
        region: `face` or `image`.
        margin: round the face, as a fraction of the longer side of its box.
        edge: what stands for pixels of the crop outside of the picture (`scanner.detector.card.CropSpec`).
        normalise_format: whether all pictures are resized to one size and saved in one format first.
        framework: `keras` or `pytorch`: whose batch normalisation, initial weights and Adam are used
            (`train.fitting.pytorch`).
        study: the published figures of the network, if there are any.
        notes: the choices that the study leaves open, and why they are as they are.
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
        """Return the card of the untrained detector: without calibration, operating points and metrics."""
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


# Scaling of pixels with which the ImageNet weights of keras.applications were trained.
CENTRED = {"range": (-1.0, 1.0)}  # MobileNet v1
CAFFE = {"color": "BGR", "range": (0.0, 255.0), "mean": (103.939, 116.779, 123.68)}  # VGG16, ResNet50
CLIP = {"range": (0.0, 255.0), "mean": (122.77, 116.75, 104.09), "std": (68.5, 66.63, 70.32)}  # CLIP's training
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the pixels of ImageNet, 0..1


def picture_input(side: int, **scaling: Any) -> InputSpec:
    """Return the input for a square picture of `side` pixels; `scaling` are further fields of `InputSpec`."""
    return InputSpec("pixels", (side, side), **scaling)


def ela_input(side: int, **scaling: Any) -> InputSpec:
    """Return the input for a square Error Level Analysis of `side` pixels; `scaling` as for `picture_input`."""
    return InputSpec("ela", (side, side), content="ela", **scaling)


def cite(paper: Paper) -> str:
    """Name authors, title and venue of a paper in one line."""
    return f"{paper.name}, {paper.title!r}: {paper.venue}"
