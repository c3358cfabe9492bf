"""One table: every detector that can be trained here, its paper, its hyper-parameters and its published figures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scanner.detector.card import CARD_SCHEMA, Card, InputSpec, OutputSpec
from scanner.errors import FacescanError
from train.studies import ARJON, CENG, GAUTAM, KIM, PERISIC, Paper, Study

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
        augmentation: a name of `train.augment.AUGMENTATIONS`, or empty: every picture is changed anew in every epoch.
        copies: a name of `train.augment.COPIES`, or empty: every picture of the training and validation splits comes
            as itself and once more for each change, made once for all epochs.
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
        backbones: networks within it that may start from ImageNet weights (see `train.weights`).
        labels: in the order of the output's columns; of a single column, that of label 1.
        region: `face` or `image`.
        margin: round the face, in parts of the box's longer side.
        normalise_format: whether all pictures are brought to one size and saved alike before anything else.
        framework: `keras` or `pytorch`: whose batch normalisation, initial weights and Adam (see `train.pytorch`).
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


def _cite(paper: Paper) -> str:
    return f"{paper.name}, {paper.title!r}: {paper.venue}"


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
)  # fmt: skip

# --- Arjon et al.: three convolutions, on ciplab's composites --------------------------------------------------------

_ARJON = Recipe(
    name="arjon-cnn",
    version="1",
    summary="Three convolutions at 224 px, for composites",
    source=_cite(ARJON),
    task="manipulation",
    architecture="train.architectures.arjon_cnn",
    inputs=(_picture(224),),
    output="softmax",
    training=Training("adam", 1e-6, epochs=500, batch=32, augmentation="arjon"),
    split=Split(validation=0.1, test=0.2, stratified=True),
    study=Study(
        ARJON,
        "all 2,041 pictures (the supports of its table are 1,081 and 960)",
        accuracy=0.8060,
        precision=0.78,
        recall=0.82,
        f1=0.80,
        positive="fake",
        training_accuracy=0.8052,
        validation_accuracy=0.8060,
        matrix=(858, 223, 177, 783),
        remark=(
            "0.8060 is the best of the last ten epochs (the 498th). The confusion matrix gives 1,641 of 2,041 = "
            "0.8040, which is the 500th epoch's. The text exchanges the two kinds of error: by the recalls and "
            "supports of its own table 223 real pictures were called fake and 177 fake ones real."
        ),
    ),
    notes=(
        "Not said: the batch size; 32, Keras' default. The paper loads the whole set for training and for testing; "
        "here a tenth of the groups is kept for calibration and a fifth for the test, and the figures on the "
        "training pictures, which are the ones to hold against the published, are reported beside. Not said: whether "
        "the zoom stretches; both axes are zoomed alike."
    ),
)

# --- Perisic and Jovanovic: a VGG-like network and VGG16, on 140k faces ----------------------------------------------

_PERISIC_SPLIT = Split(validation=1 / 7, test=1 / 7, stratified=True)  # 100,000 / 20,000 / 20,000


def _perisic(name: str, summary: str, architecture: str, figures: tuple[float, ...], **more: Any) -> Recipe:
    accuracy, precision, recall, f1 = figures
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source=_cite(PERISIC),
        task="synthesis",
        architecture=architecture,
        output="sigmoid",
        split=_PERISIC_SPLIT,
        study=Study(PERISIC, "20,000 of 140,000", accuracy, precision, recall, f1, positive="fake"),
        **more,
    )


_PERISIC_NOTES = "Not said: by which figure the best weights are chosen; by the lowest validation loss. "

_PERISIC = (
    _perisic(
        "perisic-cnn",
        "Three convolutions with batch normalisation at 224 px",
        "train.architectures.perisic_cnn",
        (0.9718, 0.9789, 0.9644, 0.9715),
        inputs=(_picture(224),),
        training=Training("adam", 0.01, epochs=15, batch=100, schedule="time_decay", keep_best=True),
        notes=_PERISIC_NOTES + "Not said: how pixels are scaled; to 0..1.",
    ),
    _perisic(
        "perisic-vgg16",
        "A frozen VGG16 under two dense layers at 224 px",
        "train.architectures.perisic_vgg16",
        (0.8998, 0.9038, 0.8949, 0.8993),
        inputs=(_picture(224, **_CAFFE),),
        backbones=("vgg16",),
        training=Training("adam", 0.001, epochs=15, batch=100, keep_best=True),
        notes=_PERISIC_NOTES + "Not said: Adam's rate for this network (0.01 with decay is that of the custom network "
        "alone); 0.001, Keras' default, constant. Not said: how pixels are scaled; as VGG16's ImageNet weights want "
        "them.",
    ),
)

# --- Gautam and Chandra: with and without Error Level Analysis, on ciplab's composites -------------------------------

_GAUTAM_SPLIT = Split(
    test_counts={"real": 300, "easy": 56, "mid": 102, "hard": 53},
    validation_counts={"real": 61, "easy": 26, "mid": 54, "hard": 30},
)
_GAUTAM_CNN_TRAINING = Training("adam", 1e-4, epochs=30, batch=32, copies="gautam")
_GAUTAM_ADAM_TRAINING = replace(_GAUTAM_CNN_TRAINING, epochs=15)
_GAUTAM_SGD_TRAINING = Training("sgd", 0.001, epochs=15, batch=32, momentum=0.9, copies="gautam")
_GAUTAM_NOTES = (
    "Not said: the strength of the three random changes; brightness up to 0.2 of the range, contrast and saturation "
    "times 0.8 to 1.2, drawn once for each picture. Not said: whether Error Level Analysis comes before the changes; "
    "it does, and is changed as the picture is. "
)
_GAUTAM_HEAD_NOTES = (
    "Not said: what follows the backbone; the mean over its last map, 256 hidden units and, where no rate is named, a "
    "dropout of 0.5. Not said: whether the backbone is trained or frozen; it is trained whole, because the report has "
    "training accuracies of up to 99.56 %. Pixels have ImageNet's mean and deviation, as the report normalises all its "
    "pictures; "
)
_VGG16_PIXELS = (
    "Keras' weights of VGG16 were trained on BGR from 0 to 255, less the mean, and it has no batch normalisation to "
    "make up for the difference. "
)
_RESNET50_PIXELS = "Keras' weights of ResNet50 were trained on BGR from 0 to 255, less the mean. "
_MOBILENET_PIXELS = (
    "Keras' weights of MobileNet v1 were trained on pixels from -1 to 1: the first batch normalisation makes up for "
    "the difference. Not said: which MobileNet; the report's only reference is to V2. V1 stands here because its "
    "weights were at hand; gautam-mobilenet-v2 has V2. "
)
_GAUTAM_PYTORCH_NOTES = "Made in PyTorch by the report's division of work. "
_GAUTAM_ON = "511 test pictures: 300 real, 56 easy, 102 mid, 53 hard"


def _gautam(name: str, summary: str, figures: tuple[Any, ...], **more: Any) -> Recipe:
    """A recipe with the report's figures in the order of its tables, then the class they are of, and the matrix."""
    training, validation, accuracy, precision, recall, f1, balanced, positive, matrix = figures
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source=_cite(GAUTAM),
        task="manipulation",
        split=_GAUTAM_SPLIT,
        study=Study(
            GAUTAM,
            _GAUTAM_ON,
            accuracy,
            precision,
            recall,
            f1,
            positive,
            training,
            validation,
            balanced,
            matrix,
            remark=(
                "The matrix is not printed: it is the only one on 300 real and 211 fake pictures that gives the "
                "printed figures, and it tells which class they are of. What the report calls AU-ROC is the mean of "
                "both recalls of these hard decisions, and no area under a curve."
            ),
        ),
        **more,
    )


def _gautam_pair(
    name: str, summary: str, figures: tuple[tuple[Any, ...], tuple[Any, ...]], **more: Any
) -> tuple[Recipe, Recipe]:
    """The same network on the picture, and on its Error Level Analysis."""
    plain, ela = figures
    return (
        _gautam(name, f"{summary} at 128 px, for composites", plain, inputs=(_picture(128, **_IMAGENET),), **more),
        _gautam(
            f"{name}-ela",
            f"{summary} at 128 px, on the Error Level Analysis of composites",
            ela,
            inputs=(_ela(128, **_IMAGENET),),
            **more,
        ),
    )


def _gautam_fusion(
    number: int, summary: str, figures: tuple[Any, ...], branches: tuple[str, str], **more: Any
) -> Recipe:
    """A recipe of which the first branch sees the picture and the second its Error Level Analysis."""
    return _gautam(
        f"gautam-fusion-{number}",
        summary,
        figures,
        architecture="train.architectures.gautam_fusion",
        options={"branches": branches},
        inputs=(_picture(128, **_IMAGENET), _ela(128, **_IMAGENET)),
        output="softmax",
        backbones=tuple(branch for branch in branches if branch != "cnn"),
        **more,
    )


_GAUTAM_MOBILENET = (0.9873, 0.6399, 0.7202, 0.66670, 0.64454, 0.65542, 0.70894, "fake", (232, 68, 75, 136))
_GAUTAM = (
    *_gautam_pair(
        "gautam-cnn",
        "Five convolutions",
        (
            (0.9309, 0.5815, 0.5636, 0.64751, 0.56333, 0.60250, 0.56365, "real", (169, 131, 92, 119)),
            (0.6655, 0.5459, 0.6262, 0.71713, 0.60000, 0.65336, 0.63175, "real", (180, 120, 71, 140)),
        ),
        architecture="train.architectures.gautam_cnn",
        output="sigmoid",
        labels=FAKE_FIRST,
        training=_GAUTAM_CNN_TRAINING,
        notes=(
            "Not said: the widths, the pooling and the dropout; 32, 32, 64, 64 and 128 channels, each convolution "
            "followed by pooling and a dropout of 0.25, and 128 hidden units with a dropout of 0.5, as small networks "
            "of the time had. The text has a training accuracy of 0.6744 and a validation accuracy of 0.6057 after 30 "
            "epochs, the table 0.9309 and 0.5815. " + _GAUTAM_NOTES
        ),
    ),
    *_gautam_pair(
        "gautam-vgg16",
        "VGG16",
        (
            (0.7380, 0.6633, 0.6673, 0.74809, 0.65333, 0.69751, 0.67027, "real", (196, 104, 66, 145)),
            (0.9114, 0.4653, 0.6047, 0.53280, 0.34580, 0.41954, 0.56632, "fake", (236, 64, 138, 73)),
        ),
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "vgg16", "classes": 1},
        output="sigmoid",
        labels=FAKE_FIRST,
        backbones=("vgg16",),
        training=_GAUTAM_ADAM_TRAINING,
        notes="Rate, batch and optimiser are those of the five convolutions, as the report says. "
        + _GAUTAM_HEAD_NOTES
        + _VGG16_PIXELS
        + _GAUTAM_NOTES,
    ),
    *_gautam_pair(
        "gautam-resnet50",
        "ResNet50",
        (
            (0.9956, 0.6683, 0.6849, 0.59840, 0.72037, 0.65376, 0.69019, "fake", (198, 102, 59, 152)),
            (0.9865, 0.6048, 0.6106, 0.52800, 0.53554, 0.53176, 0.59944, "fake", (199, 101, 98, 113)),
        ),
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "resnet50", "classes": 2},
        output="softmax",
        backbones=("resnet50",),
        framework="pytorch",
        training=_GAUTAM_SGD_TRAINING,
        notes=_GAUTAM_PYTORCH_NOTES + _GAUTAM_HEAD_NOTES + _RESNET50_PIXELS + _GAUTAM_NOTES,
    ),
    *_gautam_pair(
        "gautam-mobilenet",
        "MobileNet v1",
        (
            _GAUTAM_MOBILENET,
            (0.9766, 0.5973, 0.5949, 0.50930, 0.52132, 0.51522, 0.58400, "fake", (194, 106, 101, 110)),
        ),
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "mobilenet", "classes": 2},
        output="softmax",
        backbones=("mobilenet",),
        framework="pytorch",
        training=_GAUTAM_SGD_TRAINING,
        notes=_GAUTAM_PYTORCH_NOTES + _GAUTAM_HEAD_NOTES + _MOBILENET_PIXELS + _GAUTAM_NOTES,
    ),
    _gautam(
        "gautam-mobilenet-v2",
        "MobileNet v2 at 128 px, for composites",
        _GAUTAM_MOBILENET,
        inputs=(_picture(128, **_IMAGENET),),
        architecture="train.architectures.gautam_backbone",
        options={"backbone": "mobilenet_v2", "classes": 2},
        output="softmax",
        backbones=("mobilenet_v2",),
        framework="pytorch",
        training=_GAUTAM_SGD_TRAINING,
        notes="The same published figures as gautam-mobilenet: not said which MobileNet they are of; the report's only "
        "reference is to V2. " + _GAUTAM_PYTORCH_NOTES + _GAUTAM_HEAD_NOTES + _GAUTAM_NOTES,
    ),
    _gautam_fusion(
        1,
        "MobileNet v1 on the picture, ResNet50 on its Error Level Analysis",
        (0.9897, 0.6608, 0.7241, 0.67330, 0.64454, 0.65859, 0.71227, "fake", (234, 66, 75, 136)),
        ("mobilenet", "resnet50"),
        framework="pytorch",
        training=_GAUTAM_SGD_TRAINING,
        notes="Not said: the number of epochs; 15, as its branches alone. "
        + _GAUTAM_PYTORCH_NOTES
        + _GAUTAM_HEAD_NOTES
        + _MOBILENET_PIXELS
        + _GAUTAM_NOTES,
    ),
    _gautam_fusion(
        2,
        "Five convolutions on the picture, five on its Error Level Analysis",
        (0.6816, 0.6341, 0.6184, 0.53280, 0.61611, 0.57142, 0.61806, "fake", (186, 114, 81, 130)),
        ("cnn", "cnn"),
        training=_GAUTAM_CNN_TRAINING,
        notes="Branches as in gautam-cnn, up to what they flatten. Not said: what follows the concatenation; 256 "
        "hidden units and a dropout of 0.5. " + _GAUTAM_NOTES,
    ),
    _gautam_fusion(
        3,
        "MobileNet v1 on the picture, five convolutions on its Error Level Analysis",
        (0.9912, 0.6550, 0.7045, 0.66670, 0.56872, 0.61381, 0.68436, "fake", (240, 60, 91, 120)),
        ("mobilenet", "cnn"),
        training=_GAUTAM_ADAM_TRAINING,
        notes=(
            "The report's text repeats its first fusion (MobileNet and ResNet50); its table names custom CNN and "
            "MobileNet. As in the table's columns of the first fusion (ResNet50, MobileNet), the Error Level Analysis "
            "comes first: MobileNet sees the picture. Both authors made it: Keras is taken. "
            + _GAUTAM_HEAD_NOTES
            + _MOBILENET_PIXELS
            + _GAUTAM_NOTES
        ),
    ),
)

# --- HaeLee Kim: two convolutions, on hardfake -----------------------------------------------------------------------

_KIM = Recipe(
    name="kim-cnn",
    version="1",
    summary="Two convolutions and 46.1 million parameters at 300 px",
    source=_cite(KIM),
    task="synthesis",
    architecture="train.architectures.kim_cnn",
    inputs=(_picture(300),),
    output="softmax",
    labels=FAKE_FIRST,
    training=Training("adam", 1e-4, epochs=10, batch=32),
    split=Split(validation=0.08, test=0.2, stratified=True),
    study=Study(
        KIM,
        "258 of 1,289 pictures, which steered nothing but were the validation set too",
        accuracy=0.9961,
        f1=0.9961,
        positive="both columns",
        training_accuracy=0.9971,
        validation_accuracy=0.9961,
        remark=(
            "F1 was computed over both one-hot columns flattened, where every error is one false positive and one "
            "false negative: it equals the accuracy by construction, and is of neither class."
        ),
    ),
    notes=(
        "Augmentation was defined in the slides and not used. A fifth is kept for the test, as there; the validation "
        "pictures, a tenth of the rest, are others than the test's."
    ),
)

# --- CENG 476: a small network and ResNet50 --------------------------------------------------------------------------

_CENG_SPLIT = Split(validation=1 / 6, test=1 / 6, stratified=True)  # 20,000 / 5,000 / 5,000
# The report applies all of this across all models (3.3, 3.4, 4, 4.1).
_CENG_TRAINING = Training(
    "adam",
    1e-3,
    epochs=30,
    batch=32,
    coupled_decay=1e-4,
    schedule="plateau",
    plateau_patience=1,
    augmentation="ceng",
    keep_best=True,
    patience=2,
)
_CENG_NOTES = (
    "Adam, its schedule, weight decay, augmentation, batches of 32 and early stopping are those of all the report's "
    "networks. Patience 2: its curves are best after epoch 3 and training stopped at epoch 5. At most 20 to 30 epochs: "
    "30. Not said: when ReduceLROnPlateau acts and by how much; a tenth of the rate after 1 epoch without a lower "
    "validation loss, since after 2 training stops. Not said: the angle of the rotations (10 degrees) and the strength "
    "of the jitter (0.2 of brightness, contrast and saturation). "
)
_CENG_RESNET_NOTES = (
    "ImageNet statistics are those that Keras' weights of ResNet50 were trained with: BGR from 0 to 255, less the "
    "mean. " + _CENG_NOTES
)


def _ceng(name: str, summary: str, accuracy: float | None, **more: Any) -> Recipe:
    figures = {key: more.pop(key) for key in ("validation_accuracy", "remark") if key in more}
    in_table_1 = more.pop("in_table_1", True)
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source=_cite(CENG),
        task="synthesis",
        output="softmax",
        split=_CENG_SPLIT,
        framework="pytorch",
        study=Study(
            CENG,
            "5,000 of 30,000 pictures",
            accuracy,
            **(dict.fromkeys(("precision", "recall", "f1"), accuracy) if in_table_1 else {}),
            **figures,
        ),
        **more,
    )


def _ceng_simplecnn(name: str, dropout: tuple[float, float], accuracy: float, **more: Any) -> Recipe:
    after_pooling, hidden = dropout
    return _ceng(
        name,
        f"Three convolutions with batch normalisation at 128 px, dropout {after_pooling} and {hidden}",
        accuracy,
        architecture="train.architectures.ceng_simplecnn",
        options={"dropout": dropout},
        inputs=(_picture(128, mean=(0.5,) * 3, std=(0.5,) * 3),),
        training=_CENG_TRAINING,
        notes="Not said: what its 'standard normalization' is; mean 0.5 and deviation 0.5 of pixels from 0 to 1. "
        + _CENG_NOTES,
        **more,
    )


def _ceng_resnet50(name: str, summary: str, accuracy: float | None, trainable_from: str, **more: Any) -> Recipe:
    return _ceng(
        name,
        f"{summary}, under two dense layers at 224 px",
        accuracy,
        architecture="train.architectures.ceng_resnet50",
        options={"trainable_from": trainable_from},
        inputs=(_picture(224, **_CAFFE),),
        backbones=("resnet50",),
        training=more.pop("training", _CENG_TRAINING),
        notes=_CENG_RESNET_NOTES,
        **more,
    )


_CENG = (
    _ceng_simplecnn("ceng-simplecnn", (0.3, 0.5), 0.98, validation_accuracy=0.98, remark="v2 of its table 3."),
    _ceng_simplecnn(
        "ceng-simplecnn-v1", (0.2, 0.3), 0.93, validation_accuracy=0.94, in_table_1=False, remark="v1 of its table 3."
    ),
    _ceng_simplecnn(
        "ceng-simplecnn-v3", (0.4, 0.6), 0.96, validation_accuracy=0.97, in_table_1=False, remark="v3 of its table 3."
    ),
    _ceng_resnet50("ceng-resnet50-frozen", "A frozen ResNet50", 0.91, "", validation_accuracy=0.91),
    _ceng_resnet50(
        "ceng-resnet50-finetuned",
        "ResNet50 with its last stage trained at a tenth of the rate",
        0.996,
        "conv5",
        training=replace(_CENG_TRAINING, slow_layers={"conv5": 0.1}),
        validation_accuracy=0.995,
        remark="The 8.6 points that the report credits to two learning rates are over the frozen network, of which "
        "nothing but the head is trained; it has no figure of one rate for all that is trained.",
    ),
    _ceng_resnet50(
        "ceng-resnet50-single-rate",
        "ResNet50 with its last stage trained at the rate of the head",
        None,
        "conv5",
        in_table_1=False,
        remark="The baseline that the report's section 6 names and has no figure of.",
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
