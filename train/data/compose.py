"""Makes composites during training: eyes, nose or mouth of one photograph put into another, or changed within it.

They imitate, roughly and in any number, what experts do by hand in a few hundred pictures. The face as its own donor:
Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", arXiv:2204.08376 (CVPR 2022). Seamless cloning:
Pérez, Gangnet and Blake, "Poisson Image Editing", SIGGRAPH 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.errors import FacescanError
from scanner.faces.finder import MIN_SCORE
from scanner.faces.yunet import MODEL
from scanner.imaging.decode import Picture

# Positions of YuNet's five points.
RIGHT_EYE, LEFT_EYE, NOSE, RIGHT_CORNER, LEFT_CORNER = range(5)
# Half axes of the ellipses that cover an eye, the nose and the mouth, in distances between the eyes.
EYE, NOSE_SIZE, MOUTH = (0.38, 0.26), (0.32, 0.5), (0.55, 0.3)
# Share of composites whose donor is the face itself.
SELF_DONOR_SHARE = 0.25
# Share of the others that are cloned seamlessly rather than blended.
CLONED_SHARE = 0.35
# The donor is the most similar of so many photographs: few give poor composites, many give good ones.
CANDIDATE_COUNTS = (2, 8, 24)

Points = NDArray[np.float32]  # (5, 2): x, y in pixels
Mask = NDArray[np.float32]  # (height, width), 0..1


@dataclass(frozen=True, slots=True)
class Portrait:
    """Holds a face whose parts can be taken and replaced.

    Attributes:
        picture: RGB uint8, (height, width, 3).
        points: eyes, nose and corners of the mouth.
        looks: features in which a donor should be similar: the shape of the points and the mean colour, (13,).
    """

    picture: Picture
    points: Points
    looks: NDArray[np.float64]


class Composer:
    """Holds photographs and makes composites of them.

    Args:
        pictures: RGB uint8, each of one face, all of one size. Those in which no face is found are left out.
        weights: (n,), proportional to how often each picture is the base of a composite.

    Raises:
        FacescanError: fewer than two pictures show a face.
    """

    def __init__(self, pictures: Sequence[Picture], weights: NDArray[np.float64]) -> None:
        found = _portraits(pictures)
        if len(found) < 2:
            raise FacescanError("composites are made of at least two photographs of faces: see the counts above")
        self._portraits = list(found.values())
        self._weights = weights[list(found)] / weights[list(found)].sum()

    def __call__(self, random: np.random.Generator) -> Picture:
        """Make a composite, RGB uint8, as large as the photographs."""
        base = self._portraits[random.choice(len(self._portraits), p=self._weights)]
        mask = _parts(base, random)
        if random.random() < SELF_DONOR_SHARE:
            return _blended(base.picture, _recoloured(_displaced(base.picture, random), random), mask, random)
        offered = random.integers(len(self._portraits), size=random.choice(CANDIDATE_COUNTS))
        donor = min((self._portraits[i] for i in offered), key=lambda one: np.abs(one.looks - base.looks).sum())
        given = _aligned(donor, base, random)
        if random.random() < CLONED_SHARE:
            return _cloned(base.picture, given, mask)
        return _blended(base.picture, _matched(given, base.picture, mask, random), mask, random)


def _portraits(pictures: Sequence[Picture]) -> dict[int, Portrait]:
    """Find the largest face of each picture; return those with a face by their position in `pictures`."""
    if not pictures:
        return {}
    height, width = pictures[0].shape[:2]
    # OpenCV's wrapper of the same network returns the points, which `scanner.faces.finder` does not.
    finder = cv2.FaceDetectorYN.create(str(MODEL), "", (width, height), MIN_SCORE)
    found = {}
    for position, picture in enumerate(pictures):
        _, faces = finder.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        if faces is None:
            continue
        face = max(faces, key=lambda one: one[2] * one[3])
        points = face[4:14].reshape(5, 2).astype(np.float32)
        found[position] = Portrait(picture, points, _looks(picture, points))
    return found


def _looks(picture: Picture, points: Points) -> NDArray[np.float64]:
    centred = (points - points.mean(axis=0)).astype(np.float64)
    shape = centred / max(float(np.linalg.norm(centred)), 1e-6)
    height, width = picture.shape[:2]
    middle = picture[height * 3 // 8 : height * 3 // 4, width * 5 // 16 : width * 11 // 16]
    return np.concatenate([3 * shape.ravel(), middle.reshape(-1, 3).mean(axis=0) / 255])


def _parts(base: Portrait, random: np.random.Generator) -> Mask:
    """Draw ellipses over eyes, nose and mouth, each half the time, but at least one, into a mask."""
    points = base.points
    middle = (points[RIGHT_EYE] + points[LEFT_EYE]) / 2
    places = (
        (points[RIGHT_EYE], EYE),
        (points[LEFT_EYE], EYE),
        (0.65 * points[NOSE] + 0.35 * middle, NOSE_SIZE),
        ((points[RIGHT_CORNER] + points[LEFT_CORNER]) / 2, MOUTH),
    )
    chosen = random.random(len(places)) < 0.5
    chosen[random.integers(len(places))] |= not chosen.any()
    across = points[LEFT_EYE] - points[RIGHT_EYE]
    distance, tilt = float(np.linalg.norm(across)), float(np.degrees(np.arctan2(across[1], across[0])))
    mask = np.zeros(base.picture.shape[:2], np.float32)
    for (centre, size), wanted in zip(places, chosen, strict=True):
        axes = tuple(max(2, round(distance * half * random.uniform(0.8, 1.4))) for half in size)
        if wanted:
            cv2.ellipse(mask, (round(float(centre[0])), round(float(centre[1]))), axes, tilt, 0, 360, 1.0, -1)
    return mask


def _aligned(donor: Portrait, base: Portrait, random: np.random.Generator) -> Picture:
    """Turn, scale and move the donor's picture so that its points lie near those of the base."""
    height, width = base.picture.shape[:2]
    target = base.points + random.normal(0, 0.006 * width, base.points.shape).astype(np.float32)
    matrix, _ = cv2.estimateAffinePartial2D(donor.points, target, method=cv2.LMEDS)
    if matrix is None:  # the points coincide
        return donor.picture
    return cv2.warpAffine(donor.picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _displaced(picture: Picture, random: np.random.Generator) -> Picture:
    """Scale, turn and move a picture a little."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-6, 6), random.uniform(0.93, 1.08))
    matrix[:, 2] += random.uniform(-0.012, 0.012, 2) * width
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _recoloured(picture: Picture, random: np.random.Generator) -> NDArray[np.float32]:
    return (picture * random.uniform(0.88, 1.12, 3) + random.uniform(-10, 10)).astype(np.float32)


def _matched(given: Picture, base: Picture, mask: Mask, random: np.random.Generator) -> NDArray[np.float32]:
    """Match colours and contrast of a donor to those of the base, only partly, and sometimes not at all.

    Args:
        given: the donor, aligned with the base.
        base: the picture to put it into.
        mask: of the parts.
        random: for the draws.
    """
    pixels = given.astype(np.float32)
    if random.random() < 0.15:
        return pixels
    around = cv2.dilate(mask, np.ones((9, 9))) > 0
    wanted, found = base[around].astype(np.float32), pixels[around]
    pixels += random.uniform(0.5, 1) * (wanted.mean(axis=0) - found.mean(axis=0))
    if random.random() < 0.5:
        mean = pixels[mask > 0].mean(axis=0)
        pixels = (pixels - mean) * np.clip(wanted.std(axis=0) / (found.std(axis=0) + 1), 0.6, 1.6) + mean
    return pixels.astype(np.float32)


def _blended(base: Picture, given: NDArray[np.float32], mask: Mask, random: np.random.Generator) -> Picture:
    """Blend a donor into the base with a soft edge, and sometimes with a little transparency.

    Args:
        base: RGB uint8, (height, width, 3).
        given: the donor, aligned and recoloured, of the same shape.
        mask: of the parts.
        random: for the draws.
    """
    softness = random.uniform(0.004, 0.024) * base.shape[1]
    alpha = cv2.GaussianBlur(mask, (0, 0), softness)[..., None] * random.uniform(0.8, 1)
    blended: Picture = np.clip(np.rint(base * (1 - alpha) + given * alpha), 0, 255).astype(np.uint8)
    return blended


def _cloned(base: Picture, given: Picture, mask: Mask) -> Picture:
    """Clone a donor into the base seamlessly, but for the two pixels at the picture's edge."""
    inner = np.zeros(mask.shape, np.uint8)
    inner[2:-2, 2:-2] = (mask[2:-2, 2:-2] > 0) * 255
    if not inner.any():
        return base
    x, y, width, height = cv2.boundingRect(inner)
    return cv2.seamlessClone(given, base, inner, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
