"""A labelled picture with a face, and what a change makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scanner.imaging.crop import Box
from scanner.imaging.decode import Picture
from tests.pictures import encode


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture that is changed.

    Attributes:
        picture: RGB uint8 (height, width, 3).
        box: x, y, width, height of its largest face, in pixels.
        fake: its label.
        other: a real portrait to stand beside it.
    """

    picture: Picture
    box: Box
    fake: bool
    other: Picture


# What a change makes: pixels, saved as PNG, or the content of a file.
Change = Callable[[Portrait], Picture | bytes]


def content(changed: Picture | bytes) -> bytes:
    """Return the content of a file that shows what a change made."""
    return changed if isinstance(changed, bytes) else encode(np.ascontiguousarray(changed), "PNG", compress_level=1)
