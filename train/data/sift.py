"""Files of a data set that cannot be used as they stand: other files than pictures, and the same picture twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.imaging.inspection.header import read_header
from train.data.lots import UNREADABLE
from train.data.samples import Sample

# Bytes of a file that tell whether it is a picture.
HEAD = 4096
# What a kind of trouble is called before people.
KINDS = {
    "not_pictures": "not pictures",
    "duplicates": "with the same content as another",
    "in_two_classes": "whose content is in both classes",
    "in_two_splits": "to train on whose content is in another split",
}
# Where the same content is in several splits, the first of these keeps it: a test must be of pictures never seen.
KEEPS = ("test", "validation", "train", "")


@dataclass(frozen=True, slots=True)
class Sifted:
    """What can be used, and what was left out.

    Attributes:
        samples: to use, in order.
        left_out: paths by kind, one of `KINDS`.
    """

    samples: list[Sample]
    left_out: Mapping[str, list[str]]

    @property
    def summary(self) -> str:
        """What was left out, in one line; empty if nothing was."""
        counts = ", ".join(f"{len(self.left_out[kind])} {text}" for kind, text in KINDS.items() if self.left_out[kind])
        return f"left out: {counts} (named in run.json)" if counts else ""


def sift(samples: Sequence[Sample]) -> Sifted:
    """Leave out what is no picture, and all but one of pictures with the same content.

    A picture that is in both classes is left out of both: no label can be right. A picture that is in two splits stays
    in the test, or in the validation, alone.

    Args:
        samples: with their contents (`train.data.lots.with_contents`). Files that cannot be read stay: they are counted
            where pictures are decoded.
    """
    left_out: dict[str, list[str]] = {kind: [] for kind in KINDS}
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
        kept = min(alike, key=lambda sample: KEEPS.index(sample.split))
        used.add(kept.path)
        for sample in alike:
            if sample.path != kept.path:
                kind = "duplicates" if sample.split == kept.split else "in_two_splits"
                left_out[kind].append(sample.path)
    return Sifted([sample for sample in samples if sample.path in used], left_out)


def _is_picture(sample: Sample) -> bool:
    if sample.content.startswith(UNREADABLE):
        return True
    with sample.file.open("rb") as file:
        head = file.read(HEAD)
    return not head or bool(read_header(head).format)
