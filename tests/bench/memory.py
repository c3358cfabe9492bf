"""How memory grows with the number of files, and with pictures in flight. Linux only: it reads /proc."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import FACESCAN
from tests.bench.measure import run_once

# Reading a process's sums takes a millisecond or two.
INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that facescan held at once over some files.

    Attributes:
        what: was scanned.
        pss: bytes: what belongs to the process tree alone, and its part of what it shares with others (proportional
            set size). Sampled, so a short peak may be missed.
        rss: bytes, of its largest process, shared pages in full. The kernel keeps the peak, so none is missed.
        seconds: that the scan took.
    """

    what: str
    pss: int
    rss: int
    seconds: float


def peak(what: str, folder: Path, *options: str) -> Peak:
    """Scan a folder, and watch the process tree meanwhile."""
    samples, peaks = [0], [0]

    def watch(pid: int) -> None:
        # What has ended, and is not waited for yet, has no memory.
        while pss := held(pid):
            samples.append(pss)
            # Not getrusage's: that begins with what this process held when it forked.
            peaks.extend(_bytes(member, "status", "VmHWM") for member in tree(pid))
            time.sleep(INTERVAL)

    run = run_once(FACESCAN, folder, *options, watch=watch)
    return Peak(what, max(samples), max(peaks), run.wall)


def held(pid: int) -> int:
    """Bytes (PSS) that a process and all below it hold now."""
    return sum(_bytes(member, "smaps_rollup", "Pss") for member in tree(pid))


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in children.read_text("ascii").split():
                yield from tree(int(child))


def _bytes(pid: int, file: str, key: str) -> int:
    """What /proc tells of a process, in bytes; 0 of one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text("utf-8", "replace").splitlines():
            if line.startswith(f"{key}:"):
                return 1024 * int(line.split()[1])
    return 0
