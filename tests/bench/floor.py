"""What the work itself costs: CPU seconds of reading and decoding, of finding faces and cropping, and of the network.

One thread does one thing at a time, with the scanner's own functions. No program can be faster than the sum divided by
the cores, unless it does less.

    python -m tests.bench.floor FOLDER OUTCOME EVERY      # EVERY = 4 measures every fourth file, and scales
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2

from scanner.detector.model import DEFAULT_MODEL, Detector, Region, find_model
from scanner.engine.pipeline import BATCH
from scanner.faces.finder import FaceFinder
from tests.bench.peers.work import Outcome, decoded, files_in, main, regions

STAGES = ("decode", "faces", "model")


def scan(folder: Path, every: int) -> Outcome:
    """One picture is held at a time, so that memory costs what it costs in a scan; the network gets whole batches."""
    cv2.setNumThreads(1)
    detector, finder = Detector(find_model(DEFAULT_MODEL), threads=1), FaceFinder()
    batch = BATCH["cpu"]
    spent = dict.fromkeys(STAGES, 0.0)
    files, waiting, faces = files_in(folder), list[Region](), 0
    sample = files[::every]
    for i, file in enumerate(sample):
        started = time.process_time()
        picture = decoded(file.read_bytes())
        ready = time.process_time()
        found = regions(picture, finder, detector.card)
        spent["decode"] += ready - started
        spent["faces"] += time.process_time() - ready
        faces += len(found)
        waiting += found
        while len(waiting) >= batch or (waiting and i == len(sample) - 1):
            started = time.process_time()
            detector.p_fake(waiting[:batch])
            spent["model"] += time.process_time() - started
            del waiting[:batch]
    scale = len(files) / len(sample)
    return Outcome(len(sample), faces, {stage: seconds * scale for stage, seconds in spent.items()})


if __name__ == "__main__":
    main(scan, every=int(sys.argv[3]))
