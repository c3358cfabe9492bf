"""What ends a run. Trouble with a single picture is a `Result`, not an exception."""


class FacescanError(Exception):
    """The run cannot go on. The message is one line that says what is wrong and what to do."""

    exit_code = 2


class InterruptionError(FacescanError):
    """Somebody ended the run; the message says where the rows are that were done."""

    exit_code = 130


def first_line(error: Exception) -> str:
    """What a library's exception says, in one line of no more than 500 characters; its type if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:500]
