"""Augments training pictures at random, in the same way for real and fake ones.

Pixels are changed before they are normalised. If a network has several inputs, all of them are turned and coloured by
the same draw, so that a pixel of the Error Level Analysis stays at the place of its pixel in the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.detector.model import Region
from scanner.imaging.decode import Picture
from train.data.degrade import jpeg, webp

# Interpolations that pictures are shrunk with; only the first two can enlarge them.
INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
Augmentation = Callable[[Region, np.random.Generator], Region]


def arjon(region: Region, random: np.random.Generator) -> Region:
    """Turn by up to 30 degrees, zoom by up to 0.2 (both axes alike), move by up to 0.1, mirror, as Arjon et al. do."""
    angle, zoom, shifts = random.uniform(-30, 30), random.uniform(0.8, 1.2), random.uniform(-0.1, 0.1, 2)
    mirrored = random.random() < 0.5
    # The parameters are those of Keras' ImageDataGenerator, which fills with the nearest pixel.
    return tuple(_move(_mirror_if(p, mirrored), angle, zoom, shifts, cv2.BORDER_REPLICATE) for p in region)


def ceng(region: Region, random: np.random.Generator) -> Region:
    """Mirror half the time, turn by up to 10 degrees, and jitter colours by up to 0.2, as torchvision does.

    These are RandomHorizontalFlip, RandomRotation (nearest pixel, corners filled with black) and ColorJitter (factors
    of brightness, contrast and saturation, applied in random order).
    """
    mirrored, angle = random.random() < 0.5, random.uniform(-10, 10)
    factors, order = random.uniform(0.8, 1.2, 3), random.permutation(3)

    def change(pixels: Picture) -> Picture:
        pixels = _move(_mirror_if(pixels, mirrored), angle, border=cv2.BORDER_CONSTANT, interpolation=cv2.INTER_NEAREST)
        for step in order:
            pixels = _JITTER[step](pixels, factors[step])
        return pixels

    return tuple(change(pixels) for pixels in region)


def random_resave(region: Region, random: np.random.Generator) -> Region:
    """Randomise what the classes differ in besides the face, so that a file format gives no class away.

    Changes resolution, sharpness, compression history, colours and tilt; some pictures become grey. For networks with
    one input.
    """
    (crop,) = region
    crop = _turn(crop, random)
    if random.random() < 0.3:
        crop = _recolour(crop, random)
    if random.random() < 0.15:  # 21 % of the reals of one set, 17 % of another's and hardly any fakes are grey
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < 0.6:
        crop = _shrink_and_back(crop, random)
    if random.random() < 0.3:
        crop = _blur_or_sharpen(crop, random)
    if random.random() < 0.15:
        noise = random.normal(0, random.uniform(1, 6), crop.shape)
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.85:
        crop = _resave(crop, random, jpeg_qualities=(35, 97), webp_qualities=(40, 96))
    return (crop,)


def mild_resave(region: Region, random: np.random.Generator) -> Region:
    """Randomise tilt, colours, size and compression history, without blur: a blended edge shows in sharp pictures only.

    For networks with one input.
    """
    (crop,) = region
    crop = _turn(crop, random)
    if random.random() < 0.3:
        crop = _recolour(crop, random)
    if random.random() < 0.5:
        crop = _shrink_and_back(crop, random, least=0.5)
    if random.random() < 0.8:
        crop = _resave(crop, random, jpeg_qualities=(45, 97), webp_qualities=(50, 96))
    return (crop,)


def in_the_wild(region: Region, random: np.random.Generator) -> Region:
    """Reframe, recolour, scale, save and cover a crop of 1.5 times the face, as pictures on the web are.

    Framings are 1.2 to 1.7 times the face, one in seven down to 0.96 times; what a wider one lacks is mirrored.
    """
    (crop,) = region
    crop = _reframe(_mirror_if(crop, random.random() < 0.5), random)
    if random.random() < 0.5:
        crop = _recolour_strongly(crop, random)
    if random.random() < 0.1:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if random.random() < 0.2:
        crop = _as_pixels(255 * (crop / 255) ** random.uniform(0.7, 1.4))
    if random.random() < 0.65:
        saved = random.random() < 0.5
        crop = _shrink_and_back(crop, random, 0.28, int(random.integers(40, 96)) if saved else None)
    if random.random() < 0.25:
        crop = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.3, 1.8))
    if random.random() < 0.15:
        blurred, amount = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.3, 1.8)), random.uniform(0.3, 1.5)
        crop = cv2.addWeighted(crop, 1 + amount, blurred, -amount, 0)
    if random.random() < 0.25:
        crop = _as_pixels(crop + random.normal(0, random.uniform(1, 10), crop.shape))
    if random.random() < 0.75:
        crop = jpeg(crop, int(random.integers(30, 96)))
    if random.random() < 0.25:
        crop = _cover(crop, random)
    return (crop,)


# By the name that a recipe's `augmentation` has.
AUGMENTATIONS: dict[str, Augmentation] = {
    "arjon": arjon,
    "ceng": ceng,
    "saved_anyhow": random_resave,
    "resaved": mild_resave,
    "in_the_wild": in_the_wild,
}


def _all_inputs(change: Callable[[Picture], Picture]) -> Augmentation:
    return lambda region, random: tuple(change(pixels) for pixels in region)


def _brighten_randomly(region: Region, random: np.random.Generator) -> Region:
    added = random.uniform(-0.2, 0.2)
    return tuple(_brighten_and_contrast(pixels, added, 1.0) for pixels in region)


def _contrast_randomly(region: Region, random: np.random.Generator) -> Region:
    factor = random.uniform(0.8, 1.2)
    return tuple(_brighten_and_contrast(pixels, 0.0, factor) for pixels in region)


def _saturate_randomly(region: Region, random: np.random.Generator) -> Region:
    factor = random.uniform(0.8, 1.2)
    return tuple(_saturate(pixels, factor) for pixels in region)


# By the name that a recipe's `copies` has: each change makes one more copy of a picture, besides the picture itself.
COPIES: dict[str, tuple[Augmentation, ...]] = {
    # Gautam and Chandra, 3.6: flip_left_right, flip_up_down, rot90, random_brightness, random_contrast and
    # random_saturation of tf.image.
    "gautam": (
        _all_inputs(lambda pixels: np.ascontiguousarray(pixels[:, ::-1])),
        _all_inputs(lambda pixels: np.ascontiguousarray(pixels[::-1])),
        _all_inputs(lambda pixels: np.ascontiguousarray(np.rot90(pixels))),
        _brighten_randomly,
        _contrast_randomly,
        _saturate_randomly,
    ),
}


def _mirror_if(pixels: Picture, mirrored: bool) -> Picture:
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def _move(
    pixels: Picture,
    angle: float,
    zoom: float = 1.0,
    shifts: NDArray[np.float64] | tuple[float, float] = (0.0, 0.0),
    border: int = cv2.BORDER_REFLECT_101,
    interpolation: int = cv2.INTER_LINEAR,
) -> Picture:
    """Turn, enlarge and shift a picture.

    Args:
        pixels: uint8, (height, width, 3).
        angle: in degrees.
        zoom: factor.
        shifts: right and down, as fractions of width and height.
        border: how OpenCV fills the corners.
        interpolation: of OpenCV.
    """
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    matrix[:, 2] += np.multiply(shifts, (width, height))
    return cv2.warpAffine(np.ascontiguousarray(pixels), matrix, (width, height), flags=interpolation, borderMode=border)


def _brighten_and_contrast(pixels: Picture, brightness: float, contrast: float) -> Picture:
    """Change brightness, by a fraction of the range, and contrast, about each channel's mean, as tf.image does."""
    values = pixels.astype(np.float32) + 255 * brightness
    mean = values.mean(axis=(0, 1), keepdims=True)
    return _as_pixels((values - mean) * contrast + mean)


def _multiply(pixels: Picture, factor: float) -> Picture:
    """Change the brightness as torchvision does."""
    return _as_pixels(pixels.astype(np.float32) * factor)


def _scale_about_grey_mean(pixels: Picture, factor: float) -> Picture:
    """Change the contrast about the mean of the grey picture, as torchvision does."""
    mean = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).mean()
    return _as_pixels((pixels.astype(np.float32) - mean) * factor + mean)


def _scale_about_grey(pixels: Picture, factor: float) -> Picture:
    """Change the saturation about the grey picture, as torchvision does."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    return _as_pixels((pixels - grey) * factor + grey)


_JITTER = (_multiply, _scale_about_grey_mean, _scale_about_grey)


def _as_pixels(values: NDArray[Any]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _saturate(pixels: Picture, factor: float) -> Picture:
    """Multiply the saturation of HSV by a factor, as tf.image does."""
    hsv = cv2.cvtColor(pixels.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1] * factor, 1)
    return np.asarray(np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255), np.uint8)


def _turn(crop: Picture, random: np.random.Generator) -> Picture:
    """Mirror half the time; half the time tilt, move and enlarge a little, because generated faces are upright."""
    crop = _mirror_if(crop, random.random() < 0.5)
    if random.random() < 0.5:
        angle, zoom, shifts = random.uniform(-12, 12), random.uniform(1.0, 1.2), random.uniform(-0.04, 0.04, 2)
        kind = cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_LINEAR
        crop = _move(crop, angle, zoom, shifts, interpolation=kind)
    return crop


def _reframe(crop: Picture, random: np.random.Generator) -> Picture:
    """Show more or less than the 1.5 times the face that a crop holds; half of them tilted, too."""
    framing = random.uniform(1.2, 1.7) * (0.8 if random.random() < 0.15 else 1.0)
    angle = random.uniform(-11, 11) if random.random() < 0.5 else 0.0
    return _move(crop, angle, 1.5 / framing, random.uniform(-0.07, 0.07, 2))


def _recolour_strongly(crop: Picture, random: np.random.Generator) -> Picture:
    """Change contrast, brightness, saturation and tint by more than `_recolour` does."""
    brightness = random.uniform(0.75, 1.25)
    pixels = crop.astype(np.float32)
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    pixels = ((pixels - mean) * random.uniform(0.7, 1.3) + mean) * brightness
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None] * brightness
    pixels = grey + (pixels - grey) * random.uniform(0.4, 1.6)
    return _as_pixels(pixels * random.uniform(0.92, 1.08, 3))


def _cover(crop: Picture, random: np.random.Generator) -> Picture:
    """Cover a square, a tenth to four tenths of the side, with the crop's mean colour."""
    side = round(len(crop) * random.uniform(0.1, 0.4))
    x, y = (random.integers(0, length) - side // 2 for length in (crop.shape[1], crop.shape[0]))
    crop = crop.copy()
    crop[max(0, y) : y + side, max(0, x) : x + side] = np.rint(crop.mean(axis=(0, 1)))
    return crop


def _shrink_and_back(
    crop: Picture, random: np.random.Generator, least: float = 0.35, quality: int | None = None
) -> Picture:
    """Shrink down to `least` of the side at the least, save as JPEG of that quality if there is one, and enlarge."""
    height, width = crop.shape[:2]
    factor = random.uniform(least, 1.0)
    size = max(8, round(width * factor)), max(8, round(height * factor))
    small = cv2.resize(crop, size, interpolation=INTERPOLATIONS[random.integers(3)])
    small = small if quality is None else jpeg(small, quality)
    return cv2.resize(small, (width, height), interpolation=INTERPOLATIONS[random.integers(2)])


def _resave(
    crop: Picture, random: np.random.Generator, jpeg_qualities: tuple[int, int], webp_qualities: tuple[int, int]
) -> Picture:
    """Encode as JPEG, or as WebP in a fifth of the cases, and decode; qualities are drawn from low up to below high."""
    if random.random() < 0.2:
        return webp(crop, int(random.integers(*webp_qualities)))
    return jpeg(crop, int(random.integers(*jpeg_qualities)))


def _blur_or_sharpen(crop: Picture, random: np.random.Generator) -> Picture:
    blurred = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.4, 1.4))
    if random.random() < 0.6:
        return blurred
    amount = random.uniform(0.3, 1.0)
    return cv2.addWeighted(crop, 1 + amount, blurred, -amount, 0)


def _recolour(crop: Picture, random: np.random.Generator) -> Picture:
    """Change contrast, brightness and saturation, and tint slightly."""
    pixels = crop.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * random.uniform(0.6, 1.4)
    pixels = (pixels - 128) * random.uniform(0.8, 1.2) + 128 + random.uniform(-20, 20)
    pixels *= random.uniform(0.95, 1.05, 3)
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)
