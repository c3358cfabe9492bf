"""Calibrates an exported file, measures it, and writes calibration and figures into its card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scanner.detector.model import Detector
from scanner.detector.runtime import available_cpus
from train.data.crops import Crops
from train.data.degrade import FAIR
from train.evaluation.calibrate import calibrate_on, calibration_scores
from train.evaluation.evaluate import measure
from train.evaluation.figures import Evaluation
from train.onnx_export.card import write_card

# Names of the probes' figures among a card's metrics.
PROBE_METRICS = {"file": "probe_auc", "framing": "framing_probe_auc"}


def calibrate_file(
    file: Path,
    validation: Crops,
    trained_on: Iterable[str],
    training: Mapping[str, Any] | None = None,
    report: Callable[[str], None] | None = None,
) -> None:
    """Find calibration, operating points and uncertain band of a file, and write them into its card.

    Args:
        file: the exported detector; its card is replaced.
        validation: crops that the detector was not trained on, under all of `CONDITIONS`.
        trained_on: sets of the training pictures, as `set/real` and `set/fake`.
        training: what the card says about the training; None leaves that as it is.
        report: called with a warning if the detector is no better than chance; None for no warning.
    """
    detector = Detector(file, threads=available_cpus())
    found = calibrate_on(*calibration_scores(detector, validation, trained_on))
    if found.by_chance and report:
        report(f"{file.name}: no better than chance on the validation pictures: its probabilities say next to nothing")
    card = replace(
        detector.card,
        calibration=found.calibration,
        operating_points=found.operating_points,
        uncertain=found.uncertain,
    )
    write_card(file, card if training is None else replace(card, training=training))


def measure_file(file: Path, test: Crops, more_metrics: Mapping[str, Any]) -> Evaluation:
    """Measure a calibrated file, and write its key figures into its card.

    Args:
        file: the exported detector; its card's metrics are replaced.
        test: crops that the detector was not trained on, under all of `CONDITIONS`.
        more_metrics: of the card, besides the key figures.

    Returns:
        The evaluation, with the hash of the file that has the new card.
    """
    detector = Detector(file, threads=available_cpus())
    evaluation = measure(detector, test)
    write_card(file, replace(detector.card, metrics={**key_figures(evaluation), **more_metrics}))
    return replace(evaluation, sha256=Detector(file).sha256)


def key_figures(evaluation: Evaluation) -> dict[str, Any]:
    """Choose the figures of a card: pooled under each condition, and re-encoded of each generator and set of reals."""
    keys = ("auc", "ap", "tpr_5", "tpr_1", "over_5", "over_1", "uncertain", "wrong", "accuracy", "ece")

    def rounded(row: Any) -> dict[str, Any]:
        values = {key: getattr(row, key) for key in keys}
        return {"seen": row.seen, "n": row.n_real + row.n_fake} | {
            key: round(value, 3) for key, value in values.items() if value is not None
        }

    pooled = {
        condition: {row.name: rounded(row) for row in rows if row.scope == "pooled"}
        for condition, rows in evaluation.rows.items()
    }
    by_name = {
        scope: {row.name: rounded(row) for row in evaluation.rows[FAIR] if row.scope == scope}
        for scope in ("generator", "reals")
    }
    return {"pooled": pooled, FAIR: by_name}
