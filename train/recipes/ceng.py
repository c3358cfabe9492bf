"""Defines the recipes of CENG 476: a small network and ResNet50."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from train.recipes.schema import (
    CAFFE,
    Recipe,
    Split,
    Training,
    cite,
    picture_input,
)
from train.recipes.studies import CENG, Study

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
        source=cite(CENG),
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
        inputs=(picture_input(128, mean=(0.5,) * 3, std=(0.5,) * 3),),
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
        inputs=(picture_input(224, **CAFFE),),
        backbones=("resnet50",),
        training=more.pop("training", _CENG_TRAINING),
        notes=_CENG_RESNET_NOTES,
        **more,
    )


RECIPES = (
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
