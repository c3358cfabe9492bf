"""Defines a sample: one labelled picture of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LABELS = ("real", "fake")


@dataclass(frozen=True, slots=True)
class Sample:
    """Describes one labelled picture.

    Attributes:
        path: as written in the index, relative to it.
        file: the file itself.
        fake: its label.
        set: name of its data set.
        generator: name of the program that made it; for a real picture, its source.
        group: name of a person, video or source picture that several samples share; empty if none do.
        split: `train`, `validation` or `test`, if the data set comes split; otherwise empty.
        content: the hash of the file's bytes (`train.data.hash_split.with_contents`); empty where it was not needed.
    """

    path: str
    file: Path
    fake: bool
    set: str
    generator: str
    group: str
    split: str = ""
    content: str = ""

    @property
    def maker(self) -> str:
        """Return generator and set, as tables name them."""
        return f"{self.generator} ({self.set})" if self.generator else self.set
