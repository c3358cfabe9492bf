"""``python -m tests.bench``: options in, tables and a JSON file out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tests.bench import corpora
from tests.bench.bars import Bar, cold_bars, memory_bars, speed_bars
from tests.bench.contenders import CONTENDERS, FACESCAN, floor
from tests.bench.corpora import HUNDRED_MP, KINDS, Corpus, Sources
from tests.bench.machine import machine
from tests.bench.measure import BenchError, in_turn, run_once
from tests.bench.memory import peak
from tests.bench.report import (
    bar_figures,
    show_bars,
    show_machine,
    show_memory,
    show_speed,
    speed_figures,
)

COLD_PROCESSES = 5
HUGE_PICTURES, HUGE_WORKERS = 8, (1, 4)
NAMES = [contender.name for contender in CONTENDERS]


class Bench:
    """One call of the command: holds where corpora lie, and collects figures and bars."""

    def __init__(self, root: Path, sources: Sources, counts: dict[str, int], console: Console) -> None:
        self.root, self.sources, self.counts, self.console = root, sources, counts, console
        self.figures: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
        self.figures["machine"] = machine()
        self.figures["sources"] = sources.name
        self.bars: list[Bar] = []
        show_machine(console, self.figures["machine"])

    def speed(self, kinds: list[str], names: list[str], rounds: int, every: int) -> None:
        """Contenders and the floor over each corpus."""
        cores = self.figures["machine"]["cores"]
        chosen = [*(contender for contender in CONTENDERS if contender.name in names), floor(every)]
        self.figures["speed"] = {}
        for kind in kinds:
            corpus = self._corpus(kind)
            series = in_turn(chosen, corpus.folder, rounds, self._say)
            show_speed(self.console, corpus, series, cores)
            self.figures["speed"][kind] = speed_figures(corpus, series, cores)
            self.bars += speed_bars(kind, series, cores)
            for one in series:
                if one.contender is FACESCAN and one.skipped:
                    raise BenchError(one.skipped)

    def cold(self) -> None:
        """One picture at a time, each in a process of its own; the files are in the page cache."""
        found = {}
        for kind, what in (("portraits", "portrait"), ("photographs", "photograph of 12 MP")):
            picture = min(self._corpus(kind).folder.iterdir())
            found[what] = [run_once(FACESCAN, picture).wall for _ in range(COLD_PROCESSES + 1)][1:]
        self.figures["cold"] = found
        self.bars += cold_bars(found)

    def memory(self, counts: list[int]) -> None:
        """Many tiny files, in one folder and at last in a hundred; then a few huge ones."""
        curve = []
        for count, folders in [*((count, 1) for count in counts), (counts[-1], 100)]:
            self._say(f"memory: {count:,} files")
            folder = corpora.tiny_files(self.root, self.sources, count, folders)
            where = f"{folders} folder{'s' * (folders > 1)}"
            curve.append(peak(f"{count:,} files in {where}", folder))
        self._say(f"memory: {HUGE_PICTURES} pictures of 100 MP")
        folder = corpora.huge_files(self.root, self.sources, HUGE_PICTURES)
        huge = [
            peak(f"{HUGE_PICTURES} of 100 MP, --workers {workers}", folder, "--workers", str(workers))
            for workers in HUGE_WORKERS
        ]
        show_memory(self.console, curve, huge)
        self.figures["memory"] = [asdict(point) for point in (*curve, *huge)]
        width, height = HUNDRED_MP
        self.bars += memory_bars(curve, huge, 3 * width * height)

    def finish(self, out: Path) -> None:
        """Show the bars; write the figures."""
        show_bars(self.console, self.bars)
        self.figures["bars"] = [bar_figures(bar) for bar in self.bars]
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(self.figures, indent=1) + "\n", "utf-8")

    def _corpus(self, kind: str) -> Corpus:
        self._say(f"corpus: {kind}")
        return corpora.corpus(self.root, self.sources, kind, self.counts)

    def _say(self, line: str) -> None:
        click.echo(line, err=True)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run it on a machine that does nothing else: the load before it is written down. To measure on some cores "
    "only, start it under `taskset`. Exit codes: 0 done, whatever the bars say; 1 facescan itself failed.",
)
@click.option("--speed", is_flag=True, help="Contenders against each other, and against the floor.")
@click.option("--cold", is_flag=True, help=f"One picture in a fresh process, median of {COLD_PROCESSES}.")
@click.option("--memory", is_flag=True, help="Peak memory for more and more files, and for huge ones. Linux only.")
@click.option(
    "--on",
    type=click.Choice(KINDS),
    multiple=True,
    default=("both",),
    show_default=True,
    help="Pictures for --speed: portraits of 256 to 512 px, photographs of 12 MP, megapixel (photographs of 1 MP), "
    "both (portraits and photographs together). Repeatable.",
)
@click.option("--portraits", type=click.IntRange(1), default=3000, show_default=True, help="How many.")
@click.option("--photographs", type=click.IntRange(1), default=300, show_default=True, help="How many, of 12 MP.")
@click.option("--megapixel", type=click.IntRange(1), default=1000, show_default=True, help="How many, of 1 MP.")
@click.option(
    "--files",
    type=click.IntRange(1),
    multiple=True,
    default=(1000, 10_000, 100_000),
    show_default=True,
    help="Points of the memory curve. Repeatable, in growing order.",
)
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="This contender. Repeatable; all by default.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="That count; one more warms up.")
@click.option(
    "--floor-every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="K",
    help="Measure the floor on every K-th picture, and scale it.",
)
@click.option(
    "--corpus",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where corpora are kept, once made.  [default: bench in facescan's cache folder]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runs/bench.json"),
    show_default=True,
    help="JSON, with every single figure.",
)
def command(
    speed: bool,
    cold: bool,
    memory: bool,
    on: tuple[str, ...],
    files: tuple[int, ...],
    only: tuple[str, ...],
    rounds: int,
    floor_every: int,
    root: Path | None,
    out: Path,
    **counts: int,
) -> None:
    """Measure facescan beside other ways to judge a folder of pictures, and against what it is held to.

    Without --speed, --cold or --memory, it does the first two. Contenders run one after the other, each as a fresh
    process on all cores, for some rounds in changing order; medians count. The floor is what the work costs in one
    thread (decoding, finding faces, the network), over the cores: what no program can undercut.

    Contenders named +faces find and crop faces as facescan does. The others do less: they squeeze the whole picture
    into the network, as notebooks do, and as facescan-image does (`--region image`).

    \b
    wall s    from the start of the process to its end, start-up included
    spread    of the rounds: the slowest less the fastest, in parts of wall s
    work s    by the contender's own clock, which starts when its libraries are
              loaded
    facescan  wall s over facescan's
    CPU s     user and system, all its processes; Ray's are not known, being no
              children of ours
    used      CPU s over wall s and the cores
    scored    regions that the network saw; facescan counts faces, also those
              that are too small, and in whole pictures none

    Pictures are made from the portraits in $FACESCAN_DATA, or else from the few in examples/pictures: that takes a
    second for each photograph, once.
    """  # noqa: D301  (click's \b is a backspace)
    chosen = root or corpora.default_root()
    bench = Bench(chosen, corpora.find_sources(), counts, Console())
    try:
        if speed or not (cold or memory):
            bench.speed(list(on), list(only or NAMES), rounds, floor_every)
        if cold or not (speed or memory):
            bench.cold()
        if memory:
            bench.memory(list(files))
    except BenchError as error:
        click.echo(f"facescan failed: {error}", err=True)
        sys.exit(1)
    finally:
        bench.finish(out)


if __name__ == "__main__":
    command(prog_name="python -m tests.bench")
