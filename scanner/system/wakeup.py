"""Lets a wait for input end early when there is other work to collect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Wakeup:
    """Connects what waits for the next name of a list with what has outcomes to collect meanwhile.

    Attributes:
        descriptors: returns the descriptors that become readable when there is something to collect; none at first.
    """

    descriptors: Callable[[], Iterable[int]] = tuple
