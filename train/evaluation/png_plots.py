"""Draws figures of merit as PNG files, with Matplotlib and without a display.

Every function writes one file, and raises OSError if the file cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from train.evaluation.metrics import Confusion

if TYPE_CHECKING:
    from train.evaluation.figures import Row

DPI = 150
# Okabe and Ito's palette, which colour-blind people can distinguish (2008, https://jfly.uni-koeln.de/color/).
COLOURS = ("#000000", "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
BLUE, GREY = COLOURS[1], "#999999"
# Background of figures that lie on a line.
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1}
# Label and colour of a bar by `Row.seen`.
BARS = {
    True: ("trained on other pictures of it", "#b0b0b0"),
    None: ("partly, or not known", COLOURS[6]),
    False: ("never trained on", BLUE),
}

Curve = tuple[NDArray[np.float64], NDArray[np.float64], float]


def roc(file: Path, curves: Mapping[str, Curve], title: str = "") -> None:
    """Draw ROC curves.

    Args:
        file: to write.
        curves: by name: false-positive rates (n,), true-positive rates (n,), area under the curve.
        title: of the plot.
    """
    figure = Figure((5.6, 5.8), layout="constrained")
    axes = _axes(
        figure,
        title or "ROC",
        "false-positive rate: share of reals called fake",
        "true-positive rate: share of fakes called fake",
    )
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance (AUC 0.500)")
    for i, (name, (fpr, tpr, area)) in enumerate(curves.items()):
        axes.plot(fpr, tpr, color=COLOURS[i % len(COLOURS)], linewidth=1.4, label=f"{name} (AUC {area:.3f})")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(loc="lower right", frameon=False, fontsize="small")
    _save(figure, file)


def confusion_matrix(file: Path, found: Confusion, title: str = "") -> None:
    """Draw a confusion matrix with counts, and their shares of the reals and of the fakes.

    Args:
        file: to write.
        found: the counts.
        title: of the plot.
    """
    counts = np.array([[found.tn, found.fp], [found.fn, found.tp]])
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure = Figure((4.4, 4.6), layout="constrained")
    axes = _axes(figure, title, "", "", grid=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (y, x), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        axes.text(x, y, f"{counts[y, x]}\n{share:.1%}", ha="center", va="center", color=colour, fontsize="large")
    axes.set_xticks([0, 1], ["called real", "called fake"])
    axes.set_yticks([0, 1], ["real", "fake"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _save(figure, file)


def reliability(
    file: Path,
    promised: NDArray[np.float64],
    found: NDArray[np.float64],
    number: NDArray[np.int64],
    title: str = "",
) -> None:
    """Draw the share of fakes over the mean p_fake of each bin; the area of a dot grows with its pictures.

    Args:
        file: to write.
        promised: mean p_fake of each bin (`metrics.reliability`).
        found: share of fakes in each bin.
        number: of pictures in each bin.
        title: of the plot.
    """
    figure = Figure((5.2, 5.4), layout="constrained")
    axes = _axes(figure, title, "p_fake, mean of the bin", "share of fakes in the bin")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect calibration")
    axes.plot(promised, found, color=BLUE, linewidth=1.2, zorder=2)
    axes.scatter(
        promised,
        found,
        s=20 + 180 * number / number.max(),
        color=BLUE,
        linewidth=0,
        zorder=3,
        label="a bin and its pictures",
    )
    for x, y, n in zip(promised, found, number, strict=True):
        axes.annotate(f"{n}", (x, y), (0, 10), textcoords="offset points", ha="center", fontsize="x-small")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.08), aspect="equal")
    axes.legend(loc="lower right", frameon=False, fontsize="small")
    _save(figure, file)


def generators(file: Path, rows: Sequence[Row], title: str = "") -> None:
    """Draw the AUC of each generator against all reals, the best on top.

    Args:
        file: to write.
        rows: of the generators; rows without an AUC are left out.
        title: of the plot.
    """
    measured = sorted(((row.auc, row) for row in rows if row.auc is not None), key=lambda pair: pair[0])
    figure = Figure((7.5, 1.5 + 0.3 * len(measured)), layout="constrained")
    axes = _axes(figure, title, "AUC against all real pictures", "generator (set), n = fakes", grid=False)
    for trained_on, (label, colour) in BARS.items():
        bars = [(y, auc) for y, (auc, row) in enumerate(measured) if row.seen is trained_on]
        if bars:
            places, areas = zip(*bars, strict=True)
            axes.barh(places, areas, color=colour, height=0.7, label=label)
    for y, (auc, _) in enumerate(measured):
        axes.text(auc + 0.008, y, f"{auc:.3f}", va="center", fontsize="small", zorder=4, bbox=PLATE)
    axes.set_yticks(range(len(measured)), [f"{row.name}, n = {row.n_fake}" for _, row in measured], fontsize="small")
    axes.axvline(0.5, color="black", linewidth=0.8, linestyle=":", label="chance")
    axes.set(xlim=(0, 1.12), ylim=(-0.6, len(measured) - 0.4))
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    _save(figure, file)


def history(file: Path, epochs: Sequence[Mapping[str, float]]) -> None:
    """Draw loss and accuracy of training and validation over the epochs.

    Args:
        file: to write.
        epochs: `loss`, `val_loss`, `accuracy` and `val_accuracy` of each epoch; missing ones are not drawn.
    """
    panels = {
        "loss": {"loss": "training", "val_loss": "validation"},
        "accuracy": {"accuracy": "training", "val_accuracy": "validation"},
    }
    steps = range(1, len(epochs) + 1)
    figure = Figure((9, 3.8), layout="constrained")
    for i, (name, keys) in enumerate(panels.items()):
        axes = _axes(figure, "", "epoch", name, position=(1, len(panels), i + 1))
        for colour, (key, label) in zip((GREY, BLUE), keys.items(), strict=True):
            if any(key in epoch for epoch in epochs):
                values = [epoch.get(key, np.nan) for epoch in epochs]
                axes.plot(steps, values, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
    _save(figure, file)


def _axes(
    figure: Figure, title: str, x: str, y: str, grid: bool = True, position: tuple[int, int, int] = (1, 1, 1)
) -> Axes:
    axes = figure.add_subplot(*position)
    axes.set_title(title, fontsize="medium")
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color="#e5e5e5", linewidth=0.7)
        axes.set_axisbelow(True)
    return axes


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=DPI)
