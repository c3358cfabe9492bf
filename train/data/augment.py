"""Random changes to what a network is trained on, drawn alike for real and fake.

Pixels are changed before they are normalised. Where a network has several inputs, all are turned and coloured by the
same draw, so that a pixel of the Error Level Analysis stays where its pixel in the picture is.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from scanner.detector.model import Region
from scanner.imaging.decode import Picture
from train.data.degrade import jpeg, webp

INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
Augmentation = Callable[[Region, np.random.Generator], Region]


def arjon(region: Region, random: np.random.Generator) -> Region:
    """Turned up to 30 degrees, zoomed by up to 0.2 (both axes alike), moved by up to 0.1, mirrored: Arjon et al."""
    angle, zoom, shifts = random.uniform(-30, 30), random.uniform(0.8, 1.2), random.uniform(-0.1, 0.1, 2)
    mirrored = random.random() < 0.5
    # Keras' ImageDataGenerator, which the study's parameters are those of, fills with the nearest pixel.
    return tuple(_moved(_mirrored(p, mirrored), angle, zoom, shifts, cv2.BORDER_REPLICATE) for p in region)


def ceng(region: Region, random: np.random.Generator) -> Region:
    """Mirrored half the time, turned up to 10 degrees, and its colours jittered by up to 0.2, as torchvision does.

    RandomHorizontalFlip, RandomRotation (nearest pixel, corners filled with black) and ColorJitter (factors of
    brightness, contrast and saturation, one after the other in random order).
    """
    mirrored, angle = random.random() < 0.5, random.uniform(-10, 10)
    factors, order = random.uniform(0.8, 1.2, 3), random.permutation(3)

    def change(pixels: Picture) -> Picture:
        pixels = _moved(_mirrored(pixels, mirrored), angle, border=cv2.BORDER_CONSTANT, interpolation=cv2.INTER_NEAREST)
        for step in order:
            pixels = _JITTER[step](pixels, factors[step])
        return pixels

    return tuple(change(pixels) for pixels in region)


def saved_anyhow(region: Region, random: np.random.Generator) -> Region:
    """For one picture: what the classes differ in besides the face is made random, so that no format tells them apart.

    Resolution, sharpness, JPEG history, grey pictures, tilt.
    """
    (crop,) = region
    crop = _turn(crop, random)
    if random.random() < 0.3:
        crop = _tinted(crop, random)
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
    return (crop,)


def resaved(region: Region, random: np.random.Generator) -> Region:
    """For one picture: tilt, colours, size and JPEG history at random, but no blur: a blend shows in what is sharp."""
    (crop,) = region
    crop = _turn(crop, random)
    if random.random() < 0.3:
        crop = _tinted(crop, random)
    if random.random() < 0.5:
        crop = _shrink_and_back(crop, random, least=0.5)
    if random.random() < 0.8:
        crop = webp(crop, random.integers(50, 96)) if random.random() < 0.2 else jpeg(crop, random.integers(45, 97))
    return (crop,)


def in_the_wild(region: Region, random: np.random.Generator) -> Region:
    """For one picture cut at 1.5 times the face: framed, coloured, scaled, saved and covered in every way of the web.

    Framings are 1.2 to 1.7 times the face, one in seven down to 0.96 times; what a wider one lacks is mirrored.
    """
    (crop,) = region
    crop = _framed(_mirrored(crop, random.random() < 0.5), random)
    if random.random() < 0.5:
        crop = _recoloured(crop, random)
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
        crop = jpeg(crop, random.integers(30, 96))
    if random.random() < 0.25:
        crop = _covered(crop, random)
    return (crop,)


AUGMENTATIONS: dict[str, Augmentation] = {
    "arjon": arjon,
    "ceng": ceng,
    "saved_anyhow": saved_anyhow,
    "resaved": resaved,
    "in_the_wild": in_the_wild,
}


def _all_inputs(change: Callable[[Picture], Picture]) -> Augmentation:
    return lambda region, random: tuple(change(pixels) for pixels in region)


def _brightened(region: Region, random: np.random.Generator) -> Region:
    added = random.uniform(-0.2, 0.2)
    return tuple(_coloured(pixels, added, 1.0) for pixels in region)


def _contrasted(region: Region, random: np.random.Generator) -> Region:
    factor = random.uniform(0.8, 1.2)
    return tuple(_coloured(pixels, 0.0, factor) for pixels in region)


def _more_or_less_saturated(region: Region, random: np.random.Generator) -> Region:
    factor = random.uniform(0.8, 1.2)
    return tuple(_saturated(pixels, factor) for pixels in region)


# Changes of which each makes one more copy of a picture, beside the picture itself.
COPIES: dict[str, tuple[Augmentation, ...]] = {
    # Gautam and Chandra, 3.6: flip_left_right, flip_up_down, rot90, random_brightness, random_contrast and
    # random_saturation of tf.image.
    "gautam": (
        _all_inputs(lambda pixels: np.ascontiguousarray(pixels[:, ::-1])),
        _all_inputs(lambda pixels: np.ascontiguousarray(pixels[::-1])),
        _all_inputs(lambda pixels: np.ascontiguousarray(np.rot90(pixels))),
        _brightened,
        _contrasted,
        _more_or_less_saturated,
    ),
}


def _mirrored(pixels: Picture, mirrored: bool) -> Picture:
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def _moved(
    pixels: Picture,
    angle: float,
    zoom: float = 1.0,
    shifts: np.ndarray | tuple[float, float] = (0.0, 0.0),
    border: int = cv2.BORDER_REFLECT_101,
    interpolation: int = cv2.INTER_LINEAR,
) -> Picture:
    """Turned by degrees, enlarged, and shifted by parts of width and height."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    matrix[:, 2] += np.multiply(shifts, (width, height))
    return cv2.warpAffine(np.ascontiguousarray(pixels), matrix, (width, height), flags=interpolation, borderMode=border)


def _coloured(pixels: Picture, brightness: float, contrast: float) -> Picture:
    """Brightness in parts of the range and contrast about each channel's mean, as tf.image's."""
    values = pixels.astype(np.float32) + 255 * brightness
    mean = values.mean(axis=(0, 1), keepdims=True)
    return _as_pixels((values - mean) * contrast + mean)


def _multiplied(pixels: Picture, factor: float) -> Picture:
    """Brightness, as torchvision's."""
    return _as_pixels(pixels.astype(np.float32) * factor)


def _spread_about_grey_mean(pixels: Picture, factor: float) -> Picture:
    """Contrast, as torchvision's: about the mean of the grey picture."""
    mean = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).mean()
    return _as_pixels((pixels.astype(np.float32) - mean) * factor + mean)


def _spread_about_grey(pixels: Picture, factor: float) -> Picture:
    """Saturation, as torchvision's: about the grey picture."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    return _as_pixels((pixels - grey) * factor + grey)


_JITTER = (_multiplied, _spread_about_grey_mean, _spread_about_grey)


def _as_pixels(values: np.ndarray) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _saturated(pixels: Picture, factor: float) -> Picture:
    """As tf.image's: the S of HSV, times a factor."""
    hsv = cv2.cvtColor(np.float32(pixels) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 1] = np.minimum(hsv[..., 1] * factor, 1)
    return np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def _turn(crop: Picture, random: np.random.Generator) -> Picture:
    """Mirrored half the time; half the time tilted, moved and enlarged a little (generated faces are upright)."""
    crop = _mirrored(crop, random.random() < 0.5)
    if random.random() < 0.5:
        angle, zoom, shifts = random.uniform(-12, 12), random.uniform(1.0, 1.2), random.uniform(-0.04, 0.04, 2)
        kind = cv2.INTER_CUBIC if random.random() < 0.5 else cv2.INTER_LINEAR
        crop = _moved(crop, angle, zoom, shifts, interpolation=kind)
    return crop


def _framed(crop: Picture, random: np.random.Generator) -> Picture:
    """Show more or less than the 1.5 times the face that a crop holds; half of them tilted, too."""
    framing = random.uniform(1.2, 1.7) * (0.8 if random.random() < 0.15 else 1.0)
    angle = random.uniform(-11, 11) if random.random() < 0.5 else 0.0
    return _moved(crop, angle, 1.5 / framing, random.uniform(-0.07, 0.07, 2))


def _recoloured(crop: Picture, random: np.random.Generator) -> Picture:
    """Change contrast, brightness, saturation and tint, by more than `_tinted`."""
    brightness = random.uniform(0.75, 1.25)
    pixels = crop.astype(np.float32)
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    pixels = ((pixels - mean) * random.uniform(0.7, 1.3) + mean) * brightness
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None] * brightness
    pixels = grey + (pixels - grey) * random.uniform(0.4, 1.6)
    return _as_pixels(pixels * random.uniform(0.92, 1.08, 3))


def _covered(crop: Picture, random: np.random.Generator) -> Picture:
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


def _blur_or_sharpen(crop: Picture, random: np.random.Generator) -> Picture:
    blurred = cv2.GaussianBlur(crop, (0, 0), random.uniform(0.4, 1.4))
    if random.random() < 0.6:
        return blurred
    amount = random.uniform(0.3, 1.0)
    return cv2.addWeighted(crop, 1 + amount, blurred, -amount, 0)


def _tinted(crop: Picture, random: np.random.Generator) -> Picture:
    """Contrast, brightness, saturation and a slight tint."""
    pixels = crop.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * random.uniform(0.6, 1.4)
    pixels = (pixels - 128) * random.uniform(0.8, 1.2) + 128 + random.uniform(-20, 20)
    pixels *= random.uniform(0.95, 1.05, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)
