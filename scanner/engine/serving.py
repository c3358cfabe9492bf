"""Runs a worker process: it examines the chunks that it is sent, and says which picture it is at."""

from __future__ import annotations

import os
import pickle
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2

from scanner.engine.examiners import ExamineFn
from scanner.errors import FacescanError, first_line
from scanner.examined import Examined
from scanner.files.candidate import Candidate
from scanner.imaging import libjpeg_warnings
from scanner.imaging.decode import OverBudgetError
from scanner.result import Result
from scanner.system.allocator import give_back_memory, keep_memory
from scanner.system.channel import receive, send
from scanner.system.process import settle_down

# Bytes that a process keeps for its next picture: two copies of the largest that is not postponed, and some.
_KEPT_BYTES = 200 * 2**20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Asks a process to examine pictures.

    Attributes:
        candidates: the pictures, in order.
        pixel_budget: pixels of a plain picture that may be decoded now; postpone what takes more. None is no limit.
        asks: wait for an `Answer` to every `Decoding`.
    """

    candidates: tuple[Candidate, ...]
    pixel_budget: int | None
    asks: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Tells a process what to do with the picture that it is about to decode; by default, to decode it.

    Attributes:
        row: of the content, if it is known already.
        later: leave the picture: another process examines the same content, at which a process has ended before.
    """

    row: Result | None = None
    later: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Tells the scan that a process has started."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Tells the scan that a process has read a picture, and decodes it now. If the process dies now, this is why.

    Attributes:
        position: of the picture in its chunk.
        sha256: of the content, in hexadecimal.
        size: of the content, in bytes.
    """

    position: int
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Done:
    """Returns the outcomes of a chunk to the scan, in order."""

    examined: tuple[Examined, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Tells the scan that it cannot go on."""

    error: FacescanError


def serve(
    end: socket.socket, examine: ExamineFn | bytes, max_memory: int, parent: int
) -> None:  # pragma: no cover - in a process that is not measured
    """Live as a worker process: examine chunks until the scan closes its end of the socket.

    Args:
        end: this process' end of the socket pair.
        examine: examines a chunk. Pickled where processes are not forked; if loading fails, the scan gets a `Failure`.
        max_memory: bytes that the process may take beyond what it starts with.
        parent: the scan's process ID.
    """
    code = 1
    try:
        try:
            settle_down({end.fileno()}, parent, max_memory)
            libjpeg_warnings.capture()
            keep_memory(_KEPT_BYTES)
            # As many processes as processors leave none for OpenCV's threads. Not 1, which would end the threads that
            # the parent process may have: they do not exist here, and OpenCV 5.0 crashes.
            cv2.setNumThreads(0)
            loaded: ExamineFn = pickle.loads(examine) if isinstance(examine, bytes) else examine  # noqa: S301 - ours
        except Exception as error:  # whatever it is, it would befall the next process, too
            send(end, Failure(FacescanError(f"a worker process cannot start: {first_line(error)}")))
        else:
            send(end, Ready())
            _Server(end, loaded).run()
    except (EOFError, OSError):
        code = 0  # the scan has ended
    finally:
        os._exit(code)  # without clearing up what was inherited: the outputs and the cache are the scan's


class _Server:  # pragma: no cover - in a process that is not measured
    """Owns the worker's end of the socket, and knows which picture the process is at."""

    def __init__(self, end: socket.socket, examine: ExamineFn) -> None:
        self._end = end
        self._examine = examine
        self._early: deque[Chunk] = deque()  # chunks that came before an answer
        self._asks = False
        self._position = 0

    def run(self) -> None:
        """Examine chunks.

        Raises:
            EOFError, OSError: the scan has ended.
        """
        while True:
            chunk = self._early.popleft() if self._early else receive(self._end)
            self._asks = chunk.asks
            try:
                examined = self._examine(self._one_by_one(chunk.candidates), chunk.pixel_budget, self._known)
                answer: Done | Failure = Done(tuple(examined))
            except FacescanError as error:
                answer = Failure(error)
            send(self._end, answer)
            if chunk.pixel_budget is None:
                give_back_memory()

    def _one_by_one(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield the candidates, and remember the position of the one that is being examined."""
        for self._position, candidate in enumerate(candidates):
            yield candidate

    def _known(self, sha256: str, size: int) -> Result | None:
        """Send which content is about to be decoded, and return its row if the scan knows it.

        Raises:
            OverBudgetError: not now.
        """
        send(self._end, Decoding(self._position, sha256, size))
        if not self._asks:
            return None
        while isinstance(message := receive(self._end), Chunk):
            self._early.append(message)
        answer: Answer = message
        if answer.later:
            raise OverBudgetError(1)  # the scan remembers why, and pixels do not matter then
        return answer.row
