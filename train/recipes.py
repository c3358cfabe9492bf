"""One table: every detector that can be trained here, its paper, its hyper-parameters and its published figures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scanner.card import CARD_SCHEMA, Card, InputSpec, OutputSpec
from scanner.errors import FacescanError

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
        coupled_decay: of Adam, in its gradient; 0 for none.
        slow_layers: prefix of layer names -> part of the learning rate that their weights get.
        schedule: `constant`; `cosine` to zero, after `warmup`; `time_decay`, lr / (1 + lr / epochs * step); `plateau`,
            a tenth of it whenever the validation loss has not fallen for 3 epochs.
        warmup: share of the steps over which a cosine's rate rises first.
        augmentation: a name of `train.augment.AUGMENTATIONS`, or empty.
        augment_validation: whether the validation pictures are changed too.
        balanced: whether pictures are drawn by `train.data.sampling_weights`; otherwise each is seen once an epoch.
        composed: share of the fakes drawn in whose place comes a composite of real ones (`train.compose`).
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
    augmentation: str = ""
    augment_validation: bool = False
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
        validation_count: with `test_counts`, so many pictures for validation.
        excluded: sets not used at all.
        test_sets: sets kept for the test entirely, as `set`, `set/real` or `set/fake`.
        validation_sets: the same for validation.
    """

    validation: float = 0.15
    test: float = 0.15
    test_counts: Mapping[str, int] = field(default_factory=dict)
    validation_count: int = 0
    excluded: tuple[str, ...] = ()
    test_sets: tuple[str, ...] = ()
    validation_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """What was published of a model, fake being the positive class where the study tells.

    Attributes:
        name: authors and year, or what else the study is known by.
        sets: names, in an index of pictures, of the set that the study used.
        on: what its figures were measured on.
        accuracy, precision, recall, f1: 0..1; None where it gives none.
    """

    name: str
    sets: tuple[str, ...]
    on: str
    accuracy: float
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


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
        inputs: the input tensors, in the order of the network's.
        output: `logit`, `sigmoid` or `softmax`: the network's last layer.
        training: how it is trained.
        split: of the pictures.
        options: further arguments of `build`.
        backbones: networks within it that may start from ImageNet weights (see `train.weights`).
        labels: in the order of the output's columns; of a single column, that of label 1.
        region: `face` or `image`.
        margin: round the face, in parts of the box's longer side.
        normalise_format: whether all pictures are brought to one size and saved alike before anything else.
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
    backbones: tuple[str, ...] = ()
    labels: tuple[str, ...] = REAL_FIRST
    region: str = "image"
    margin: float = 0.0
    normalise_format: bool = True
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
            description=self.summary,
        )


# How the networks of keras.applications want their pixels, so that ImageNet weights mean something.
_CENTRED = {"range": (-1.0, 1.0)}  # MobileNet v1
_CAFFE = {"color": "BGR", "range": (0.0, 255.0), "mean": (103.939, 116.779, 123.68)}  # VGG16, ResNet50
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the pixels of ImageNet, 0..1


def _picture(side: int, **scaling: Any) -> InputSpec:
    return InputSpec("pixels", (side, side), **scaling)


def _ela(side: int, **scaling: Any) -> InputSpec:
    return InputSpec("ela", (side, side), content="ela", **scaling)


_DEFAULT = Recipe(
    name="default",
    version="3",
    summary="facescan's detector of wholly generated faces: two shortened MobileNets v1 at 160 px",
    source="Howard et al. 2017, arXiv:1704.04861",
    task="synthesis",
    architecture="train.architectures.mobilenet",
    inputs=(_picture(160, **_CENTRED),),
    output="logit",
    backbones=("mobilenet",),
    training=Training(
        optimizer="adam",
        learning_rate=5e-4,
        epochs=14,
        batch=32,
        weight_decay=1e-4,
        schedule="cosine",
        warmup=0.05,
        augmentation="saved_anyhow",
        balanced=True,
        label_smoothing=0.05,
        ema=0.99,
        members=2,
    ),
    split=Split(
        excluded=("ciplab/fake",),  # composites of real parts: another task
        # Real pictures of people and cameras never trained on: for the false alarms, and for the thresholds.
        test_sets=("team18f",),
        validation_sets=("congress",),
    ),
    region="face",
    margin=0.25,
    normalise_format=False,  # its augmentation saves every crop anew, anyhow
)

_COMPOSITES = Recipe(
    name="composites",
    version="1",
    summary="facescan's detector of composites, faces with parts of others: a shortened MobileNet v1 at 192 px",
    source="Howard et al. 2017, arXiv:1704.04861; composites made while training: train/compose.py",
    task="manipulation",
    architecture="train.architectures.mobilenet",
    inputs=(_picture(192, **_CENTRED),),
    output="logit",
    backbones=("mobilenet",),
    training=replace(_DEFAULT.training, epochs=8, augmentation="resaved", composed=0.5, members=1),
    split=Split(
        # Wholly generated faces: another task.
        excluded=("faces140k/fake", "flux_dev", "gan128", "generated_photos", "hardfake/fake", "roeishc/fake", "sd14",
                  "sd21", "sdxl", "stylegan3", "tpdne", "vedant"),
        # As for `default`: real pictures of people and cameras never trained on.
        test_sets=("team18f",),
        validation_sets=("congress",),
    ),
    region="face",
    margin=0.15,
    normalise_format=False,  # its augmentation saves most crops anew
)  # fmt: skip

# --- Arjon et al.: three convolutions, on ciplab's composites --------------------------------------------------------

_ARJON = Recipe(
    name="arjon-cnn",
    version="1",
    summary="Three convolutions at 224 px, for composites",
    source="Arjon et al.: three convolutional layers on ciplab's Real and Fake Face Detection",
    task="manipulation",
    architecture="train.architectures.arjon_cnn",
    inputs=(_picture(224),),
    output="softmax",
    training=Training("adam", 1e-6, epochs=500, batch=32, augmentation="arjon"),
    split=Split(validation=0.1, test=0.2),
    study=Study(
        "Arjon et al.",
        ("ciplab",),
        "all 2,041 pictures, those it was trained on",
        accuracy=0.8060,
        precision=0.78,
        recall=0.82,
        f1=0.80,
    ),
    notes=(
        "The batch size is not given: 32, Keras' default. The study kept no picture back; here a tenth of the groups "
        "is kept for calibration and a fifth for the test, and the figures on the training pictures, which are the "
        "ones to hold against the published, are reported beside. Both axes are zoomed alike, so that no face is "
        "stretched."
    ),
)

# --- Perisic and Jovanovic: a VGG-like network and VGG16, on 140k faces ----------------------------------------------

_PERISIC_TRAINING = Training("adam", 0.01, epochs=15, batch=100, schedule="time_decay", keep_best=True)
_PERISIC_SPLIT = Split(validation=1 / 7, test=1 / 7)  # 100,000 / 20,000 / 20,000


def _perisic(name: str, summary: str, architecture: str, figures: tuple[float, ...], **more: Any) -> Recipe:
    accuracy, precision, recall, f1 = figures
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source="Perisic and Jovanovic: convolutional networks on 140k Real and Fake Faces",
        task="synthesis",
        architecture=architecture,
        output="sigmoid",
        training=_PERISIC_TRAINING,
        split=_PERISIC_SPLIT,
        study=Study("Perisic and Jovanovic", ("faces140k",), "20,000 of 140,000", accuracy, precision, recall, f1),
        **more,
    )


_PERISIC = (
    _perisic(
        "perisic-cnn",
        "Three convolutions with batch normalisation at 224 px",
        "train.architectures.perisic_cnn",
        (0.9718, 0.9789, 0.9644, 0.9715),
        inputs=(_picture(224),),
        notes="Pixels are scaled to 0..1, as the study's other text suggests; which class is positive is not said.",
    ),
    _perisic(
        "perisic-vgg16",
        "A frozen VGG16 under two dense layers at 224 px",
        "train.architectures.perisic_vgg16",
        (0.8998, 0.9038, 0.8949, 0.8993),
        inputs=(_picture(224, **_CAFFE),),
        backbones=("vgg16",),
        notes="Pixels are scaled as VGG16's ImageNet weights want them.",
    ),
)

# --- Gautam and Chandra: with and without Error Level Analysis, on ciplab's composites -------------------------------

_GAUTAM_SPLIT = Split(test_counts={"real": 300, "easy": 56, "mid": 102, "hard": 53}, validation_count=171)
_GAUTAM_CNN_TRAINING = Training("adam", 1e-4, epochs=30, batch=32, augmentation="gautam", augment_validation=True)
_GAUTAM_VGG_TRAINING = Training("adam", 1e-4, epochs=15, batch=32, augmentation="gautam", augment_validation=True)
_GAUTAM_SGD_TRAINING = Training(
    "sgd", 0.001, epochs=15, batch=32, momentum=0.9, augmentation="gautam", augment_validation=True
)
_GAUTAM_NOTES = (
    "How strong each of the six changes is, and how often it is made, is not said: each is made to half of the "
    "pictures, within tf.image's usual ranges."
)
_GAUTAM_HEAD_NOTES = (
    "Not said, and chosen as usual: the mean over the backbone's last map, 256 hidden units and, where no rate is "
    "named, a dropout of 0.5. "
)
_GAUTAM_BACKBONE_NOTES = (
    "The whole backbone is trained: the study speaks of fine-tuning, and SGD at 0.001 suits that. Pixels are scaled as "
    "the backbone's ImageNet weights want them. " + _GAUTAM_HEAD_NOTES + _GAUTAM_NOTES
)


def _gautam(name: str, summary: str, accuracy: float, **more: Any) -> Recipe:
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source="Gautam and Chandra: face forgery and Error Level Analysis on ciplab's Real and Fake Face Detection",
        task="manipulation",
        split=_GAUTAM_SPLIT,
        study=Study(
            "Gautam and Chandra", ("ciplab",), "511 test pictures: 300 real, 56 easy, 102 mid, 53 hard", accuracy
        ),
        **more,
    )


def _gautam_pair(name: str, summary: str, accuracies: tuple[float, float], scaling: Mapping[str, Any], **more: Any):
    """The same network on the picture, and on its Error Level Analysis."""
    plain, ela = accuracies
    return (
        _gautam(name, f"{summary} at 128 px, for composites", plain, inputs=(_picture(128, **scaling),), **more),
        _gautam(
            f"{name}-ela",
            f"{summary} at 128 px, on the Error Level Analysis of composites",
            ela,
            inputs=(_ela(128, **scaling),),
            **more,
        ),
    )


def _gautam_fusion(number: int, summary: str, accuracy: float, branches: tuple[str, str], **more: Any) -> Recipe:
    scaling = {"cnn": _IMAGENET, "mobilenet": _CENTRED, "resnet50": _CAFFE}
    return _gautam(
        f"gautam-fusion-{number}",
        summary,
        accuracy,
        architecture="train.architectures.gautam_fusion",
        options={"branches": branches},
        inputs=(_picture(128, **scaling[branches[0]]), _ela(128, **scaling[branches[1]])),
        output="softmax",
        backbones=tuple(branch for branch in branches if branch != "cnn"),
        **more,
    )


_GAUTAM = (
    *_gautam_pair(
        "gautam-cnn",
        "Five convolutions",
        (0.5636, 0.6262),
        _IMAGENET,
        architecture="train.architectures.gautam_cnn",
        output="sigmoid",
        labels=FAKE_FIRST,
        training=_GAUTAM_CNN_TRAINING,
        notes=(
            "The widths are not given: 32, 32, 64, 64 and 128 channels, each convolution followed by pooling and a "
            "dropout of 0.25, and 128 hidden units with a dropout of 0.5: the widths of the other small networks of "
            "the time, which train in seconds on a CPU. " + _GAUTAM_NOTES
        ),
    ),
    *_gautam_pair(
        "gautam-vgg16",
        "VGG16",
        (0.6673, 0.6047),
        _CAFFE,
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "vgg16", "classes": 1},
        output="sigmoid",
        labels=FAKE_FIRST,
        backbones=("vgg16",),
        training=_GAUTAM_VGG_TRAINING,
        notes=_GAUTAM_BACKBONE_NOTES.replace("SGD at 0.001 suits", "Adam at 0.0001 suits"),
    ),
    *_gautam_pair(
        "gautam-resnet50",
        "ResNet50",
        (0.6849, 0.6106),
        _CAFFE,
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "resnet50", "classes": 2},
        output="softmax",
        backbones=("resnet50",),
        training=_GAUTAM_SGD_TRAINING,
        notes=_GAUTAM_BACKBONE_NOTES,
    ),
    *_gautam_pair(
        "gautam-mobilenet",
        "MobileNet v1",
        (0.7202, 0.5949),
        _CENTRED,
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "mobilenet", "classes": 2},
        output="softmax",
        backbones=("mobilenet",),
        training=_GAUTAM_SGD_TRAINING,
        notes=_GAUTAM_BACKBONE_NOTES,
    ),
    _gautam_fusion(
        1,
        "MobileNet v1 on the picture, ResNet50 on its Error Level Analysis",
        0.7241,
        ("mobilenet", "resnet50"),
        training=_GAUTAM_SGD_TRAINING,
        notes="The number of epochs is not given: 15, that of its branches alone. " + _GAUTAM_BACKBONE_NOTES,
    ),
    _gautam_fusion(
        2,
        "Five convolutions on the picture, five on its Error Level Analysis",
        0.6184,
        ("cnn", "cnn"),
        training=_GAUTAM_CNN_TRAINING,
        notes="Branches as in gautam-cnn, up to what they flatten. What joins them is not said: 256 hidden units and a "
        "dropout of 0.5. " + _GAUTAM_NOTES,
    ),
    _gautam_fusion(
        3,
        "Five convolutions on the picture, MobileNet v1 on its Error Level Analysis",
        0.7045,
        ("cnn", "mobilenet"),
        training=_GAUTAM_VGG_TRAINING,
        notes=(
            "The study's text says MobileNet and ResNet50, which is its first fusion; its table says custom CNN and "
            "MobileNet, which is taken here, in that order: picture, then Error Level Analysis. MobileNet is trained "
            "whole. " + _GAUTAM_HEAD_NOTES + _GAUTAM_NOTES
        ),
    ),
)

# --- HaeLee Kim: two convolutions, on hardfake -----------------------------------------------------------------------

_KIM = Recipe(
    name="kim-cnn",
    version="1",
    summary="Two convolutions and 46.1 million parameters at 300 px",
    source="HaeLee Kim: Hard Fake versus Real, two convolutional layers",
    task="synthesis",
    architecture="train.architectures.kim_cnn",
    inputs=(_picture(300),),
    output="softmax",
    training=Training("adam", 1e-4, epochs=10, batch=32),
    split=Split(validation=0.08, test=0.2),
    study=Study("HaeLee Kim", ("hardfake",), "a fifth of 1,289, which was the validation set too", 0.9961, f1=0.9961),
    notes=(
        "Augmentation was defined in the study and not used. A fifth is kept for the test, as there; but the "
        "validation pictures, a tenth of the rest, are others than the test's."
    ),
)

# --- CENG 476: a small network and ResNet50 --------------------------------------------------------------------------

_CENG_SPLIT = Split(validation=1 / 6, test=1 / 6)  # 20,000 / 5,000 / 5,000


def _ceng(name: str, summary: str, accuracy: float, **more: Any) -> Recipe:
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source="CENG 476 term report: detecting real and fake faces",
        task="synthesis",
        output="softmax",
        split=_CENG_SPLIT,
        study=Study(
            "CENG 476 report",
            ("faces140k",),
            "5,000 of 30,000 pictures of a set whose link names ciplab's, which has 2,041",
            accuracy,
        ),
        **more,
    )


_CENG_HEAD_NOTES = "Batches of 32, and up to 30 epochs, halted early, are those of the report's other network. "

_CENG = (
    _ceng(
        "ceng-simplecnn",
        "Three convolutions with batch normalisation at 128 px",
        0.98,
        architecture="train.architectures.ceng_simplecnn",
        inputs=(_picture(128),),
        training=Training(
            "adam",
            1e-3,
            epochs=30,
            batch=32,
            coupled_decay=1e-4,
            schedule="plateau",
            augmentation="ceng",
            keep_best=True,
            patience=5,
        ),
        notes=(
            "The report's variants: dropout 0.2 and 0.3 gave 0.93, 0.4 and 0.6 gave 0.96. The angle of the rotations "
            "(10 degrees), the strength of the jitter (0.2) and the patience (5) are not given, nor is the schedule: a "
            "tenth of the rate after 3 epochs without a lower validation loss. The weight decay is in Adam's gradient, "
            "as it is where the two are options of one optimiser (PyTorch)."
        ),
    ),
    _ceng(
        "ceng-resnet50-frozen",
        "A frozen ResNet50 under two dense layers at 224 px",
        0.91,
        architecture="train.architectures.ceng_resnet50",
        options={"trainable_from": None},
        inputs=(_picture(224, **_CAFFE),),
        backbones=("resnet50",),
        training=Training("adam", 1e-3, epochs=30, batch=32, keep_best=True, patience=5),
        notes=_CENG_HEAD_NOTES + "ImageNet normalisation is that of Keras' ResNet50. Nothing is said of augmentation "
        "for this network: none.",
    ),
    _ceng(
        "ceng-resnet50-finetuned",
        "ResNet50 with its last stage trained, under two dense layers at 224 px",
        0.996,
        architecture="train.architectures.ceng_resnet50",
        options={"trainable_from": "conv5"},
        inputs=(_picture(224, **_CAFFE),),
        backbones=("resnet50",),
        training=Training("adam", 1e-3, epochs=30, batch=32, slow_layers={"conv5": 0.1}, keep_best=True, patience=5),
        notes=_CENG_HEAD_NOTES + "ImageNet normalisation is that of Keras' ResNet50. Nothing is said of augmentation "
        "for this network: none.",
    ),
)

RECIPES = {recipe.name: recipe for recipe in (_DEFAULT, _COMPOSITES, _ARJON, *_PERISIC, *_GAUTAM, _KIM, *_CENG)}


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
