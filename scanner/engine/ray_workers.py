"""Examines pictures on a Ray cluster: Ray Data hands chunks of them to actors, one for each processor.

An actor examines in a child process that may crash, so that a bad picture costs a row and not the actor. An actor or a
machine that is lost costs nothing: Ray sends its chunks to another one.

Imported only if a cluster is asked for. The code that runs in actors imports OpenCV late, after its environment is set.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import platform
import queue
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from scanner.errors import FacescanError, first_line
from scanner.reasons import Reason

# They are read when ray is imported: tell nobody about us, and start no second cluster when the first is left.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"

try:
    import pyarrow as pa
    import ray
    import ray.data
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise FacescanError("--engine ray needs Ray: pip install 'ray[data]'") from error

if TYPE_CHECKING:
    from scanner.engine.examiners import ExamineFn, FailureRow, Outcome
    from scanner.engine.workers import Workers
    from scanner.examined import Examined
    from scanner.files.candidate import Candidate
    from scanner.settings import Settings

# Candidates in a chunk: some tenths of a second of work, against the milliseconds that Ray takes to send it.
CHUNK = 32
# Chunks in flight for each processor: one is examined, and the next ones are on their way.
_CHUNKS_PER_PROCESSOR = 4
# Actors that may die at the same chunk, as machines come and go, before one of its pictures is taken for the cause.
_MAX_DEATHS = 3
# Ray 2.60 can fail to send a chunk again whose machine has died. If no actor was heard of for so many seconds beyond
# those that a picture may take, all actors are restarted, which has Ray send the chunk.
_MAX_SILENCE_S = 20
# Seconds between two looks at whether actors are silent.
_TICK = 5.0


class RayWorkers:
    """Owns the connection to a cluster, whose processes examine the candidates of a scan: `Examiners`.

    Args:
        examine: examines a chunk; runs on the cluster.
        failure_row: makes the row of a candidate that ended a process.
        settings: of the scan.
    """

    def __init__(self, examine: ExamineFn, failure_row: FailureRow, settings: Settings) -> None:
        self._work = pickle.dumps((examine, failure_row, settings, _versions()))
        self._settings = settings
        self._waiting: list[tuple[int, Candidate]] = []
        self._underway: dict[int, list[int]] = {}  # numbers of the candidates of a chunk
        self._sent = 0  # chunks
        self._open = ExitStack()  # what has to be closed
        self._answers: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        handler = signal.getsignal(signal.SIGTERM)
        try:
            # Ray prints there, from a thread, what befalls actors. Rows go to the descriptor.
            self._open.enter_context(redirect_stdout(self._open.enter_context(open(os.devnull, "w"))))
            _connect(self._settings)
            self._open.callback(ray.shutdown)
            self._slots = _slots()
            here = NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )  # dies when we do
            feed = ray.remote(_Feed).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
            self._feed = feed.remote()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        except Exception as error:
            self._open.close()
            raise _cannot_go_on(error) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray takes it for itself
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._feed.close.remote(self._sent)
        self._thread.join(10 if kind is None else 1)
        self._open.close()

    @property
    def full(self) -> bool:
        """Say whether another candidate would only wait."""
        return len(self._underway) >= _CHUNKS_PER_PROCESSOR * self._slots

    def put(self, number: int, candidate: Candidate) -> None:
        """Accept a candidate, without waiting."""
        self._waiting.append((number, candidate))
        if len(self._waiting) == CHUNK:
            self._send()

    def descriptors(self) -> list[int]:
        """Return no descriptor: answers come through a thread."""
        return []

    def collect(self, patient: bool = True) -> list[Outcome]:
        """Return outcomes, in any order. If `patient`, wait until there is one; some candidate has to be underway.

        Raises:
            FacescanError: the work cannot go on.
        """
        self._send()
        done: list[Outcome] = []
        while patient and not done:
            try:
                done += self._receive(self._answers.get(timeout=_TICK))
            except queue.Empty:
                self._feed.revive.remote(self._settings.timeout + _MAX_SILENCE_S)
        while not self._answers.empty():
            done += self._receive(self._answers.get())
        return done

    def _send(self) -> None:
        if self._waiting:
            chunk, self._sent = self._sent, self._sent + 1
            self._underway[chunk] = [number for number, _ in self._waiting]
            self._feed.put.remote(chunk, pickle.dumps([candidate for _, candidate in self._waiting]))
            self._waiting = []

    def _receive(self, answer: tuple[int, bytes] | Exception) -> list[Outcome]:
        if isinstance(answer, Exception):
            raise _cannot_go_on(answer) from answer
        chunk, content = answer
        if chunk not in self._underway:  # done a second time
            return []
        examined = pickle.loads(content)  # noqa: S301 - from our own actors
        if isinstance(examined, FacescanError):
            raise examined
        self._feed.forget.remote(chunk)
        self._slots = _slots()  # machines come and go
        return list(zip(self._underway.pop(chunk), examined, strict=True))

    def _run(self) -> None:
        """Run the Ray Data pipeline, in a thread, and pass its answers on."""
        try:
            answers = _dataset(self._feed, self._work, self._settings)
            for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for chunk, content in zip(batch["chunk"], batch["content"], strict=True):
                    self._answers.put((chunk.as_py(), content.as_py()))
            self._answers.put(RuntimeError("the work ended too early"))  # unless nobody waits for more
        except Exception as error:  # whatever it is, it is the scan's business
            self._answers.put(error)


class _Feed:
    """An actor that holds chunks, by number, until their answers are there: a reader that begins anew finds them again.

    It also counts which chunks actors have died at, and at which pictures.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, bytes] = {}
        self._answered: set[int] = set()
        self._total: int | None = None
        self._more = asyncio.Condition()
        self._begun: Counter[int] = Counter()
        self._at: dict[int, int] = {}
        self._guilty: dict[int, set[int]] = {}
        self._actors: dict[str, Any] = {}
        self._heard = time.monotonic()

    async def put(self, number: int, content: bytes) -> None:
        async with self._more:
            self._chunks[number] = content
            self._more.notify_all()

    async def close(self, total: int) -> None:
        async with self._more:
            self._total = total
            self._more.notify_all()

    async def get(self, number: int) -> bytes | None:
        """Wait for a chunk, and return it: empty if it is answered already, None if no chunk has that number."""

        def known() -> bool:
            return number in self._chunks or number in self._answered or self._ends_before(number)

        async with self._more:
            await self._more.wait_for(known)
            return None if self._ends_before(number) else self._chunks.get(number, b"")

    async def forget(self, number: int) -> None:
        self._answered.add(number)
        for known in (self._chunks, self._begun, self._at, self._guilty):
            known.pop(number, None)

    async def begin(self, number: int, actor: Any) -> tuple[bool, set[int]]:
        """Note that an actor begins with a chunk.

        Returns:
            Whether the actor has to call `at` before every picture, and the positions of pictures to leave out.
        """
        self._heard = time.monotonic()
        self._actors[actor._actor_id.hex()] = actor
        self._begun[number] += 1
        guilty = self._guilty.setdefault(number, set())
        if number in self._at:
            guilty.add(self._at.pop(number))
        return self._begun[number] > _MAX_DEATHS, guilty

    async def at(self, number: int, position: int) -> None:
        self._heard = time.monotonic()
        self._at[number] = position

    async def revive(self, silence: float) -> None:
        """Restart all actors if none was heard of for so many seconds."""
        if time.monotonic() - self._heard > silence:
            self._heard = time.monotonic()
            for actor in self._actors.values():
                ray.kill(actor, no_restart=False)

    def _ends_before(self, number: int) -> bool:
        return self._total is not None and number >= self._total


class _Chunks(ray.data.Datasource):  # type: ignore[misc]
    """Streams chunks to Ray Data, one in each block."""

    def __init__(self, feed: Any) -> None:
        self._feed = feed

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ray.data.ReadTask]:
        unknown = ray.data.block.BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        feed = self._feed

        def read() -> Iterator[pa.Table]:
            for number in count():
                content = ray.get(feed.get.remote(number))
                if content is None:
                    return
                # Also what nobody wants any more: to Ray, the n-th block of a second run is the n-th of the first.
                yield pa.table({"chunk": [number], "content": [content]})

        return [ray.data.ReadTask(read, unknown)]


class _Actor:
    """Examines chunks on some machine, in a process that may crash."""

    def __init__(self, feed: Any, work: bytes, max_pixels: int) -> None:
        os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(max_pixels)  # it is read when OpenCV is imported
        self._feed = feed
        self._work = work
        self._workers: Workers | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        answers = []
        for number, content in zip(batch["chunk"], batch["content"], strict=True):
            try:
                answer: object = self._examine(int(number), content)
            except FacescanError as error:
                answer = error
            answers.append(pickle.dumps(answer))
        return {"chunk": batch["chunk"], "content": answers}

    def _examine(self, number: int, content: bytes) -> list[Examined]:
        if not content:
            return []
        chunk: list[Candidate] = pickle.loads(content)  # noqa: S301 - from our own driver
        suspect, guilty = ray.get(self._feed.begin.remote(number, ray.get_runtime_context().current_actor))
        workers = self._workers = self._workers or self._begin()
        done: dict[int, Examined] = {}
        for position, candidate in enumerate(chunk):
            if position in guilty:
                done[position] = self._failure_row(candidate, Reason.DECODER_CRASHED, "", None)
                continue
            if suspect:
                ray.get(self._feed.at.remote(number, position))
            workers.put(position, candidate)
            if suspect:
                done.update(workers.collect())
        while len(done) < len(chunk):
            done.update(workers.collect())
        return [done[position] for position in range(len(chunk))]

    def _begin(self) -> Workers:
        from scanner.engine.workers import Workers

        examine, self._failure_row, settings, versions = pickle.loads(self._work)  # noqa: S301 - from our own driver
        if _versions() != versions:
            raise FacescanError(
                f"{platform.node()} has other versions than this machine: {_versions()}, not {versions}"
            )
        return Workers(examine, self._failure_row, None, 1, settings.timeout, settings.max_memory)


def _connect(settings: Settings) -> None:
    from scanner.detector.runtime import available_cpus

    address = settings.ray_address or os.environ.get("RAY_ADDRESS")
    if address:
        _check_listening(address)
    local = {} if address else {"num_cpus": settings.workers or available_cpus()}
    ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, include_dashboard=None, **local)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # a block for each chunk, as soon as it is there


def _check_listening(address: str) -> None:
    """Check that something listens at an address: Ray itself would wait for minutes, and then end the process.

    Raises:
        FacescanError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise FacescanError(f"no Ray cluster at {address}: {error.strerror or error}") from error


def _dataset(feed: Any, work: bytes, settings: Settings) -> Any:
    chunks = ray.data.read_datasource(_Chunks(feed), override_num_blocks=1, num_cpus=0)
    count = settings.workers or _slots()
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count)
    return chunks.map_batches(
        _Actor,
        fn_constructor_args=(feed, work, settings.max_pixels),
        batch_size=None,
        compute=pool,
        num_cpus=0.5,  # with room for those of a machine that is lost; what works is the process below
    )


def _slots() -> int:
    """Return the number of processors of the cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _versions() -> list[Any]:
    from scanner.engine.versions import versions

    return versions()


def _cannot_go_on(error: Exception) -> FacescanError:
    if isinstance(error, FacescanError):
        return error
    return FacescanError(f"Ray: {first_line(getattr(error, 'cause', None) or error)}")
