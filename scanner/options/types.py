"""Defines types of option values that click lacks: sizes, fractions, lists of words, parts of a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from scanner.sources.shard import Shard


class Size(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """Parses a whole number with an optional K, M or G: powers of 1024 for bytes, of 1000 for pixels."""

    name = "size"

    def __init__(self, base: int) -> None:
        self._factors = {"": 1, "K": base, "M": base**2, "G": base**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if isinstance(value, int):
            return value
        digits = str(value).upper().rstrip("KMG")
        factor = self._factors.get(str(value).upper().removeprefix(digits))
        if not digits.isdecimal() or factor is None:
            self.fail(f"{value!r} is not a size such as 500K, 20M or 1G", param, ctx)
        return int(digits) * factor


class Share(click.FloatRange):
    """Parses a number from 0 to 1. Refuses "nan", which click accepts in every range."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        share: float = super().convert(value, param, ctx)
        if math.isnan(share):
            self.fail(f"{value} is not in the range 0<=x<=1.", param, ctx)
        return share


class Lines(click.types.StringParamType):
    """Takes the values of a repeatable option. A variable has one value a line, because file names may contain
    spaces.
    """

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of a variable into lines."""
        return [line for line in rv.split("\n") if line]


class Words(click.ParamType):  # type: ignore[type-arg]
    """Parses a comma-separated choice of some words."""

    name = "words"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        """Return the chosen words."""
        if isinstance(value, frozenset):
            return value
        chosen = frozenset(word.strip() for word in str(value).split(","))
        for word in sorted(chosen - set(self._words)):
            self.fail(f"{word!r} is none of {', '.join(self._words)}", param, ctx)
        return chosen


class FileLines(Lines):
    """Takes the file names of a repeatable option, and completes them in a shell."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete file names."""
        return [CompletionItem(incomplete, type="file")]


class Part(click.ParamType):  # type: ignore[type-arg]
    """Parses I/N, the I-th of N parts."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Return the part."""
        if isinstance(value, Shard):
            return value
        number, _, count = str(value).partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is not a part such as 1/4, 2/4, 3/4 or 4/4", param, ctx)
        return Shard(int(number), int(count))
