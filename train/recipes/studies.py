"""Holds the five published studies as data: title, venue, pictures, and the form of their figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class Paper:
    """Describes one publication.

    Attributes:
        name: authors, as tables name them.
        title: as printed.
        venue: where and when it was published, as far as its own text says.
        data: name and number of its pictures.
        pictures: number of pictures of each class or, for ciplab's fakes, of each prefix of their file names.
        sets: names of these pictures in an index with the column `set`.
    """

    name: str
    title: str
    venue: str
    data: str
    pictures: Mapping[str, int]
    sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Holds the figures that a paper publishes of one network.

    Attributes:
        paper: that publishes them.
        on: the pictures that they were measured on.
        accuracy: 0..1. Like the other figures, None if the paper does not give it.
        precision, recall, f1: of the class `positive`.
        positive: the class that precision, recall and F1 are of: `real`, `fake`, `mean` of both, or `not said`.
        training_accuracy, validation_accuracy: at the end of training, or as the remark says.
        balanced_accuracy: the mean of the recalls of both classes, from hard labels. No area under a ROC curve.
        matrix: pictures of (real called real, real called fake, fake called real, fake called fake).
        remark: what a reader must know about the figures.
    """

    paper: Paper
    on: str
    accuracy: float | None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    positive: str = NOT_SAID
    training_accuracy: float | None = None
    validation_accuracy: float | None = None
    balanced_accuracy: float | None = None
    matrix: tuple[int, int, int, int] | None = None
    remark: str = ""

    @property
    def name(self) -> str:
        """Return the authors, as tables name them."""
        return self.paper.name

    @property
    def sets(self) -> tuple[str, ...]:
        """Return the names of the study's pictures in an index with the column `set`."""
        return self.paper.sets


_CIPLAB = (
    "Kaggle, ciplab/real-and-fake-face-detection: 1,081 photographs and 960 composites (240 easy, 480 mid, 240 hard)"
)
_CIPLAB_PICTURES = {"real": 1081, "easy": 240, "mid": 480, "hard": 240}

ARJON = Paper(
    "Arjon et al.",
    "Deep Learning-based Classification of Real and Fake Face Images Using Convolutional Neural Networks",
    "venue and year not said (it looked up its pictures on 19 December 2024)",
    _CIPLAB,
    _CIPLAB_PICTURES,
    ("ciplab",),
)
PERISIC = Paper(
    "Perisic and Jovanovic",
    "Convolutional Neural Networks for Real and Fake Face Classification",
    "Faculty of Mechanical Engineering, Belgrade; venue not said, 2022 by its grants and look-ups",
    "Kaggle, xhlulu/140k-real-and-fake-faces: 70,000 photographs of FFHQ and 70,000 faces by StyleGAN, 256 px",
    {"real": 70_000, "fake": 70_000},
    ("faces140k",),
)
GAUTAM = Paper(
    "Gautam and Chandra",
    "Classification of Real and Fake Human Faces Using Deep Learning",
    "group project report, COMP 4026 Computer Vision and Pattern Recognition, Hong Kong Baptist University, 2023",
    f"{_CIPLAB}; the report says only 'provided by the instructor', and has its counts",
    _CIPLAB_PICTURES,
    ("ciplab",),
)
KIM = Paper(
    "HaeLee Kim",
    "Real vs. Fake Faces Image Classification",
    "slides, Statistical Deep Learning, fall 2023",
    "Kaggle, hamzaboulahia/hardfakevsrealfaces: 589 photographs and 700 faces by StyleGAN2, 300 px",
    {"real": 589, "fake": 700},
    ("hardfake",),
)
CENG = Paper(
    "CENG 476 report",
    "Real vs Fake Face Image Classification",
    "project report, CENG 476 Deep Learning; year and authors not said",
    "a set of 15,000 photographs and 15,000 generated faces in train, validation and test folders; the report links "
    "ciplab's, which has 2,041 pictures of another kind, so the set it used is not known",
    {"real": 15_000, "fake": 15_000},
    ("faces140k",),
)
