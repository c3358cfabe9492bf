"""Changes of the pixels and the file: colours, noise, what is drawn over the face, how the picture is saved."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanner.imaging.decode import Picture
from tests.bench.geometry.place import BLACK, GREY, WHITE, face_of
from tests.bench.geometry.portrait import Change, Portrait
from tests.pictures import animation, encode, png_16_bit

SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def pixels(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    """Compute new values of the pixels, 0..255."""
    return lambda portrait: np.clip(function(portrait.picture.astype(np.float64)), 0, 255).round().astype(np.uint8)


def noisy(level: float) -> Change:
    """Add noise of that standard deviation, in grey levels."""
    return pixels(lambda values: values + np.random.default_rng(0).normal(0, level, values.shape))


def blurred(radius: float) -> Change:
    """Blur by a Gaussian of that standard deviation, in pixels."""
    return lambda portrait: cv2.GaussianBlur(portrait.picture, (0, 0), radius)


def sharpened(strength: float) -> Change:
    """Sharpen by an unsharp mask of 1.5 pixels."""
    return pixels(lambda values: values + strength * (values - cv2.GaussianBlur(values, (0, 0), 1.5)))


def saturated(strength: float) -> Change:
    """Move colours away from grey, or towards it."""
    return pixels(lambda values: (grey := values.mean(axis=2, keepdims=True)) + strength * (values - grey))


def vignette(portrait: Portrait) -> Picture:
    """Darken the corners."""
    height, width = portrait.picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (portrait.picture * (1 - 0.35 * np.minimum(1, x**2 + y**2))[:, :, None]).astype(np.uint8)


def grey(portrait: Portrait) -> Picture:
    """Take the colours away."""
    return cv2.cvtColor(cv2.cvtColor(portrait.picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def captioned(portrait: Portrait) -> Picture:
    """Add black bars with white capitals above and below."""
    height, width = portrait.picture.shape[:2]
    bar = height // 6
    picture = cv2.copyMakeBorder(portrait.picture, bar, bar, 0, 0, cv2.BORDER_CONSTANT, value=(BLACK,) * 3)
    for text, bottom in (("WHEN IT IS", bar * 3 // 4), ("MONDAY AGAIN", height + 2 * bar - bar // 4)):
        write(picture, text, (width // 20, bottom), bar / 40)
    return picture


def write(picture: Picture, text: str, place: tuple[int, int], scale: float) -> None:
    """Write white letters with a black edge into a picture."""
    for colour, thick in ((BLACK, 4), (WHITE, 2)):
        thickness = max(1, round(thick * scale))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, (colour,) * 3, thickness, cv2.LINE_AA)


def text_over_the_face(portrait: Portrait) -> Picture:
    """Write three lines over the face."""
    picture, (x, y, w, h) = portrait.picture.copy(), portrait.box
    for line in (1, 2, 3):
        write(picture, "SAMPLE", (x, y + line * h // 4), w / 120)
    return picture


def watermarked(portrait: Portrait) -> Picture:
    """Repeat a word all over the picture, at 40 % of its strength."""
    words = portrait.picture.copy()
    height, width = words.shape[:2]
    for row, top in enumerate(range(height // 8, height + height // 8, height // 5)):
        for left in range(-(row % 2) * width // 4, width, width // 2):
            write(words, "WATERMARK", (left, top), width / 420)
    return cv2.addWeighted(portrait.picture, 0.6, words, 0.4, 0)


def bar_over_the_eyes(portrait: Portrait) -> Picture:
    """Hide the eyes behind a black bar."""
    picture, (x, y, w, h) = portrait.picture.copy(), portrait.box
    picture[y + h * 28 // 100 : y + h * 48 // 100, x : x + w] = BLACK
    return picture


def sticker_on_a_cheek(portrait: Portrait) -> Picture:
    """Paint a yellow disc on a cheek."""
    picture, (x, y, w, h) = portrait.picture.copy(), portrait.box
    cv2.circle(picture, (x + w * 3 // 4, y + h * 62 // 100), w // 6, (255, 210, 60), -1, cv2.LINE_AA)
    return picture


def saved(kind: str, **options: object) -> Change:
    """Save in a format of Pillow's."""
    return lambda portrait: encode(portrait.picture, kind, **options)


def converted(mode: str, kind: str, **options: object) -> Change:
    """Save in a mode of Pillow's: CMYK, a palette."""
    return lambda portrait: encode(Image.fromarray(portrait.picture).convert(mode), kind, **options)


def in_16_bits(portrait: Portrait) -> bytes:
    """Save as a PNG of 16 bits."""
    return png_16_bit(portrait.picture)


def with_alpha(portrait: Portrait) -> Picture:
    """Make the corners transparent, as round profile pictures have them."""
    height, width = portrait.picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.dstack([portrait.picture, np.where(x**2 + y**2 <= 1, 255, 0).astype(np.uint8)])


def second_frame(kind: str) -> Change:
    """Show the picture behind a plain grey frame."""
    return lambda portrait: animation(kind, [np.full_like(portrait.picture, GREY), portrait.picture])


def shrunk_and_enlarged(portrait: Portrait) -> bytes:
    """Shrink until the face is 64 pixels large, enlarge back, and save as JPEG 85."""
    height, width = portrait.picture.shape[:2]
    small = face_of(portrait, 64)
    return encode(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), "JPEG", quality=85)


SAVED: dict[str, Change] = {
    **{f"JPEG {quality}": saved("JPEG", quality=quality) for quality in (75, 50, 30, 15)},
    **{f"WebP {quality}": saved("WEBP", quality=quality) for quality in (60, 30)},
    "palette PNG, 256 colours": converted("P", "PNG"),
    "GIF": saved("GIF"),
    "PNG of 16 bits": in_16_bits,
    "PNG with transparent corners": with_alpha,
    "JPEG in CMYK": converted("CMYK", "JPEG", quality=92),
    "second frame of a GIF": second_frame("GIF"),
    "second frame of an animated PNG": second_frame("PNG"),
    "second page of a TIFF": second_frame("TIFF"),
    "face 64 px, enlarged back, JPEG 85": shrunk_and_enlarged,
}
TOUCHED: dict[str, Change] = {
    **{f"noise {level}": noisy(level) for level in (5, 10, 20)},
    **{f"blurred {radius} px": blurred(radius) for radius in (1, 2, 4)},
    **{f"sharpened {strength}": sharpened(strength) for strength in (1, 3)},
    "median 5": lambda portrait: cv2.medianBlur(portrait.picture, 5),
    "beauty filter (bilateral)": lambda portrait: cv2.bilateralFilter(portrait.picture, 9, 40, 9),
    "brighter x1.3": pixels(lambda values: 1.3 * values),
    "darker x0.6": pixels(lambda values: 0.6 * values),
    "contrast x1.4": pixels(lambda values: 128 + 1.4 * (values - 128)),
    "contrast x0.6": pixels(lambda values: 128 + 0.6 * (values - 128)),
    "gamma 0.6": pixels(lambda values: 255 * (values / 255) ** 0.6),
    "gamma 1.7": pixels(lambda values: 255 * (values / 255) ** 1.7),
    "grey": grey,
    "saturation x1.6": saturated(1.6),
    "saturation x0.5": saturated(0.5),
    "warmer": pixels(lambda values: values * (1.12, 1, 0.85)),
    "cooler": pixels(lambda values: values * (0.88, 1, 1.12)),
    "sepia": pixels(lambda values: values @ SEPIA.T),
    "red and blue swapped": lambda portrait: portrait.picture[:, :, ::-1],
    "negative": lambda portrait: 255 - portrait.picture,
    "vignette": vignette,
}
DRAWN_OVER: dict[str, Change] = {
    "caption bars": captioned,
    "text over the face": text_over_the_face,
    "watermark 40 %": watermarked,
    "black bar over the eyes": bar_over_the_eyes,
    "sticker on a cheek": sticker_on_a_cheek,
}
