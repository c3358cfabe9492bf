"""What five papers say of the networks that are rebuilt here: a row for each recipe, with the papers' own words.

A field that is None is one of which the paper says nothing; what was chosen there stands in the recipe's notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

# Pixels from 0 to 1; with ImageNet's mean and deviation; as Keras' weights of VGG16 and ResNet50 were trained.
UNIT: dict[str, Any] = {"range": (0.0, 1.0), "mean": (0.0,) * 3, "std": (1.0,) * 3, "color": "RGB"}
IMAGENET: dict[str, Any] = UNIT | {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
STANDARD: dict[str, Any] = UNIT | {"mean": (0.5,) * 3, "std": (0.5,) * 3}
CAFFE: dict[str, Any] = {"range": (0.0, 255.0), "mean": (103.939, 116.779, 123.68), "std": (1.0,) * 3, "color": "BGR"}


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe, as its paper has it.

    Attributes:
        recipe: name.
        words: of the paper, word for word.
        side: of the input, in pixels.
        inputs: their contents, in order.
        pixels: how they are scaled.
        optimizer, rate, momentum, decay, slow: of the training; slow is the rate of layers that have one of their own.
        schedule, patience: of rate and training.
        epochs, batch: of the training.
        copies: pictures made of each training and validation picture, itself among them.
        changes: whether every picture is changed anew in every epoch.
        best: whether the best weights are kept.
        layers: after the input or the backbone, from top to bottom.
        branches: backbones or `cnn`, in the order of the inputs.
        trained: prefixes of the layers that are trained; None for all.
        label_1: the class that is 1.
        pictures: (real, fake) of the whole set.
        test, validation: pictures of each part, as (real, fake) or by part; None where the paper has none.
        figures: as published, by the names of `train.recipes.studies.Study`.
        framework: keras or pytorch.
    """

    recipe: str
    words: tuple[str, ...]
    side: int
    optimizer: str
    rate: float | None
    epochs: int | None
    batch: int | None
    pictures: tuple[int, int]
    figures: dict[str, Any]
    layers: tuple[str, ...] | None = None
    inputs: tuple[str, ...] = ("picture",)
    pixels: dict[str, Any] = field(default_factory=lambda: UNIT)
    momentum: float = 0.0
    decay: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    schedule: str = "constant"
    patience: int = 0
    copies: int = 1
    changes: bool = False
    best: bool = False
    branches: tuple[str, ...] = ()
    trained: tuple[str, ...] | None = None
    label_1: str | None = None
    test: dict[str, int] | None = None
    validation: dict[str, int] | None = None
    framework: str | None = None


def _convolutions(*stages: str) -> tuple[str, ...]:
    return tuple(layer for stage in stages for layer in stage.split(", "))


ARJON = Row(
    "arjon-cnn",
    (
        "labels were encoded as 0, and for images of fake faces, they were encoded as 1",
        "Learning Rate\t0.000001",
        "Dropout Rate\t0.4",
        "Rotation (30°), Zoom (0.2), Width and Height Shift (0.1, 0.1), Flip",
        "Flatten Layer\t(50176,)",
        "validation accuracy reached its highest point at 80.60% in the 498th epoch",
        "500\t46.05%\t45.39%\t80.06%\t80.40%",
        "177 cases of testing_real as testing_fake (FN) and 223 cases of testing_fake as testing_real (FP)",
    ),
    side=224,
    optimizer="adam",
    rate=1e-6,
    epochs=500,
    batch=None,
    changes=True,
    layers=_convolutions(
        "conv 32 relu, pool", "conv 32 relu, pool", "conv 64 relu, pool", "dropout 0.4, flatten", "dense 128 relu",
        "dense 2 softmax",
    ),
    label_1="fake",
    pictures=(1081, 960),
    figures={
        "accuracy": 0.8060, "precision": 0.78, "recall": 0.82, "f1": 0.80, "positive": "fake",
        "training_accuracy": 0.8052, "validation_accuracy": 0.8060, "matrix": (858, 223, 177, 783),
    },
    framework="keras",
)  # fmt: skip

_PERISIC = Row(
    "perisic-cnn",
    (
        "There are three convolutional layers, one with 64, two with 128 filters",
        "After every activation function, batch normalization method is applied",
        "one with 256 nodes, and one with 1 node",
        "dropout technique is used after first fully connected layer with probability 0.4",
        "In training of custom CNN model learning rate was set to 0.01 with decay",
        "In training of both models, 100 images are processed in one iteration",
        "Defined number of epochs for both models is set to 15",
        "best weights are saved and used in model testing",
        "True positive (TP), if predicted fake face class is correct",
        "Train folder contains 100000 images, while test and validation folder have 20000 images, each",
    ),
    side=224,
    optimizer="adam",
    rate=0.01,
    schedule="time_decay",
    epochs=15,
    batch=100,
    best=True,
    layers=_convolutions(
        "conv 64 relu, norm, pool", "conv 128 relu, norm, pool", "conv 128 relu, norm, pool", "flatten",
        "dense 256 relu, dropout 0.4, dense 1 sigmoid",
    ),
    pictures=(70000, 70000),
    test={"real": 10000, "fake": 10000},
    validation={"real": 10000, "fake": 10000},
    figures={"accuracy": 0.9718, "precision": 0.9789, "recall": 0.9644, "f1": 0.9715, "positive": "fake"},
    framework="keras",
)  # fmt: skip
PERISIC = (
    _PERISIC,
    replace(
        _PERISIC,
        recipe="perisic-vgg16",
        words=(
            "all parameters were frozen, except for the last three fully connected layers that are removed",
            "first with 512 nodes and second with 1. Between them, dropout was applied with probability 0.4",
        ),
        rate=None,
        schedule="constant",
        pixels=CAFFE,
        layers=_convolutions("flatten", "dense 512 relu, dropout 0.4, dense 1 sigmoid"),
        trained=("hidden", "probabilities"),
        figures={"accuracy": 0.8998, "precision": 0.9038, "recall": 0.8949, "f1": 0.8993, "positive": "fake"},
    ),
)

_GAUTAM_WORDS = (
    "All images were then converted to tensors then normalized to ImageNet standards",
    "(`flip_left_right`, `flip_up_down`, `rot90`, `random_brightness`, `random_contrast`, `random_saturation`)",
    "we had 7 images (6 augmented and 1 original) at the end",
    "Data augmentation was done for training and validation set only and not the test set",
)
_GAUTAM = Row(
    "gautam-cnn",
    (
        *_GAUTAM_WORDS,
        "5 convolutional layers followed by a fully connected hidden layer",
        "outputs the probability of image being real",
        "‘Adam’ optimizer and learning rate of 0.0001 were used. The batch size was 32, and the epoch used was 30",
    ),
    side=128,
    pixels=IMAGENET,
    optimizer="adam",
    rate=1e-4,
    epochs=30,
    batch=32,
    copies=7,
    label_1="real",
    pictures=(1081, 960),
    test={"real": 300, "easy": 56, "mid": 102, "hard": 53},
    validation={"real": 61, "easy": 26, "mid": 54, "hard": 30},
    figures={},
    framework="keras",
)
_FIVE = replace(_GAUTAM, layers=None)
_ADAM = replace(
    _GAUTAM,
    words=(
        *_GAUTAM_WORDS,
        "we trained the models for only 15 epochs while keeping the batch size, learning rates and optimisers the same",
    ),
    epochs=15,
    label_1=None,
)
_SGD = replace(
    _ADAM,
    words=(
        *_GAUTAM_WORDS,
        "*Stochastic Gradient Descent* with a *learning rate* of 0.001 and a *momentum* of 0.9",
        "Jefrin was responsible for implementation using PyTorch",
    ),
    optimizer="sgd",
    rate=0.001,
    momentum=0.9,
    framework="pytorch",
)


def _gautam(row: Row, recipe: str, figures: str, matrix: tuple[int, int, int, int], **changes: Any) -> Row:
    """A row with the columns of the report's table: training, validation, test, precision, recall, F1, AU-ROC."""
    names = (
        "training_accuracy", "validation_accuracy", "accuracy", "precision", "recall", "f1", "balanced_accuracy",
        "positive",
    )  # fmt: skip
    values = [word if word in ("real", "fake") else float(word) for word in figures.split()]
    return replace(
        row, recipe=recipe, figures=dict(zip(names, values, strict=True)) | {"matrix": matrix}, **changes
    )  # fmt: skip


_ELA: dict[str, Any] = {"inputs": ("ela",)}
_BOTH: dict[str, Any] = {"inputs": ("picture", "ela")}
_MOBILENET = "0.9873 0.6399 0.7202 0.66670 0.64454 0.65542 0.70894 fake"
_V2 = ("MobileNet-V2: Summary and Implementation",)
GAUTAM = (
    _gautam(_FIVE, "gautam-cnn", "0.9309 0.5815 0.5636 0.64751 0.56333 0.60250 0.56365 real", (169, 131, 92, 119)),
    _gautam(
        _FIVE, "gautam-cnn-ela", "0.6655 0.5459 0.6262 0.71713 0.60000 0.65336 0.63175 real", (180, 120, 71, 140),
        **_ELA,
    ),
    _gautam(_ADAM, "gautam-vgg16", "0.7380 0.6633 0.6673 0.74809 0.65333 0.69751 0.67027 real", (196, 104, 66, 145)),
    _gautam(
        _ADAM, "gautam-vgg16-ela", "0.9114 0.4653 0.6047 0.53280 0.34580 0.41954 0.56632 fake", (236, 64, 138, 73),
        **_ELA,
    ),
    _gautam(_SGD, "gautam-resnet50", "0.9956 0.6683 0.6849 0.59840 0.72037 0.65376 0.69019 fake", (198, 102, 59, 152)),
    _gautam(
        _SGD, "gautam-resnet50-ela", "0.9865 0.6048 0.6106 0.52800 0.53554 0.53176 0.59944 fake", (199, 101, 98, 113),
        **_ELA,
    ),
    _gautam(_SGD, "gautam-mobilenet", _MOBILENET, (232, 68, 75, 136)),
    _gautam(
        _SGD, "gautam-mobilenet-ela", "0.9766 0.5973 0.5949 0.50930 0.52132 0.51522 0.58400 fake", (194, 106, 101, 110),
        **_ELA,
    ),
    _gautam(_SGD, "gautam-mobilenet-v2", _MOBILENET, (232, 68, 75, 136), words=(*_SGD.words, *_V2)),
    _gautam(
        _SGD, "gautam-fusion-1", "0.9897 0.6608 0.7241 0.67330 0.64454 0.65859 0.71227 fake", (234, 66, 75, 136),
        words=(
            *_SGD.words,
            "MobileNet for extracting features from the original images",
            "ResNet50 for extracting features from the ELA-processed images",
        ),
        branches=("mobilenet", "resnet50"), epochs=None, **_BOTH,
    ),
    _gautam(
        _FIVE, "gautam-fusion-2", "0.6816 0.6341 0.6184 0.5328 0.61611 0.57142 0.61806 fake", (186, 114, 81, 130),
        words=(
            *_GAUTAM_WORDS,
            "we used our own CNN for extracting features from both the original images and the ELA-processed images",
            "*Adam* with a *learning rate* of 0.0001. Number of epochs = 30",
        ),
        branches=("cnn", "cnn"), label_1=None, **_BOTH,
    ),
    _gautam(
        _ADAM, "gautam-fusion-3", "0.9912 0.6550 0.7045 0.66670 0.56872 0.61381 0.68436 fake", (240, 60, 91, 120),
        words=(
            *_GAUTAM_WORDS,
            "For Type 3, we used MobileNet for extracting features from the original images",
            "ResNet50\tMobileNet\tCustom CNN\tCustom CNN\tCustom CNN\tMobileNet",
            "*Adam* with a *learning rate* of 0.0001. Number of epochs = 15",
        ),
        branches=("mobilenet", "cnn"), framework=None, **_BOTH,
    ),
)  # fmt: skip

KIM = Row(
    "kim-cnn",
    (
        "'0' for fake face images, '1' for real face images",
        "Split ratio: 80% for training and 20% for testing",
        "Normalized pixel values to the range [0,1]",
        "Total params: 46099778",
        "opt = Adam(learning_rate=0.0001)",
        "history = model.fit(X_train, y_train, batch_size=batch_size, epochs=epochs,",
        "y_pred = y_pred.flatten()",
        "accuracy: 0.9971 - val_loss: 0.0364 - val_accuracy: 0.9961",
    ),
    side=300,
    optimizer="adam",
    rate=1e-4,
    epochs=10,
    batch=32,
    layers=_convolutions(
        "conv 32 relu, pool, dropout 0.25", "conv 64 relu, pool, dropout 0.25", "flatten",
        "dense 128 relu, dropout 0.5, dense 2 softmax",
    ),
    label_1="real",
    pictures=(589, 700),
    test={"real": 118, "fake": 140},
    figures={
        "accuracy": 0.9961, "f1": 0.9961, "positive": "both columns", "training_accuracy": 0.9971,
        "validation_accuracy": 0.9961,
    },
    framework="keras",
)  # fmt: skip


def _ceng_figures(accuracy: float | None, validation: float | None, in_table_1: bool = True) -> dict[str, Any]:
    others = dict.fromkeys(("precision", "recall", "f1"), accuracy) if in_table_1 else {}
    return {"accuracy": accuracy, "validation_accuracy": validation} | others


_CENG_WORDS = (
    "*L2 regularization (weight decay)* with a coefficient of 1e-4",
    "*Data augmentation*, including random horizontal flips, rotations, and color jitter",
    "The *Adam optimizer* was used for all experiments",
    "*ReduceLROnPlateau*, which reduces the learning rate when validation loss stops improving",
    "The same preprocessing steps, hyperparameters, and evaluation",
    "Batch size: 32",
    "Maximum epochs: 20--30 (with early stopping)",
    "Early stopping activated at epoch 5",
    "Normalization was applied using ImageNet statistics for ResNet50 models and standard normalization for SimpleCNN",
    "Framework: PyTorch",
)


def _simple(dropout: tuple[float, float]) -> tuple[str, ...]:
    return _convolutions(
        "conv 32, norm, relu, pool", "conv 64, norm, relu, pool", "conv 128, norm, relu, pool",
        f"dropout {dropout[0]}, flatten", f"dense 256 relu, dropout {dropout[1]}, dense 2 softmax",
    )  # fmt: skip


_SIMPLE = Row(
    "ceng-simplecnn",
    (*_CENG_WORDS, "SimpleCNN (v2)\t0.3/0.5\t1e-3\t0.98\t0.98", "MaxPool(2) → Dropout(0.3)"),
    side=128,
    pixels=STANDARD,
    optimizer="adam",
    rate=1e-3,
    decay=1e-4,
    schedule="plateau",
    patience=2,
    epochs=30,
    batch=32,
    changes=True,
    best=True,
    layers=_simple((0.3, 0.5)),
    pictures=(15000, 15000),
    test={"real": 2500, "fake": 2500},
    validation={"real": 2500, "fake": 2500},
    figures=_ceng_figures(0.98, 0.98),
    framework="pytorch",
)
_RESNET = replace(
    _SIMPLE,
    side=224,
    pixels=CAFFE,
    layers=_convolutions("dense 256 relu, dropout 0.5, dense 2 softmax"),
)
CENG = (
    _SIMPLE,
    replace(
        _SIMPLE,
        recipe="ceng-simplecnn-v1",
        words=(*_CENG_WORDS, "SimpleCNN (v1)\t0.2/0.3\t1e-3\t0.94\t0.93"),
        layers=_simple((0.2, 0.3)),
        figures=_ceng_figures(0.93, 0.94, in_table_1=False),
    ),
    replace(
        _SIMPLE,
        recipe="ceng-simplecnn-v3",
        words=(*_CENG_WORDS, "SimpleCNN (v3)\t0.4/0.6\t1e-3\t0.97\t0.96"),
        layers=_simple((0.4, 0.6)),
        figures=_ceng_figures(0.96, 0.97, in_table_1=False),
    ),
    replace(
        _RESNET,
        recipe="ceng-resnet50-frozen",
        words=(*_CENG_WORDS, "All backbone parameters were frozen, and a new classifier head was trained"),
        trained=("hidden", "probabilities"),
        figures=_ceng_figures(0.91, 0.91),
    ),
    replace(
        _RESNET,
        recipe="ceng-resnet50-finetuned",
        words=(*_CENG_WORDS, "- Classifier head: 1e-3\n- Layer4: 1e-4"),
        slow={"conv5": 1e-4},
        trained=("conv5", "hidden", "probabilities"),
        figures=_ceng_figures(0.996, 0.995),
    ),
    replace(
        _RESNET,
        recipe="ceng-resnet50-single-rate",
        words=(
            *_CENG_WORDS,
            "standard transfer learning typically uses a single learning rate for all unfrozen layers",
        ),
        trained=("conv5", "hidden", "probabilities"),
        figures=_ceng_figures(None, None, in_table_1=False),
    ),
)

ROWS = (ARJON, *PERISIC, *GAUTAM, KIM, *CENG)
