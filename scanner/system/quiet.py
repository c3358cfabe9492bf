"""Native libraries print where they like; standard output is for data and standard error for our own lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What native code prints on standard output meanwhile goes to standard error."""
    sys.stdout.flush()
    with _redirected(1, to=2):
        yield


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Drop what native code prints on standard error (libpng and libjpeg complain by file, without its name).

    Python's own `sys.stderr` still writes to where it wrote.
    """
    sys.stderr.flush()
    stderr = sys.stderr
    ours = open(os.dup(2), "w", buffering=1, encoding=stderr.encoding, errors="backslashreplace")  # noqa: SIM115
    try:
        same = stderr.fileno() == 2
    except (OSError, ValueError):  # replaced by something that is no file
        same = False
    if same:
        sys.stderr = ours
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with _redirected(2, to=nowhere):
            yield
    finally:
        os.close(nowhere)
        sys.stderr = stderr
        with suppress(OSError):  # the terminal may be gone, and with it what was not yet shown
            ours.close()


@contextmanager
def _redirected(descriptor: int, to: int) -> Iterator[None]:
    kept = os.dup(descriptor)
    os.dup2(to, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
