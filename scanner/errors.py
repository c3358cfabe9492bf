"""The one exception type of a run. Trouble with a single picture is a `Result`, not an exception."""


class FacescanError(Exception):
    """The run cannot go on. The message is one line that says what is wrong and what to do; the CLI exits with 2."""
