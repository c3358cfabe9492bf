"""Writes the figures of ``scanner/models/README.md`` from an evaluation, so that nobody copies them by hand.

python -m train.maintenance.tables default runs/default/evaluation.json

A block is named by its model and its content: ``<!-- default facts -->``. The README need not have every block.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scanner.detector.model import BUNDLED, Detector, find_model
from train.data.degrade import FAIR, TITLES
from train.evaluation.evaluate import training_facts
from train.maintenance.markdown import figure, fill, table

README = BUNDLED / "README.md"
POOLED = ("auc", "ap", "tpr_5", "tpr_1", "uncertain", "wrong", "accuracy", "precision", "recall", "f1", "ece")
BY_NAME = ("auc", "over_5", "over_1", "fake", "uncertain", "real")


def blocks(detector: Detector, rows: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Write the parts of the README, by the name of their marker.

    Args:
        detector: the bundled model.
        rows: figures by condition, as `facescan-train evaluate --out` writes them.
    """
    card = detector.card
    points = card.operating_points
    facts = [
        ("sha256", f"`{detector.sha256}`"),
        ("calibration", f"p_fake = sigmoid({card.calibration[0]:.4f} * logit {card.calibration[1]:+.4f})"),
        ("thresholds", ", ".join(f"{value} at {float(rate):.1%} false positives" for rate, value in points.items())),
        ("uncertain", f"from {card.uncertain[0]} up to, but not including, {card.uncertain[1]}"),
        ("pictures", ", ".join(f"{n} for {use}" for use, n in card.training["pictures"].items())),
        ("trained on", ", ".join(card.training["sets"])),
        ("terms of the sets", training_facts(card).get("terms", "not stated")),
        ("probe", ", ".join(f"{TITLES[c]} {auc}" for c, auc in card.metrics["probe_auc"].items())),
    ]
    pooled = [
        (TITLES[condition], row["name"], row["n_real"], row["n_fake"], *(figure(row[key]) for key in POOLED))
        for condition, found in rows.items()
        for row in found
        if row["scope"] == "pooled"
    ]
    head = ("trained on?", "pictures", "AUC", "over 5 %", "over 1 %", "called fake", "uncertain", "called real")
    return {
        "facts": table(("", ""), facts),
        "pooled": table(
            ("pictures", "sets", "real", "fake", "AUC", "AP", "TPR at 5 %", "TPR at 1 %", "uncertain", "wrong verdicts",
             "accuracy", "precision", "recall", "F1", "ECE"),
            pooled,
        ),
        "generators": table(("generator", *head), _by_name(rows[FAIR], "generator")),
        "reals": table(("set", *head), _by_name(rows[FAIR], "reals")),
    }  # fmt: skip


def main(model: str, evaluation: str) -> None:
    """Write the tables of one bundled model into the README.

    Args:
        model: name of the bundled model.
        evaluation: path of a file by `facescan-train evaluate --out`.
    """
    detector = Detector(find_model(model))
    found = json.loads(Path(evaluation).read_text("utf-8"))
    if found["sha256"] != detector.sha256:
        sys.exit(f"{evaluation}: of another file than the bundled {model}; run facescan-train evaluate")
    fill(README, {f"{model} {name}": block for name, block in blocks(detector, found["rows"]).items()})


def _by_name(rows: list[dict[str, Any]], scope: str) -> list[tuple[Any, ...]]:
    """Make the rows of one scope, sets that the model was trained on first."""
    titles = {True: "other pictures", None: "partly", False: "never"}
    return [
        (row["name"], word, row["n_real"] + row["n_fake"], *(figure(row[key]) for key in BY_NAME))
        for trained_on, word in titles.items()
        for row in rows
        if row["scope"] == scope and row["seen"] is trained_on
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
