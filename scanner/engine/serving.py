"""What a worker process does: it examines the chunks that it is sent, and says which picture it is at."""

from __future__ import annotations

import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from scanner.engine.examine import Known
from scanner.errors import FacescanError, first_line
from scanner.examined import Examined
from scanner.files.candidate import Candidate
from scanner.imaging import libjpeg_warnings
from scanner.imaging.decode import OverBudgetError
from scanner.result import Result
from scanner.system.allocator import give_back_memory, keep_memory
from scanner.system.channel import receive, send
from scanner.system.process import settle_down

# Bytes that a process keeps for its next picture: two copies of one that needs no room of its own, and some.
_KEPT = 200 * 2**20

Look = Callable[[Iterable[Candidate], int | None, Known | None], list[Examined]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """To a process: examine these.

    Attributes:
        candidates: the pictures, in order.
        room: pixels; postpone what is larger. None is no limit.
        asks: wait for an `Answer` to every `Decoding`.
    """

    candidates: tuple[Candidate, ...]
    room: int | None
    asks: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """To a process that is about to decode a picture: decode it, unless there is a row for it or it is not the time.

    Attributes:
        row: what is known of the content already.
        later: another process examines the same content, which may be what ended a process before.
    """

    row: Result | None = None
    later: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """From a process: it has started."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """From a process: it has read a picture, and decodes it now. If it dies now, this is why.

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
    """From a process: the outcomes of its chunk, in order."""

    examined: tuple[Examined, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """From a process: the scan cannot go on."""

    error: FacescanError


def serve(
    end: socket.socket, look: Look | bytes, max_memory: int, parent: int
) -> None:  # pragma: no cover - in a process that is not measured
    """Live as a worker process: examine chunks until the scan closes its end of the socket.

    Args:
        end: this process' end of the socket pair.
        look: examines a chunk. Pickled where processes are not forked: loading it may fail, and that has to be said.
        max_memory: bytes that the process may take beyond what it starts with.
        parent: the scan's process ID.
    """
    code = 1
    try:
        try:
            settle_down({end.fileno()}, parent, max_memory)
            libjpeg_warnings.capture()
            keep_memory(_KEPT)
            examine: Look = pickle.loads(look) if isinstance(look, bytes) else look  # noqa: S301 - the scan's own
        except Exception as error:  # whatever it is, it would befall the next process, too
            send(end, Failure(FacescanError(f"a worker process cannot start: {first_line(error)}")))
        else:
            send(end, Ready())
            _Server(end, examine).run()
    except (EOFError, OSError):
        code = 0  # the scan has ended
    finally:
        os._exit(code)  # without clearing up what was inherited: the outputs and the cache are the scan's


class _Server:  # pragma: no cover - likewise
    """Owns the worker's end of the socket, and knows which picture the process is at."""

    def __init__(self, end: socket.socket, look: Look) -> None:
        self._end = end
        self._look = look
        self._early: deque[Chunk] = deque()  # chunks that came before an answer
        self._asks = False
        self._position = 0

    def run(self) -> None:
        """Examine chunks.

        Raises:
            EOFError: there will be no more.
            OSError: likewise.
        """
        while True:
            chunk = self._early.popleft() if self._early else receive(self._end)
            self._asks = chunk.asks
            try:
                examined = self._look(self._one_by_one(chunk.candidates), chunk.room, self._known)
                answer: Done | Failure = Done(tuple(examined))
            except FacescanError as error:
                answer = Failure(error)
            send(self._end, answer)
            if chunk.room is None:
                give_back_memory()

    def _one_by_one(self, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield the candidates, and remember the position of the one that is being examined."""
        for self._position, candidate in enumerate(candidates):
            yield candidate

    def _known(self, sha256: str, size: int) -> Result | None:
        """Say what is about to be decoded, and return the row of the content if the scan knows it.

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
