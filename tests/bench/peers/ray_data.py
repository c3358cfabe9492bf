"""Ray Data on this machine: it reads the files; an actor on every core decodes, resizes and runs them in batches."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

from scanner.detector.runtime import available_cpus
from tests.bench.peers.work import BATCH, Network, Outcome, look, main

# Of a core, as Ray counts them: what actors leave is for the tasks that read.
SHARE = 0.5


class Judge:
    """An actor: holds the model and judges batches of contents."""

    def __init__(self, faces: bool) -> None:
        cv2.setNumThreads(1)
        self._see = look(faces, threads=1, spinning=False)
        self._network = Network(threads=1, spinning=False)

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.int64]]:
        """Contents (n) -> crops scored, (n)."""
        seen = [self._see(content) for content in batch["bytes"]]
        crops = np.concatenate(seen)
        if len(crops):
            self._network.scores(crops)
        return {"scored": np.array([len(own) for own in seen])}


def scan(folder: Path, faces: bool) -> Outcome:
    """A cluster of one node, begun and ended here."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=available_cpus(), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    judged = ray.data.read_binary_files(str(folder), file_extensions=["jpg"]).map_batches(
        Judge,
        fn_constructor_args=(faces,),
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(size=available_cpus()),
        num_cpus=SHARE,
    )
    counts = [batch["scored"] for batch in judged.iter_batches(batch_format="numpy")]
    ray.shutdown()
    return Outcome(sum(map(len, counts)), sum(int(count.sum()) for count in counts))


if __name__ == "__main__":
    main(scan, faces="--faces" in sys.argv)
