"""Counts what only a report needs: scores, folders, pace, and the pictures to show.

The memory that the counts take is limited, whatever the number of rows.
"""

from __future__ import annotations

import base64
import heapq
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scanner.result import Verdict

BINS = 50
# Folders with a counter each, at most: 5 MB. Beyond that, the deepest folders are counted with their parents.
MAX_FOLDERS = 10_000
# More than anybody looks through: 4,000 thumbnails of 4 KB.
THUMBNAIL_BYTES = 16 * 2**20
SLOTS = 120


@dataclass(slots=True)
class Scores:
    """Counts pictures by verdict and p_fake, in `BINS` equal parts of 0 to 1."""

    bins: Counter[tuple[Verdict, int]] = field(default_factory=Counter)

    def add(self, verdict: Verdict, p_fake: float) -> None:
        """Count one picture."""
        self.bins[verdict, min(int(p_fake * BINS + 1e-9), BINS - 1)] += 1

    def of(self, verdict: Verdict) -> list[int]:
        """Return the counts of a verdict, one for each part of 0 to 1."""
        return [self.bins[verdict, i] for i in range(BINS)]


@dataclass(slots=True)
class Folders:
    """Counts verdicts by folder.

    Attributes:
        most: folders that are counted apart, at most; beyond that, the deepest are counted with their parents.
        depth: names in the longest path that is counted apart; None while all are.
    """

    most: int = MAX_FOLDERS
    depth: int | None = None
    _verdicts: dict[str, Counter[Verdict]] = field(default_factory=dict)

    def add(self, folder: str, verdict: Verdict) -> None:
        """Count one file."""
        self._verdicts.setdefault(self._counted_folder(folder), Counter())[verdict] += 1
        while len(self._verdicts) > self.most:
            self._fold()

    def table(self) -> Mapping[str, Counter[Verdict]]:
        """Return verdicts by folder, including subfolders; without folders that only contain one other folder."""
        below: dict[str, Counter[Verdict]] = {}
        members: Counter[str] = Counter(self._verdicts.keys())
        for folder, verdicts in self._verdicts.items():
            for outer in [folder, *_above(folder)]:
                below.setdefault(outer, Counter()).update(verdicts)
        for folder in below:
            members.update(_above(folder)[:1])
        return {folder: below[folder] for folder in sorted(below) if members[folder] > 1 or folder in self._verdicts}

    def _fold(self) -> None:
        """Count the deepest folders with their parents from now on."""
        self.depth = max(len(_above(folder)) for folder in self._verdicts)
        before, self._verdicts = self._verdicts, {}
        for folder, verdicts in before.items():
            self._verdicts.setdefault(self._counted_folder(folder), Counter()).update(verdicts)

    def _counted_folder(self, folder: str) -> str:
        """Return the folder under which a folder is counted."""
        if self.depth is None:
            return folder
        outer = [folder, *_above(folder)]
        return outer[max(0, len(outer) - self.depth)] if self.depth else ""


def _above(folder: str) -> list[str]:
    """Return the parents of a folder, the nearest first, without the working directory, which has no name."""
    outer: list[str] = []
    while (parent := os.path.dirname(folder)) not in ("", folder):
        outer.append(folder := parent)
    return outer


@dataclass(slots=True)
class Pace:
    """Counts files over time, in at most `SLOTS` slots, which get longer as the scan goes on.

    Attributes:
        width: length of a slot, in seconds.
    """

    width: float = 0.25
    started: float = field(default_factory=time.perf_counter)
    _slots: list[int] = field(default_factory=list)

    def add(self) -> None:
        """Count one file, now."""
        while (slot := int((time.perf_counter() - self.started) / self.width)) >= SLOTS:
            self._slots = [sum(self._slots[i : i + 2]) for i in range(0, len(self._slots), 2)]
            self.width *= 2
        self._slots += [0] * (slot + 1 - len(self._slots))
        self._slots[slot] += 1

    def rates(self) -> list[float]:
        """Return files a second for each slot, except the last, which is not over."""
        return [files / self.width for files in self._slots[:-1]]


@dataclass(slots=True)
class Thumbnails:
    """Keeps the thumbnails with the highest scores, as many as fit into `THUMBNAIL_BYTES`.

    Attributes:
        room: bytes that are left.
        left_out: number of thumbnails for which there is no room.
    """

    room: int = THUMBNAIL_BYTES
    left_out: int = 0
    _heap: list[tuple[float, int, bytes]] = field(default_factory=list)  # a heap, the lowest score first

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, number: int, score: float, jpeg: bytes) -> None:
        """Add a thumbnail; drop those with the lowest scores if there is no room.

        Args:
            number: of the row.
            score: of the row.
            jpeg: the thumbnail.
        """
        heapq.heappush(self._heap, (score, -number, jpeg))
        self.room -= len(jpeg)
        while self.room < 0:
            self.room += len(heapq.heappop(self._heap)[2])
            self.left_out += 1

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield number and base64 text, in the order of the numbers."""
        for _, number, jpeg in sorted(self._heap, key=lambda entry: -entry[1]):
            yield -number, base64.b64encode(jpeg).decode()


@dataclass(slots=True)
class Highest:
    """Keeps the few rows with the highest scores, for browsers without scripts."""

    most: int
    _heap: list[tuple[float, int, str, Verdict]] = field(default_factory=list)

    def add(self, number: int, score: float, path: str, verdict: Verdict) -> None:
        """Add a row; drop the one with the lowest score if there are too many.

        Args:
            number: of the row.
            score: of the row.
            path: of the row.
            verdict: of the row.
        """
        push = heapq.heappush if len(self._heap) < self.most else heapq.heappushpop
        push(self._heap, (score, -number, path, verdict))

    def __iter__(self) -> Iterator[tuple[float, str, Verdict]]:
        """Return score, path and verdict, the highest first."""
        return ((score, path, verdict) for score, _, path, verdict in sorted(self._heap, reverse=True))
