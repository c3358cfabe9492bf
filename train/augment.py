"""Random changes to a training crop, drawn alike for real and fake, that take the format shortcuts away.

What the classes differ in besides the face (resolution, sharpness, JPEG history, grey pictures, tilt) is made random.
"""

from __future__ import annotations

import cv2
import numpy as np

from scanner.decode import Picture
from train.degrade import jpeg, webp

INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)


def augment(crop: Picture, random: np.random.Generator) -> Picture:
    """RGB uint8 (height, width, 3) -> the same shape, changed."""
    crop = _turn(crop, random)
    if random.random() < 0.3:
        crop = _colour(crop, random)
    if random.random() < 0.15:  # 21 % of one set's reals, 17 % of another's, and hardly any fake
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < 0.6:
        crop = _shrink_and_back(crop, random)
    if random.random() < 0.3:
        crop = _blur_or_sharpen(crop, random)
    if random.random() < 0.15:
        noise = random.normal(0, random.uniform(1, 6), crop.shape)
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.85:
        crop = webp(crop, random.integers(40, 96)) if random.random() < 0.2 else jpeg(crop, random.integers(35, 97))
    return crop


def _turn(crop: Picture, random: np.random.Generator) -> Picture:
    """Mirrored half the time; half the time tilted, moved and enlarged a little (generated faces are upright)."""
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    if random.random() < 0.5:
        height, width = crop.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-12, 12), random.uniform(1.0, 1.2))
        matrix[:, 2] += random.uniform(-0.04, 0.04, 2) * (width, height)
        kind = cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_LINEAR
        crop = cv2.warpAffine(
            np.ascontiguousarray(crop), matrix, (width, height), flags=kind, borderMode=cv2.BORDER_REFLECT_101
        )
    return np.ascontiguousarray(crop)


def _shrink_and_back(crop: Picture, random: np.random.Generator) -> Picture:
    height, width = crop.shape[:2]
    factor = random.uniform(0.35, 1.0)
    size = max(8, round(width * factor)), max(8, round(height * factor))
    small = cv2.resize(crop, size, interpolation=INTERPOLATIONS[random.integers(3)])
    return cv2.resize(small, (width, height), interpolation=INTERPOLATIONS[random.integers(2)])


def _blur_or_sharpen(crop: Picture, random: np.random.Generator) -> Picture:
    blurred = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.4, 1.4))
    if random.random() < 0.6:
        return blurred
    amount = random.uniform(0.3, 1.0)
    return cv2.addWeighted(crop, 1 + amount, blurred, -amount, 0)


def _colour(crop: Picture, random: np.random.Generator) -> Picture:
    """Contrast, brightness, saturation and a slight tint."""
    pixels = crop.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * random.uniform(0.6, 1.4)
    pixels = (pixels - 128) * random.uniform(0.8, 1.2) + 128 + random.uniform(-20, 20)
    pixels *= random.uniform(0.95, 1.05, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)
