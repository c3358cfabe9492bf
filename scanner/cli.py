"""Parses the command line, and returns exit codes.

Imports everything heavy only when a scan begins, so that --help is instant.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from click.core import ParameterSource

from scanner.about import about_cache, version
from scanner.errors import FacescanError, InterruptionError, NobodyReadsError, cause_of, first_line
from scanner.findings import FAIL_ON, ONLY
from scanner.memory_check import check_memory
from scanner.options.completion import models
from scanner.options.config import ENV_PREFIX, Configuration
from scanner.options.groups import OPTION_GROUPS
from scanner.options.parsing import ConfiguredCommand, print_out
from scanner.options.types import FileLines, Lines, Part, Share, Size, Words
from scanner.settings import FRAMES, MAX_BYTES, MAX_MEMORY, MAX_PIXELS, MIN_FACE, TIMEOUT
from scanner.sources.selection import BY
from scanner.system.interrupts import ending_signals

EXIT_CODE = click.IntRange(0, 255)


@click.command(
    cls=ConfiguredCommand,
    groups=OPTION_GROUPS,
    context_settings={
        "auto_envvar_prefix": ENV_PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Exit codes: 0 no findings; 1 findings; 2 wrong usage, a model or output that failed, files that could not "
    "be judged, or nothing scanned; 130 interrupted; 141 standard output was closed early, as by head.\n\n"
    "Options can also be set by variables, FACESCAN_<OPTION>, or in [tool.facescan] of the file given with "
    "--config. A pyproject.toml in the project's folders may only set options that neither write files nor hide "
    "findings.",
)
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "-o",
    "--out",
    type=FileLines(),
    multiple=True,
    metavar="FILE",
    help="Write rows to FILE: .csv, .json, .jsonl, .parquet or .sarif; - is standard output. Repeatable.",
)
@click.option(
    "--format",
    type=click.Choice(["csv", "json", "jsonl", "parquet", "sarif", "text"]),
    help="Format of standard output, and of files whose suffix does not tell it.",
)
@click.option(
    "--only",
    type=Words(ONLY),
    metavar="VERDICTS",
    help="Write only rows with these verdicts, such as fake,uncertain,error. All rows are counted.",
)
@click.option("--excel", is_flag=True, help="Write CSV for spreadsheets: cells that would run as formulas are guarded.")
@click.option("--summary", type=click.Path(), metavar="FILE", help="Write the summary to FILE: .json or .md.")
@click.option(
    "--report",
    type=click.Path(),
    metavar="FILE",
    help="Write an HTML page with charts and thumbnails of the findings.",
)
@click.option("--force", is_flag=True, help="Let outputs replace files that facescan did not write.")
@click.option("--ela", is_flag=True, help="Add Error Level Analysis to JSON, JSON Lines and Parquet.")
@click.option(
    "--ela-dir",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Save Error Level Analysis maps in DIR. Implies --ela.",
)
@click.option(
    "--explain",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Save a sheet in DIR that explains the verdict, for each fake or uncertain picture and for each file named "
    "on the command line.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no summary.")
@click.option("-v", "--verbose", is_flag=True, help="Print findings and errors on standard error as they come.")
@click.option(
    "--model",
    shell_complete=models,
    metavar="NAME|FILE",
    help="Use this bundled model, or ONNX file with a facescan card.",
)
@click.option("--threshold", type=Share(), metavar="P", help="Call a picture fake if its p_fake is P or more.")
@click.option("--fpr", type=Share(), metavar="RATE", help="Use the model's threshold for this rate of false alarms.")
@click.option(
    "--region",
    type=click.Choice(["face", "image"]),
    help="Score each face, or the whole picture.  [default: the model's choice]",
)
@click.option(
    "--min-face",
    type=click.IntRange(min=1),
    default=MIN_FACE,
    show_default=True,
    metavar="PX",
    help="Ignore faces smaller than PX pixels.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=FRAMES,
    show_default=True,
    metavar="N",
    help="Judge at most N frames of an animation, or pages of a document.",
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="fake",
    show_default=True,
    help="What counts as a finding (exit code 1). uncertain: fake or uncertain pictures; error: these and files that "
    "could not be judged; provenance: fake pictures and those whose metadata say that they were generated.",
)
@click.option(
    "--exit-zero", is_flag=True, help="Exit with 0 even if there are findings or files that could not be judged."
)
@click.option("--exit-code", type=EXIT_CODE, metavar="N", help="Exit with N instead of 1 if there are findings.")
@click.option(
    "--exit-code-errors",
    type=EXIT_CODE,
    metavar="N",
    help="Exit with N if some files could not be judged, whether or not there are findings.",
)
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="FILE",
    help="Do not count findings that are already in FILE, an earlier .csv, .json or .jsonl. Pictures are compared by "
    "content.",
)
@click.option(
    "--files-from",
    type=click.Path(),
    metavar="LIST",
    help="Also scan the files and folders named in LIST, one a line; - is standard input.",
)
@click.option("-0", "--null", is_flag=True, help="Names in LIST end with a NUL byte instead of a line end.")
@click.option(
    "--include",
    type=Lines(),
    multiple=True,
    metavar="GLOB",
    help="In folders, scan only files that match, pictures or not. Repeatable.",
)
@click.option(
    "--exclude",
    type=Lines(),
    multiple=True,
    metavar="GLOB",
    help="In folders, skip files and folders that match. Repeatable.",
)
@click.option("--force-exclude", is_flag=True, help="Apply --exclude to files named on the command line, too.")
@click.option(
    "--by",
    type=click.Choice(BY),
    default=BY[0],
    show_default=True,
    help="Recognise pictures in folders by suffix or first bytes (content), or by suffix alone.",
)
@click.option(
    "--max-depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Enter folders N levels deep; 1 scans only the files directly in a folder.",
)
@click.option("--hidden", is_flag=True, help="Also scan files and folders whose names begin with a dot.")
@click.option("--follow", is_flag=True, help="Follow symbolic links found in folders.")
@click.option("--allow-empty", is_flag=True, help="Exit with 0 instead of 2 if there is nothing to scan.")
@click.option(
    "--shard", type=Part(), metavar="I/N", help="Scan only part I of N, to divide the files among N machines."
)
@click.option("--max-bytes", type=Size(1024), default=MAX_BYTES, help="Do not read larger files.  [default: 100M]")
@click.option(
    "--max-pixels", type=Size(1000), default=MAX_PIXELS, help="Do not decode pictures of more pixels.  [default: 200M]"
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=TIMEOUT,
    metavar="S",
    help="Give up on a picture after S seconds.  [default: 60]",
)
@click.option(
    "--max-memory",
    type=Size(1024),
    default=MAX_MEMORY,
    help="Give up on a picture that needs more memory (Linux).  [default: 4G]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Run the model on the CPU or on an NVIDIA GPU (cuda); auto takes the GPU if it works.",
)
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Score N faces at once.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Use N processes.  [default: one for each processor]"
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Work on this machine, or on a Ray cluster.",
)
@click.option(
    "--ray-address",
    metavar="ADDR",
    help="Address of the Ray cluster.  [default: RAY_ADDRESS, or a cluster on this machine]",
)
@click.option(
    "--cache", type=click.Path(), metavar="FILE", help="Keep the cache in FILE instead of the user's cache directory."
)
@click.option("--no-cache", is_flag=True, help="Judge every file again: neither read nor write the cache.")
@click.option(
    "--cache-info", is_flag=True, allow_from_autoenv=False, help="Show where the cache is and what it holds, and exit."
)
@click.option("--cache-clear", is_flag=True, allow_from_autoenv=False, help="Empty the cache, and exit.")
@click.option(
    "--list-models",
    is_flag=True,
    allow_from_autoenv=False,
    help="Show the models and what they are (not) for, as text or --format json, and exit.",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Read [tool.facescan] from FILE instead of the project's pyproject.toml. FILE may set every option.",
)
@click.option(
    "--isolated",
    is_flag=True,
    allow_from_autoenv=False,
    help="Read no configuration file, and no variable that begins with FACESCAN_.",
)
@click.option(
    "--version",
    is_flag=True,
    allow_from_autoenv=False,
    help="Show the version, and exit; with -v also the runtimes, providers and models.",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Tell real faces from fake ones in PATHS: files, folders, or - for a picture on standard input.

    Every picture gets one row: a verdict, the probability that it is fake, and more. Without --out, short rows are
    printed on the terminal.
    """
    check_memory()
    if options["version"]:
        print_out(version(options["verbose"]))
        return 0
    if options["list_models"]:
        return list_models(ctx, options["model"], options["format"])
    _settle(ctx, options, "cache", "no_cache")
    if options["cache_info"] or options["cache_clear"]:
        print_out(about_cache(options["cache"], options["cache_clear"]))
        return 0
    if not options["paths"] and not options["files_from"]:
        raise click.UsageError("Nothing to scan: name files or folders, or use --files-from.", ctx)
    sources = [*options["paths"], options["files_from"]]
    if sources.count("-") > 1:
        raise click.UsageError("Standard input can be read once only: - is named twice.", ctx)
    if "-" in sources and sys.stdin is None:
        raise FacescanError("standard input is closed: name files, or say what - is to read")
    for pair in (("threshold", "fpr"), ("exit_zero", "exit_code"), ("exit_zero", "exit_code_errors")):
        _settle(ctx, options, *pair)
    _report_configuration(ctx.obj, options["verbose"])
    # A second fence, for headers that lie about their size. OpenCV reads it when it is imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(options["max_pixels"]))
    from scanner.run import run

    try:
        return run(options | {"config": ctx.obj})
    except OSError as error:  # click would handle a broken pipe as one of its own
        raise FacescanError(cause_of(error)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; click's own codes do not leak through."""
    _open_standard_streams()
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():  # all of them interrupt as Ctrl-C does, and finished rows are kept
            signal.signal(number, signal.default_int_handler)
    try:
        code = command.main(argv, prog_name="facescan", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return FacescanError.exit_code
    except NobodyReadsError as error:
        return _fail(str(error), error.exit_code) if str(error) else error.exit_code
    except FacescanError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", InterruptionError.exit_code)
    except OSError as error:
        return _fail(cause_of(error), FacescanError.exit_code)
    except SystemExit as end:  # click has printed completions
        return FacescanError.exit_code if end.code else 0
    except Exception as error:
        return _fail_internally(error)
    finally:
        _abandon_closed_streams()
    return int(code or 0)


def list_models(ctx: click.Context, chosen: str | None, format: str | None) -> int:
    """Print the cards of the models; return exit code 2 if one of them cannot be used.

    Args:
        ctx: of the command.
        chosen: value of --model.
        format: value of --format.
    """
    from scanner.output.list_models import show

    if format not in (None, "text", "json") and ctx.get_parameter_source("format") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--list-models writes text or json.", ctx)
    text, trouble = show(chosen, format == "json")
    if text:
        print_out(text)
    codes = [_fail(line, FacescanError.exit_code) for line in trouble]
    return max(codes, default=0)


def _settle(ctx: click.Context, options: dict[str, Any], *pair: str) -> None:
    """Resolve two options that exclude each other: the command line overrules variables, and these overrule files.

    Args:
        ctx: of the command.
        options: values by name; the overruled option becomes None.
        pair: names of the options.

    Raises:
        click.UsageError: both have the same source.
    """
    if any(options[name] is None or options[name] is False for name in pair):
        return
    order = [ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP]
    ranks = {name: order.index(ctx.get_parameter_source(name)) for name in pair}  # type: ignore[arg-type]
    if len(set(ranks.values())) == 1:
        one, other = (f"--{name.replace('_', '-')}" for name in pair)
        raise click.UsageError(f"{one} and {other} exclude each other: give one.", ctx)
    options[max(ranks, key=ranks.__getitem__)] = None


def _report_configuration(configuration: Configuration, verbose: bool) -> None:
    """Print warnings about the configuration and, if `verbose`, which options a file sets."""
    lines = [f"warning: {warning}" for warning in configuration.warnings]
    if verbose and configuration.file:
        lines.append(f"configuration from {configuration.file}: {', '.join(configuration.table or ())}")
    for line in lines:
        _say(line)


def _say(message: str) -> None:
    """Print a message on standard error; do nothing if standard error is closed."""
    from scanner.printable import on_one_line

    with suppress(OSError):  # standard error may be closed
        click.echo(f"facescan: {on_one_line(message)}", err=True)


def _fail(message: str, code: int) -> int:
    """Print an error and return its exit code."""
    _say(message)
    return code


def _fail_internally(error: Exception) -> int:
    """Report a bug of facescan with exit code 2: Python's own exit code would mean findings."""
    if os.environ.get("FACESCAN_TRACEBACK"):
        with suppress(OSError):
            traceback.print_exception(error)
    report = "please report it, with what FACESCAN_TRACEBACK=1 shows"
    return _fail(f"internal error: {type(error).__name__}: {first_line(error)}; {report}", FacescanError.exit_code)


def _open_standard_streams() -> None:
    """Open standard streams that are closed, as daemons leave them.

    Otherwise their numbers would go to facescan's own files, and libraries would print into those.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _abandon_closed_streams() -> None:
    """Redirect standard streams that cannot be flushed: otherwise Python would fail at exit, with an exit code of
    its own.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
