"""Defines the recipes of Gautam and Chandra: with and without Error Level Analysis, on ciplab's composites."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from train.recipes.schema import (
    FAKE_FIRST,
    IMAGENET,
    Recipe,
    Split,
    Training,
    cite,
    ela_input,
    picture_input,
)
from train.recipes.studies import GAUTAM, Study

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
    """Make a recipe of the report.

    Args:
        name: of the recipe.
        summary: of the network.
        figures: in the order of the report's tables, then their positive class, and the confusion matrix.
        more: further fields of `Recipe`.
    """
    training, validation, accuracy, precision, recall, f1, balanced, positive, matrix = figures
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source=cite(GAUTAM),
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
    """Make two recipes of one network: on the picture, and on its Error Level Analysis.

    Args:
        name: of the first recipe; the second has `-ela` added.
        summary: of the network.
        figures: of both, as for `_gautam`.
        more: further fields of `Recipe`.
    """
    plain, ela = figures
    return (
        _gautam(name, f"{summary} at 128 px, for composites", plain, inputs=(picture_input(128, **IMAGENET),), **more),
        _gautam(
            f"{name}-ela",
            f"{summary} at 128 px, on the Error Level Analysis of composites",
            ela,
            inputs=(ela_input(128, **IMAGENET),),
            **more,
        ),
    )


def _gautam_fusion(
    number: int, summary: str, figures: tuple[Any, ...], branches: tuple[str, str], **more: Any
) -> Recipe:
    """Make a recipe whose first branch gets the picture and the second its Error Level Analysis.

    Args:
        number: of the fusion in the report.
        summary: of the network.
        figures: as for `_gautam`.
        branches: names of the networks, in the order of the inputs.
        more: further fields of `Recipe`.
    """
    return _gautam(
        f"gautam-fusion-{number}",
        summary,
        figures,
        architecture="train.architectures.gautam_fusion",
        options={"branches": branches},
        inputs=(picture_input(128, **IMAGENET), ela_input(128, **IMAGENET)),
        output="softmax",
        backbones=tuple(branch for branch in branches if branch != "cnn"),
        **more,
    )


_GAUTAM_MOBILENET = (0.9873, 0.6399, 0.7202, 0.66670, 0.64454, 0.65542, 0.70894, "fake", (232, 68, 75, 136))
RECIPES = (
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
        inputs=(picture_input(128, **IMAGENET),),
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
