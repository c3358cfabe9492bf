"""Shows a progress bar on standard error: findings so far, and a total that is counted beside the scan."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from scanner.errors import FacescanError
from scanner.files.candidate import Candidate


class Progress:
    """Shows how far a scan is.

    Args:
        counted: the candidates once more, to be counted in a thread while the scan runs; None if they cannot be
            counted.
        shown: False shows nothing; neither does a standard error that is not a terminal, nor CI.
    """

    def __init__(self, counted: Iterable[Candidate | None] | None, shown: bool) -> None:
        self._counted = counted
        self._shown = shown and sys.stderr.isatty() and not os.environ.get("CI")
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            from tqdm import tqdm

            # A terminal may not know its width (containers): tqdm would draw a bar of no width.
            width = {"dynamic_ncols": True} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 80}
            self._bar = tqdm(unit=" files", file=sys.stderr, smoothing=0.05, **width)
            if self._counted is not None:
                threading.Thread(target=self._count, args=(self._counted,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()

    def update(self, findings: int) -> None:
        """Count one more file."""
        if self._bar is not None:
            with suppress(OSError):  # the terminal may be gone; SIGHUP says so
                self._bar.set_postfix_str(f"{findings} findings", refresh=False)
                self._bar.update()

    def say(self, line: str) -> None:
        """Print a line on standard error, above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)

    def _count(self, candidates: Iterable[Candidate | None]) -> None:
        with suppress(FacescanError):  # there is no total then; the scan itself reports the error
            self._bar.total = sum(1 for candidate in candidates if candidate)
            self._bar.refresh()
