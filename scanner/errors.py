"""Defines the exceptions that abort the whole scan.

A problem with one picture is not an exception, but a `Result` with verdict ERROR.
"""

import os


class FacescanError(Exception):
    """Aborts the run. The message is one line that says what is wrong and what to do."""

    exit_code = 2


class InterruptionError(FacescanError):
    """Aborts a run that the user interrupted. The message names the files that have the finished rows."""

    exit_code = 130


class NobodyReadsError(FacescanError):
    """Aborts a run whose standard output was closed by its reader, as by `head`. The message, if any, names files with
    rows.

    The exit code is the one that shells show for programs that a closed pipe ends (128 + SIGPIPE): not 0, because not
    everything was judged; not 1, because there may be no finding; not 2, because nothing went wrong.
    """

    exit_code = 141


def cause_of(error: OSError) -> str:
    """Return the operating system's message for an error, with the name of the file if there is one."""
    what = error.strerror or first_line(error)
    return f"{os.fsdecode(error.filename)}: {what}" if isinstance(error.filename, str | bytes) else what


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, cut to 500 characters; the exception's type if the message is
    empty.
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:500]
