"""Writes the tables of ``train/RESULTS.md``, published figures beside reproduced ones, from the records of runs.

python -m train.maintenance.results runs

``train/records.jsonl`` holds excerpts of run.json files, one line for each recipe, form of the pictures and seed: a
later run replaces an earlier one. Without a folder the tables are written from these lines. Only whole runs are shown:
all epochs, at the recipe's learning rate, with the recipe as it is now, every backbone from ImageNet weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.data.degrade import AS_FOUND, FAIR
from train.evaluation.comparison import FIGURES, confusion_of, figures_of, share_interval
from train.maintenance.markdown import figure, fill
from train.maintenance.markdown import table as as_markdown
from train.recipes import RECIPES
from train.recipes.schema import Training
from train.recipes.studies import Study
from train.run_record import RECORD, RunRecord, read_record

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
RECORDS = Path(__file__).parents[1] / "records.jsonl"
FORMS = {AS_FOUND: "as found", FAIR: "one format"}
HEAD = (
    "recipe",
    "pictures",
    "test",
    "accuracy: published",
    "here",
    "95 % interval",
    "precision, recall, F1 of",
    "published",
    "here",
    "AUC",
    "AUC of the file",
    "AUC of the framing",
    "epochs",
    "minutes",
)
# Backbones whose ImageNet weights were not available when the runs were made.
WITHOUT_WEIGHTS = ("vgg16", "resnet50", "mobilenet_v2")
# Keys that an excerpt of run.json has unchanged.
EXCERPT = (
    "format",
    "seed",
    "epochs",
    "planned",
    "weights",
    "own_rule",
    "minutes",
    "machine",
    "backend",
    "versions",
    "parameters",
    "data_sha256",
    "other_pictures",
)


def read_records(folder: Path) -> list[RunRecord]:
    """Read the run.json files below a folder that are whole runs of a study's recipe.

    Returns:
        The records in the order of the tables: by recipe, form of the pictures and seed.

    Raises:
        FacescanError: a run.json is no record of a run.
    """
    records = []
    for file in sorted(folder.rglob(RECORD)):
        record = read_record(file, ("recipe", "format"))
        if record.name in _studies() and record.format in FORMS and not record.partial:
            records.append(record)
    return sorted(records, key=_place)


def read_kept(file: Path = RECORDS) -> list[RunRecord]:
    """Read the excerpts of earlier runs, in the order of the tables."""
    lines = file.read_text("utf-8").splitlines()
    return sorted((RunRecord.from_json(json.loads(line)) for line in lines), key=_place)


def keep(records: Sequence[RunRecord], file: Path = RECORDS) -> None:
    """Add excerpts of runs to a file; a run replaces one of the same recipe, form of the pictures and seed."""
    by_place = {_place(record): record for record in (*read_kept(file), *records)}
    file.write_text("".join(f"{json.dumps(_excerpt(by_place[place]))}\n" for place in sorted(by_place)), "utf-8")


def is_whole(record: RunRecord) -> bool:
    """Decide whether a run did all that its recipe asks for, as the recipe is now."""
    training = RECIPES[record.name].training
    planned = {"epochs": training.epochs, "learning_rate": training.learning_rate}
    try:  # a field that an earlier record lacks has its default
        as_now = Training(**record.recipe["training"]) == training
    except TypeError:
        as_now = False
    return as_now and record.planned == planned and all(record.weights.values())


def table(records: Sequence[RunRecord]) -> str:
    """Make the table of published and reproduced figures, with a line for each run, by the study's own rule."""
    return as_markdown(HEAD, [_line(record) for record in records])


def blocks(records: Sequence[RunRecord]) -> dict[str, str]:
    """Write the parts of RESULTS.md, by the name of their marker."""
    whole = [record for record in records if is_whole(record)]
    return {
        "whole runs": table(whole) if whole else "No whole run is finished yet.",
        "not run yet": _not_run(whole),
        "not reproduced here": _without_weights(),
        "papers": _papers(),
        "circumstances": _circumstances(whole),
    }


def main(folder: str | None = None) -> None:
    """Add the runs in a folder, if one is given, to the records, and write the tables of all records."""
    if folder is not None:
        keep(read_records(Path(folder)))
    fill(RESULTS, blocks(read_kept()))


def _place(record: RunRecord) -> tuple[int, int, int]:
    """Return positions of recipe and form of the pictures, and the seed: the order of the tables."""
    return list(RECIPES).index(record.name), list(FORMS).index(record.format), record.seed


def _excerpt(record: RunRecord) -> dict[str, Any]:
    """Choose the keys that the tables show or that identify a run."""
    form, values = record.format, record.to_json()
    return {
        "recipe": {"name": record.name, "training": record.recipe["training"]},
        "test_auc": {form: record.test_auc[form]},
        "probes": {name: {form: areas[form]} for name, areas in record.probes.items()},
    } | {key: values[key] for key in EXCERPT}


def _line(record: RunRecord) -> tuple[str, ...]:
    recipe, form = RECIPES[record.name], record.format
    study, found = _studies()[recipe.name], confusion_of(record.own_rule["test"])
    here = figures_of(found, study.positive)
    low, high = share_interval(found, study.positive, "accuracy") or (None, None)
    return (
        recipe.name,
        FORMS[form] + (f", seed {record.seed}" if record.seed else ""),
        f"{found.tn + found.fp} real, {found.tp + found.fn} fake",
        figure(study.accuracy, 4),
        f"**{figure(here['accuracy'], 4)}**",
        f"{figure(low)} to {figure(high)}",
        "fake (not said)" if study.positive == "not said" else study.positive,
        ", ".join(figure(getattr(study, name)) for name in FIGURES[1:]),
        ", ".join(figure(here[name]) for name in FIGURES[1:]),
        figure(record.test_auc[form]),
        *(figure(record.probes[name][form]) for name in ("file", "framing")),
        _epochs(record),
        f"{record.minutes:.1f}",
    )


def _epochs(record: RunRecord) -> str:
    """Say how many epochs a run had, out of how many, and by what factor its learning rate differed."""
    published, planned = RECIPES[record.name].training, record.planned
    text = str(record.epochs)
    if record.epochs < published.epochs:
        early = " (stopped early, as the study did)" if planned["epochs"] == published.epochs else ""
        text += f" of {published.epochs}{early}"
    factor = planned["learning_rate"] / published.learning_rate
    return text if factor == 1 else f"{text}, at {factor:.3g} times the rate"


def _not_run(whole: Sequence[RunRecord]) -> str:
    done = {(record.name, record.format) for record in whole}
    missing = [
        f"{name} ({FORMS[form]})"
        for name in _studies()
        if not set(RECIPES[name].backbones) & set(WITHOUT_WEIGHTS)
        for form in FORMS
        if (name, form) not in done
    ]
    return f"Not run whole yet: {', '.join(missing)}." if missing else ""


def _without_weights() -> str:
    rows = []
    for name, study in _studies().items():
        missing = [backbone for backbone in RECIPES[name].backbones if backbone in WITHOUT_WEIGHTS]
        if missing:
            command = f"`facescan-train reproduce {name} --data DATA --both`"
            rows.append((name, study.name, figure(study.accuracy, 4), ", ".join(missing), command))
    return as_markdown(("recipe", "study", "published accuracy", "weights that were missing", "command"), rows)


def _papers() -> str:
    papers = {study.paper.name: study.paper for study in _studies().values()}
    rows = [(name, paper.title, paper.venue, paper.data) for name, paper in papers.items()]
    return as_markdown(("study", "title", "published", "pictures"), rows)


def _studies() -> dict[str, Study]:
    """Return the published study of each recipe that has one, by the recipe's name."""
    return {recipe.name: recipe.study for recipe in RECIPES.values() if recipe.study}


def _circumstances(records: Sequence[RunRecord]) -> str:
    """List machines, seeds and versions of the runs."""

    def several(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    if not records:
        return ""
    versions = several([f"Keras {r.versions['keras']} on {r.backend}" for r in records])
    minutes = sum(record.minutes for record in records)
    return (
        f"{len(records)} runs, {minutes:.0f} minutes of training, on: {several([r.machine for r in records])}. "
        f"{versions}. Seeds: {several([str(r.seed) for r in records])}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
