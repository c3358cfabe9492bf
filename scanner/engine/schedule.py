"""Decides which picture a worker process examines next, and what becomes of those at which a process ended.

    put --> waiting ---- in a chunk ----> at a process --------------> examined
               ^                           |        |
               |          there is no room |        | the process died or took too long
               |                           v        v
               |                         large   suspects --- again ---> given up
               |                                    |
               +------------------------------------+ the same content was examined without trouble

A process says which picture it decodes. When it dies or takes too long, that picture is a suspect, and the others of
its chunk wait again. A suspect is examined once more, alone, unless it was alone already. If a process ends at it
again, it is given up, and with it every other file of the same content.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scanner.files.candidate import Candidate

# Seconds of work in a chunk: long against the 0.2 ms of handing it over, short against a scan.
CHUNK_SECONDS = 0.05
_LONGEST_CHUNK = 8


@dataclass(slots=True, eq=False)
class Task:
    """A candidate, and what became of it so far.

    Attributes:
        number: that the outcome is returned with.
        candidate: to examine.
        sha256: of the content, in hexadecimal, once a process has read it; else empty.
        size: of the content in bytes, once a process has read it; else None.
        pixels: that the picture counts for, if it is larger than a worker's budget; 0 for all others.
        deaths: number of processes that ended at the task.
        later: whether its process leaves the task undecoded, because another one is at the same content.
    """

    number: int
    candidate: Candidate
    sha256: str = ""
    size: int | None = None
    pixels: int = 0
    deaths: int = 0
    later: bool = False


@dataclass(slots=True, eq=False)
class Work:
    """Tasks that a process is given together.

    Attributes:
        tasks: a chunk; or one alone, if it is large or a suspect.
        suspect: whether a process has ended at its one task.
        asks: whether the process waits for an answer before it decodes.
        position: index of the task that is being decoded; None before the first one.
    """

    tasks: tuple[Task, ...]
    suspect: bool = False
    asks: bool = False
    position: int | None = None

    @property
    def decoding(self) -> Task | None:
        """Return the task that is being decoded; or that was decoded last, while the next one is read."""
        return None if self.position is None else self.tasks[self.position]

    @property
    def pixels(self) -> int:
        """Return the pixels of a large picture; 0 for a chunk."""
        return sum(task.pixels for task in self.tasks)

    def at_its_end(self) -> tuple[Task, ...]:
        """Return the tasks that may have ended the process: the one that was decoded, and the next, if it was read."""
        return self.tasks[:1] if self.position is None else self.tasks[self.position : self.position + 2]


class Schedule:
    """Owns the queues of the tasks that no process has.

    Args:
        pixels: budget of large pictures that are decoded at the same time. One alone may exceed it.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.pace = CHUNK_SECONDS  # seconds a picture takes; a running mean
        self._waiting: deque[Task] = deque()
        self._large: deque[Task] = deque()
        self._suspects: deque[Task] = deque()
        self._deaths: Counter[str] = Counter()  # of processes, by the content that they were at
        self._given_up: dict[str, str] = {}  # SHA-256 -> reason

    @property
    def chunk(self) -> int:
        """Return how many tasks make a chunk."""
        return max(1, min(_LONGEST_CHUNK, int(CHUNK_SECONDS / self.pace)))

    @property
    def waiting(self) -> int:
        """Return how many tasks wait for a process that may have others, too."""
        return len(self._waiting)

    @property
    def is_wary(self) -> bool:
        """Say whether a content has ended a process, so that it matters which contents are decoded."""
        return bool(self._deaths or self._given_up)

    def put(self, task: Task) -> None:
        """Add a new task."""
        self._waiting.append(task)

    def next_exclusive_task(self, underway: Sequence[Work]) -> Task | None:
        """Return the next task that needs a process to itself: a large one if it fits the budget, or else a suspect.

        A suspect may hold its process up for long. So while other tasks wait, there is one suspect underway at most,
        and never two of the same content, which would show no more than one.

        Args:
            underway: the work that each process is at.
        """
        used = sum(work.pixels for work in underway)
        if self._large and (not used or used + self._large[0].pixels <= self.pixels):
            return self._large[0]
        if self._waiting and any(work.suspect for work in underway):
            return None
        decoding = {work.decoding.sha256 for work in underway if work.decoding}
        return next((task for task in self._suspects if not task.sha256 or task.sha256 not in decoding), None)

    def next_work(self, underway: Sequence[Work]) -> Work:
        """Take the next tasks for a process that has none. There have to be some."""
        if task := self.next_exclusive_task(underway):
            (self._large if task.pixels else self._suspects).remove(task)
            return Work((task,), suspect=self._is_suspect(task))
        return self.next_chunk()

    def next_chunk(self) -> Work:
        """Take the next tasks for any process. There have to be some."""
        return Work(tuple(self._waiting.popleft() for _ in range(min(self.chunk, len(self._waiting)))))

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Have tasks that were taken wait again, before all others and in their order."""
        for task in reversed(list(tasks)):
            task.later = False
            self._queue(task).appendleft(task)

    def postpone(self, task: Task, pixels: int) -> None:
        """Have a picture wait until so many pixels fit the budget."""
        task.pixels = pixels
        self._large.append(task)

    def reason_against(self, task: Task) -> str:
        """Return why the content of a task was given up; empty if it was not, or is not known."""
        return self._given_up.get(task.sha256, "")

    def is_too_early(self, task: Task, work: Work) -> bool:
        """Say whether a task has to wait for a process of its own, because one has ended at its content."""
        return bool(self._deaths[task.sha256]) and not work.suspect

    def acquit(self, task: Task) -> None:
        """Note that a task was examined without trouble: other tasks of the same content are suspects no more."""
        if self._deaths.pop(task.sha256, 0):
            self._waiting.extendleft(reversed(self._take_suspects(task.sha256)))

    def blame(self, task: Task, tries: int, reason: str) -> list[Task]:
        """Note that a process ended at a task.

        Args:
            task: that was taken.
            tries: processes that may end at it before it is given up, this one included.
            reason: for giving it up.

        Returns:
            Tasks that are given up: none, if there is to be another try; or this one and all suspects of its content.
        """
        task.deaths += 1
        if task.sha256:
            self._deaths[task.sha256] += 1
        if max(task.deaths, self._deaths[task.sha256]) < tries and not self.reason_against(task):
            self._queue(task).append(task)
            return []
        if not task.sha256:
            return [task]
        self._given_up.setdefault(task.sha256, reason)
        return [task, *self._take_suspects(task.sha256)]

    def _is_suspect(self, task: Task) -> bool:
        return bool(task.deaths or self._deaths[task.sha256])

    def _queue(self, task: Task) -> deque[Task]:
        if task.pixels:
            return self._large
        return self._suspects if self._is_suspect(task) else self._waiting

    def _take_suspects(self, sha256: str) -> list[Task]:
        """Take all suspects of a content."""
        taken = [task for task in self._suspects if task.sha256 == sha256]
        self._suspects = deque(task for task in self._suspects if task.sha256 != sha256)
        return taken
