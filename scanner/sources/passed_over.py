"""Counts what the walk met and did not take, so that a scan of nothing is not taken for a scan that found nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# Kind -> what people read: of one, and of several.
KINDS = {
    "no_picture": ("no picture", "no picture"),
    "no_picture_suffix": ("without a picture's suffix", "without a picture's suffix"),
    "not_included": ("not in --include", "not in --include"),
    "excluded": ("excluded", "excluded"),
    "hidden": ("hidden", "hidden"),
    "links": ("link not followed", "links not followed"),
    "too_deep": ("folder below --max-depth", "folders below --max-depth"),
    "not_files": ("no regular file", "no regular files"),
    "vanished": ("vanished", "vanished"),
    "ours": ("written by this run", "written by this run"),
    "again": ("named or linked again", "named or linked again"),
}
# Roots without a picture that are named one by one; a list may have any number of them.
_NAMED = 10


@dataclass(slots=True)
class PassedOver:
    """What was not taken.

    Attributes:
        counts: by kind; a folder that is not entered counts as one.
        candidates: files that were taken, also those of other shards.
        empty: the first roots that were folders and had no candidate.
        empty_roots: how many there were.
    """

    counts: Counter[str] = field(default_factory=Counter)
    candidates: int = 0
    empty: list[str] = field(default_factory=list)
    empty_roots: int = 0

    def add(self, kind: str) -> None:
        """Count one more of a kind, one of `KINDS`."""
        self.counts[kind] += 1

    def add_root(self, root: str) -> None:
        """Remember a folder that has no candidate."""
        self.empty_roots += 1
        if len(self.empty) < _NAMED:
            self.empty.append(root)

    def as_dict(self) -> dict[str, int]:
        """Counts of all kinds, also those that are 0."""
        return {kind: self.counts[kind] for kind in KINDS}

    def text(self) -> str:
        """The counts, for people."""
        return in_words(self.counts)

    def warnings(self) -> list[str]:
        """A line for each of the first roots without a candidate, and one for the rest."""
        lines = [f"warning: {root}: no pictures found" for root in self.empty]
        if more := self.empty_roots - len(self.empty):
            lines.append(f"warning: no pictures found in {more:,} more of the folders named")
        return lines


def in_words(counts: Mapping[str, int]) -> str:
    """`7: 4 no picture, 3 links not followed`; empty if nothing was passed over."""
    kinds = [f"{n:,} {KINDS[kind][n != 1]}" for kind, n in Counter(counts).most_common() if n]
    return f"{sum(counts.values()):,}: {', '.join(kinds)}" if kinds else ""
