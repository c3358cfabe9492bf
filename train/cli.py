"""Defines the command facescan-train: options and exit codes.

TensorFlow and other large libraries are imported only by the commands that need them.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from scanner import __version__
from scanner.errors import FacescanError, NobodyReadsError, cause_of, first_line
from scanner.options.completion import models
from scanner.options.parsing import Command
from scanner.system.allocator import keep_memory
from scanner.system.quiet import silent_libraries

if TYPE_CHECKING:
    from train.data.samples import Sample
    from train.recipes.schema import Recipe

USAGE_ERROR, INTERRUPTED, NOBODY_READS = 2, 130, NobodyReadsError.exit_code
# Modules that only training imports, and what to install if one of them is missing.
TRAINING = {"keras", "onnx", "sklearn", "tensorflow", "tf2onnx"}
PACKAGES = dict.fromkeys(TRAINING, "tensorflow keras tf2onnx onnx scikit-learn matplotlib")
PACKAGES["matplotlib"] = "matplotlib"  # all that evaluate needs
# Backends of Keras besides TensorFlow.
BACKENDS = {"jax", "torch"}

DATA = click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Labelled pictures: a folder that holds folders named real and fake, alone or inside train, valid and test; "
    "or an index, a CSV file with path,label and, if known, set,generator,group,split.",
)


SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


class Commands(click.Group):
    """Groups commands of which each refuses a repeated option that takes one value."""

    command_class = Command


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of recipes that a shell completes."""
    from train.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="facescan-train")
def cli() -> None:
    """Train, export and measure the detectors that facescan runs."""


@cli.command("list", short_help="List the recipes, or show one.")
@click.argument("recipe", required=False, shell_complete=recipes)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "toml"]),
    default="text",
    show_default=True,
    help="How to show one RECIPE: text to read, JSON for programs, or TOML to change and give to fit.",
)
def list_recipes(recipe: str | None, form: str) -> None:
    """List the recipes with their published accuracies, or show all of one RECIPE."""
    from train.recipes import RECIPES

    if recipe is not None:
        from train.own_recipes import as_toml, load_recipe
        from train.recipes.listing import describe

        chosen = load_recipe(recipe)
        if form == "json":
            click.echo(json.dumps(asdict(chosen), indent=2))
        else:
            click.echo(as_toml(chosen) if form == "toml" else describe(chosen))
        return
    if form != "text":
        raise click.UsageError("--format goes with a RECIPE")
    click.echo(f"{'recipe':24} {'accuracy':>8}  {'published by':21}  network")
    for found in RECIPES.values():
        study = found.study.name if found.study else "facescan"
        accuracy = f"{found.study.accuracy:.2%}" if found.study and found.study.accuracy is not None else "-"
        click.echo(f"{found.name:24} {accuracy:>8}  {study:21}  {found.summary}")


def _training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `fit` and `reproduce` share."""
    options = (
        click.argument("recipe", shell_complete=recipes),
        DATA,
        click.option(
            "--weights",
            multiple=True,
            default=("imagenet",),
            show_default=True,
            metavar="[BACKBONE=]imagenet|none|FILE",
            help="Starting weights of a VGG16, ResNet50 or MobileNet inside the network: imagenet (downloaded once), "
            "none (random), or a file of Keras weights without the top layers. With two backbones, give it twice.",
        ),
        click.option("--epochs", type=click.IntRange(min=1), help="Train so many epochs.  [default: the recipe's]"),
        click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            help="Train at this learning rate.  [default: the recipe's]",
        ),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Seed of the split, the augmentation and the first weights.",
        ),
        click.option("--sets", multiple=True, help="Use only this set of the index. Repeatable."),
        click.option(
            "--normalise-format/--as-found",
            default=None,
            help="Resize all pictures to one size and save them as JPEG 85 first, so that the file format cannot give "
            "the class away; or take the files as they are, as the studies did.  [default: the recipe's]",
        ),
        click.option("--terms", default="", help="Terms of use of the pictures, to be stated on the model's card."),
        click.option("--resume", is_flag=True, help="Continue a run that was stopped. A finished run stays as it is."),
        click.option("--force", is_flag=True, help="Replace the run in the folder."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@cli.command(short_help="Train a recipe on any labelled pictures.")
@_training_options
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Write the run to this folder."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe, such as dropout=0.3. facescan-train list RECIPE --format toml names all "
    "settings. Repeatable.",
)
@click.option("--validation", type=SHARE, help="Share of the groups for validation.  [default: the recipe's rule]")
@click.option("--test", type=SHARE, help="Share of the groups for the test.  [default: the recipe's rule]")
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    metavar="SET[/real|/fake]",
    help="Do not train on this set: test on it, to measure the model on a source it has never seen. Repeatable.",
)
def fit(
    recipe: str,
    data: Path,
    out: Path,
    validation: float | None,
    test: float | None,
    settings: tuple[str, ...],
    **changes: Any,
) -> None:
    """Train RECIPE on any labelled pictures, then export, calibrate and measure it.

    RECIPE is the name of a recipe, or a TOML file: facescan-train list kim-cnn --format toml prints one to start from.
    The folder OUT gets RECIPE.onnx for facescan --model, RECIPE.keras, figures, plots, and run.json, which holds all
    that is needed to repeat the run.
    """
    from train.own_recipes import load_recipe

    chosen = load_recipe(recipe, settings)
    if validation is not None or test is not None:
        split = replace(chosen.split, test_counts={}, redraw=True)
        if validation is not None:
            split = replace(split, validation=validation, validation_sets=())
        if test is not None:
            split = replace(split, test=test, test_sets=())
        if split.validation + split.test >= 1:
            raise FacescanError(
                f"--test {split.test:g} and --validation {split.validation:g} leave nothing to train on"
            )
        chosen = replace(chosen, split=split)
    if changes["normalise_format"] is None:
        changes["normalise_format"] = chosen.normalise_format
    _run(chosen, data, out, changes)


@cli.command(short_help="Repeat the study behind a recipe.")
@_training_options
@click.option("--both", is_flag=True, help="Make two runs: one with the files as found, one with --normalise-format.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Make N runs with the seeds from --seed on, and give the mean and standard deviation of their figures.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Write the run to OUT/RECIPE/as_found or OUT/RECIPE/re_encoded; with a seed N other than 0, to "
    "OUT/RECIPE/as_found_seed_N and so on.",
)
def reproduce(recipe: str, data: Path, out: Path, both: bool, seeds: int, **changes: Any) -> None:
    """Repeat the study behind RECIPE, with its data, split and settings, and compare with the published figures.

    If DATA is an index that names sets, only the study's set is used. By default the files are taken as they are, as
    the studies did. --normalise-format shows how much of the result was the file format.
    """
    from train.data.index import read_samples
    from train.evaluation.comparison import comparison, over_seeds
    from train.maintenance.results import read_records, table
    from train.recipes import find_recipe
    from train.run_record import RECORD, read_record

    chosen = find_recipe(recipe)
    if chosen.study is None:
        raise FacescanError(f"{chosen.name} comes of no study: use facescan-train fit {chosen.name}")
    if not changes["sets"] and not data.is_dir() and any(sample.set for sample in read_samples(data)):
        changes["sets"] = chosen.study.sets
    forms = (False, True) if both else (bool(changes["normalise_format"]),)
    texts = []
    for normalise_format in forms:
        records = []
        for seed in range(changes["seed"], changes["seed"] + seeds):
            form = "re_encoded" if normalise_format else "as_found"
            folder = out / chosen.name / (form if seed == 0 else f"{form}_seed_{seed}")
            _run(chosen, data, folder, changes | {"normalise_format": normalise_format, "seed": seed})
            if (folder / RECORD).is_file():
                records.append(read_record(folder / RECORD))
                texts.append(comparison(records[-1], chosen.study))
        if len(records) > 1:
            texts.append(over_seeds(records, chosen.study))
    click.echo(table(read_records(out / chosen.name)))
    click.echo("\n" + "\n\n".join(texts))


def _run(recipe: Recipe, data: Path, out: Path, changes: dict[str, Any]) -> None:
    """Run a recipe with the shared options, which have the names of `train.plan.Plan`'s fields."""
    with _quiet_import():
        from train.plan import Plan
        from train.run import run

    run(recipe, data, out, Plan(**changes), click.echo)


@cli.command(short_help="Measure a model on labelled pictures.")
@click.argument("model", shell_complete=models)
@DATA
@click.option(
    "--run",
    "record",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Measure only on the test pictures of the run in this run.json.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures to this JSON file.")
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write p_fake of every picture to this CSV file, one column for each condition.",
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw ROC curves, confusion matrix, reliability and generators into this folder. Needs matplotlib.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an HTML page with figures, curves, calibration and robustness. Needs the extra report.",
)
def evaluate(
    model: str,
    data: Path,
    record: Path | None,
    out: Path | None,
    predictions: Path | None,
    plots: Path | None,
    html: Path | None,
) -> None:
    """Measure MODEL, a bundled model or an ONNX file, on labelled pictures.

    Prints one table for each condition: as found; same size and JPEG 85; JPEG 75; JPEG 50; WebP 60; half size and back;
    and blurred. Trust the table "same size, JPEG 85": there, the file format cannot give the class away. A table has a
    row for all pictures, for each set, for each generator (against all real pictures) and for each set of real pictures
    (against all fakes).

    \b
    TP FN FP TN  fakes called fake and real, reals called fake and real, at the
                 card's threshold for 5 % false positives (0.5 if it has none);
                 acc, prec, rec and F1 (accuracy, precision, recall) use them, too
    AUC AP       area under the ROC curve; average precision
    TPR5 TPR1    share of fakes found at 5 % and 1 % false positives, with a
                 threshold chosen on these very pictures
    >5% >1%      share of scores at or over the card's thresholds for 5 % and 1 %
    ECE          expected calibration error: how far p_fake is from the truth
    unc err      share of uncertain verdicts; share of wrong ones among the rest
    """  # noqa: D301  (click's \b is a backspace)
    from scanner.detector.model import Detector, find_model
    from scanner.detector.runtime import available_cpus
    from scanner.html.charts import keep_fonts
    from scanner.output.destination import replace_file
    from train.data.degrade import CONDITIONS
    from train.data.index import read_samples
    from train.evaluation.evaluate import evaluate as measured_on
    from train.evaluation.evaluate import plot, table, trained_on
    from train.evaluation.score import write_predictions
    from train.outputs import FIGURES, PAGE, PREDICTIONS, check_output

    keep_fonts()
    # Errors that would appear after the work are found before it.
    if plots is not None:
        import train.evaluation.png_plots  # noqa: F401
    if html is not None:
        from train.evaluation.page import Source, check, page

        check()
    for file in filter(None, (out, predictions, html)):
        try:
            TemporaryFile(dir=file.parent).close()
        except OSError as error:
            raise FacescanError(f"{file}: {error.strerror}") from error
    check_output(out, FIGURES, "--out")
    check_output(predictions, PREDICTIONS, "--predictions")
    check_output(html, PAGE, "--html")
    samples = read_samples(data)
    if record is not None:
        samples = _held_out_by(samples, record)
    detector = Detector(find_model(model), threads=available_cpus())
    known = trained_on(detector.card, samples)
    if known:
        click.echo(
            f"facescan-train: WARNING: the model was trained on {len(known)} of these {len(samples)} pictures: the "
            "figures below are no test of it; --run RUN/run.json evaluates only the pictures held out for the test",
            err=True,
        )
    evaluation = measured_on(detector, samples)
    click.echo("\n\n".join(table(evaluation, condition) for condition in CONDITIONS))
    if evaluation.faceless or evaluation.broken:
        click.echo(f"\nleft out: {len(evaluation.faceless)} without a face, {len(evaluation.broken)} broken")
    try:
        if out is not None:
            out.write_text(json.dumps(evaluation.to_json() | {"trained_on": known}, indent=1) + "\n", encoding="utf-8")
        if predictions is not None:
            write_predictions(predictions, evaluation.scores)
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
            plot(evaluation, plots)
        if html is not None:
            content = page(evaluation, detector.card, Source(data, record, samples)).encode()
            replace_file(str(html), content, PAGE, "--html")
    except OSError as error:
        raise FacescanError(f"{error.filename}: {error.strerror}") from error


def _held_out_by(samples: Sequence[Sample], record: Path) -> list[Sample]:
    """Return the samples that a run held out for the test."""
    from train.run_record import read_record

    paths = set(read_record(record, ("splits",)).splits.get("test", ()))
    chosen = [sample for sample in samples if sample.path in paths]
    if not chosen:
        raise FacescanError(f"{record}: none of its test pictures are in the data")
    return chosen


@cli.command("card", short_help="Print or write the card of an ONNX file.")
@click.argument("model", shell_complete=models)
@click.option(
    "--set",
    "values",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the card in this JSON file into MODEL.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --set, write to this file and leave MODEL as it is.",
)
def show_or_set_card(model: str, values: Path | None, out: Path | None) -> None:
    """Print the card of MODEL, a bundled model or an ONNX file, as JSON; or write a card into it.

    If the card is missing or incomplete, the values that have to be filled in are null.
    """
    from scanner.detector.model import find_model
    from train.onnx_export.card import find_card, is_bundled, parse_card, read_values, write_card
    from train.outputs import MODEL, check_output

    file = find_model(model)
    if values is not None:
        if is_bundled(out or file):
            raise FacescanError(f"{out or file}: comes with facescan and stays as it is: --out names another file")
        check_output(out, MODEL, "--out")
        write_card(file, parse_card(read_values(values), str(values)), out)
        return
    if out is not None:
        raise click.UsageError("--out goes with --set")
    found = find_card(file)
    click.echo(json.dumps(found.values, indent=1))
    if found.trouble:
        columns = f"; the output has {found.columns} columns" if found.columns else ""
        nulls = f"Fill in what is null ({', '.join(found.nulls)}{columns})" if found.nulls else "Correct it"
        click.echo(f"facescan-train: {found.trouble}", err=True)
        click.echo(f"{nulls}, then: facescan-train card {model} --set CARD.json", err=True)


@cli.command("export", short_help="Export a run again, or make it smaller.")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@DATA
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8", "int8-tokens"]),
    default="fp32",
    show_default=True,
    help="How to store and compute the weights.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file.  [default: NAME.onnx or NAME.PRECISION.onnx in RUN]",
)
def export_run(run: Path, data: Path, precision: str, out: Path | None) -> None:
    """Export the model in RUN, a folder that fit wrote, to ONNX again. DATA must be the pictures it was trained on.

    fp16 stores the weights in 16 bits and computes in 32: half the size. int8 stores and computes in 8 bits: a quarter
    of the size, and faster on CPUs. int8-tokens is the same for vision transformers. All are calibrated again and
    compared with fp32 on the run's test pictures; the new card has the new figures.
    """
    from train.outputs import MODEL, check_output

    check_output(out, MODEL, "--out")
    with _quiet_import():
        from train.reexport import export_again, export_smaller

    if precision == "fp32":
        export_again(run, data, out, click.echo)
    else:
        export_smaller(run, data, precision, out, click.echo)


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Silence TensorFlow, which reports missing GPUs when it is imported and later, and switch oneDNN on.

    TensorFlow leaves oneDNN off on processors without instructions for networks, where it makes training faster, too
    (train/EXPERIMENTS.md).

    Raises:
        FacescanError: KERAS_BACKEND names a backend that cannot train.
    """
    backend = os.environ.get("KERAS_BACKEND")
    if backend and backend not in {"tensorflow"} | BACKENDS:
        raise FacescanError(f"KERAS_BACKEND={backend}: nothing that trains; use tensorflow, jax or torch, or unset it")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from scanner.html.charts import keep_fonts

    keep_fonts()  # Keras imports Matplotlib
    with silent_libraries():
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 0, 2 for any error, 130 if interrupted, 141 if nobody reads the output."""
    keep_memory()
    try:
        cli.main(args=None if argv is None else list(argv), prog_name="facescan-train", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return USAGE_ERROR
    except (BrokenPipeError, NobodyReadsError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:  # click has printed completions
            return 0
        # Click itself exits with 1 if nobody reads standard output any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more at its exit
        return NOBODY_READS
    except FacescanError as error:
        click.echo(f"facescan-train: {error}", err=True)
        return USAGE_ERROR
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in PACKAGES.keys() | BACKENDS:
            return _fail_internally(error)
        wanted = PACKAGES.get(package, f"{package}, or unset KERAS_BACKEND")
        click.echo(f"facescan-train: {package} is missing: pip install {wanted}", err=True)
        return USAGE_ERROR
    except OSError as error:  # a full disk, a deleted folder
        click.echo(f"facescan-train: {cause_of(error)}", err=True)
        return USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # a bug of ours or of a library
        return _fail_internally(error)
    return 0


def _fail_internally(error: Exception) -> int:
    if os.environ.get("FACESCAN_TRACEBACK"):
        traceback.print_exception(error)
    hint = "please report it, with what FACESCAN_TRACEBACK=1 shows"
    click.echo(f"facescan-train: internal error: {type(error).__name__}: {first_line(error)}; {hint}", err=True)
    return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
