"""The plain loop: read, decode, resize, run, one picture after the other, every core given to ONNX Runtime."""

from __future__ import annotations

import sys
from pathlib import Path

from scanner.detector.runtime import available_cpus
from tests.bench.peers.work import Network, Outcome, files_in, look, main


def scan(folder: Path, faces: bool) -> Outcome:
    """Nothing else wants the cores meanwhile, so ONNX Runtime's threads spin, which is faster then."""
    cores = available_cpus()
    see, network = look(faces, cores, spinning=True), Network(cores, spinning=True)
    files, scored = files_in(folder), 0
    for file in files:
        for crop in see(file.read_bytes()):
            network.scores(crop[None])
            scored += 1
    return Outcome(len(files), scored)


if __name__ == "__main__":
    main(scan, faces="--faces" in sys.argv)
