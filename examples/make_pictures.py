"""Makes the pictures in ``examples/pictures/``: real, composite, generated and faceless ones that anybody may share.

pip install scikit-image
pip download --no-deps openpeople==0.1.2
python examples/make_pictures.py openpeople-0.1.2-py3-none-any.whl
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from scanner.imaging.crop import shrink
from scanner.imaging.decode import Picture, decode

TARGET = Path(__file__).parent / "pictures"
LONG_SIDE = 512
QUALITY = 90
PORTRAIT = "openpeople/data/curated/{}/assets/studio_portrait.jpg"
GENERATED = ("P002", "P005", "P009")


@dataclass(frozen=True, slots=True)
class Retouch:
    """One part of the astronaut's face, and what is done to it.

    Attributes:
        centre: x, y in the 512-pixel photograph.
        size: width and height of the ellipse that is replaced.
        stretch: how much wider and higher the part becomes.
        tint: added to lightness, redness and yellowness (CIELAB, 0..255 each), fading towards the edge.
    """

    centre: tuple[int, int]
    size: tuple[int, int]
    stretch: tuple[float, float]
    tint: tuple[float, float, float] = (0, 0, 0)


COMPOSITES = {
    "composite_eyes": (
        Retouch((203, 100), (34, 24), (1.22, 1.35)),
        Retouch((247, 103), (34, 24), (1.22, 1.35)),
        Retouch((203, 101), (11, 11), (1, 1), (24, -6, -34)),
        Retouch((247, 103), (11, 11), (1, 1), (24, -6, -34)),
    ),
    "composite_nose": (Retouch((221, 122), (38, 40), (1.3, 1.12), (0, 5, 3)),),
    "composite_mouth": (Retouch((225, 145), (56, 30), (0.8, 1.12), (-12, 22, 4)),),
}


def retouch(picture: Picture, part: Retouch) -> Picture:
    """Stretch and tint a part of the picture about its centre, and blend it in without a seam (Poisson cloning)."""
    (x, y), (width, height) = part.centre, part.size
    # Twice the ellipse, so that a part that shrinks still has skin round it to fill the ellipse with.
    rows, columns = slice(y - height, y + height), slice(x - width, x + width)
    zoom = np.array([[part.stretch[0], 0, 0], [0, part.stretch[1], 0]], np.float64)
    zoom[:, 2] = (1 - zoom[0, 0]) * width, (1 - zoom[1, 1]) * height
    patch = cv2.warpAffine(
        picture[rows, columns], zoom, (2 * width, 2 * height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    mask = np.zeros(patch.shape[:2], np.uint8)
    cv2.ellipse(mask, (width, height), (width // 2, height // 2), 0, 0, 360, 255, cv2.FILLED)
    fading = cv2.GaussianBlur(mask, (0, 0), min(width, height) / 6).astype(np.float32)[..., None] / 255
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB) + fading * np.array(part.tint, np.float32)
    patch = cv2.cvtColor(lab.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return cv2.seamlessClone(patch, picture, mask, part.centre, cv2.NORMAL_CLONE)


def save(name: str, picture: Picture) -> None:
    factor = min(1, LONG_SIDE / max(picture.shape[:2]))
    small = shrink(picture, round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    (TARGET / f"{name}.jpg").write_bytes(jpeg.tobytes())


def main(wheel: str) -> None:
    TARGET.mkdir(exist_ok=True)
    astronaut = skimage.data.astronaut()
    save("real_astronaut", astronaut)
    save("faceless_coffee", skimage.data.coffee())
    save("faceless_cat", skimage.data.chelsea())
    for name, parts in COMPOSITES.items():
        picture = astronaut
        for part in parts:
            picture = retouch(picture, part)
        save(name, picture)
    with zipfile.ZipFile(wheel) as archive:
        for i, person in enumerate(GENERATED, start=1):
            portrait = decode(archive.read(PORTRAIT.format(person))).picture
            if portrait is None:
                sys.exit(f"{wheel}: the portrait of {person} cannot be decoded")
            save(f"generated_{i}", portrait)


if __name__ == "__main__":
    main(*sys.argv[1:])
