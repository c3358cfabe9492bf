"""Silences native libraries: standard output is for rows, and standard error for facescan's own lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect what native code prints on standard output to standard error, until this is left."""
    sys.stdout.flush()
    with _redirected(1, to=2):
        yield


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Drop what native code prints on standard error: libpng and libjpeg warn of files without naming them.

    Python's `sys.stderr` still writes where it wrote before.
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
