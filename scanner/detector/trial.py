"""Tries a model file in a process that can be killed.

A file may hang or crash ONNX Runtime while it loads the graph, since it computes constants then, or while it runs the
graph. Neither a time limit nor Ctrl-C could end that in our own process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from scanner.errors import FacescanError, first_line
from scanner.system.process import CONTEXT, end_process, how_it_ended, settle_down, start_process


def try_model(file: Path, attempt: Callable[[], None], seconds: float) -> None:
    """Run an attempt to use a model in a separate process.

    Args:
        file: the ONNX file, for messages.
        attempt: opens the model and scores noise; picklable, for systems that do not fork processes.
        seconds: how long the attempt may take.

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
    """Run the attempt as the main function of its process, and send the outcome.

    Args:
        answer: receives a FacescanError, or None if the attempt succeeded.
        attempt: opens the model and scores noise.
        file: the ONNX file, for messages.
        parent: process id of the scan; without it, this process ends.
    """
    code = 1
    try:
        settle_down({answer.fileno()}, parent)
        try:
            attempt()
            answer.send(None)
        except FacescanError as error:
            answer.send(error)
        except Exception as error:  # onnxruntime raises a different class for every kind of failure
            answer.send(trial_failure(file, first_line(error)))
        code = 0
    finally:
        os._exit(code)  # without the exit handlers that were inherited from the scan
