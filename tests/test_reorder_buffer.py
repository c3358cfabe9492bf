"""Outcomes in any order -> outcomes in order, each once and none too early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.engine.reorder_buffer import ReorderBuffer


def test_outcomes_wait_for_earlier_ones():
    buffer = ReorderBuffer[str]()
    first, second, third = (buffer.reserve() for _ in range(3))
    assert (len(buffer), buffer.pending, buffer.take_ready()) == (3, 3, [])
    buffer.fill(third, "c")
    assert (len(buffer), buffer.pending, buffer.take_ready()) == (3, 2, [])
    buffer.fill(first, "a")
    assert (buffer.pending, buffer.take_ready(), len(buffer)) == (1, ["a"], 2)
    buffer.fill(second, "b")
    assert (buffer.pending, buffer.take_ready(), len(buffer)) == (0, ["b", "c"], 0)
    assert buffer.take_ready() == []


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_every_outcome_comes_once_and_in_order(arrivals, takes):
    buffer = ReorderBuffer[int]()
    numbers = [buffer.reserve() for _ in arrivals]
    taken: list[int] = []
    for step, number in enumerate(arrivals):
        buffer.fill(number, number)
        if step in takes:
            ready = buffer.take_ready()
            assert set(ready) <= set(arrivals[: step + 1])
            taken += ready
            assert taken == numbers[: len(taken)]
            assert len(buffer) == len(numbers) - len(taken)
    assert taken + buffer.take_ready() == numbers


@pytest.mark.parametrize("number", [-1, 0, 1, 2])
def test_an_outcome_that_nobody_waits_for_is_refused(number):
    """Of a number that was taken (0), that has an outcome (1), or that is not reserved."""
    buffer = ReorderBuffer[None]()
    for reserved in (buffer.reserve(), buffer.reserve()):
        buffer.fill(reserved, None)
        if not reserved:
            buffer.take_ready()
    with pytest.raises(ValueError, match=f"number {number}"):
        buffer.fill(number, None)
