"""Examines pictures in processes: a decoder that crashes, hangs or eats memory costs one picture, not the scan.

Pictures are handed out in small chunks; `schedule` decides which, and what becomes of those at which a process ends.
Sending never waits for a process (`system.channel`), which might be waiting for the scan.

This protects the scan from accidents, not from attackers: it trusts what its processes send.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from scanner.engine.examiners import ExamineFn, FailureRow, Outcome
from scanner.engine.schedule import Schedule, Task, Work
from scanner.engine.serving import Answer, Chunk, Decoding, Done, Failure, Ready, serve
from scanner.errors import FacescanError
from scanner.examined import Examined
from scanner.files.candidate import Candidate
from scanner.reasons import Reason
from scanner.result import Result
from scanner.system.allocator import processes_killed_for_memory
from scanner.system.channel import Channel
from scanner.system.limits import affordable_processes
from scanner.system.process import CONTEXT, end_process, how_it_ended, start_process

# Pixel budget of a worker. Larger pictures are postponed until all large pictures in flight fit into workers x budget.
# Pictures that take more memory than plain ones count as more pixels.
PIXELS_PER_WORKER = 24_000_000
# Seconds between two looks at the clock. A longer gap means that the scan was stopped (Ctrl-Z) or busy, not the worker.
_TICK = 1.0
# Seconds that a process may take to start, at least. One that is not forked loads all libraries.
_START_SECONDS = 60.0
# Processes in a row that may end before they are ready: more would end, too.
_FAILED_STARTS = 10
# Exit codes of processes that were killed: without being asked, only the kernel does that, for want of memory.
_KILLED = -getattr(signal, "SIGKILL", 9)
# Exit codes that follow from what a decoder does. Other signals come from outside.
_CRASHED = frozenset(-getattr(signal, f"SIG{name}", 0) for name in "SEGV BUS ABRT FPE ILL TRAP SYS".split())
# Processes that may end at a picture by a signal from outside: for want of memory, or because somebody sent it, which
# proves nothing.
_TRIES_WITHOUT_MEMORY, _TRIES_IF_KILLED = 3, 10


@dataclass(slots=True, eq=False)
class _Worker:
    """Holds a process, and the work that it was given and has not finished.

    Attributes:
        process: that examines.
        channel: to the process.
        work: one or two pieces; the process is at the first one.
        ready: whether the process has started.
        began: when the process began with the first piece of work, by the monotonic clock.
        waited: seconds since the last message of the process.
    """

    process: BaseProcess
    channel: Channel
    work: deque[Work] = field(default_factory=deque)
    ready: bool = False
    began: float = 0.0
    waited: float = 0.0


class Workers:
    """Owns the processes of a scan on this machine: `Examiners`. They are started when there is work for them.

    Args:
        examine: examines a chunk; runs in the processes.
        failure_row: makes the row of a candidate that ended a process.
        known: returns the row of a content (SHA-256, in hexadecimal) that was judged before, or None. Runs in this
            process: SQLite does not survive a fork.
        count: processes at most. There are fewer where the system allows no more.
        timeout: seconds that one picture may take.
        max_memory: bytes that a process may take beyond what it starts with. Linux only.
        warn: called with a line that says why there are fewer processes.
    """

    def __init__(
        self,
        examine: ExamineFn,
        failure_row: FailureRow,
        known: Callable[[str], Result | None] | None,
        count: int,
        timeout: float,
        max_memory: int,
        warn: Callable[[str], None] = lambda line: print(f"facescan: {line}", file=sys.stderr),
    ) -> None:
        self._examine = examine if CONTEXT.get_start_method() == "fork" else pickle.dumps(examine)
        self._failure_row = failure_row
        self._known = known
        self._count = count
        self._timeout = timeout
        self._max_memory = max_memory
        self._warn = warn
        self._workers: list[_Worker] = []
        self._selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()  # neither takes a descriptor
        self._schedule = Schedule(count * PIXELS_PER_WORKER)
        self._failed_starts = 0
        self._killed = processes_killed_for_memory()
        self._looked = time.monotonic()
        self._make_do_with(affordable_processes(count), "the limit of open files (ulimit -n) allows no more")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.channel.close()
            if worker.work:
                worker.process.kill()  # else it ends by itself: nobody is at the other end
        for worker in self._workers:
            end_process(worker.process)
        self._workers.clear()
        self._selector.close()

    @property
    def full(self) -> bool:
        """Say whether another candidate would only wait."""
        return self._schedule.waiting >= self._schedule.chunk and len(self._workers) == self._count

    def put(self, number: int, candidate: Candidate) -> None:
        """Accept a candidate, without waiting."""
        self._schedule.put(Task(number, candidate))
        self._hand_out()

    def descriptors(self) -> list[int]:
        """Return the descriptors that become readable when a process has sent something."""
        return [worker.channel.fileno() for worker in self._workers]

    def collect(self, patient: bool = True) -> list[Outcome]:
        """Return outcomes, in any order. If `patient`, wait until there is one; some candidate has to be underway.

        Raises:
            FacescanError: the work cannot go on.
        """
        done: list[Outcome] = []
        while True:
            self._hand_out()
            events = {key.data: mask for key, mask in self._selector.select(_TICK if patient else 0)}
            now = time.monotonic()
            passed, self._looked = min(now - self._looked, 2 * _TICK), now
            for worker in list(self._workers):
                if worker in self._workers:  # it may have been ended with another one
                    done += self._attend(worker, events.get(worker, 0), passed)
            if done or not patient:
                return done

    @property
    def _underway(self) -> list[Work]:
        """Return the work that each process is at."""
        return [worker.work[0] for worker in self._workers if worker.work]

    def _attend(self, worker: _Worker, events: int, passed: float) -> list[Outcome]:
        """Send and receive what does not block, and end a process that takes too long.

        Args:
            worker: the process.
            events: that the selector reports of its channel.
            passed: seconds since the last look at the clock.

        Raises:
            FacescanError: the work cannot go on.
        """
        if events & selectors.EVENT_WRITE:
            worker.channel.flush()
            self._watch(worker)
        if events & selectors.EVENT_READ:
            try:
                messages = worker.channel.receive()
            except EOFError:
                return self._on_worker_death(worker)
            return self._receive(worker, messages)
        if not worker.work:
            return []
        worker.waited += passed
        limit = self._timeout if worker.ready else max(self._timeout, _START_SECONDS)
        return self._on_worker_death(worker, Reason.DECODE_TIMEOUT) if worker.waited > limit else []

    def _receive(self, worker: _Worker, messages: Iterable[object]) -> list[Outcome]:
        """Act on the messages of a process.

        Raises:
            FacescanError: a message says that the work cannot go on.
        """
        done: list[Outcome] = []
        for message in messages:
            worker.waited = 0.0
            match message:
                case Ready():
                    worker.ready = True
                    worker.began = time.monotonic()
                    self._failed_starts = 0
                case Decoding():
                    task = self._note(worker.work[0], message)
                    if worker.work[0].asks:
                        self._send(worker, self._answer(task, worker.work[0]))
                    elif reason := self._schedule.reason_against(task):
                        return done + self._on_worker_death(worker, reason)
                case Done():
                    done += self._finished(worker, message.examined)
                case Failure():
                    raise message.error
        return done

    def _note(self, work: Work, message: Decoding) -> Task:
        """Note which task of its work a process decodes, and return that."""
        work.position = message.position
        task = work.tasks[message.position]
        task.sha256, task.size = message.sha256, message.size
        return task

    def _answer(self, task: Task, work: Work) -> Answer:
        """Return what a process has to know before it decodes a task."""
        if reason := self._schedule.reason_against(task):
            return Answer(self._give_up(task, reason)[1].result)
        task.later = self._schedule.is_too_early(task, work)
        return Answer(self._known(task.sha256) if self._known and not task.later else None, task.later)

    def _finished(self, worker: _Worker, examined: Iterable[Examined]) -> list[Outcome]:
        """Take what a process found out about its first piece of work."""
        now = time.monotonic()
        work = worker.work.popleft()
        self._schedule.pace += ((now - worker.began) / len(work.tasks) - self._schedule.pace) / 8
        worker.began = now
        done = []
        for task, picture in zip(work.tasks, examined, strict=True):
            if task.later and (reason := self._schedule.reason_against(task)):
                done.append(self._give_up(task, reason))
            elif task.later:
                self._schedule.put_back([task])
            elif picture.postponed:
                self._schedule.postpone(task, picture.postponed)
            else:
                self._schedule.acquit(task)
                done.append((task.number, picture))
        return done

    def _on_worker_death(self, worker: _Worker, reason: str = "") -> list[Outcome]:
        """End a process that died or has to: blame the task it was at, and put the rest of its work back.

        Args:
            worker: the process.
            reason: why it has to end; empty if it died.

        Raises:
            FacescanError: no process gets as far as its first picture.
        """
        self._end(worker)
        if not worker.ready:
            self._count_failed_start(worker)
        blamed = self._suspects_of(worker)
        self._schedule.put_back(task for work in worker.work for task in work.tasks if task not in blamed)
        tries = 1 if worker.work and len(worker.work[0].tasks) == 1 else 2
        if not reason:
            code = worker.process.exitcode
            reason = Reason.OUT_OF_MEMORY if code == _KILLED else Reason.DECODER_CRASHED
            if code and code < 0 and code not in _CRASHED:
                tries = self._tries_if_killed()
        done: list[Outcome] = []
        for task in blamed:
            for given_up in self._schedule.blame(task, tries, reason):
                done.append(self._give_up(given_up, reason))
                done += self._end_those_at(given_up)
        return done

    def _count_failed_start(self, worker: _Worker) -> None:
        """Note that a process ended before it was ready.

        Raises:
            FacescanError: too many did, one after the other.
        """
        self._failed_starts += 1
        if self._failed_starts == _FAILED_STARTS:
            raise FacescanError(
                f"a worker process ended before its first picture, {_FAILED_STARTS} times in a row "
                f"({how_it_ended(worker.process.exitcode)}); fewer --workers need less memory"
            )

    def _suspects_of(self, worker: _Worker) -> tuple[Task, ...]:
        """Return the tasks that may have ended a process."""
        if not worker.work:
            return ()
        work = worker.work[0]
        if work.decoding and self._schedule.reason_against(work.decoding):
            return (work.decoding,)  # its content was given up, and the process was ended for that
        return work.at_its_end() if worker.ready else ()

    def _tries_if_killed(self) -> int:
        """Return how many processes may be killed at a picture."""
        before, self._killed = self._killed, processes_killed_for_memory()
        return _TRIES_IF_KILLED if before == self._killed is not None else _TRIES_WITHOUT_MEMORY

    def _end_those_at(self, task: Task) -> list[Outcome]:
        """End all processes that decode the content of a task that was given up."""
        done: list[Outcome] = []
        while worker := next((worker for worker in self._workers if task.sha256 and _is_at(worker, task.sha256)), None):
            done += self._on_worker_death(worker, self._schedule.reason_against(task))
        return done

    def _end(self, worker: _Worker) -> None:
        worker.process.kill()
        end_process(worker.process)
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)

    def _give_up(self, task: Task, reason: str) -> Outcome:
        return task.number, self._failure_row(task.candidate, reason, task.sha256, task.size)

    def _hand_out(self) -> None:
        """Give every process work, and a chunk to go on with when that is done."""
        schedule = self._schedule
        while (exclusive := schedule.next_exclusive_task(self._underway)) or schedule.waiting:
            idle = next((worker for worker in self._workers if not worker.work), None)
            if idle is None and len(self._workers) < self._count:
                idle = self._start()
            if idle:
                self._give(idle, schedule.next_work(self._underway))
                continue
            if exclusive:
                return  # it takes a process that has nothing else, so nobody gets a second chunk now
            worker = min(self._workers, key=lambda worker: len(worker.work))
            if len(worker.work) > 1 or schedule.waiting < schedule.chunk:
                return
            self._give(worker, schedule.next_chunk())

    def _give(self, worker: _Worker, work: Work) -> None:
        if not worker.work:
            worker.began, worker.waited = time.monotonic(), 0.0
        worker.work.append(work)
        work.asks = self._known is not None or self._schedule.is_wary
        candidates = tuple(task.candidate for task in work.tasks)
        self._send(worker, Chunk(candidates, None if work.pixels else PIXELS_PER_WORKER, work.asks))

    def _send(self, worker: _Worker, message: Chunk | Answer) -> None:
        worker.channel.send(message)
        self._watch(worker)

    def _watch(self, worker: _Worker) -> None:
        """Have the selector report when a process sends something or, if something is unsent, can receive."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.has_unsent else 0)
        if self._selector.get_key(worker.channel).events != events:
            self._selector.modify(worker.channel, events, worker)

    def _start(self) -> _Worker | None:
        """Start a process, or make do with those there are if the system allows no more.

        Raises:
            FacescanError: there is none at all.
        """
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    process = start_process(serve, theirs, self._examine, self._max_memory, os.getpid())
                except OSError:
                    ours.close()
                    raise
        except OSError as error:
            if not self._workers:
                raise FacescanError(f"cannot start a worker process: {error.strerror}") from error
            self._make_do_with(len(self._workers), error.strerror or str(error))
            return None
        worker = _Worker(process, Channel(ours))
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    def _make_do_with(self, count: int, why: str) -> None:
        """Lower the number of processes, with a warning that says why."""
        if count < self._count:
            processes = "process" if count == 1 else "processes"
            self._warn(f"warning: {count} worker {processes} instead of {self._count}: {why}")
            self._count = count
            self._schedule.pixels = count * PIXELS_PER_WORKER


def _is_at(worker: _Worker, sha256: str) -> bool:
    """Say whether a process decodes a content."""
    decoding = worker.work[0].decoding if worker.work else None
    return decoding is not None and decoding.sha256 == sha256
