"""Draws the charts of an evaluation's page as SVG; `train.evaluation.png_plots` draws PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scanner.html import charts
from train.data.degrade import AS_FOUND, FAIR, TITLES
from train.evaluation.metrics import auc, interval, reliability, roc_curve

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

    from train.evaluation.figures import Evaluation, Row

# Width and height of a chart in pixels.
TALL, SMALL = (420, 300), (230, 165)
# Bins of the histogram.
BINS = 20
# Ticks of the false-positive rate; the smallest are left out if there are too few reals.
_TICKS = (0.0001, 0.001, 0.01, 0.1, 1.0)
_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 2))

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]


def roc(evaluation: Evaluation, points: Sequence[float]) -> Markup | str:
    """Draw the ROC curves of all pictures, as found and re-encoded, with a logarithmic false-positive rate.

    Args:
        evaluation: the figures.
        points: the card's thresholds on p_fake, which are marked on the curve.

    Returns:
        The chart; empty if a class is missing.
    """
    labels, found = evaluation.scores.fake, evaluation.scores.p_fake
    if not _both(labels):
        return ""
    chart = _rates(charts.axes("reals called fake", "fakes called fake", TALL), labels)
    labels_of_curves = []
    for name, colour, style in ((AS_FOUND, charts.QUIET, _DASHED), (FAIR, charts.ACCENT, "-")):
        area = auc(labels, found[name])
        labels_of_curves.append(f"{TITLES[name]}: AUC {area:.3f}")
        _curve(chart, labels, found[name], color=colour, linestyle=style, linewidth=1.6, label=labels_of_curves[-1])
    for threshold in points:
        over = found[FAIR] >= threshold
        x, y = max(over[~labels].mean(), chart.get_xlim()[0]), over[labels].mean()
        chart.plot([x], [y], "o", color=charts.ACCENT, markersize=5, clip_on=False)
        chart.annotate(
            f"{threshold:.4g}",
            (x, y),
            (5, -4),
            textcoords="offset points",
            va="top",
            size=charts.TEXT,
            color=charts.INK,
        )
    chart.legend(loc="lower right", frameon=False, fontsize=charts.TEXT, labelcolor=charts.INK)
    return charts.svg(chart, "roc", f"ROC curves. {'; '.join(labels_of_curves)}")


def generator_roc(evaluation: Evaluation, row: Row, pictures: Bools, number: int) -> Markup:
    """Draw a small ROC curve of one generator against all reals, over that of all generators.

    Args:
        evaluation: the figures.
        row: of the generator.
        pictures: mask of the generator's pictures, (n,).
        number: of the chart on the page, for its id.
    """
    labels, p = evaluation.scores.fake, evaluation.scores.p_fake[FAIR]
    chart = _rates(charts.axes("", "", SMALL), labels)
    _curve(chart, labels, p, color=charts.QUIET, linestyle=_DASHED, linewidth=1)
    comparison = pictures | ~labels
    _curve(chart, labels[comparison], p[comparison], color=charts.ACCENT, linewidth=1.6)
    return charts.svg(chart, f"generator{number}", f"ROC curve of {row.name}: AUC {row.auc:.3f}")


def calibration(labels: Bools, p_fake: Floats) -> Markup:
    """Draw the share of fakes over the mean p_fake in ten bins, with their pictures and 95 % intervals."""
    promised, found, number = reliability(labels, p_fake)
    low, high = interval(np.round(found * number).astype(np.int64), number)
    chart = charts.axes("p_fake, mean of the bin", "share of fakes in the bin", TALL)
    chart.plot([0, 1], [0, 1], color=charts.QUIET, linewidth=1, linestyle=_DOTTED)
    chart.vlines(promised, low, high, color=charts.ACCENT, linewidth=1)
    chart.plot(promised, found, "o-", color=charts.ACCENT, linewidth=1.2, markersize=4)
    for x, y, n in zip(promised, high, number, strict=True):
        chart.annotate(
            f"{n:,}", (x, y), (0, 2), textcoords="offset points", ha="center", size=charts.TEXT, color=charts.QUIET
        )
    chart.set(xlim=(0, 1), ylim=(0, 1.08), yticks=np.linspace(0, 1, 6))
    text = ", ".join(f"{x:.2f} promised, {y:.2f} found" for x, y in zip(promised, found, strict=True))
    return charts.svg(chart, "calibration", f"Calibration: {text}")


def histogram(labels: Bools, p_fake: Floats, band: tuple[float, float]) -> Markup:
    """Draw a histogram of p_fake, fakes upwards and reals downwards, with the thresholds of the verdicts.

    Args:
        labels: (n,), True for fake.
        p_fake: (n,).
        band: p_fake from which on the verdicts are uncertain and fake.
    """
    edges = np.linspace(0, 1, BINS + 1)
    chart = charts.axes("p_fake", "pictures", TALL)
    up, down = (np.histogram(p_fake[mask], edges)[0] for mask in (labels, ~labels))
    for heights, colour in ((up, charts.FAKE), (-down, charts.REAL)):
        chart.bar(edges[:-1], heights, width=0.8 / BINS, align="edge", color=colour, linewidth=0)
    chart.axhline(0, color=charts.QUIET, linewidth=0.8)
    top, bottom = (max(1, heights.max()) * 1.15 for heights in (up, down))
    chart.set(xlim=(0, 1), ylim=(-bottom, top))
    chart.yaxis.set_major_formatter(lambda y, _: f"{abs(y):,.0f}")
    middle: dict[str, Any] = {"ha": "center", "size": charts.TEXT}
    chart.text(0.5, top * 0.97, f"{labels.sum():,} fakes", va="top", color=charts.FAKE, **middle)
    chart.text(0.5, -bottom * 0.97, f"{(~labels).sum():,} reals", va="bottom", color=charts.REAL, **middle)
    for row, (name, x) in enumerate(zip(("uncertain", "fake"), band, strict=True)):
        chart.axvline(x, color=charts.INK, linewidth=0.8, linestyle=_DASHED)
        left = x > 0.5
        chart.annotate(
            f"{name} from {x:.4g}", (x, 1), (-3 if left else 3, 3 + 11 * row), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right" if left else "left", size=charts.TEXT, color=charts.INK,
        )  # fmt: skip
    return charts.svg(chart, "scores", f"Histogram of p_fake of {labels.sum()} fakes and {(~labels).sum()} reals")


def robustness(evaluation: Evaluation) -> Markup | str:
    """Draw the AUC under every condition, of all pictures and of each generator; empty if a class is missing."""
    areas = {name: evaluation.row("pooled", "all", name).auc for name in TITLES}
    pooled = {name: area for name, area in areas.items() if area is not None}
    if len(pooled) < len(areas):
        return ""
    chart = charts.axes("AUC against all reals", "", TALL)
    least = 1.0
    for y, name in enumerate(reversed(TITLES)):
        single = [row.auc for row in evaluation.rows[name] if row.scope == "generator" and row.auc is not None]
        least = min([least, pooled[name], *single])
        chart.plot(single, [y] * len(single), "o", color=charts.QUIET, markersize=4, alpha=0.55, linewidth=0)
        chart.plot([pooled[name]], [y], "D", color=charts.ACCENT, markersize=6)
        chart.annotate(
            f"{pooled[name]:.3f}", (pooled[name], y), (0, 7), textcoords="offset points", ha="center",
            size=charts.TEXT, color=charts.INK,
        )  # fmt: skip
    chart.set_yticks(range(len(TITLES)), list(reversed(TITLES.values())))
    chart.tick_params(axis="y", labelcolor=charts.INK)
    chart.set(ylim=(-0.5, len(TITLES) - 0.3), xlim=(max(0, np.floor(20 * (least - 0.01)) / 20), 1.005))
    chart.grid(axis="x", color=charts.LINE, linewidth=0.6)
    text = ", ".join(f"{TITLES[name]} {area:.3f}" for name, area in pooled.items())
    return charts.svg(chart, "robustness", f"AUC by condition: {text}")


def history(epochs: Sequence[Mapping[str, float]], name: str) -> Markup:
    """Draw `loss` or `accuracy` of the training and validation pictures over the epochs."""
    chart = charts.axes("epoch", name, TALL)
    steps = range(1, len(epochs) + 1)
    for key, label, colour in ((name, "training", charts.QUIET), (f"val_{name}", "validation", charts.ACCENT)):
        values = [epoch.get(key, np.nan) for epoch in epochs]
        chart.plot(steps, values, color=colour, marker="o", markersize=3, linewidth=1.6, label=label)
    chart.legend(frameon=False, fontsize=charts.TEXT, labelcolor=charts.INK)
    return charts.svg(chart, f"history-{name}", f"{name} over {len(epochs)} epochs")


def _rates(chart: Axes, labels: Bools) -> Axes:
    """Set up axes in per cent, with a logarithmic false-positive rate down to half of a real picture."""
    least = max(_TICKS[0], 0.5 / max(1, (~labels).sum()))
    chart.set_xscale("log")
    chart.set(xlim=(least, 1), ylim=(0, 1.02))
    ticks = [tick for tick in _TICKS if tick >= least]
    chart.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    chart.set_xticks([], minor=True)
    chart.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    chart.grid(axis="x", color=charts.LINE, linewidth=0.6)
    x = np.geomspace(least, 1, 50)
    chart.plot(x, x, color=charts.QUIET, linewidth=1, linestyle=_DOTTED)
    return chart


def _curve(chart: Axes, labels: Bools, p_fake: Floats, **style: Any) -> None:
    fpr, tpr = roc_curve(labels, p_fake)
    x, y = np.diff(fpr), np.diff(tpr)
    corners = np.ones(len(fpr), bool)  # points within a straight line are not drawn
    corners[1:-1] = abs(x[:-1] * y[1:] - x[1:] * y[:-1]) > 1e-12
    chart.plot(np.maximum(fpr, chart.get_xlim()[0])[corners], tpr[corners], **style)


def _both(labels: Bools) -> bool:
    return bool(labels.any() and not labels.all())
