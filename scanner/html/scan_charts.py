"""Draws the charts of a scan's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scanner.html import charts
from scanner.html.tallies import BINS, Pace, Scores
from scanner.result import Verdict

if TYPE_CHECKING:
    from markupsafe import Markup

_COLOURS = {Verdict.REAL: charts.REAL, Verdict.UNCERTAIN: charts.UNCERTAIN, Verdict.FAKE: charts.FAKE}
# Height of the highest bar from which the axis is logarithmic: a linear one would hide the low bars, the findings.
_LOG_FROM = 100
_MIN_SLOTS = 4


def scores(counts: Scores, thresholds: Mapping[str, float]) -> Markup:
    """Return a histogram of p_fake by verdict, with the thresholds.

    Args:
        counts: of the scan.
        thresholds: by verdict.
    """
    chart = charts.axes("p_fake", "files")
    below = [0] * BINS
    for verdict, colour in _COLOURS.items():
        for i, height in enumerate(counts.of(verdict)):
            if height:
                chart.bar(i / BINS, height, bottom=below[i], width=0.8 / BINS, align="edge", color=colour, linewidth=0)
                below[i] += height
    if max(below) > _LOG_FROM:
        chart.set_yscale("symlog", linthresh=1)
        chart.set_ylabel("files, logarithmic")
    chart.yaxis.set_major_formatter("{x:,.0f}")
    chart.yaxis.get_major_locator().set_params(**({} if max(below) > _LOG_FROM else {"integer": True, "nbins": 5}))
    chart.set(xlim=(0, 1), ylim=(0, max(1, max(below)) * 1.05))
    for row, name in enumerate(name for name in ("uncertain", "fake") if thresholds[name] < 1):
        x = thresholds[name]
        chart.axvline(x, color=charts.INK, linewidth=0.8, linestyle=(0, (3, 2)))
        chart.annotate(
            f"{name} from {x:.4g}",
            (x, 1),
            (-3 if x > 0.5 else 3, 3 + 11 * row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if x > 0.5 else "left",
            size=charts.TEXT,
            color=_COLOURS[Verdict(name)],
        )
    counted = ", ".join(f"{sum(counts.of(verdict)):,} {verdict}" for verdict in _COLOURS)
    return charts.svg(chart, "scores", f"Histogram of p_fake, from 0 to 1: {counted}")


def pace(counts: Pace) -> Markup | str:
    """Return a chart of files a second over time; empty if the scan was too short, or had too few files."""
    rates = counts.rates()
    if len(rates) < _MIN_SLOTS or not any(rates):
        return ""
    chart = charts.axes("seconds", "files a second")
    chart.stairs(
        rates, [i * counts.width for i in range(len(rates) + 1)], baseline=None, color=charts.ACCENT, linewidth=1.2
    )
    chart.set(xlim=(0, len(rates) * counts.width), ylim=(0, (max(rates) or 1) * 1.05))
    chart.yaxis.set_major_formatter("{x:,.0f}")
    chart.xaxis.set_major_formatter("{x:,.12g}")
    rates_text = f"from {min(rates):,.0f} to {max(rates):,.0f}, in slots of {counts.width:g} seconds"
    return charts.svg(chart, "pace", f"Files a second over the time of the scan: {rates_text}")
