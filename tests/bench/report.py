"""What was measured: tables for people, and JSON with every single figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.bench.bars import Bar, floor_seconds, utilisation
from tests.bench.contenders import FACESCAN
from tests.bench.corpora import Corpus
from tests.bench.measure import Series
from tests.bench.memory import Peak

# Of `show_speed`; the command's help tells what they are.
COLUMNS = ("wall s", "spread", "work s", "facescan", "per s", "CPU s", "used", "scored")
# Fits eighty columns.
PLAIN: dict[str, Any] = {"box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False, "title_justify": "left"}


def show_machine(console: Console, about: Mapping[str, Any]) -> None:
    """In two lines."""
    load = " ".join(f"{value:.2f}" for value in about["load"])
    console.print(f"{about['cpu']}, {about['cores']} cores, {about['memory'] / 2**30:.0f} GiB; load before {load}")
    console.print(", ".join(f"{name} {version}" for name, version in about["versions"].items()), soft_wrap=True)


def show_speed(console: Console, corpus: Corpus, series: Sequence[Series], cores: int) -> None:
    """Medians of one corpus, and ratios to facescan; what was skipped, below, with its reason."""
    table = Table(title=f"{corpus.name}: {corpus.pictures:,} pictures, {corpus.bytes / 1e6:,.0f} MB", **PLAIN)
    table.add_column("", no_wrap=True)
    for head in COLUMNS:
        table.add_column(head, justify="right", no_wrap=True)
    facescan = next((one for one in series if one.contender is FACESCAN and one.runs), None)
    for one in series:
        if one.runs:
            table.add_row(one.contender.name, *_cells(one, corpus.pictures, facescan, cores))
    console.print(table)
    for one in series:
        stages = f": {_by_stage(one)}" if one.contender.name == "floor" and one.runs else ""
        told = f"skipped: {one.skipped}" if one.skipped else one.contender.what + stages
        console.print(f"{one.contender.name:16}{told}", style="dim", highlight=False, markup=False, soft_wrap=True)


def _cells(series: Series, pictures: int, facescan: Series | None, cores: int) -> Iterator[str]:
    """For each of `COLUMNS`. The floor is no run of anything: all but its CPU seconds is worked out."""
    is_floor = series.contender.name == "floor"
    wall = floor_seconds(series, cores) if is_floor else series.wall
    yield f"{wall:.2f}"
    if is_floor:
        yield from ("-", "-")
    else:
        walls = [run.wall for run in series.runs]
        yield f"{(max(walls) - min(walls)) / wall:.0%}"
        yield f"{series.median(lambda run: run.summary['seconds']):.2f}"
    yield f"{wall / facescan.wall:.2f} x" if facescan else "-"
    yield f"{pictures / wall:,.1f}"
    if is_floor:
        yield from (f"{wall * cores:.2f}", "-")
    elif series.contender.reaps:
        yield from (f"{series.median(lambda run: run.cpu):.2f}", f"{utilisation(series, cores):.0%}")
    else:
        yield from ("-", "-")
    yield f"{series.runs[0].summary['faces']:,}"


def show_memory(console: Console, curve: Sequence[Peak], huge: Sequence[Peak]) -> None:
    """The curve, then the pictures of 100 MP."""
    table = Table(title="peak memory of facescan, MB", **PLAIN)
    table.add_column("scanned")
    for head in ("PSS", "RSS", "seconds"):
        table.add_column(head, justify="right")
    for point in (*curve, *huge):
        table.add_row(point.what, f"{point.pss / 1e6:,.0f}", f"{point.rss / 1e6:,.0f}", f"{point.seconds:.1f}")
    console.print(table)


def show_bars(console: Console, bars: Iterable[Bar]) -> None:
    """Met or not, with the figure and the limit."""
    table = Table(title="bars", **PLAIN)
    for head in ("", "figure", "limit", ""):
        table.add_column(head, justify="left" if not head else "right")
    for bar in bars:
        sign = "<=" if bar.at_most else ">="
        verdict = "[green]met[/]" if bar.met else "[red]not met[/]"
        table.add_row(bar.what, f"{bar.figure:.2f} {bar.unit}", f"{sign} {bar.limit:g} {bar.unit}", verdict)
    console.print(table)


def speed_figures(corpus: Corpus, series: Sequence[Series], cores: int) -> dict[str, Any]:
    """Everything that was measured over a corpus."""
    return {
        "folder": str(corpus.folder),
        "pictures": corpus.pictures,
        "bytes": corpus.bytes,
        "contenders": {one.contender.name: _figures(one, cores) for one in series},
    }


def _figures(series: Series, cores: int) -> dict[str, Any]:
    figures = {"what": series.contender.what, "skipped": series.skipped, "runs": [asdict(run) for run in series.runs]}
    if not series.runs:
        return figures
    if series.contender.name == "floor":
        return figures | {"wall": floor_seconds(series, cores)}
    return figures | {"wall": series.wall, "cores_used": utilisation(series, cores) if series.contender.reaps else None}


def bar_figures(bar: Bar) -> dict[str, Any]:
    """A bar and whether it is met."""
    return asdict(bar) | {"met": bar.met}


def _by_stage(floor: Series) -> str:
    stages = floor.runs[0].summary["cpu"]
    medians = {stage: median(run.summary["cpu"][stage] for run in floor.runs) for stage in stages}
    return ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in medians.items())
