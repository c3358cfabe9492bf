"""What ends a run. Trouble with a single picture is a `Result`, not an exception."""

import os


class FacescanError(Exception):
    """The run cannot go on. The message is one line that says what is wrong and what to do."""

    exit_code = 2


class InterruptionError(FacescanError):
    """Somebody ended the run; the message says where the rows are that were done."""

    exit_code = 130


class NobodyReadsError(FacescanError):
    """Whoever read standard output has closed it, as `head` does. The message, if any, says what is kept.

    The exit code is the one that shells show for programs that a closed pipe ends (128 + SIGPIPE): not 0, because not
    everything was judged; not 1, because nothing need have been found; not 2, because nothing went wrong.
    """

    exit_code = 141


def cause_of(error: OSError) -> str:
    """What the operating system says, with the name of the file if there is one."""
    what = error.strerror or first_line(error)
    return f"{os.fsdecode(error.filename)}: {what}" if isinstance(error.filename, str | bytes) else what


def first_line(error: Exception) -> str:
    """What a library's exception says, in one line of no more than 500 characters; its type if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:500]
