"""Defines the recipes of Perisic and Jovanovic: a VGG-like network and VGG16, on 140k faces."""

from __future__ import annotations

from typing import Any

from train.recipes.schema import (
    CAFFE,
    Recipe,
    Split,
    Training,
    cite,
    picture_input,
)
from train.recipes.studies import PERISIC, Study

_PERISIC_SPLIT = Split(validation=1 / 7, test=1 / 7, stratified=True)  # 100,000 / 20,000 / 20,000


def _perisic(name: str, summary: str, architecture: str, figures: tuple[float, ...], **more: Any) -> Recipe:
    accuracy, precision, recall, f1 = figures
    return Recipe(
        name=name,
        version="1",
        summary=summary,
        source=cite(PERISIC),
        task="synthesis",
        architecture=architecture,
        output="sigmoid",
        split=_PERISIC_SPLIT,
        study=Study(PERISIC, "20,000 of 140,000", accuracy, precision, recall, f1, positive="fake"),
        **more,
    )


_PERISIC_NOTES = "Not said: by which figure the best weights are chosen; by the lowest validation loss. "

RECIPES = (
    _perisic(
        "perisic-cnn",
        "Three convolutions with batch normalisation at 224 px",
        "train.architectures.perisic_cnn",
        (0.9718, 0.9789, 0.9644, 0.9715),
        inputs=(picture_input(224),),
        training=Training("adam", 0.01, epochs=15, batch=100, schedule="time_decay", keep_best=True),
        notes=_PERISIC_NOTES + "Not said: how pixels are scaled; to 0..1.",
    ),
    _perisic(
        "perisic-vgg16",
        "A frozen VGG16 under two dense layers at 224 px",
        "train.architectures.perisic_vgg16",
        (0.8998, 0.9038, 0.8949, 0.8993),
        inputs=(picture_input(224, **CAFFE),),
        backbones=("vgg16",),
        training=Training("adam", 0.001, epochs=15, batch=100, keep_best=True),
        notes=_PERISIC_NOTES + "Not said: Adam's rate for this network (0.01 with decay is that of the custom network "
        "alone); 0.001, Keras' default, constant. Not said: how pixels are scaled; as VGG16's ImageNet weights want "
        "them.",
    ),
)
