"""Leaves out the files of a data set that cannot be used: files that are no pictures, and duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.imaging.inspection.header import read_header
from train.data.hash_split import UNREADABLE
from train.data.samples import Sample

# Bytes at the beginning of a file that are read to find out whether it is a picture.
HEADER_BYTES = 4096
# Reasons to leave a file out, as run.json names them, and as messages name them.
REASONS = {
    "not_pictures": "not pictures",
    "duplicates": "with the same content as another",
    "in_two_classes": "whose content is in both classes",
    "in_two_splits": "to train on whose content is in another split",
}
# If the same content is in several splits, it stays in the first of these: no test picture may be trained on.
SPLIT_PRIORITY = ("test", "validation", "train", "")


@dataclass(frozen=True, slots=True)
class Usable:
    """Holds the samples to use, and the paths of the files that were left out.

    Attributes:
        samples: to use, in their original order.
        left_out: paths by reason, a key of `REASONS`.
    """

    samples: list[Sample]
    left_out: Mapping[str, list[str]]

    @property
    def summary(self) -> str:
        """Say in one line how many files were left out and why; empty if none was."""
        counts = ", ".join(f"{len(self.left_out[key])} {text}" for key, text in REASONS.items() if self.left_out[key])
        return f"left out: {counts} (named in run.json)" if counts else ""


def find_usable(samples: Sequence[Sample]) -> Usable:
    """Leave out files that are no pictures, and all but one of the pictures with the same content.

    A picture that is in both classes is left out of both, because one of its labels is wrong. A picture that is in
    several splits stays in the test split only, or else in the validation split only.

    Args:
        samples: with the hashes of their contents (`train.data.hash_split.with_contents`). Files that cannot be read
            are not left out here: they are counted where pictures are decoded.
    """
    left_out: dict[str, list[str]] = {reason: [] for reason in REASONS}
    by_content: dict[str, list[Sample]] = {}
    for sample in samples:
        if _is_picture(sample):
            by_content.setdefault(sample.content, []).append(sample)
        else:
            left_out["not_pictures"].append(sample.path)
    used: set[str] = set()
    for alike in by_content.values():
        if len({sample.fake for sample in alike}) > 1:
            left_out["in_two_classes"] += [sample.path for sample in alike]
            continue
        chosen = min(alike, key=lambda sample: SPLIT_PRIORITY.index(sample.split))
        used.add(chosen.path)
        for sample in alike:
            if sample.path != chosen.path:
                reason = "duplicates" if sample.split == chosen.split else "in_two_splits"
                left_out[reason].append(sample.path)
    return Usable([sample for sample in samples if sample.path in used], left_out)


def _is_picture(sample: Sample) -> bool:
    if sample.content.startswith(UNREADABLE):
        return True
    with sample.file.open("rb") as file:
        head = file.read(HEADER_BYTES)
    return not head or bool(read_header(head).format)
