"""facescan-train: options and exit codes. TensorFlow and the like are imported when a command needs them."""

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
    from train.recipes.schema import Recipe

USAGE_ERROR, INTERRUPTED, NOBODY_READS = 2, 130, NobodyReadsError.exit_code
# What training needs besides: the names that are imported, and what to install where one is missing.
TRAINING = {"keras", "onnx", "sklearn", "tensorflow", "tf2onnx"}
PACKAGES = dict.fromkeys(TRAINING, "tensorflow keras tf2onnx onnx scikit-learn matplotlib")
PACKAGES["matplotlib"] = "matplotlib"  # evaluate needs nothing else
# Other backends of Keras.
BACKENDS = {"jax", "torch"}

DATA = click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="A data set's folder as it is unpacked: folders named real and fake, alone or inside train, valid and test; "
    "or an index: CSV with path,label and, if known, set,generator,group,split.",
)


SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


class Commands(click.Group):
    """Every command refuses an option that takes one value and is given two."""

    command_class = Command


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names that a shell offers."""
    from train.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="facescan-train")
def cli() -> None:
    """Train, export and measure the detectors that facescan runs."""


@cli.command("list", short_help="Name the recipes, or show one.")
@click.argument("recipe", required=False, shell_complete=recipes)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "toml"]),
    default="text",
    show_default=True,
    help="Of one RECIPE: a page to read; for machines; or a file that fit takes, to change and train.",
)
def list_recipes(recipe: str | None, form: str) -> None:
    """Name the recipes, with what was published of each; or show one RECIPE whole."""
    from train.recipes import RECIPES

    if recipe is not None:
        from train.own_recipes import as_toml, load_recipe
        from train.recipes.listing import describe

        write = {"text": describe, "toml": as_toml, "json": lambda found: json.dumps(asdict(found), indent=2)}
        click.echo(write[form](load_recipe(recipe)))
        return
    if form != "text":
        raise click.UsageError("--format goes with a RECIPE")
    click.echo(f"{'recipe':24} {'accuracy':>8}  {'published by':21}  network")
    for found in RECIPES.values():
        study = found.study.name if found.study else "facescan"
        accuracy = f"{found.study.accuracy:.2%}" if found.study and found.study.accuracy is not None else "-"
        click.echo(f"{found.name:24} {accuracy:>8}  {study:21}  {found.summary}")


def _training_options(command: Callable) -> Callable:
    """The options that `fit` and `reproduce` share."""
    options = (
        click.argument("recipe", shell_complete=recipes),
        DATA,
        click.option(
            "--weights",
            multiple=True,
            default=("imagenet",),
            show_default=True,
            metavar="[BACKBONE=]imagenet|none|FILE",
            help="What a VGG16, ResNet50 or MobileNet within the network starts from: ImageNet weights, downloaded "
            "once; random ones; or a file of Keras' weights without the top. Repeat it for each of two backbones.",
        ),
        click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's."),
        click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Instead of the recipe's."),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Splits, draws, weights."
        ),
        click.option("--sets", multiple=True, help="Only this set of the index. Repeatable."),
        click.option(
            "--normalise-format/--as-found",
            default=None,
            help="Bring all pictures to one size and save them as JPEG 85 first, so that no file format gives a class "
            "away; or take the files as they are. By default as the recipe says: the studies took them as found.",
        ),
        click.option("--terms", default="", help="Terms of use of the pictures, for the card of the model."),
        click.option("--resume", is_flag=True, help="Continue a run that was stopped; leave one that is finished."),
        click.option("--force", is_flag=True, help="Replace the run that the folder holds."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@cli.command(short_help="Fit a recipe to any pictures.")
@_training_options
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the model.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe: learning_rate, epochs, batch, optimizer, schedule, augmentation, dropout, "
    "patience and others, named as list RECIPE --format toml names them. Repeatable.",
)
@click.option("--validation", type=SHARE, help="Share of the groups for validation, instead of the recipe's rule.")
@click.option("--test", type=SHARE, help="Share of the groups for the test, instead of the recipe's rule.")
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    metavar="SET[/real|/fake]",
    help="Keep this set whole for the test, to see how the model does on what it has never seen. Repeatable.",
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
    """Fit RECIPE to any pictures: trained, exported, calibrated, measured.

    RECIPE is one of the list, or a TOML file: facescan-train list kim-cnn --format toml prints one to start from. OUT
    gets RECIPE.onnx, which `facescan --model` runs; RECIPE.keras; the curves, figures and plots; and run.json, with all
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
@click.option("--both", is_flag=True, help="Two runs: the files as found, and with --normalise-format.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="So many runs, from --seed on, with the mean and standard deviation of their figures.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs; the run goes to OUT/RECIPE/as_found or OUT/RECIPE/re_encoded; _seed_N is added to another "
    "seed's than 0.",
)
def reproduce(recipe: str, data: Path, out: Path, both: bool, seeds: int, **changes: Any) -> None:
    """Repeat the study behind RECIPE: its data, split and hyper-parameters; its figures beside the published ones.

    If DATA is an index that names sets, only that of the study is used. By default the files are taken as found, which
    is what the studies did; --normalise-format is the control: how much of the figure was the file format.
    """
    from train.data.index import read_samples
    from train.evaluation.comparison import comparison, over_seeds
    from train.maintenance.results import read_records, table
    from train.recipes import find_recipe

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
            if (folder / "run.json").is_file():
                records.append(json.loads((folder / "run.json").read_text("utf-8")))
                texts.append(comparison(records[-1], chosen.study))
        if len(records) > 1:
            texts.append(over_seeds(records, chosen.study))
    click.echo(table(read_records(out / chosen.name)))
    click.echo("\n" + "\n\n".join(texts))


def _run(recipe: Recipe, data: Path, out: Path, changes: dict[str, Any]) -> None:
    """Run a recipe with the shared options, which have the names of `train.run.Plan`'s fields."""
    with _quiet_import():
        from train.run import Plan, run

    run(recipe, data, out, Plan(**changes), click.echo)


@cli.command(short_help="Measure a model on labelled pictures.")
@click.argument("model", shell_complete=models)
@DATA
@click.option(
    "--run",
    "record",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A run.json: only the pictures that it kept for the test.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there, as JSON.")
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write p_fake of every picture there, as CSV, a column for each condition.",
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw the ROC curves, confusion matrix, reliability and generators into this folder. Needs matplotlib.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page to look at there: figures, curves, calibration, robustness. Needs the extra report.",
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
    """Measure MODEL, a bundled name or an ONNX file, on labelled pictures.

    One table for each way the pictures come: as found; brought to one size and saved as JPEG 85, which takes from a
    class what its format gives away, so these are the figures to believe; JPEG 75; JPEG 50; WebP 60; half size and
    back; and blurred. The rows: all pictures, each set, each generator (against all real pictures) and each set of
    reals (against all fakes).

    \b
    TP FN FP TN  fakes called fake and real, reals called fake and real, with
                 the card's threshold for 5 % false positives (0.5 without one);
                 acc, prec, rec and F1 (accuracy, precision, recall) are of these
    AUC AP       area under the ROC curve; average precision
    TPR5 TPR1    fakes found where 5 % and 1 % of the reals pass for fake, with
                 a threshold chosen on these very pictures
    >5% >1%      share at or over the card's thresholds for 5 % and 1 %
    ECE          expected calibration error: how far p_fake is from the truth
    unc err      share of uncertain verdicts; of wrong ones among the others
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
    # What would fail in the end fails now.
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
        samples = _kept_for_test(samples, record)
    detector = Detector(find_model(model), threads=available_cpus())
    known = trained_on(detector.card, samples)
    if known:
        click.echo(
            f"facescan-train: WARNING: the model was trained on {len(known)} of these {len(samples)} pictures: the "
            "figures below are no test of it; --run RUN/run.json keeps to the pictures that its run kept for the test",
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


@cli.command("card", short_help="Print or write the card of an ONNX file.")
@click.argument("model", shell_complete=models)
@click.option(
    "--set",
    "values",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the card in this JSON file into MODEL.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="With --set, leave MODEL and write there.")
def show_or_set_card(model: str, values: Path | None, out: Path | None) -> None:
    """Print the card of MODEL, a bundled name or an ONNX file, as JSON; or write one.

    Of a file without a whole card, what is to be filled in is null.
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
    "--precision", type=click.Choice(["fp32", "fp16", "int8", "int8-tokens"]), default="fp32", show_default=True
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Instead of NAME.onnx or NAME.PRECISION.onnx in RUN.",
)
def export_run(run: Path, data: Path, precision: str, out: Path | None) -> None:
    """Export the detector in RUN, a folder that fit wrote, to ONNX again. DATA are the pictures it was made from.

    fp16 stores the weights in 16 bits and computes as fp32: half the size. int8 computes in bytes: a quarter of the
    size, and faster on processors; int8-tokens is the same for vision transformers. Each is calibrated anew, and
    compared with fp32 on the pictures kept for the test; its card has its own figures.
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
    """TensorFlow tells of GPUs that it does not find, when it is imported and later.

    And it leaves oneDNN off on processors without instructions for networks, where training gains by it, too: see
    train/EXPERIMENTS.md.

    Raises:
        FacescanError: Keras is told to use a backend that cannot train.
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
        if isinstance(error, SystemExit) and not error.code:  # click has shown what completes a line
            return 0
        # Click itself ends with 1 where nobody reads standard output any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more when it ends
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
    except OSError as error:  # a disk that is full, a folder that went away
        click.echo(f"facescan-train: {cause_of(error)}", err=True)
        return USAGE_ERROR
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # a bug, or a library's
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
