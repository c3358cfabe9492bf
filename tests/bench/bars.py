"""What facescan is held to, and whether it gets there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.measure import Series
from tests.bench.memory import Peak

# facescan's wall time over the floor.
FLOOR = 1.15
# Contender -> its wall time over facescan's: what is asked for, whether or not it finds faces.
FASTER = {
    **dict.fromkeys(("notebook", "notebook+faces"), 3.0),
    **dict.fromkeys(("loop", "loop+faces"), 1.6),
    **dict.fromkeys(("pool", "pool+faces", "ray", "ray+faces"), 1.0),
}
# Who does the same work as those without faces.
WHOLE = "facescan-image"
UTILISATION = 0.90
COLD = 1.0  # seconds for one picture
GROWTH = 60e6  # bytes more for the most files than for the fewest


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand: `figure`, in `unit`, is to be at most, or at least, `limit`."""

    what: str
    figure: float
    limit: float
    at_most: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit


def speed_bars(corpus: str, series: Sequence[Series], cores: int) -> Iterator[Bar]:
    """Of one corpus, as far as there are runs to judge by."""
    measured = {one.contender.name: one for one in series if one.runs}
    if "facescan" not in measured:
        return
    facescan = measured["facescan"]
    if "floor" in measured:
        ratio = facescan.wall / floor_seconds(measured["floor"], cores)
        yield Bar(f"{corpus}: facescan over the floor", ratio, FLOOR, at_most=True, unit="x")
    for name, limit in FASTER.items():
        for ours in ("facescan", WHOLE) if not name.endswith("+faces") else ("facescan",):
            if {name, ours} <= measured.keys():
                ratio = measured[name].wall / measured[ours].wall
                yield Bar(f"{corpus}: {ours} faster than {name}", ratio, limit, at_most=False, unit="x")
    yield Bar(
        f"{corpus}: facescan's use of the cores", 100 * utilisation(facescan, cores), 100 * UTILISATION, False, "%"
    )


def cold_bars(seconds: Mapping[str, Sequence[float]]) -> Iterator[Bar]:
    """Median of some processes, by picture."""
    for what, values in seconds.items():
        yield Bar(f"one {what}, cold", median(values), COLD, at_most=True, unit="s")


def memory_bars(curve: Sequence[Peak], huge: Sequence[Peak], picture: int) -> Iterator[Bar]:
    """Of the curve, its first point being that of the fewest files; and of pictures of `picture` bytes each."""
    for point in curve[1:]:
        grown = (point.pss - curve[0].pss) / 1e6
        yield Bar(f"memory, more than for the fewest: {point.what}", grown, GROWTH / 1e6, at_most=True, unit="MB")
    one, several = huge
    grown = (several.pss - one.pss) / 1e6
    # Another picture may wait decoded while one is worked on; three more may not.
    yield Bar(f"memory, more than with one: {several.what}", grown, picture / 1e6, at_most=True, unit="MB")


def floor_seconds(floor: Series, cores: int) -> float:
    """CPU seconds of the work alone, over the cores."""
    return floor.median(lambda run: sum(run.summary["cpu"].values())) / cores


def utilisation(series: Series, cores: int) -> float:
    """Of the cores, 0..1."""
    return series.median(lambda run: run.cpu / run.wall) / cores
