"""Options -> Settings, and exit codes. Everything heavy is imported when a scan begins, so that --help is instant."""

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
from scanner.options.parsing import ConfiguredCommand, print_out
from scanner.options.types import FileLines, Lines, Part, Share, Size, Words
from scanner.settings import FRAMES, MAX_BYTES, MAX_MEMORY, MAX_PIXELS, MIN_FACE, TIMEOUT
from scanner.sources.selection import BY
from scanner.system.interrupts import ending_signals

EXIT_CODE = click.IntRange(0, 255)


@click.command(
    cls=ConfiguredCommand,
    context_settings={
        "auto_envvar_prefix": ENV_PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog="Exit codes: 0 nothing found; 1 findings; 2 wrong usage, a model or output failure, files that could not be "
    "read, or nothing scanned; 130 interrupted; 141 the reader of standard output has closed it. Every option can also "
    "be set as FACESCAN_<OPTION> and in [tool.facescan] of a file that --config names; a pyproject.toml in the "
    "project's folders may set those that neither write nor silence.",
)
@click.argument("paths", nargs=-1, type=click.Path())
# What to write
@click.option(
    "-o",
    "--out",
    type=FileLines(),
    multiple=True,
    metavar="FILE",
    help="Write .csv, .json, .jsonl, .parquet or .sarif; repeatable; - is standard output.",
)
@click.option(
    "--format",
    type=click.Choice(["csv", "json", "jsonl", "parquet", "sarif", "text"]),
    help="Of standard output and of other suffixes.",
)
@click.option(
    "--only",
    type=Words(ONLY),
    metavar="VERDICTS",
    help="Write only rows with these verdicts, such as fake,uncertain,error; all are counted.",
)
@click.option("--excel", is_flag=True, help="Write CSV for a spreadsheet: cells that it would execute are guarded.")
@click.option("--summary", type=click.Path(), metavar="FILE", help="Write the summary to a .json or .md file.")
@click.option(
    "--report",
    type=click.Path(),
    metavar="FILE",
    help="Write a page to look at: .html, with thumbnails of the findings.",
)
@click.option("--force", is_flag=True, help="Let outputs replace files that facescan did not write.")
@click.option("--ela", is_flag=True, help="Add Error Level Analysis figures to JSON and JSON Lines.")
@click.option(
    "--ela-dir",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Save the Error Level Analysis maps there; implies --ela.",
)
@click.option(
    "--explain",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Save a sheet there for each finding, uncertain ones too, and for each file named here: why.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
@click.option("-v", "--verbose", is_flag=True, help="Name findings and errors on standard error as they come.")
# How to judge
@click.option(
    "--model", shell_complete=models, metavar="NAME|FILE", help="A bundled model, or an ONNX file with a facescan card."
)
@click.option("--threshold", type=Share(), metavar="P", help="Call it fake from this p_fake on.")
@click.option("--fpr", type=Share(), metavar="RATE", help="Take the model's threshold for this false-alarm rate.")
@click.option(
    "--region", type=click.Choice(["face", "image"]), help="Judge faces or whole pictures; else as the model says."
)
@click.option(
    "--min-face",
    type=click.IntRange(min=1),
    default=MIN_FACE,
    show_default=True,
    metavar="PX",
    help="Judge no smaller face.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=FRAMES,
    show_default=True,
    metavar="N",
    help="Judge up to N frames of an animation, or pages of a document.",
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="fake",
    show_default=True,
    help="What is a finding (exit code 1): fake; or uncertain, too; or unreadable files, too; or fake and what says "
    "itself that it was generated; or nothing.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever the rows say.")
@click.option("--exit-code", type=EXIT_CODE, metavar="N", help="Exit with N, not 1, if there are findings.")
@click.option(
    "--exit-code-errors",
    type=EXIT_CODE,
    metavar="N",
    help="Exit with N, not 2, if files could not be judged, also if there are findings.",
)
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="FILE",
    help="An earlier .csv, .json or .jsonl: its findings, by content, count no more.",
)
# Which files
@click.option(
    "--files-from",
    type=click.Path(),
    metavar="LIST",
    help="Also scan the files and folders named in LIST; - is standard input.",
)
@click.option("-0", "--null", is_flag=True, help="Names in LIST end with a NUL byte, not with a line end.")
@click.option(
    "--include", type=Lines(), multiple=True, metavar="GLOB", help="In folders, take what matches, whatever its suffix."
)
@click.option(
    "--exclude", type=Lines(), multiple=True, metavar="GLOB", help="In folders, leave out files and folders that match."
)
@click.option("--force-exclude", is_flag=True, help="Apply --exclude to files named explicitly, too.")
@click.option(
    "--by",
    type=click.Choice(BY),
    default=BY[0],
    show_default=True,
    help="What makes a file in a folder a picture: its suffix or its first bytes; or its suffix alone.",
)
@click.option("--max-depth", type=click.IntRange(min=1), metavar="N", help="1 is the files directly in a folder.")
@click.option("--hidden", is_flag=True, help="Also enter and take names that begin with a dot.")
@click.option("--follow", is_flag=True, help="Follow symbolic links found in folders.")
@click.option("--allow-empty", is_flag=True, help="Exit with 0, not with 2, if there is nothing to scan.")
@click.option("--shard", type=Part(), metavar="I/N", help="Take the I-th of N parts of the files, as N machines would.")
@click.option("--max-bytes", type=Size(1024), default=MAX_BYTES, help="Refuse larger files unread.  [default: 100M]")
@click.option(
    "--max-pixels", type=Size(1000), default=MAX_PIXELS, help="Refuse larger pictures undecoded.  [default: 200M]"
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=TIMEOUT,
    metavar="S",
    help="Give up a picture after that many seconds.  [default: 60]",
)
@click.option(
    "--max-memory",
    type=Size(1024),
    default=MAX_MEMORY,
    help="Give up a picture that takes more (Linux).  [default: 4G]",
)
# How to run
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where models run."
)
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Faces scored at once.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes; else one for each processor.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Work on this machine, or on a Ray cluster's processors.",
)
@click.option("--ray-address", metavar="ADDR", help="Of the cluster; else RAY_ADDRESS, or one on this machine.")
@click.option("--cache", type=click.Path(), metavar="FILE", help="Keep rows there, not in the user's cache directory.")
@click.option("--no-cache", is_flag=True, help="Judge everything anew, and keep nothing.")
@click.option(
    "--cache-info", is_flag=True, allow_from_autoenv=False, help="Show what is in the cache, and scan nothing."
)
@click.option("--cache-clear", is_flag=True, allow_from_autoenv=False, help="Empty the cache, and scan nothing.")
@click.option(
    "--list-models",
    is_flag=True,
    allow_from_autoenv=False,
    help="Show the models and what they are (not) for, as text or --format json, and scan nothing.",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Read [tool.facescan] here, not in the project's pyproject.toml, and trust it with every option.",
)
@click.option(
    "--isolated",
    is_flag=True,
    allow_from_autoenv=False,
    help="Read no configuration file, and no variable whose name begins with FACESCAN_.",
)
@click.option(
    "--version",
    is_flag=True,
    allow_from_autoenv=False,
    help="Show the version; with -v also runtimes, providers and models.",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Tell real faces from fake ones in PATHS: files, folders, or - for a picture on standard input.

    Writes one row for every picture. Without --out, rows for people go to standard output.
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
    _tell(ctx.obj, options["verbose"])
    # A second fence, for headers that lie about their size. OpenCV reads it when it is imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(options["max_pixels"]))
    from scanner.run import run

    try:
        return run(options | {"config": ctx.obj})
    except OSError as error:  # click would take a broken pipe for its own
        raise FacescanError(cause_of(error)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; click's own codes do not leak through."""
    _open_standard_streams()
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():  # all of them interrupt, as Ctrl-C does: what is done is kept
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
    except SystemExit as end:  # click has shown what completes a line
        return FacescanError.exit_code if end.code else 0
    except Exception as error:
        return _fail_internally(error)
    finally:
        _abandon_closed_streams()
    return int(code or 0)


def list_models(ctx: click.Context, chosen: str | None, format: str | None) -> int:
    """Show the cards of the models; the exit code is 2 if one of them cannot be used."""
    from scanner.output.list_models import show

    if format not in (None, "text", "json") and ctx.get_parameter_source("format") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--list-models writes text or json.", ctx)
    text, trouble = show(chosen, format == "json")
    if text:
        print_out(text)
    codes = [_fail(line, FacescanError.exit_code) for line in trouble]
    return max(codes, default=0)


def _settle(ctx: click.Context, options: dict[str, Any], *pair: str) -> None:
    """Two options exclude each other, but one on the command line overrules the other in a file."""
    if any(options[name] is None or options[name] is False for name in pair):
        return
    order = [ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP]
    ranks = {name: order.index(ctx.get_parameter_source(name)) for name in pair}  # type: ignore[arg-type]
    if len(set(ranks.values())) == 1:
        one, other = (f"--{name.replace('_', '-')}" for name in pair)
        raise click.UsageError(f"{one} and {other} exclude each other: give one.", ctx)
    options[max(ranks, key=ranks.__getitem__)] = None


def _tell(configuration: Configuration, verbose: bool) -> None:
    """Say where options come from that nobody sees on the command line, and which of them do not count."""
    lines = [f"warning: {warning}" for warning in configuration.warnings]
    if verbose and configuration.file:
        lines.append(f"configuration from {configuration.file}: {', '.join(configuration.table or ())}")
    for line in lines:
        _say(line)


def _say(message: str) -> None:
    from scanner.printable import on_one_line

    with suppress(OSError):  # nobody may be reading
        click.echo(f"facescan: {on_one_line(message)}", err=True)


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


def _fail_internally(error: Exception) -> int:
    """What nobody thought of is not a finding, which Python's own exit code would say."""
    if os.environ.get("FACESCAN_TRACEBACK"):
        with suppress(OSError):
            traceback.print_exception(error)
    report = "please report it, with what FACESCAN_TRACEBACK=1 shows"
    return _fail(f"internal error: {type(error).__name__}: {first_line(error)}; {report}", FacescanError.exit_code)


def _open_standard_streams() -> None:
    """Daemons may close them. Their numbers would go to our own files, and libraries would print into those."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _abandon_closed_streams() -> None:
    """Python flushes the standard streams when it ends, and has an exit code of its own if it cannot."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
