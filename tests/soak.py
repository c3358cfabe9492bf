"""``python -m tests.soak``: many pictures, good and broken, for a long time. Nothing may grow, nothing may get lost.

Copies and mutations of the examples (or of the pictures in $FACESCAN_DATA) are scanned by the real command, while its
processes are watched, and one of them is killed every now and then. Ends with 1 if a row is missing, if a file without
a mutation has no verdict, or if memory or the number of open files grew. Linux only.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from tests.bench.corpora import find_sources
from tests.bench.measure import ROOT, environment
from tests.bench.memory import held, tree

# Bytes that the median of the last quarter may lie over that of the second; of open files, two may.
GROWTH = 20e6


@dataclass(frozen=True, slots=True)
class Sample:
    """What the command and its processes hold at a moment: seconds since the start, bytes (PSS), open files, rows."""

    seconds: float
    memory: int
    descriptors: int
    rows: int


@click.command(help=(__doc__ or "").replace("``", ""))
@click.option("--files", default=50_000, show_default=True, help="To scan; half of them are mutations.")
@click.option("--kill", default=30.0, show_default=True, metavar="S", help="Seconds between two kills of a process.")
@click.option("--seed", default=0, show_default=True)
def main(files: int, kill: float, seed: int) -> None:
    """Fill a folder, scan it, watch, and judge."""
    draw = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        folder, rows = Path(scratch, "files"), Path(scratch, "rows.csv")
        broken = _fill(folder, files, draw)
        click.echo(f"{files:,} files, {len(broken):,} of them mutations")
        command = [sys.executable, "-m", "scanner", str(folder), "--no-cache", "-q", "--exit-zero", "-o", str(rows)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment())
        samples, kills = _watch(process, Path(f"{rows}.partial"), kill, draw)
        with open(rows, newline="", encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
    reasons = Counter(row["reason"].partition(":")[0] for row in table if row["verdict"] == "error")
    lost = [row["path"] for row in table if row["verdict"] == "error" and Path(row["path"]).name not in broken]
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter - 1 :]
    growth = median(s.memory for s in after) - median(s.memory for s in before)
    more = median(s.descriptors for s in after) - median(s.descriptors for s in before)
    for sample in samples[:: max(1, len(samples) // 20)]:
        click.echo(
            f"{sample.seconds:7.0f} s {sample.rows:9,} rows {sample.memory / 1e6:7.0f} MB {sample.descriptors:5} open"
        )
    click.echo(f"{process.returncode=}, {len(table):,} rows in {samples[-1].seconds:.0f} s, {kills} processes killed")
    click.echo(f"errors: {dict(reasons.most_common())}; of good files: {lost}")
    click.echo(f"memory grew by {growth / 1e6:.1f} MB, open files by {more:.0f}")
    good = process.returncode == 0 and len(table) == files and not lost and growth < GROWTH and more <= 2
    sys.exit(0 if good else 1)


def _fill(folder: Path, count: int, draw: random.Random) -> set[str]:
    """Half hard links to pictures, half mutations of them; the names of the mutations."""
    folder.mkdir()
    pictures = [file.read_bytes() for file in find_sources().files]
    originals: dict[int, Path] = {}
    broken = set()
    for i in range(count):
        which = draw.randrange(len(pictures))
        file = folder / f"{i:06}.jpg"
        if draw.random() < 0.5:
            file.write_bytes(_mutated(pictures[which], draw))
            broken.add(file.name)
            continue
        if which not in originals:
            originals[which] = folder.with_name(f"{which}.jpg")
            originals[which].write_bytes(pictures[which])
        with suppress(FileExistsError):
            os.link(originals[which], file)
    return broken


def _mutated(content: bytes, draw: random.Random) -> bytes:
    """Bits flipped, a part cut out, doubled or overwritten with noise, the end cut off; several of these."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        start = draw.randrange(len(data)) if data else 0
        end = min(len(data), start + draw.choice([1, 2, 8, 64, 1024]))
        kind = draw.randrange(5)
        if kind == 0 and data:
            data[start] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end]
        elif kind == 3:
            data[start:end] = draw.randbytes(end - start)
        elif kind == 4 and draw.random() < 0.2:
            del data[start:]
    return bytes(data)


def _watch(process: subprocess.Popen[bytes], rows: Path, kill: float, draw: random.Random) -> tuple[list[Sample], int]:
    """Sample a second until the command ends, and kill one of its processes now and then."""
    started, kills = time.monotonic(), 0
    samples = []
    while process.poll() is None:
        members = list(tree(process.pid))
        size = rows.read_bytes().count(b"\n") - 1 if rows.exists() else 0
        seconds = time.monotonic() - started
        samples.append(Sample(seconds, held(process.pid), sum(map(_descriptors, members)), size))
        if seconds > (kills + 1) * kill and len(members) > 1:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(members[1:]), 9)
            kills += 1
        time.sleep(2)
    return samples, kills


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


if __name__ == "__main__":
    main()
