"""Worker processes that examine pictures: a decoder that crashes, hangs or eats memory costs one picture, not the scan.

Pictures are handed out in small chunks. When a process dies or takes too long, those of its chunk are done again, one
at a time; which of them fails once more is given up, and the others lose nothing. This holds accidents off, not
attackers: what comes back from a process is believed.
"""

from __future__ import annotations

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from scanner import complaints
from scanner.errors import FacescanError
from scanner.examine import Examined, Known
from scanner.interrupts import later
from scanner.memory import give_back_memory, keep_memory
from scanner.result import Result
from scanner.walk import Candidate

# A forked process is ready in 10 ms and shares the models' memory. macOS' own libraries do not survive a fork.
_CONTEXT: BaseContext = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
# Pixels of a plain picture that every worker may decode at any time; those that take more memory wait for room.
ROOM = 24_000_000
# Seconds of work in a chunk: long against the 0.2 ms of handing it over, short against a scan.
_CHUNK_SECONDS = 0.05
_LONGEST_CHUNK = 8
# Seconds between two looks at the clock. A longer gap means that we were stopped (Ctrl-Z) or busy, and not the worker.
_TICK = 1.0
_PR_SET_PDEATHSIG = 1
# Bytes that a process keeps for its next picture: two copies of one that needs no room of its own, and some.
_KEPT = 200 * 2**20

Look = Callable[[Sequence[Candidate], int | None, Known | None], list[Examined]]
Failed = Callable[[Candidate, str], Examined]


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    candidate: Candidate


@dataclass(slots=True)
class _Worker:
    """A process, and the chunks it was given and has not answered; it is at the first of them.

    `pixels` are those of a large picture in the first chunk.
    """

    process: BaseProcess
    connection: Connection
    replies: Connection
    chunks: deque[list[_Task]] = field(default_factory=deque)
    ready: bool = False
    began: float = 0.0
    waited: float = 0.0
    pixels: int = 0


class Workers:
    """Owns the processes. They are started when there is work for them.

    Args:
        look: examines a chunk; runs in the processes. With a number of pixels it postpones larger pictures.
        failed: what is known of a candidate that cost a process its life, and the reason.
        known: the row of a content (SHA-256), if it was judged before. Runs here: SQLite does not survive a fork.
        count: processes at most.
        timeout: seconds that one picture may take.
        max_memory: bytes that a process may take beyond what it starts with. Linux only.
    """

    def __init__(
        self, look: Look, failed: Failed, known: Known | None, count: int, timeout: float, max_memory: int
    ) -> None:
        self._look = look
        self._failed = failed
        self._known = known
        self._count = count
        self._timeout = timeout
        self._max_memory = max_memory
        self._workers: list[_Worker] = []
        self._waiting: deque[_Task] = deque()
        self._alone: deque[_Task] = deque()
        self._suspects: set[int] = set()  # numbers of those that were there when a process died
        self._large: deque[tuple[_Task, int]] = deque()
        self._pace = _CHUNK_SECONDS  # seconds a picture takes; a running mean
        self._looked = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.replies.close()
            if worker.chunks:
                worker.process.kill()  # else it ends by itself: nobody is at the other end
        for worker in self._workers:
            _end(worker.process)
        self._workers.clear()

    @property
    def full(self) -> bool:
        """Whether more work would only queue up."""
        return len(self._waiting) >= self._chunk and len(self._workers) == self._count

    def put(self, number: int, candidate: Candidate) -> None:
        """Have a candidate examined, sometime."""
        task = _Task(number, candidate)
        # What was read from standard input may be more than a pipe holds: only a process that listens can take it.
        (self._waiting if candidate.content is None else self._alone).append(task)
        self._hand_out()

    def collect(self, patient: bool = True) -> list[tuple[int, Examined]]:
        """What is examined by now, numbers and outcomes, in any order. If `patient`, wait until there is something.

        There has to be work.

        Raises:
            FacescanError: the work cannot go on.
        """
        done: list[tuple[int, Examined]] = []
        while True:
            self._hand_out()
            ready = wait([worker.connection for worker in self._workers], _TICK if patient else 0)
            now = time.monotonic()
            passed, self._looked = min(now - self._looked, 2 * _TICK), now
            for worker in list(self._workers):
                if worker.connection in ready:
                    done += self._receive(worker)
                elif worker.chunks:
                    worker.waited += passed
                    if worker.waited > self._timeout:
                        done += self._lost(worker, "decode_timeout")
            if done or not patient:
                return done

    @property
    def _chunk(self) -> int:
        return max(1, min(_LONGEST_CHUNK, int(_CHUNK_SECONDS / self._pace)))

    def _receive(self, worker: _Worker) -> list[tuple[int, Examined]]:
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if isinstance(answer, FacescanError):
            raise answer
        if isinstance(answer, str):
            assert self._known
            worker.waited = 0.0
            with suppress(OSError):
                worker.replies.send(self._known(answer))
            return []
        now = time.monotonic()
        began, worker.began, worker.waited = worker.began, now, 0.0
        if not worker.ready:  # its first message says no more than that
            worker.ready = True
            return []
        chunk = worker.chunks.popleft()
        self._pace += ((now - began) / len(chunk) - self._pace) / 8
        worker.pixels = 0
        done = []
        for task, examined in zip(chunk, answer, strict=True):
            if examined.postponed:
                self._large.append((task, examined.postponed))
            else:
                done.append((task.number, examined))
        return done

    def _lost(self, worker: _Worker, reason: str = "") -> list[tuple[int, Examined]]:
        """A process died, or has to: what it was at is done again, one picture at a time, or is given up."""
        worker.process.kill()
        _end(worker.process)
        worker.connection.close()
        worker.replies.close()
        self._workers.remove(worker)
        code = worker.process.exitcode
        if not worker.ready:
            raise FacescanError(f"a worker process ended before its first picture (exit code {code})")
        if not worker.chunks:
            return []
        first, *others = worker.chunks
        self._waiting.extendleft(task for chunk in reversed(others) for task in reversed(chunk))
        if first[0].number not in self._suspects:
            self._suspects.update(task.number for task in first)
            self._alone.extend(first)
            return []
        (task,) = first
        if not reason:  # nobody but the kernel, when memory is short, kills with this signal unasked
            reason = "out_of_memory" if code == -getattr(signal, "SIGKILL", 9) else "decoder_crashed"
        return [(task.number, self._failed(task.candidate, reason))]

    def _hand_out(self) -> None:
        """Give every process the chunk it is at and one to go on with."""
        while self._large or self._alone or self._waiting:
            idle = next((worker for worker in self._workers if not worker.chunks), None)
            if idle is None and len(self._workers) < self._count:
                idle = self._start()
            special = self._special(take=idle is not None)
            if special and idle:
                task, idle.pixels = special
                self._send(idle, [task], None)
            elif not self._waiting or (special and not idle):
                return  # what is special takes a process that has nothing else, so nobody gets a second chunk now
            elif idle:
                self._send(idle, self._next_chunk(), ROOM)
            else:
                worker = min(self._workers, key=lambda worker: len(worker.chunks))
                if len(worker.chunks) > 1 or len(self._waiting) < self._chunk:
                    return
                self._send(worker, self._next_chunk(), ROOM)

    def _special(self, take: bool) -> tuple[_Task, int] | None:
        """What has to be done alone, and the room it takes: large pictures if there is room now, or else suspects."""
        used = sum(worker.pixels for worker in self._workers)
        if self._large and (not used or used + self._large[0][1] <= self._count * ROOM):
            return self._large.popleft() if take else self._large[0]
        if self._alone:
            return (self._alone.popleft() if take else self._alone[0]), 0
        return None

    def _next_chunk(self) -> list[_Task]:
        return [self._waiting.popleft() for _ in range(min(self._chunk, len(self._waiting)))]

    def _send(self, worker: _Worker, chunk: list[_Task], room: int | None) -> None:
        if not worker.chunks:
            worker.began, worker.waited = time.monotonic(), 0.0
        worker.chunks.append(chunk)
        with suppress(OSError):  # it has died: reading from it will tell
            worker.connection.send(([task.candidate for task in chunk], room))

    def _start(self) -> _Worker:
        ours, theirs = _CONTEXT.Pipe()
        hears, replies = _CONTEXT.Pipe(duplex=False)
        arguments = (theirs, hears if self._known else None, self._look, self._max_memory, os.getpid())
        process = _CONTEXT.Process(target=_serve, args=arguments, daemon=True)  # type: ignore[attr-defined]
        try:
            with later():
                process.start()
        except OSError as error:
            raise FacescanError(f"cannot start a worker process: {error.strerror}") from error
        theirs.close()
        hears.close()
        worker = _Worker(process, ours, replies)
        self._workers.append(worker)
        return worker


def _serve(
    connection: Connection, replies: Connection | None, look: Look, max_memory: int, parent: int
) -> None:  # pragma: no cover - in a process that is not measured
    """The life of a worker process. It asks what is known of a content if there are to be replies."""

    def known(sha256: str) -> Result | None:
        assert replies
        connection.send(sha256)
        reply: Result | None = replies.recv()
        return reply

    code = 1
    try:
        if _CONTEXT.get_start_method() == "fork":
            _let_go_of_files({0, 1, 2, *(pipe.fileno() for pipe in (connection, replies) if pipe)})
        _settle_down(max_memory, parent)
        connection.send(None)
        while True:
            candidates, room = connection.recv()
            try:
                answer: object = look(candidates, room, known if replies else None)
            except FacescanError as error:
                answer = error
            connection.send(answer)
            if room is None:
                give_back_memory()
    except (EOFError, OSError):
        code = 0  # nobody is left to work for
    finally:
        os._exit(code)  # no clearing up of what was inherited: the outputs and the cache are the parent's


def _let_go_of_files(kept: set[int]) -> None:
    """Close what was inherited: pipes to other processes, who wait for their end; the outputs with their locks."""
    for number in map(int, os.listdir("/proc/self/fd")):  # a closerange() could take minutes: some allow 10^9 files
        if number not in kept:
            with suppress(OSError):  # the listing's own
                os.close(number)


def _settle_down(max_memory: int, parent: int) -> None:
    """Be silent, leave signals to the parent and no core files, take no more memory than allowed, and die with it."""
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    complaints.listen()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/statm") as file:
            data = int(file.read().split()[5]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = data + max_memory
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if most < 0 else min(wanted, most), most))
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        keep_memory(_KEPT)
        if os.getppid() != parent:  # it was faster
            os._exit(0)


def _end(process: BaseProcess) -> None:
    """Wait for a process to end; not for ever, as one that hangs in the kernel cannot even be killed."""
    process.join(5)
    if process.is_alive():
        process.kill()
        process.join(5)
