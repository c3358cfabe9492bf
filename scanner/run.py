"""One run: settings in, outputs written, exit code out. Wires the stages together; decides nothing itself."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, fields
from itertools import chain
from typing import Any

import click

from scanner import __version__
from scanner.cache.database import cache_file, check_cache, files_of
from scanner.cache.store import Cache
from scanner.detector.model import DEFAULT_MODEL, Detector, find_model
from scanner.detector.thresholds import Thresholds, choose
from scanner.engine.pipeline import scan
from scanner.engine.versions import scope
from scanner.errors import FacescanError, InterruptionError, NobodyReadsError
from scanner.files.candidate import STDIN, Candidate
from scanner.files.url import is_url, scheme_of
from scanner.findings import is_notable, is_wanted
from scanner.options.config import checked_roots
from scanner.output.allowed import MOST_SHOWN, Allowed, find_allowed, how_to_allow
from scanner.output.baseline import marked, print_warning, read_baseline
from scanner.output.destination import STDOUT, descriptor_of, replace_file
from scanner.output.formats import format_of
from scanner.output.formats.rows import as_line
from scanner.output.overwrite import SUMMARY, check_replaceable
from scanner.output.progress import Progress
from scanner.output.summary import Report
from scanner.output.writers import Writer
from scanner.printable import on_one_line
from scanner.result import SCHEMA_VERSION, Result
from scanner.settings import Settings
from scanner.sources.lists import read_list
from scanner.sources.once import Once
from scanner.sources.passed_over import PassedOver
from scanner.sources.selection import Selection
from scanner.sources.walk import candidates
from scanner.system.interrupts import Interrupts, later
from scanner.system.quiet import silent_libraries


def run(options: Mapping[str, Any]) -> int:
    """Scan as the command line's options say, and return the exit code.

    Raises:
        FacescanError: for trouble with the run, an interruption included; rows that are done stay in ``.partial``.
    """
    # /dev/stdout is standard output as much as - is.
    options = {**options, "out": [STDOUT if descriptor_of(out) == 1 else out for out in options["out"]]}
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings(**{"model": DEFAULT_MODEL} | _fields_of(Settings, given))
    selection = Selection(**_fields_of(Selection, given), ours=_own_files(options))
    _check_local(options)
    _check_distinct(options)
    _check_cache(options)
    _check_list(options["files_from"])
    _check_summary(options)
    _check_report(options)
    _check_engine(settings)
    _check_explain(settings)
    known, allowed_file = _known_findings(options)
    detector = Detector(find_model(settings.model), _device(settings), batch_size=settings.batch_size)
    thresholds = choose(detector.card, settings.threshold, settings.fpr)
    codes = {"finding_code": given.get("exit_code", 1), "error_code": options["exit_code_errors"]}
    meta = _meta(settings, selection, detector, thresholds) | options["config"].as_meta()
    meta["settings"]["only"] = sorted(options["only"]) if options["only"] else None
    if allowed_file:
        meta["allowed"] = allowed_file
    report = Report(meta, options["fail_on"], bool(options["exit_zero"]), **codes, allow_empty=options["allow_empty"])
    for option, folder in (("--ela-dir", settings.ela_dir), ("--explain", settings.explain)):
        if folder:
            _make_folder(option, folder)
    writers = _open_all(options, report.meta, detector)
    cache = _cache(options, scope(detector, settings))
    thumbnails = bool(options["report"])
    files = _candidates(options, selection, report.passed)
    results = scan(files, detector, thresholds, settings, report.spent, cache, thumbnails)
    if known is not None:
        results = marked(results, known, options["fail_on"])
    try:
        with cache or nullcontext(), Interrupts() as interrupts, silent_libraries():
            bar = _bar(options, selection, writers)
            refused = _consume(results, writers, report, interrupts, bar, options)
        for writer in writers:
            writer.finish(report.as_dict())
    except BaseException as error:
        with later():  # somebody in a hurry presses Ctrl-C twice
            for writer in writers:
                writer.abandon(report.as_dict())
        kept = ", ".join(writer.kept for writer in writers if writer.kept)
        where = f", kept in {kept}" if kept else ""
        if isinstance(error, NobodyReadsError) and kept:
            raise NobodyReadsError(
                f"standard output was closed by its reader after {report.files} rows{where}"
            ) from error
        if not isinstance(error, KeyboardInterrupt):
            raise
        raise InterruptionError(f"interrupted after {report.files} rows{where}") from error
    with suppress(OSError):  # the scan is complete, whether anybody reads this or not
        for note in (*report.warnings(), *filter(None, (writer.note for writer in writers))):
            click.echo(f"facescan: {on_one_line(note)}", err=True)
        if refused and os.environ.get("PRE_COMMIT"):  # pre-commit runs us, on somebody's commit
            for line in how_to_allow(refused, report.findings, report.meta):
                click.echo(on_one_line(line), err=True)
    if options["summary"]:
        _write_summary(options["summary"], report, options["force"])
    if not options["quiet"]:
        from rich.console import Console

        with suppress(OSError, SystemExit):  # rich's way of saying that nobody does
            report.render(Console(stderr=True, highlight=False))
    return report.exit_code()


def _consume(
    results: Iterable[Result],
    writers: list[Writer],
    report: Report,
    interrupts: Interrupts,
    bar: Progress,
    options: Mapping[str, Any],
) -> list[Result]:
    """Write and count every result, and return the first findings. Files and counts agree at any interruption."""
    findings: list[Result] = []
    direct = [writer for writer in writers if not writer.partial]  # these may block, on a reader that takes its time
    files = [writer for writer in writers if writer.partial]
    with bar:
        for result in results:
            started = time.perf_counter()
            wanted, before = is_wanted(options["only"], result), report.findings
            for writer in direct:
                if wanted or writer.counts_all:
                    writer.write(result)
            with interrupts.held():
                for writer in files:
                    if wanted or writer.counts_all:
                        writer.write(result)
                report.add(result)
            report.spent("write", time.perf_counter() - started)
            if report.findings > before and len(findings) < MOST_SHOWN:
                findings.append(result)
            if options["verbose"] and is_notable(result):
                bar.say(as_line(result))
            bar.update(report.findings)
    return findings


def _known_findings(options: Mapping[str, Any]) -> tuple[frozenset[str] | None, str]:
    """Hashes of findings that do not count, and the `.facescanignore` that was used; None and empty without any."""
    allowed = Allowed() if options["isolated"] else find_allowed(options["paths"])
    for warning in allowed.warnings:
        print_warning(warning)
    if options["baseline"]:
        return allowed.hashes | read_baseline(options["baseline"], options["fail_on"]), allowed.file
    return (allowed.hashes if allowed.file else None), allowed.file


def _bar(options: Mapping[str, Any], selection: Selection, writers: list[Writer]) -> Progress:
    # Rows on the terminal are progress enough, and a bar would run through them.
    shown = not options["quiet"] and not (sys.stdout.isatty() and any(writer.on_stdout for writer in writers))
    # What can be read once only (standard input, a pipe) belongs to the scan.
    source = options["files_from"]
    countable = STDIN not in options["paths"] and (source is None or os.path.isfile(source))
    return Progress(_candidates(options, selection, PassedOver(), _local) if countable else None, shown)


def _local(roots: Iterable[str | None]) -> Iterator[str | None]:
    """What can be counted, too: listing a URL costs time, and money.

    Raises:
        FacescanError: there is a URL.
    """
    for root in roots:
        if root is not None and is_url(root):
            raise FacescanError(f"{root}: is not counted")
        yield root


def _cache(options: Mapping[str, Any], decisive: Mapping[str, Any]) -> Cache | None:
    file = _cache_file(options)
    limits = (options["timeout"], options["max_memory"])
    return Cache(file, decisive, limits=limits) if file else None


def _cache_file(options: Mapping[str, Any]) -> str | None:
    return None if options["no_cache"] else options["cache"] or cache_file()


def _fields_of(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def _candidates(
    options: Mapping[str, Any],
    selection: Selection,
    passed: PassedOver,
    through: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Iterator[Candidate | None]:
    """The files of all paths, then those of the list. `passed` counts what is not taken; roots go `through` a check."""
    once = Once(selection, options["paths"])
    yield from candidates(through(options["paths"]), selection, True, once, passed)
    source = options["files_from"]
    if source:
        try:
            with nullcontext(sys.stdin.buffer) if source == STDIN else open(source, "rb") as stream:
                names = checked_roots(read_list(stream, options["null"], source), options["config"])
                yield from candidates(through(names), selection, False, once, passed)
        except OSError as error:
            raise FacescanError(f"--files-from {source}: {error.strerror}") from error


def _open_all(options: Mapping[str, Any], meta: Mapping[str, Any], detector: Detector) -> list[Writer]:
    """Every output, open and begun; or, if one of them cannot be, none. What earlier runs left is still there."""
    writers: list[Writer] = []
    try:
        for writer in chain(_open_outputs(options, meta), _open_report(options, meta, detector)):
            writers.append(writer)
        for writer in writers:  # now that each of them can be written
            writer.begin()
    except BaseException:
        for writer in writers:
            writer.abandon({})
        raise
    return writers


def _open_outputs(options: Mapping[str, Any], meta: Mapping[str, Any]) -> Iterator[Writer]:
    outs = options["out"] or (STDOUT,)
    on_stdout = options["format"] or ("csv" if options["out"] else "text")
    formats = [format_of(out, on_stdout if out == STDOUT else options["format"]) for out in outs]
    if sys.stdout.isatty() and ("parquet", STDOUT) in zip(formats, outs, strict=True):
        raise FacescanError("--format parquet: not onto a terminal; use --out FILE, or a pipe")
    for out, form in zip(outs, formats, strict=True):
        color = out == STDOUT and _color()
        yield Writer(out, form, meta, options["excel"], color, options["fail_on"], options["force"])


def _open_report(options: Mapping[str, Any], meta: Mapping[str, Any], detector: Detector) -> Iterator[Writer]:
    """The page, if there is to be one; only then does it cost time to load what it takes."""
    if options["report"] is not None:
        from scanner.html.charts import keep_fonts
        from scanner.html.report import ReportWriter

        keep_fonts(not options["no_cache"])
        yield ReportWriter(options["report"], detector.card, meta, options["force"])


def _color() -> bool:
    """Colour on a terminal, as no-color.org and force-color.org ask for."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def _meta(settings: Settings, selection: Selection, detector: Detector, thresholds: Thresholds) -> dict[str, Any]:
    card = detector.card
    return {
        "schema": SCHEMA_VERSION,
        "tool": f"facescan {__version__}",
        "model": {"name": card.name, "version": card.version, "task": card.task, "sha256": detector.sha256},
        "device": asdict(detector.device),
        "thresholds": asdict(thresholds),
        "settings": asdict(settings) | {"region": settings.region or card.source} | _chosen(selection),
    }


def _chosen(selection: Selection) -> dict[str, Any]:
    return {name: value for name, value in asdict(selection).items() if name != "ours"}


def _check_engine(settings: Settings) -> None:
    """Find out now, not when outputs are open."""
    if settings.engine == "ray":
        import scanner.engine.ray_workers  # noqa: F401

        if settings.device == "cuda":
            raise FacescanError("--engine ray judges on processors, not on GPUs: leave --device cuda out")


def _check_explain(settings: Settings) -> None:
    if settings.explain is not None and settings.device == "cuda":
        raise FacescanError("--explain looks on processors, not on GPUs: leave --device cuda out")


def _device(settings: Settings) -> str:
    """Where to judge. Sheets are made by the processes that decode, which have no GPU; nor do those of a cluster."""
    return "cpu" if settings.explain is not None or settings.engine == "ray" else settings.device


def _own_files(options: Mapping[str, Any]) -> frozenset[str]:
    """What this run writes must not become its input."""
    written = [file for file in (*options["out"], options["summary"], options["report"]) if file]
    paths = [*written, *(f"{file}.partial" for file in written), options["ela_dir"], options["explain"]]
    if cache := _cache_file(options):
        paths += files_of(os.path.realpath(cache))
    return frozenset(os.path.realpath(path) for path in paths if path and path != STDOUT)


def _make_folder(option: str, folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise FacescanError(f"{option} {folder}: {error.strerror}") from error


def _check_local(options: Mapping[str, Any]) -> None:
    """Only what is scanned may be a URL."""
    for name in ("out", "summary", "report", "ela_dir", "explain", "cache", "files_from", "baseline", "model"):
        given = options[name] or ()
        for path in given if isinstance(given, tuple | list) else (given,):
            if is_url(path):
                what = f"--{name.replace('_', '-')} {path}"
                if name in ("files_from", "baseline", "model"):
                    raise FacescanError(f"{what}: only local files are read; fetch it first, and name the local file")
                raise FacescanError(
                    f"{what}: only local files are written; name one, and copy it to {scheme_of(path)}:// afterwards"
                )


def _check_distinct(options: Mapping[str, Any]) -> None:
    """What is written to one place twice would be lost. Outputs may replace what was read, at the end; a cache not."""
    outs = [("--out", out) for out in options["out"]]
    cache = ("--cache", _cache_file(options))
    summary, report, ela_dir, explain, files_from, baseline = (
        (f"--{name.replace('_', '-')}", options[name])
        for name in ("summary", "report", "ela_dir", "explain", "files_from", "baseline")
    )
    for group in ([*outs, cache, summary, report, ela_dir, explain], [cache, files_from, baseline]):
        seen: dict[str, str] = {}
        for option, path in group:
            if path:
                descriptor = descriptor_of(path)  # two of them may lead to one terminal or log
                place = os.path.realpath(path) if descriptor is None else f"descriptor {descriptor}"
                if place in seen:
                    raise FacescanError(f"{option} {path}: that is {seen[place]}, too")
                seen[place] = f"{option} {path}"


def _check_cache(options: Mapping[str, Any]) -> None:
    """Find out now, not when outputs are open."""
    if file := _cache_file(options):
        check_cache(file)


def _check_list(file: str | None) -> None:
    """Find out now, not when all else is scanned. A pipe can be opened once only."""
    try:
        if file and file != STDIN and not stat.S_ISFIFO(os.stat(file).st_mode):
            open(file, "rb").close()
    except OSError as error:
        raise FacescanError(f"--files-from {file}: {error.strerror}") from error


def _check_summary(options: Mapping[str, Any]) -> None:
    """Find out now, not after the scan."""
    file = options["summary"]
    if file is None:
        return
    if os.path.splitext(file)[1].lower() not in (".json", ".md"):
        raise FacescanError(f"--summary {file}: unknown suffix; use .json or .md")
    if os.path.isdir(file):
        raise FacescanError(f"--summary {file}: that is a folder")
    if not os.path.isdir(os.path.dirname(os.path.realpath(file))):
        raise FacescanError(f"--summary {file}: there is no such folder")
    if not os.access(os.path.dirname(os.path.realpath(file)), os.W_OK):
        raise FacescanError(f"--summary {file}: its folder cannot be written to")
    if descriptor_of(file) is None:
        check_replaceable(file, None if options["force"] else SUMMARY, "--summary")


def _check_report(options: Mapping[str, Any]) -> None:
    file = options["report"]
    if file is not None and os.path.splitext(file)[1].lower() not in (".html", ".htm"):
        raise FacescanError(f"--report {file}: unknown suffix; use .html")


def _write_summary(file: str, report: Report, force: bool) -> None:
    text = report.as_markdown()
    if file.lower().endswith(".json"):
        text = json.dumps({"meta": report.meta, "summary": report.as_dict()}, indent=2) + "\n"
    replace_file(file, text.encode(), None if force else SUMMARY, "--summary")
