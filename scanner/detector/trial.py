"""The trial of a model file, in a process that can be killed.

What is in the file may hang or crash ONNX Runtime, when it loads the graph (it computes what is constant) or when it
runs it. Neither a time limit nor Ctrl-C ends that in our own process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from scanner.errors import FacescanError, first_line
from scanner.system.process import CONTEXT, end_process, how_it_ended, settle_down, start_process


def try_model(file: Path, attempt: Callable[[], None], seconds: float) -> None:
    """Run an attempt to use a model in a process of its own.

    Args:
        file: the ONNX file, for messages.
        attempt: opens the model and scores noise; picklable, for systems whose processes are not forked.
        seconds: the attempt may take.

    Raises:
        FacescanError: the attempt failed, its process died, or it took too long.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    try:
        process = start_process(_try, theirs, attempt, file, os.getpid())
    except OSError as error:
        raise FacescanError(f"cannot start a process to try {file}: {error.strerror}") from error
    finally:
        theirs.close()
    try:
        if not ours.poll(seconds):
            raise trial_failure(file, f"no answer within {seconds:g} seconds")
        trouble: FacescanError | None = ours.recv()
    except EOFError:
        end_process(process)
        raise trial_failure(file, f"onnxruntime crashed ({how_it_ended(process.exitcode)})") from None
    finally:
        process.kill()
        end_process(process)
        ours.close()
    if trouble:
        raise trouble


def trial_failure(file: Path, what: str) -> FacescanError:
    """Make the error that refuses a model, from what went wrong in its trial."""
    return FacescanError(f"{file}: a trial on noise failed: {what}; export it again, with a card that holds")


def _try(
    answer: Connection, attempt: Callable[[], None], file: Path, parent: int
) -> None:  # pragma: no cover - in a process that is not measured
    """Live as the process of a trial. Sends a FacescanError, or None if all is well."""
    code = 1
    try:
        settle_down({answer.fileno()}, parent)
        try:
            attempt()
            answer.send(None)
        except FacescanError as error:
            answer.send(error)
        except Exception as error:  # onnxruntime raises a different class for every kind of trouble
            answer.send(trial_failure(file, first_line(error)))
        code = 0
    finally:
        os._exit(code)  # without clearing up what was inherited
