"""Defines what a scan needs of whatever examines its candidates: processes of this machine, or of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self

from scanner.examined import Examined
from scanner.files.candidate import Candidate
from scanner.result import Result

# Returns the row of a content that was judged before, from its SHA-256 in hexadecimal and its size in bytes; else None.
KnownRow = Callable[[str, int], Result | None]
# Examines candidates, in a worker. With a number of pixels, it postpones larger pictures; it calls the last argument
# before it decodes a picture, which is not decoded if its row is known.
ExamineFn = Callable[[Iterable[Candidate], int | None, KnownRow | None], list[Examined]]
# Makes the row of a candidate that could not be examined, from the reason and, if they are known (else an empty string
# and None), the SHA-256 and the size of its content.
FailureRow = Callable[[Candidate, str, str, int | None], Examined]
# Number of a candidate, and what examining it gave.
Outcome = tuple[int, Examined]


class Examiners(Protocol):
    """Examine candidates, several at a time, in any order: `workers.Workers`, or `ray_workers.RayWorkers`.

    A scan enters this, puts candidates and collects as many outcomes, and leaves it; after an error, it leaves with
    candidates still underway. All calls come from one thread. No picture raises: one that crashes its process, takes
    too long or needs too much memory has an outcome with the reason.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End everything that was started. What is underway is dropped, not waited for."""

    @property
    def full(self) -> bool:
        """Say whether another candidate would only wait: the scan collects outcomes first."""

    def put(self, number: int, candidate: Candidate) -> None:
        """Accept a candidate without waiting, also if `full`.

        Args:
            number: chosen by the scan, and returned with the outcome.
            candidate: to examine.
        """

    def descriptors(self) -> list[int]:
        """Return descriptors that become readable when there may be something to collect; none if none can tell."""

    def collect(self, patient: bool = True) -> list[Outcome]:
        """Return outcomes that were not returned before, in any order.

        Args:
            patient: wait until there is at least one. Some candidate has to be underway then.

        Raises:
            FacescanError: the work cannot go on.
        """
