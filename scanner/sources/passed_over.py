"""Counts skipped files, so that a scan of nothing is not taken for a scan that found nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# Kind -> text for people: for one entry, and for several. The kinds are keys of `passed_over` in JSON.
KINDS = {
    "no_picture": ("not a picture", "not pictures"),
    "no_picture_suffix": ("without a picture's suffix", "without a picture's suffix"),
    "not_included": ("not in --include", "not in --include"),
    "excluded": ("excluded", "excluded"),
    "hidden": ("hidden", "hidden"),
    "links": ("link not followed", "links not followed"),
    "too_deep": ("folder below --max-depth", "folders below --max-depth"),
    "not_files": ("not a regular file", "not regular files"),
    "vanished": ("vanished", "vanished"),
    "ours": ("written by this run", "written by this run"),
    "again": ("duplicate", "duplicates"),
}
# Roots without a picture that warnings name, at most; a list may have any number of them.
_MAX_NAMED = 10


@dataclass(slots=True)
class PassedOver:
    """Counts the files and folders that the walk skipped.

    Attributes:
        counts: skipped entries by kind, one of `KINDS`; a folder that is not entered counts as one.
        candidates: files that were not skipped, including those of other shards.
        empty: the first roots that are folders without a candidate.
        empty_roots: number of all such roots.
    """

    counts: Counter[str] = field(default_factory=Counter)
    candidates: int = 0
    empty: list[str] = field(default_factory=list)
    empty_roots: int = 0

    def add(self, kind: str) -> None:
        """Count one more entry of a kind, one of `KINDS`."""
        self.counts[kind] += 1

    def add_root(self, root: str) -> None:
        """Count a root that is a folder without a candidate."""
        self.empty_roots += 1
        if len(self.empty) < _MAX_NAMED:
            self.empty.append(root)

    def as_dict(self) -> dict[str, int]:
        """Return the counts of all kinds, including zeros."""
        return {kind: self.counts[kind] for kind in KINDS}

    def text(self) -> str:
        """Return the counts as text for people."""
        return in_words(self.counts)

    def warnings(self) -> list[str]:
        """Return a line for each of the first roots without a candidate, and one for the rest."""
        lines = [f"warning: {root}: no pictures found" for root in self.empty]
        if more := self.empty_roots - len(self.empty):
            lines.append(f"warning: no pictures found in {more:,} more of the folders named")
        return lines


def in_words(counts: Mapping[str, int]) -> str:
    """Return counts as text, such as `7: 4 not pictures, 3 links not followed`; empty if nothing was skipped."""
    kinds = [f"{n:,} {KINDS[kind][n != 1]}" for kind, n in Counter(counts).most_common() if n]
    return f"{sum(counts.values()):,}: {', '.join(kinds)}" if kinds else ""
