"""facescan-train: options and exit codes. TensorFlow and the like are imported when a command needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from scanner import __version__
from scanner.errors import FacescanError

USAGE_ERROR, INTERRUPTED = 2, 130
# What the extra [train] brings, by the names they are imported under.
EXTRA = {"keras", "matplotlib", "onnx", "sklearn", "tensorflow", "tf2onnx"}

DATA = click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="An index (CSV: path,label,set,generator,group) or a folder with real/ and fake/.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="facescan-train")
def cli() -> None:
    """Train, export and measure the detectors that facescan runs."""


@cli.command("list")
def list_recipes() -> None:
    """Name the recipes."""
    from train.recipes import RECIPES

    for recipe in RECIPES.values():
        click.echo(f"{recipe.name}\t{recipe.summary} ({recipe.source})")


@cli.command()
@click.argument("recipe")
@DATA
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the model.")
@click.option(
    "--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="ImageNet weights to start from."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of splits, draws and weights.")
def fit(recipe: str, data: Path, out: Path, weights: Path | None, epochs: int | None, seed: int) -> None:
    """Fit RECIPE, calibrate, export to OUT/RECIPE.onnx and evaluate it."""
    from train.recipes import find_recipe

    chosen = find_recipe(recipe)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    from train.run import run

    run(chosen, data, out, weights, epochs, seed, click.echo)


@cli.command()
@click.argument("model")
@DATA
@click.option(
    "--run",
    "record",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A run.json: only the pictures that it kept for the test.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there, as JSON.")
def evaluate(model: str, data: Path, record: Path | None, out: Path | None) -> None:
    """Measure MODEL, a bundled name or an ONNX file, on labelled pictures."""
    import json

    from scanner.model import Detector, find_model
    from scanner.runtime import available_cpus
    from train.data import read_samples
    from train.degrade import CONDITIONS
    from train.evaluate import evaluate as measured_on
    from train.evaluate import table

    samples = read_samples(data)
    if record is not None:
        samples = _kept_for_test(samples, record)
    evaluation = measured_on(Detector(find_model(model), threads=available_cpus()), samples)
    click.echo("\n\n".join(table(evaluation, condition) for condition in CONDITIONS))
    if out is not None:
        try:
            out.write_text(json.dumps(evaluation.to_json(), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise FacescanError(f"{out}: {error.strerror}") from error


def _kept_for_test(samples: Sequence, record: Path) -> list:
    import json

    try:
        kept = set(json.loads(record.read_text(encoding="utf-8"))["splits"]["test"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FacescanError(f"{record}: no record of a run: {error}") from error
    chosen = [sample for sample in samples if sample.path in kept]
    if not chosen:
        raise FacescanError(f"{record}: none of its test pictures are in the data")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0, 2 for any error, 130 if interrupted."""
    try:
        cli.main(args=None if argv is None else list(argv), prog_name="facescan-train", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USAGE_ERROR
    except FacescanError as error:
        click.echo(f"facescan-train: {error}", err=True)
        return USAGE_ERROR
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA:
            raise
        click.echo(f"facescan-train: {error.name} is missing: pip install 'facescan[train]'", err=True)
        return USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
