"""Has candidates examined in any order, and yields the outcomes in the order of the candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scanner.cache.store import Cache
from scanner.engine.examiners import Examiners
from scanner.engine.reorder_buffer import ReorderBuffer
from scanner.examined import Examined
from scanner.files.candidate import STDIN, Candidate
from scanner.files.fingerprint import FileFingerprint, file_fingerprint
from scanner.printable import printable_path
from scanner.result import Result, Verdict
from scanner.sources.read import read_stdin

if TYPE_CHECKING:
    from scanner.evidence import Evidence

# Seconds that a row which is ready may wait, at most, while candidates keep coming.
MAX_ROW_DELAY_S = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """Holds a candidate, and its outcome if that is known before it is examined.

    Attributes:
        candidate: with its content, if it comes from standard input.
        fingerprint: of a local file whose row the cache may store; else None.
        outcome: if the candidate need not be examined.
    """

    candidate: Candidate
    fingerprint: FileFingerprint | None = None
    outcome: Examined | None = None


def in_order(
    candidates: Iterable[Candidate | None],
    examiners: Examiners,
    look_up: Callable[[Candidate], Arrival],
    max_in_flight: int,
    spent: Callable[[str, float], None],
) -> Iterator[list[Examined]]:
    """Yield the outcomes of the candidates, in order, as many as there are at a time.

    Args:
        candidates: to examine; None says that there is no other one for now.
        examiners: do the work.
        look_up: finds the outcome of a candidate, if it is known.
        max_in_flight: candidates that may be examined, or wait for an earlier outcome, at a time.
        spent: called with a stage and the seconds spent in it.

    Yields:
        Lists of outcomes. An empty list says that there is no other candidate for now, and that nothing was done.
    """
    flight = _Flight(examiners, spent)
    started = time.perf_counter()
    for candidate in candidates:
        spent("walk", time.perf_counter() - started)
        if candidate is None:
            yield flight.collect(patient=False, idle=True)
            started = time.perf_counter()
            continue
        flight.put(look_up(candidate))
        while examiners.full or len(flight) >= max_in_flight:
            if done := flight.collect(patient=True):
                yield done
        if flight.is_due and (done := flight.collect(patient=False)):
            yield done
        started = time.perf_counter()
    while len(flight):
        if done := flight.collect(patient=True):
            yield done


class _Flight:
    """Owns the candidates in flight: those that are examined, and those whose outcomes wait for an earlier one."""

    def __init__(self, examiners: Examiners, spent: Callable[[str, float], None]) -> None:
        self._examiners = examiners
        self._spent = spent
        self._outcomes = ReorderBuffer[Examined]()
        self._fingerprints: dict[int, FileFingerprint | None] = {}  # of the candidates that are being examined
        self._collected = time.monotonic()

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def is_due(self) -> bool:
        """Say whether outcomes have to be collected now, because they are late or because nothing is to wait for."""
        return not self._outcomes.pending or time.monotonic() - self._collected > MAX_ROW_DELAY_S

    def put(self, arrival: Arrival) -> None:
        """Have a candidate examined, unless its outcome is known."""
        number = self._outcomes.reserve()
        if arrival.outcome:
            self._outcomes.fill(number, arrival.outcome)
        else:
            self._fingerprints[number] = arrival.fingerprint
            self._examiners.put(number, arrival.candidate)

    def collect(self, patient: bool, idle: bool = False) -> list[Examined]:
        """Return the outcomes that are next in order.

        Args:
            patient: wait until there is some outcome, next or not.
            idle: ask the examiners even if nothing is underway: a process that has started says so, and would end every
                wait for a candidate until somebody listens.

        Raises:
            FacescanError: the work cannot go on.
        """
        started = time.perf_counter()
        for number, picture in self._examiners.collect(patient) if self._outcomes.pending or idle else ():
            picture.fingerprint = self._fingerprints.pop(number) or picture.fingerprint
            self._outcomes.fill(number, picture)
        self._collected = time.monotonic()
        self._spent("wait", time.perf_counter() - started)
        return self._outcomes.take_ready()


def look_up(candidate: Candidate, max_bytes: int, cache: Cache | None, evidence: Evidence | None) -> Arrival:
    """Find the outcome of a candidate that need not be examined: its row is stored, or the file is unreadable.

    Args:
        candidate: to look up. If it is standard input, this reads it.
        max_bytes: larger files are not read, and have no row.
        cache: of rows, if there is one.
        evidence: completes the row with what earlier scans saved beside it, if anything is wanted.

    Returns:
        The candidate; without an outcome if it has to be examined.
    """
    started = time.perf_counter()
    if candidate.path == STDIN:
        candidate = read_stdin(candidate, max_bytes)
    if candidate.trouble:
        row = Result(printable_path(candidate.path), Verdict.ERROR, bytes=candidate.size, reason=candidate.trouble)
        return Arrival(candidate, outcome=Examined(row))
    if cache is None or candidate.path == STDIN:
        return Arrival(candidate)
    fingerprint = file_fingerprint(candidate.path, max_bytes, candidate.root)
    looked_up = candidate.fingerprint or fingerprint  # an object gets another one when it is read
    known = cache.by_file(looked_up) if looked_up else None
    if complete := _completed(known, candidate, max_bytes, evidence):
        return Arrival(candidate, outcome=Examined(complete, seconds={"cache": time.perf_counter() - started}))
    return Arrival(candidate, fingerprint)


def _completed(known: Result | None, candidate: Candidate, max_bytes: int, evidence: Evidence | None) -> Result | None:
    """Return a row from the cache with all that is wanted beside it; None if the file has to be read for that."""
    if known is None or (known.bytes or 0) > max_bytes:
        return None
    row = replace(known, path=printable_path(candidate.path))
    return evidence.recall(Examined(row), candidate.named) if evidence else row
