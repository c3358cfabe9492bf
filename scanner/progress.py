"""The bar on standard error: findings so far, and a total that is counted beside the scan."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from scanner.result import Result, Verdict
from scanner.walk import Candidate


class Progress:
    """Iterates over results and shows how far the scan is.

    Args:
        results: passed through.
        counted: the same candidates once more, counted in a thread while the scan runs; None if they cannot be.
        shown: False is silent; so are a standard error that is no terminal, and CI.
    """

    def __init__(self, results: Iterable[Result], counted: Iterable[Candidate] | None, shown: bool) -> None:
        self._results = results
        self._bar: Any = None
        if shown and sys.stderr.isatty() and not os.environ.get("CI"):
            from tqdm import tqdm

            self._bar = tqdm(unit=" files", file=sys.stderr, dynamic_ncols=True, smoothing=0.05)
            if counted is not None:
                threading.Thread(target=self._count, args=(counted,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def __iter__(self) -> Iterator[Result]:
        findings = 0
        for result in self._results:
            yield result
            if self._bar is not None:
                findings += result.verdict is Verdict.FAKE
                self._bar.set_postfix_str(f"{findings} fake", refresh=False)
                self._bar.update()

    def say(self, line: str) -> None:
        """A line on standard error, above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)

    def _count(self, candidates: Iterable[Candidate]) -> None:
        total = sum(1 for _ in candidates)
        self._bar.total = total
        self._bar.refresh()
