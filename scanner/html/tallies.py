"""Counts of a scan that only its report needs: scores, folders, pace, and the pictures to show. None grows with it."""

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
# Each with a counter: 5 MB. Beyond that, the deepest folders count as the ones that they are in.
FOLDERS = 10_000
# More than anybody looks through: 4,000 of 4 KB.
THUMBNAIL_BYTES = 16 * 2**20
SLOTS = 120


@dataclass(slots=True)
class Scores:
    """How many pictures of each verdict have a p_fake in each of the `BINS` equal parts of 0 to 1."""

    bins: Counter[tuple[Verdict, int]] = field(default_factory=Counter)

    def add(self, verdict: Verdict, p_fake: float) -> None:
        self.bins[verdict, min(int(p_fake * BINS + 1e-9), BINS - 1)] += 1

    def of(self, verdict: Verdict) -> list[int]:
        return [self.bins[verdict, i] for i in range(BINS)]


@dataclass(slots=True)
class Folders:
    """Verdicts by folder.

    Attributes:
        most: folders counted apart; of more, the deepest are counted as the ones that they are in.
        depth: names in the longest path that is counted apart; None while all are.
    """

    most: int = FOLDERS
    depth: int | None = None
    _verdicts: dict[str, Counter[Verdict]] = field(default_factory=dict)

    def add(self, folder: str, verdict: Verdict) -> None:
        self._verdicts.setdefault(self._kept(folder), Counter())[verdict] += 1
        while len(self._verdicts) > self.most:
            self._fold()

    def table(self) -> Mapping[str, Counter[Verdict]]:
        """What is in a folder and below it, by folder; without those that only hold one other."""
        below: dict[str, Counter[Verdict]] = {}
        members: Counter[str] = Counter(self._verdicts.keys())
        for folder, verdicts in self._verdicts.items():
            for outer in [folder, *_above(folder)]:
                below.setdefault(outer, Counter()).update(verdicts)
        for folder in below:
            members.update(_above(folder)[:1])
        return {folder: below[folder] for folder in sorted(below) if members[folder] > 1 or folder in self._verdicts}

    def _fold(self) -> None:
        self.depth = max(len(_above(folder)) for folder in self._verdicts)
        before, self._verdicts = self._verdicts, {}
        for folder, verdicts in before.items():
            self._verdicts.setdefault(self._kept(folder), Counter()).update(verdicts)

    def _kept(self, folder: str) -> str:
        if self.depth is None:
            return folder
        outer = [folder, *_above(folder)]
        return outer[max(0, len(outer) - self.depth)] if self.depth else ""


def _above(folder: str) -> list[str]:
    """The folders that a folder is in, the nearest first; the one we stand in has no name and is left out."""
    outer: list[str] = []
    while (parent := os.path.dirname(folder)) not in ("", folder):
        outer.append(folder := parent)
    return outer


@dataclass(slots=True)
class Pace:
    """Files by time, in at most `SLOTS` slots, which grow as the scan goes on.

    Attributes:
        width: of a slot, in seconds.
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
        """Files a second, slot by slot; the last one, which is not over, is left out."""
        return [files / self.width for files in self._slots[:-1]]


@dataclass(slots=True)
class Thumbnails:
    """Those of the highest scores, as many as fit into `THUMBNAIL_BYTES`.

    Attributes:
        left_out: how many there is no room for.
    """

    room: int = THUMBNAIL_BYTES
    left_out: int = 0
    _kept: list[tuple[float, int, bytes]] = field(default_factory=list)  # a heap, the lowest score first

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, number: int, score: float, jpeg: bytes) -> None:
        heapq.heappush(self._kept, (score, -number, jpeg))
        self.room -= len(jpeg)
        while self.room < 0:
            self.room += len(heapq.heappop(self._kept)[2])
            self.left_out += 1

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Number and base64, in the order of the numbers."""
        for _, number, jpeg in sorted(self._kept, key=lambda kept: -kept[1]):
            yield -number, base64.b64encode(jpeg).decode()


@dataclass(slots=True)
class Highest:
    """The few rows with the highest scores, for those who read without a script."""

    most: int
    _kept: list[tuple[float, int, str, Verdict]] = field(default_factory=list)

    def add(self, number: int, score: float, path: str, verdict: Verdict) -> None:
        push = heapq.heappush if len(self._kept) < self.most else heapq.heappushpop
        push(self._kept, (score, -number, path, verdict))

    def __iter__(self) -> Iterator[tuple[float, str, Verdict]]:
        """Score, path and verdict, the highest first."""
        return ((score, path, verdict) for score, _, path, verdict in sorted(self._kept, reverse=True))
