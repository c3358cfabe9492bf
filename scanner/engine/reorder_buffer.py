"""Puts outcomes that arrive in any order back into the order in which their numbers were reserved."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class ReorderBuffer(Generic[T]):
    """Owns the outcomes that arrived, until all earlier ones have arrived too.

    Its length is how many numbers are reserved whose outcomes were not taken yet.
    """

    def __init__(self) -> None:
        self._arrived: dict[int, T] = {}
        self._first = 0  # the smallest number whose outcome was not taken
        self._next = 0  # the number that is reserved next

    def __len__(self) -> int:
        return self._next - self._first

    @property
    def pending(self) -> int:
        """Return how many reserved numbers have no outcome yet."""
        return len(self) - len(self._arrived)

    def reserve(self) -> int:
        """Reserve the next place in the order, and return its number: 0, 1, 2 and so on."""
        number, self._next = self._next, self._next + 1
        return number

    def fill(self, number: int, outcome: T) -> None:
        """Put the outcome of a reserved number.

        Raises:
            ValueError: the number is not reserved, or has an outcome already.
        """
        if not self._first <= number < self._next or number in self._arrived:
            raise ValueError(f"no outcome is wanted for number {number}")
        self._arrived[number] = outcome

    def take_ready(self) -> list[T]:
        """Take the outcomes, in order, up to the first number that has none."""
        ready = []
        while self._first in self._arrived:
            ready.append(self._arrived.pop(self._first))
            self._first += 1
        return ready
