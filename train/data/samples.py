"""One labelled picture of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LABELS = ("real", "fake")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: as the index has it, relative to the index.
        file: where it lies.
        fake: its label.
        set: the data set it came in.
        generator: what made it; for a real picture, where it was taken from.
        group: one person, one video or one source picture; empty if it stands alone.
        split: `train`, `validation` or `test`, where the data set comes split; otherwise empty.
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
        """Generator and set, as tables name them."""
        return f"{self.generator} ({self.set})" if self.generator else self.set
