"""Published against reproduced: the tables of ``train/RESULTS.md``, from the records of the runs.

python -m train.results runs

A run's own record, run.json, stays where the run was made. What a table needs of it is kept in ``train/records.jsonl``,
one line for each recipe, form of the pictures and seed: a later run takes the place of an earlier one. Without a folder
the tables are written from what is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError
from train.degrade import AS_FOUND, FAIR
from train.markdown import figure, fill
from train.markdown import table as as_markdown
from train.recipes import RECIPES

RESULTS = Path(__file__).parent / "RESULTS.md"
RECORDS = Path(__file__).parent / "records.jsonl"
FORMS = {FAIR: "re-encoded", AS_FOUND: "as found"}
HEAD = (
    "recipe",
    "published accuracy",
    "pictures",
    "on its training pictures",
    "held out",
    "precision",
    "recall",
    "F1",
    "AUC",
    "AUC of the file",
    "AUC of the framing",
    "epochs",
    "started from",
    "minutes",
)
# Of a run.json, as they are.
KEPT = (
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
)

Record = Mapping[str, Any]


def read_records(folder: Path) -> list[Record]:
    """The run.json files below a folder, those of a study's recipe, in the order of the table of recipes.

    Raises:
        FacescanError: one is no record of a run.
    """
    records = []
    for file in sorted(folder.rglob("run.json")):
        try:
            record = json.loads(file.read_text("utf-8"))
            name, form = record["recipe"]["name"], record["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FacescanError(f"{file}: no record of a run: {error}") from error
        if name in RECIPES and RECIPES[name].study and form in FORMS and not record.get("partial"):
            records.append(record)
    return sorted(records, key=_place)


def read_kept(file: Path = RECORDS) -> list[Record]:
    """What was kept of earlier runs, in the same order."""
    return sorted(map(json.loads, file.read_text("utf-8").splitlines()), key=_place)


def keep(records: Sequence[Record], file: Path = RECORDS) -> None:
    """Add what a table needs of some runs to what is kept; a run takes the place of its like."""
    kept = {_place(record): record for record in (*read_kept(file), *map(_excerpt, records))}
    file.write_text("".join(f"{json.dumps(kept[place])}\n" for place in sorted(kept)), "utf-8")


def table(records: Sequence[Record]) -> str:
    """One line for each run: the accuracy that was published, and what came out here, as the network itself decides.

    Held out are the re-encoded pictures of a run on re-encoded ones, and the files themselves of a run as found.
    """
    return as_markdown(HEAD, [_line(record) for record in records])


def blocks(records: Sequence[Record]) -> dict[str, str]:
    """The parts of RESULTS.md by the name of their marker: a table for each study, and what all the runs share."""
    studies = dict.fromkeys(recipe.study.name for recipe in RECIPES.values() if recipe.study)
    tables = {}
    for study in studies:
        of_study = [r for r in records if RECIPES[r["recipe"]["name"]].study.name == study]
        missing = [
            f"{recipe.name} ({FORMS[form]})"
            for recipe in RECIPES.values()
            if recipe.study and recipe.study.name == study
            for form in FORMS
            if not any(r["recipe"]["name"] == recipe.name and r["format"] == form for r in of_study)
        ]
        parts = [table(of_study)] if of_study else []
        tables[study] = "\n\n".join([*parts, *([f"Not run yet: {', '.join(missing)}."] if missing else [])])
    return tables | {"circumstances": _circumstances(records)}


def main(folder: str | None = None) -> None:
    if folder is not None:
        keep(read_records(Path(folder)))
    fill(RESULTS, blocks(read_kept()))


def _place(record: Record) -> tuple[int, int, int]:
    """Recipe, form of the pictures and seed, in the order of the tables."""
    return list(RECIPES).index(record["recipe"]["name"]), list(FORMS).index(record["format"]), record["seed"]


def _excerpt(record: Record) -> Record:
    """What a line says of a run, and by what it can be told whether another run is its like."""
    recipe, form = record["recipe"], record["format"]
    return {
        "recipe": {
            "name": recipe["name"],
            "study": {"accuracy": recipe["study"]["accuracy"]},
            "training": {key: recipe["training"][key] for key in ("epochs", "learning_rate")},
        },
        "test_auc": {form: record["test_auc"][form]},
        "probes": {name: {form: areas[form]} for name, areas in record["probes"].items()},
    } | {key: record[key] for key in KEPT if key in record}


def _line(record: Record) -> tuple[str, ...]:
    recipe = record["recipe"]
    held_out, trained = record["own_rule"]["test"], record["own_rule"]["train"]
    starts = [f"{name} {_start(file)}" for name, file in record["weights"].items()]
    return (
        recipe["name"],
        figure(recipe["study"]["accuracy"], 4),
        FORMS[record["format"]] + (f", seed {record['seed']}" if record["seed"] else ""),
        figure(trained["accuracy"]),
        f"**{held_out['accuracy']:.3f}**",
        *(figure(held_out[key]) for key in ("precision", "recall", "f1")),
        figure(record["test_auc"][record["format"]]),
        *(figure(record["probes"][name][record["format"]]) for name in ("file", "framing")),
        _epochs(record),
        ", ".join(starts) or "-",
        f"{record['minutes']:.1f}",
    )


def _epochs(record: Record) -> str:
    """How many, of how many, and what else was changed to make do with them."""
    published, planned = record["recipe"]["training"], record["planned"]
    text = str(record["epochs"])
    if record["epochs"] < published["epochs"]:
        early = " (halted early)" if planned["epochs"] == published["epochs"] else ""
        text += f" of {published['epochs']}{early}"
    factor = planned["learning_rate"] / published["learning_rate"]
    return text if factor == 1 else f"{text}, at {factor:.3g} times the rate"


def _start(file: str | None) -> str:
    return "ImageNet" if file else "random"


def _circumstances(records: Sequence[Record]) -> str:
    """Machines, seeds and versions."""

    def several(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    versions = several([f"Keras {r['versions']['keras']} on {r['backend']}" for r in records])
    minutes = sum(record["minutes"] for record in records)
    return (
        f"{len(records)} runs, {minutes:.0f} minutes of training, on: {several([r['machine'] for r in records])}. "
        f"{versions}. Seeds: {several([str(r['seed']) for r in records])}."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
