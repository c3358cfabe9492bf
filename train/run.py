"""From a recipe and pictures to a model file: split, fit, export, calibrate, evaluate; and the record of it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import keras

from scanner.detector.card import Card
from scanner.detector.model import Detector
from scanner.detector.runtime import available_cpus
from scanner.errors import FacescanError
from scanner.output.destination import replace_file
from train.data.crops import Condition, Crops, crops
from train.data.degrade import AS_FOUND, CONDITIONS, FAIR, conditions
from train.data.hash_split import short_hash, with_contents
from train.data.index import data_hash, names, of_sets, set_names
from train.data.layouts import read_layout, summary
from train.data.samples import LABELS, Sample
from train.data.split import Splits, split
from train.data.unusable import find_usable
from train.evaluation import png_plots as plots
from train.evaluation.calibrate import calibrate_on, calibration_scores
from train.evaluation.comparison import RULES, other_pictures
from train.evaluation.evaluate import measure, plot, table
from train.evaluation.figures import Evaluation
from train.evaluation.metrics import Confusion, confusion
from train.evaluation.probe import PROBES, probe_aucs
from train.fitting.checkpoint import Checkpoint
from train.fitting.fit import fit, logits
from train.fitting.network import layer_table
from train.fitting.weights import resolve
from train.onnx_export.card import write_card
from train.onnx_export.export import OPSET, export
from train.recipes.schema import Recipe, Split

RECORD = "run.json"
# Of a card whose user stated no terms of use.
NO_TERMS = "not stated"
# What of a recipe decides the weights; its texts and published figures do not.
TRAINED_BY = (
    "architecture",
    "options",
    "dropout",
    "inputs",
    "output",
    "labels",
    "training",
    "split",
    "region",
    "margin",
    "framework",
)
PACKAGES = (
    "facescan",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "tf2onnx",
    "onnx",
    "onnxruntime-gpu",
    "onnxruntime",
    "numpy",
)
# Area under the ROC curve by probe (`train.evaluation.probe.PROBES`) and condition.
Probes = Mapping[str, Mapping[str, float]]
# What a card calls their figures.
PROBED = {"file": "probe_auc", "framing": "framing_probe_auc"}
# Real pictures on which the exported file is compared with Keras.
COMPARED = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run may change in a recipe.

    Attributes:
        weights: what the backbones start from, as `train.fitting.weights.resolve` takes it.
        epochs: instead of the recipe's.
        learning_rate: instead of the recipe's.
        seed: of splits, draws and weights.
        sets: the sets of an index to use; empty for all.
        left_out: sets kept for the test whole, besides the recipe's, as `set`, `set/real` or `set/fake`; groups that
            reach into them follow, and a recipe that counts its test pictures is split by shares.
        normalise_format: whether every picture is brought to one size and saved alike first.
        terms: of use of the pictures, for the card, in the user's words.
        resume: whether a run that was stopped is continued, and one that is finished left as it is.
        force: whether the run that the folder holds is replaced.
    """

    weights: tuple[str, ...] = ()
    epochs: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    sets: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    normalise_format: bool = False
    terms: str = ""
    resume: bool = False
    force: bool = False


def run(recipe: Recipe, data: Path, out: Path, plan: Plan, report: Callable[[str], None] = print) -> Path:
    """Make the recipe's detector, `out`/NAME.onnx.

    Beside it come NAME.keras, run.json (all that is needed to repeat the run), history.csv, curves.png,
    evaluation.json and .txt, and the plots of `evaluate.plot`. While it trains, a checkpoint is written after
    every epoch. Ctrl-C ends the training after the last whole epoch; what comes of it is measured, and run.json says
    `partial`.

    Raises:
        FacescanError: the data cannot be read, a split lacks a class, `out` cannot be written or holds another run, or
            the export differs from Keras.
        KeyboardInterrupt: Ctrl-C ended the training; the files are those of the partial run.
    """
    file = out / f"{recipe.name}.onnx"
    if plan.resume and not plan.force and _finished(out):
        report(f"{out}: is finished already")
        return file
    training = replace(
        recipe.training,
        epochs=plan.epochs or recipe.training.epochs,
        learning_rate=plan.learning_rate or recipe.training.learning_rate,
    )
    planned = replace(recipe, training=training)
    found = read_layout(data)
    found = with_contents(of_sets(found, plan.sets) if plan.sets else found)
    report(summary(data, found))
    usable = find_usable(found)
    samples, hashed = usable.samples, data_hash(found)
    if usable.summary:
        report(usable.summary)
    splits = split(samples, _rule(recipe, samples, plan.left_out), plan.seed)
    weights = resolve(plan.weights, recipe.backbones)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise FacescanError(f"{out}: {error.strerror}") from error
    checkpoints = _checkpoints(planned, out, plan, hashed)
    card = recipe.card()
    ways = conditions(card)
    form = FAIR if plan.normalise_format else AS_FOUND
    train = _crops("train", splits.train, card, [ways[form]], report)
    validation = _crops("validation", splits.validation, card, list(ways.values()), report)
    test = _crops("test", splits.test, card, list(ways.values()), report)

    fitted = fit(planned, train, _under(validation, form), plan.seed, weights, report, checkpoints)
    fitted.model.save(out / f"{recipe.name}.keras")
    _write_history(fitted.history, out)
    compared = [*test.regions[0][:: max(1, len(test.samples) // COMPARED)]]
    difference = export(fitted.model, recipe, card, file, compared)
    report(f"{file.name}: probabilities differ from Keras' by at most {difference:.1e} on {len(compared)} pictures")

    probes = {name: dict(zip(CONDITIONS, probe_aucs(name, train, test), strict=True)) for name in PROBES}
    evaluation = finish(file, splits, validation, test, plan.seed, probes, plan.terms, report)
    for condition in CONDITIONS:
        report(table(evaluation, condition))
        told = ", ".join(f"{name} {areas[condition]:.3f}" for name, areas in probes.items())
        report(f"AUC without looking at the face (train/evaluation/probe.py): {told}\n")
    own_rule = {
        name: confusion(seen.fake, logits(fitted.model, seen.regions[0], recipe) >= 0)
        for name, seen in (("train", train), ("test", _under(test, form)))
    }
    record = {
        "recipe": asdict(recipe),
        "seed": plan.seed,
        "sets": list(plan.sets) or sorted({sample.set for sample in samples}),
        "left_out": list(plan.left_out),
        "format": form,
        "epochs": len(fitted.history) // training.members,
        "planned": {"epochs": training.epochs, "learning_rate": training.learning_rate},
        "partial": fitted.partial,
        "minutes": round(sum(point["seconds"] for point in fitted.history) / 60, 2),
        "machine": machine(),
        "parameters": fitted.model.count_params(),
        "layers": layer_table(fitted.model),
        "weights": {name: Path(path).name if path else None for name, path in weights.items()},
        "weights_sha256": {
            name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in weights.items() if path
        },
        "backend": keras.backend.backend(),
        "tf_enable_onednn_opts": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "versions": _versions(),
        "opset": OPSET,
        "data_sha256": hashed,
        "other_pictures": other_pictures(samples, recipe.study.paper) if recipe.study else "",
        "onnx_minus_keras": difference,
        "own_rule": {name: figures(found) for name, found in own_rule.items()},
        "test_auc": {condition: evaluation.row("pooled", "all", condition).auc for condition in CONDITIONS},
        "probes": probes,
        "unused": dict(usable.left_out)
        | {
            kind: [sample.path for part in (train, validation, test) for sample in getattr(part, kind)]
            for kind in ("broken", "faceless")
        },
        "history": fitted.history,
        "splits": {name: [s.path for s in getattr(splits, name)] for name in ("train", "validation", "test")},
    }
    (out / "evaluation.json").write_text(json.dumps(evaluation.to_json(), indent=1) + "\n", encoding="utf-8")
    (out / "evaluation.txt").write_text("\n\n".join(table(evaluation, c) for c in CONDITIONS) + "\n", encoding="utf-8")
    plot(evaluation, out)
    if recipe.study:
        # The study's own rule; the card's operating point stands beside, under its name.
        os.replace(out / "confusion.png", out / "confusion_at_5_percent_false_alarms.png")
        plots.confusion_matrix(
            out / "confusion.png", own_rule["test"], f"{recipe.name} ({form}): {RULES[recipe.output]}"
        )
    # Last, and in one piece: a folder with run.json is a whole run.
    replace_file(str(out / RECORD), (json.dumps(record, indent=1) + "\n").encode(), None, "--out")
    if fitted.partial:
        report(f"{out}: a partial run, of {record['epochs']} of {training.epochs} epochs: --resume continues it")
        raise KeyboardInterrupt
    for checkpoint in checkpoints:
        checkpoint.remove()
    return file


def _finished(out: Path) -> bool:
    """Whether the folder holds a run that went to its end."""
    try:
        return not json.loads((out / RECORD).read_text("utf-8")).get("partial", False)
    except OSError:
        return False
    except (ValueError, AttributeError) as error:
        raise FacescanError(f"{out / RECORD}: no record of a run: --force replaces it") from error


def _checkpoints(recipe: Recipe, out: Path, plan: Plan, hashed: str) -> list[Checkpoint]:
    """The checkpoints of a run, one for each member; those of another run are in the way unless `force` removes them.

    Raises:
        FacescanError: the folder holds a run that nobody asked to continue or to replace.
    """
    files = [out / f"checkpoint_{number}.npz" for number in range(1, recipe.training.members + 1)]
    if plan.force:
        (out / RECORD).unlink(missing_ok=True)
        for file in out.glob("checkpoint_*.npz"):
            file.unlink()
    elif _finished(out):
        raise FacescanError(f"{out}: holds a finished run: --force replaces it, --out names another folder")
    elif not plan.resume and any(file.exists() for file in files):
        raise FacescanError(f"{out}: holds a run that was stopped: --resume continues it, --force starts anew")
    form = FAIR if plan.normalise_format else AS_FOUND
    made_by = {key: value for key, value in _stated(recipe).items() if key in TRAINED_BY}
    values = json.dumps([made_by, plan.seed, plan.weights, plan.left_out, form, hashed], sort_keys=True)
    identity = hashlib.sha256(values.encode()).hexdigest()
    return [Checkpoint(file, identity) for file in files]


def _stated(value: Any) -> Any:
    """Fields that differ from their defaults: a field that is added later leaves the identity of older runs alone."""
    if not is_dataclass(value):
        return [_stated(one) for one in value] if isinstance(value, tuple) else value
    stated = {}
    for field in fields(value):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if getattr(value, field.name) != default:
            stated[field.name] = _stated(getattr(value, field.name))
    return stated


def finish(
    file: Path,
    splits: Splits,
    validation: Crops,
    test: Crops,
    seed: int,
    probes: Probes,
    terms: str = "",
    report: Callable[[str], None] = print,
) -> Evaluation:
    """Calibrate an exported file on pictures it has not been trained on, measure it, and write both into its card.

    Args:
        file: the exported detector; its card is replaced.
        splits: whose pictures were used for what.
        validation: to calibrate on.
        test: to measure on.
        seed: of the run.
        probes: areas under the ROC curve of what does not look at the face.
        terms: of use of the training pictures, as the user states them.
        report: told what a user must know.
    """
    detector = Detector(file, threads=available_cpus())
    trained_on = set_names(splits.train)
    scores, labels, weights = calibration_scores(detector, validation, trained_on)
    fitted = calibrate_on(scores, labels, weights)
    if fitted.by_chance:
        report(f"{file.name}: no better than chance on the validation pictures: its probabilities say next to nothing")
    card = replace(
        detector.card,
        calibration=fitted.calibration,
        operating_points=fitted.operating_points,
        uncertain=fitted.uncertain,
        training={
            "sets": trained_on,
            "calibration_sets": set_names(splits.validation),
            "test_sets": set_names(splits.test),
            "pictures": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
            "seed": seed,
            "terms": terms or NO_TERMS,
            "picture_hashes": " ".join(sorted({short_hash(sample.content) for sample in splits.train})),
        },
    )
    write_card(file, card)
    evaluation = measure(Detector(file, threads=available_cpus()), test)
    areas = {PROBED[name]: {key: round(area, 3) for key, area in found.items()} for name, found in probes.items()}
    write_card(file, replace(card, metrics=key_figures(evaluation) | areas))
    return replace(evaluation, sha256=Detector(file).sha256)


def key_figures(evaluation: Evaluation) -> dict[str, Any]:
    """What a card says: pooled figures under each condition, and every generator and set of reals re-encoded."""
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


def figures(found: Confusion) -> dict[str, Any]:
    """A confusion matrix and what follows of it, fake being positive."""
    values = {key: getattr(found, key) for key in ("accuracy", "precision", "recall", "f1")}
    return asdict(found) | {key: None if value is None else round(value, 4) for key, value in values.items()}


def machine() -> str:
    """Processor and cores, for the record."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return f"{os.cpu_count()} cores, {names[0] if names else platform.processor() or platform.machine()}"


def _rule(recipe: Recipe, samples: Sequence[Sample], left_out: tuple[str, ...]) -> Split:
    """The recipe's split with more sets kept for the test."""
    if not left_out:
        return recipe.split
    known = {name for sample in samples for name in names(sample)}
    missing = [name for name in left_out if name not in known]
    if missing:
        raise FacescanError(f"no pictures of {', '.join(missing)} among {', '.join(sorted(known))}: see --leave-out")
    return replace(recipe.split, test_counts={}, test_sets=(*recipe.split.test_sets, *left_out))


def _under(seen: Crops, condition: str) -> Crops:
    """The regions of one of `CONDITIONS` only."""
    return replace(seen, regions=(seen.regions[CONDITIONS.index(condition)],))


def _crops(
    name: str, samples: Sequence[Sample], card: Card, ways: Sequence[Condition], report: Callable[[str], None]
) -> Crops:
    seen = crops(samples, card, ways)
    counts = Counter(LABELS[sample.fake] for sample in seen.samples)
    report(
        f"{name}: {counts['real']} real, {counts['fake']} fake; "
        f"{len(seen.faceless)} without a face, {len(seen.broken)} broken"
    )
    for label in LABELS:
        if not counts[label]:
            raise FacescanError(
                f"{name}: no {label} picture in this split: more pictures, other shares (--validation, --test of fit), "
                "or another --seed"
            )
    return seen


def _write_history(history: Sequence[Mapping[str, float]], out: Path) -> None:
    with (out / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]])
        writer.writeheader()
        writer.writerows({"epoch": i} | dict(point) for i, point in enumerate(history, start=1))
    plots.history(out / "curves.png", history)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # one of the two builds of ONNX Runtime, or another backend
            continue
    return found
