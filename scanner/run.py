"""Runs one scan: takes options, writes outputs, returns the exit code.

Connects the stages, and decides nothing itself.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, fields
from typing import Any

import click

from scanner import __version__
from scanner.cache.store import Cache
from scanner.detector.model import DEFAULT_MODEL, Detector, find_model
from scanner.detector.thresholds import Thresholds, choose
from scanner.engine.pipeline import scan
from scanner.engine.versions import scope
from scanner.errors import FacescanError, InterruptionError, NobodyReadsError
from scanner.files.candidate import STDIN, Candidate
from scanner.files.url import is_url
from scanner.findings import is_notable, is_wanted
from scanner.options.config import checked_roots
from scanner.output.allowed import MAX_SHOWN, Allowed, allow_instructions, find_allowed
from scanner.output.baseline import flag_known, print_warning, read_baseline
from scanner.output.formats.rows import as_line
from scanner.output.progress import Progress
from scanner.output.summary import Summary
from scanner.output.writers import Writer
from scanner.outputs import Outputs
from scanner.printable import on_one_line
from scanner.result import SCHEMA_VERSION, Result
from scanner.settings import Settings
from scanner.sources.lists import read_list
from scanner.sources.once import Deduplicator
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from scanner.system.interrupts import Interrupts, later
from scanner.system.quiet import silent_libraries
from scanner.system.wakeup import Wakeup


def run(options: Mapping[str, Any]) -> int:
    """Scan as the command line's options say, and return the exit code.

    Args:
        options: by parameter name, as click passes them, and `config`, the `Configuration`.

    Raises:
        FacescanError: the scan failed or was interrupted; finished rows stay in ``.partial``.
    """
    given = {name: value for name, value in options.items() if value is not None}
    outputs = Outputs.from_options(options)
    settings = Settings(**{"model": DEFAULT_MODEL} | _fields_of(Settings, given))
    selection = Selection(**_fields_of(Selection, given), own_outputs=outputs.own_files())
    outputs.check({f"--{name.replace('_', '-')}": options[name] for name in ("files_from", "baseline", "model")})
    _check_list(options["files_from"])
    _check_device(settings)
    known, allowed_file = _known_findings(options)
    detector = Detector(find_model(settings.model), _device(settings), batch_size=settings.batch_size)
    thresholds = choose(detector.card, settings.threshold, settings.fpr)
    summary = Summary(
        _meta(options, settings, selection, detector, thresholds, allowed_file),
        options["fail_on"],
        bool(options["exit_zero"]),
        finding_code=given.get("exit_code", 1),
        error_code=options["exit_code_errors"],
        allow_empty=options["allow_empty"],
    )
    outputs.make_folders()
    writers = outputs.open(summary.meta, detector.card)
    cache = Cache(outputs.cache, scope(detector, settings), limits=_limits(settings)) if outputs.cache else None
    wakeup = Wakeup()
    files = _candidates(options, selection, summary.passed_over, wakeup=wakeup)
    thumbnails = outputs.report is not None
    results = scan(files, detector, thresholds, settings, summary.spent, cache, thumbnails, wakeup)
    if known is not None:
        results = flag_known(results, known, options["fail_on"])
    try:
        with cache or nullcontext(), Interrupts() as interrupts, silent_libraries():
            findings = _write_rows(results, writers, summary, interrupts, _bar(options, selection, writers), options)
        for writer in writers:
            writer.finish(summary.as_dict())
    except BaseException as error:
        _abandon(writers, summary, error)
        raise
    _print_notes(summary, writers, findings)
    outputs.write_summary(summary)
    if not options["quiet"]:
        from rich.console import Console

        with suppress(OSError, SystemExit):  # what rich raises if nobody reads standard error any more
            summary.render(Console(stderr=True, highlight=False))
    return summary.exit_code()


def _write_rows(
    results: Iterable[Result],
    writers: list[Writer],
    summary: Summary,
    interrupts: Interrupts,
    bar: Progress,
    options: Mapping[str, Any],
) -> list[Result]:
    """Write and count every result. Files and counts agree whenever the scan is interrupted.

    Args:
        results: of the scan.
        writers: all outputs.
        summary: counts the results.
        interrupts: are held back while a row is written to files and counted.
        bar: shows progress.
        options: of the command line.

    Returns:
        The first findings, `MAX_SHOWN` at most.
    """
    findings: list[Result] = []
    streams = [writer for writer in writers if not writer.partial]  # these may block while their reader is slow
    files = [writer for writer in writers if writer.partial]
    with bar:
        for result in results:
            started = time.perf_counter()
            wanted, before = is_wanted(options["only"], result), summary.findings
            for writer in streams:
                if wanted or writer.gets_all_rows:
                    writer.write(result)
            with interrupts.held():
                for writer in files:
                    if wanted or writer.gets_all_rows:
                        writer.write(result)
                summary.add(result)
            summary.spent("write", time.perf_counter() - started)
            if summary.findings > before and len(findings) < MAX_SHOWN:
                findings.append(result)
            if options["verbose"] and is_notable(result):
                bar.say(as_line(result))
            bar.update(summary.findings)
    return findings


def _abandon(writers: list[Writer], summary: Summary, error: BaseException) -> None:
    """Close the outputs of a scan that ends early; finished rows stay in ``.partial``.

    Args:
        writers: all outputs.
        summary: of the rows so far.
        error: that ended the scan.

    Raises:
        InterruptionError, NobodyReadsError: replaces the error, to name the files with the rows.
    """
    with later():  # somebody may press Ctrl-C twice
        for writer in writers:
            writer.abandon(summary.as_dict())
    recoverable = ", ".join(filter(None, (writer.recoverable_file for writer in writers)))
    where = f", kept in {recoverable}" if recoverable else ""
    if isinstance(error, NobodyReadsError) and recoverable:
        raise NobodyReadsError(f"standard output was closed by its reader after {summary.files} rows{where}") from error
    if isinstance(error, KeyboardInterrupt):
        raise InterruptionError(f"interrupted after {summary.files} rows{where}") from error


def _print_notes(summary: Summary, writers: list[Writer], findings: list[Result]) -> None:
    """Print warnings and messages about omitted rows on standard error; and, under pre-commit, how to allow findings.

    Args:
        summary: of the scan.
        writers: all outputs.
        findings: the first findings.
    """
    with suppress(OSError):  # the scan is complete even if standard error is closed
        for note in (*summary.warnings(), *filter(None, (writer.omission_note for writer in writers))):
            click.echo(f"facescan: {on_one_line(note)}", err=True)
        if findings and os.environ.get("PRE_COMMIT"):  # which pre-commit sets
            for line in allow_instructions(findings, summary.findings, summary.meta):
                click.echo(on_one_line(line), err=True)


def _known_findings(options: Mapping[str, Any]) -> tuple[frozenset[str] | None, str]:
    """Return the hashes of findings that do not count, and the path of the `.facescanignore` in use; None and
    empty without.
    """
    allowed = Allowed() if options["isolated"] else find_allowed(options["paths"])
    for warning in allowed.warnings:
        print_warning(warning)
    if options["baseline"]:
        return allowed.hashes | read_baseline(options["baseline"], options["fail_on"]), allowed.file
    return (allowed.hashes if allowed.file else None), allowed.file


def _bar(options: Mapping[str, Any], selection: Selection, writers: list[Writer]) -> Progress:
    """Make the progress bar, with a total if the candidates can be listed twice."""
    # Rows on the terminal show the progress, and a bar would be drawn between them.
    shown = not options["quiet"] and not (sys.stdout.isatty() and any(writer.on_stdout for writer in writers))
    # Standard input and pipes can be read once only, by the scan.
    source = options["files_from"]
    countable = STDIN not in options["paths"] and (source is None or os.path.isfile(source))
    return Progress(_candidates(options, selection, PassedOver(), _local) if countable else None, shown)


def _local(roots: Iterable[str | None]) -> Iterator[str | None]:
    """Yield the roots, but refuse URLs: listing one costs time and money.

    Raises:
        FacescanError: there is a URL.
    """
    for root in roots:
        if root is not None and is_url(root):
            raise FacescanError(f"{root}: is not counted")
        yield root


def _limits(settings: Settings) -> tuple[int, int]:
    """Return the limits that cached errors depend on: seconds and bytes that a picture may take."""
    return settings.timeout, settings.max_memory


def _fields_of(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for the fields of a dataclass, as far as they are given."""
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def _candidates(
    options: Mapping[str, Any],
    selection: Selection,
    passed_over: PassedOver,
    through: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    wakeup: Wakeup | None = None,
) -> Iterator[Candidate | None]:
    """Yield the files of all paths, then those of the list.

    Args:
        options: of the command line.
        selection: which files below a root are taken.
        passed_over: counts skipped files.
        through: checks roots, and passes them on.
        wakeup: ends a wait for the next name of the list.

    Raises:
        FacescanError: the list cannot be read.
    """
    deduplicator = Deduplicator(selection, options["paths"])
    yield from candidates(through(options["paths"]), selection, True, deduplicator, passed_over)
    source = options["files_from"]
    if source:
        try:
            with nullcontext(sys.stdin.buffer) if source == STDIN else open(source, "rb") as stream:
                names = checked_roots(read_list(stream, options["null"], source, wakeup), options["config"])
                yield from candidates(through(names), selection, False, deduplicator, passed_over)
        except OSError as error:
            raise FacescanError(f"--files-from {source}: {error.strerror}") from error


def _meta(
    options: Mapping[str, Any],
    settings: Settings,
    selection: Selection,
    detector: Detector,
    thresholds: Thresholds,
    allowed_file: str,
) -> dict[str, Any]:
    """Return what outputs say about the run: tool, model, device, thresholds, settings, configuration, allow list.

    Args:
        options: of the command line.
        settings: of the scan.
        selection: which files below a root are taken.
        detector: that scores.
        thresholds: in use.
        allowed_file: path of the `.facescanignore` in use; empty for none.
    """
    card = detector.card
    chosen = {name: value for name, value in asdict(selection).items() if name != "own_outputs"}
    only = {"only": sorted(options["only"]) if options["only"] else None}
    meta: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "tool": f"facescan {__version__}",
        "model": {"name": card.name, "version": card.version, "task": card.task, "sha256": detector.sha256},
        "device": asdict(detector.device),
        "thresholds": asdict(thresholds),
        "settings": asdict(settings) | {"region": settings.region or card.source} | chosen | only,
    }
    meta.update(options["config"].as_meta(), **({"allowed": allowed_file} if allowed_file else {}))
    return meta


def _check_device(settings: Settings) -> None:
    """Fail before outputs are opened if the engine or the explanation sheets cannot use the device.

    Raises:
        FacescanError: Ray is not installed, or a GPU is asked for where none is used.
    """
    if settings.engine == "ray":
        import scanner.engine.ray_workers  # noqa: F401

        if settings.device == "cuda":
            raise FacescanError("--engine ray runs on processors, not on GPUs; omit --device cuda")
    if settings.explain is not None and settings.device == "cuda":
        raise FacescanError("--explain runs on processors, not on GPUs; omit --device cuda")


def _device(settings: Settings) -> str:
    """Return the device to score on. Processes that make explanation sheets have no GPU, nor have those of a Ray
    cluster.
    """
    return "cpu" if settings.explain is not None or settings.engine == "ray" else settings.device


def _check_list(file: str | None) -> None:
    """Fail before the scan if a list cannot be opened. A pipe is not tried: it can be opened once only."""
    try:
        if file and file != STDIN and not stat.S_ISFIFO(os.stat(file).st_mode):
            open(file, "rb").close()
    except OSError as error:
        raise FacescanError(f"--files-from {file}: {error.strerror}") from error
