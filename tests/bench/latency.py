"""Measures how long a row takes after its name: `python -m tests.bench.latency PICTURE [--count N]`.

Starts facescan as a co-process (`--files-from - --out -`), writes one name at a time, and waits for its row. The first
rows are not counted: processes start, and models are opened.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import click

WARM_UP = 5


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False))
@click.option("--count", default=50, show_default=True, help="Rows that are timed.")
def main(picture: str, count: int) -> None:
    """Print the median, the 90th percentile and the longest time from a name to its row, in milliseconds."""
    command = [sys.executable, "-m", "scanner", "--files-from", "-", "--out", "-", "--no-cache", "-q"]
    scan = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert scan.stdin and scan.stdout
    scan.stdout.readline()  # the names of the columns
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(WARM_UP + count):
            file = shutil.copy(picture, os.path.join(folder, f"{number}.jpg"))  # no file has a second row
            time.sleep(0.02)  # as a program would take that does something with the row
            started = time.perf_counter()
            scan.stdin.write(f"{file}\n".encode())
            scan.stdin.flush()
            scan.stdout.readline()
            times.append(1000 * (time.perf_counter() - started))
        scan.stdin.close()
        scan.wait()
    timed = sorted(times[WARM_UP:])
    click.echo(
        f"{count} rows: median {statistics.median(timed):.1f} ms, 90 % within {timed[int(0.9 * count)]:.1f} ms, "
        f"longest {timed[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
