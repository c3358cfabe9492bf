"""The way of PyTorch's DataLoader: processes decode whole batches ahead, the main process runs them.

As with `DataLoader(num_workers=cores, batch_size=32, prefetch_factor=2)`, workers are forked where that is safe, and
OpenCV has one thread in each. ONNX Runtime's threads do not spin here: that would take the cores from the workers.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path

import cv2
import numpy as np

from scanner.detector.runtime import available_cpus
from tests.bench.peers.work import BATCH, Crops, Look, Network, Outcome, files_in, look, main

PREFETCH = 2  # batches for each worker

_see: Look  # in a worker


def scan(folder: Path, faces: bool) -> Outcome:
    """Workers start before ONNX Runtime has threads, which a fork would lose."""
    cores, files, scored = available_cpus(), files_in(folder), 0
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(cores, _begin, (faces,)) as pool:
        network = Network(cores, spinning=False)
        for crops in _ahead(pool, files, PREFETCH * cores):
            if len(crops):
                network.scores(crops)
            scored += len(crops)
        pool.close()
        pool.join()  # or their CPU seconds would not be counted
    return Outcome(len(files), scored)


def _ahead(pool: Pool, files: Sequence[Path], limit: int) -> Iterator[Crops]:
    """Batches in order, never more than `limit` on their way."""
    waiting: deque[AsyncResult[Crops]] = deque()
    for start in range(0, len(files), BATCH):
        waiting.append(pool.apply_async(_load, (files[start : start + BATCH],)))
        if len(waiting) >= limit:
            yield waiting.popleft().get()
    while waiting:
        yield waiting.popleft().get()


def _begin(faces: bool) -> None:
    global _see
    cv2.setNumThreads(1)
    _see = look(faces, threads=1, spinning=False)


def _load(files: Sequence[Path]) -> Crops:
    return np.concatenate([_see(file.read_bytes()) for file in files])


if __name__ == "__main__":
    main(scan, faces="--faces" in sys.argv)
