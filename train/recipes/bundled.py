"""Defines the recipes of the detectors that facescan ships."""

from __future__ import annotations

from dataclasses import replace

from train.recipes.schema import (
    CENTRED,
    CLIP,
    Recipe,
    Split,
    Training,
    picture_input,
)

# The top block's part of the head's learning rate, and each further block's part of the one's above it.
_TOP_BLOCK, _EACH_BELOW = 0.03, 0.75
_FROZEN = ("patch_embedding", "embeddings", "pre_norm", "block_0", "block_1", "block_2")
# Real pictures of people and cameras that are never trained on: for the false alarms, and for the thresholds.
_SPLIT = Split(
    excluded=("ciplab/fake",),  # composites of real parts: another task
    test_sets=("team18f",),
    validation_sets=("congress",),
)

DEFAULT = Recipe(
    name="default",
    version="4",
    summary="facescan's detector of wholly generated faces: ten blocks of CLIP's vision transformer, tuned, at 192 px",
    source="Radford et al. 2021, arXiv:2103.00020",
    task="synthesis",
    architecture="train.architectures.vision_transformer",
    inputs=(picture_input(192, **CLIP),),
    output="logit",
    backbones=("clip",),
    training=Training(
        optimizer="adam",
        learning_rate=1e-3,
        epochs=30,
        batch=192,
        weight_decay=0.05,
        slow_layers={f"block_{block}": _TOP_BLOCK * _EACH_BELOW ** (9 - block) for block in range(9, 2, -1)}
        | dict.fromkeys(_FROZEN, 0.0),
        schedule="cosine",
        warmup=0.05,
        augmentation="in_the_wild",
        balanced=True,
        label_smoothing=0.05,
        ema=0.999,
    ),
    split=_SPLIT,
    region="face",
    margin=0.25,
    edge="reflect",
)

FAST = Recipe(
    name="fast",
    version="3",
    summary="facescan's small detector of wholly generated faces: two shortened MobileNets v1 at 160 px",
    source="Howard et al. 2017, arXiv:1704.04861",
    task="synthesis",
    architecture="train.architectures.mobilenet",
    inputs=(picture_input(160, **CENTRED),),
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
    split=_SPLIT,
    region="face",
    margin=0.25,
)

COMPOSITES = Recipe(
    name="composites",
    version="1",
    summary="facescan's detector of composites, faces with parts of others: a shortened MobileNet v1 at 192 px",
    source="Howard et al. 2017, arXiv:1704.04861; composites made while training: train/data/compose.py",
    task="manipulation",
    architecture="train.architectures.mobilenet",
    inputs=(picture_input(192, **CENTRED),),
    output="logit",
    backbones=("mobilenet",),
    training=replace(FAST.training, epochs=8, augmentation="resaved", composed=0.5, members=1),
    split=replace(
        _SPLIT,
        # Wholly generated faces: another task.
        excluded=("faces140k/fake", "flux_dev", "gan128", "generated_photos", "hardfake/fake", "roeishc/fake", "sd14",
                  "sd21", "sdxl", "stylegan3", "tpdne", "vedant"),
    ),
    region="face",
    margin=0.15,
)  # fmt: skip
