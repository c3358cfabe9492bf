"""Ends a scan at Ctrl-C, SIGTERM or a lost terminal: between two rows, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a scan: SIGINT, SIGTERM and, unless `nohup` has it ignored, SIGHUP."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


@contextmanager
def later() -> Iterator[None]:
    """Hold back the signals that end a scan until this is left, for this thread and for processes that it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Interrupts:
    """Raises KeyboardInterrupt for the signals that end a scan, at once or, within `held`, at its end.

    Signals reach Python in the main thread only; in another one this does nothing.
    """

    def __init__(self) -> None:
        self._holding = self._pending = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._arrived) for number in ending_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back an interruption until this is left, so that what is done in here is done entirely."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            raise KeyboardInterrupt

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._pending = True
        if not self._holding:
            raise KeyboardInterrupt
