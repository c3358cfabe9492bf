"""One run: settings in, outputs written, exit code out. Wires the stages together; decides nothing itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, fields
from typing import Any

import click

from scanner import __version__
from scanner.baseline import marked, read_baseline
from scanner.cache import Cache, cache_file, files_of
from scanner.errors import FacescanError, InterruptionError
from scanner.formats import format_of
from scanner.formats.rows import as_line, on_one_line
from scanner.interrupts import Interrupts
from scanner.model import DEFAULT_MODEL, Detector, find_model
from scanner.pipeline import scan, scope
from scanner.progress import Progress
from scanner.quiet import silent_libraries
from scanner.report import Report
from scanner.result import SCHEMA_VERSION, Result, Verdict, is_marked
from scanner.settings import Settings
from scanner.thresholds import Thresholds, choose
from scanner.url import is_url
from scanner.walk import STDIN, Candidate, Selection, candidates, read_list
from scanner.writers import STDOUT, Writer, replace_file

_NAMED = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR)


def run(options: Mapping[str, Any]) -> int:
    """Scan as the command line's options say, and return the exit code.

    Raises:
        FacescanError: for trouble with the run, an interruption included; rows that are done stay in ``.partial``.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings(**{"model": DEFAULT_MODEL} | _fields_of(Settings, given))
    selection = Selection(**_fields_of(Selection, given), ours=_own_files(options))
    _check_summary(options)
    _check_report(options)
    _check_engine(settings)
    _check_explain(settings)
    known = read_baseline(options["baseline"], options["fail_on"]) if options["baseline"] else None
    detector = Detector(find_model(settings.model), _device(settings))
    thresholds = choose(detector.card, settings.threshold, settings.fpr)
    report = Report(_meta(settings, selection, detector, thresholds), options["fail_on"], options["exit_zero"])
    for option, folder in (("--ela-dir", settings.ela_dir), ("--explain", settings.explain)):
        if folder:
            _make_folder(option, folder)
    writers = _open_outputs(options, report.meta)
    writers += _open_report(options, report.meta, detector)
    cache = _cache(options, scope(detector, settings))
    thumbnails = bool(options["report"])
    results = scan(_candidates(options, selection), detector, thresholds, settings, report.spent, cache, thumbnails)
    if known is not None:
        results = marked(results, known, options["fail_on"])
    try:
        with cache or nullcontext(), Interrupts() as interrupts, silent_libraries():
            _consume(results, writers, report, interrupts, _bar(options, selection, writers), options["verbose"])
        for writer in writers:
            writer.finish(report.as_dict())
    except (KeyboardInterrupt, FacescanError) as error:
        for writer in writers:
            writer.abandon(report.as_dict())
        if isinstance(error, FacescanError):
            raise
        kept = ", ".join(writer.kept for writer in writers if writer.kept)
        where = f", kept in {kept}" if kept else ""
        raise InterruptionError(f"interrupted after {report.files} rows{where}") from error
    for note in filter(None, (writer.note for writer in writers)):
        click.echo(f"facescan: {on_one_line(note)}", err=True)
    if options["summary"]:
        _write_summary(options["summary"], report)
    if not options["quiet"]:
        from rich.console import Console

        report.render(Console(stderr=True, highlight=False))
    return report.exit_code()


def _consume(
    results: Iterable[Result],
    writers: list[Writer],
    report: Report,
    interrupts: Interrupts,
    bar: Progress,
    verbose: bool,
) -> None:
    """Write and count every result. Files and count agree, whenever somebody interrupts."""
    direct = [writer for writer in writers if not writer.partial]  # these may block, on a reader that takes its time
    files = [writer for writer in writers if writer.partial]
    with bar:
        for result in results:
            started = time.perf_counter()
            for writer in direct:
                writer.write(result)
            with interrupts.held():
                for writer in files:
                    writer.write(result)
                report.add(result)
            report.spent("write", time.perf_counter() - started)
            if verbose and (result.verdict in _NAMED or is_marked(result.provenance)):
                bar.say(as_line(result))
            bar.update(report.findings)


def _bar(options: Mapping[str, Any], selection: Selection, writers: list[Writer]) -> Progress:
    # Rows on the terminal are progress enough, and a bar would run through them.
    shown = not options["quiet"] and not (sys.stdout.isatty() and any(writer.on_stdout for writer in writers))
    # What can be read once only (standard input, a pipe) belongs to the scan; listing a URL costs time, and money.
    source = options["files_from"]
    once = any(path == STDIN or is_url(path) for path in options["paths"])
    countable = not once and (source is None or os.path.isfile(source))
    return Progress(_candidates(options, selection) if countable else None, shown)


def _cache(options: Mapping[str, Any], decisive: Mapping[str, Any]) -> Cache | None:
    """The cache of this run. Maps of error levels have to be made, so such a run does not ask it."""
    file = _cache_file(options)
    return Cache(file, decisive, reads=options["ela_dir"] is None) if file else None


def _cache_file(options: Mapping[str, Any]) -> str | None:
    return None if options["no_cache"] else options["cache"] or cache_file()


def _fields_of(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def _candidates(options: Mapping[str, Any], selection: Selection) -> Iterator[Candidate | None]:
    yield from candidates(options["paths"], selection, named=True)
    source = options["files_from"]
    if source == STDIN:
        yield from candidates(read_list(sys.stdin.buffer, options["null"]), selection)
    elif source:
        try:
            with open(source, "rb") as stream:
                yield from candidates(read_list(stream, options["null"]), selection)
        except OSError as error:
            raise FacescanError(f"--files-from {source}: {error.strerror}") from error


def _open_outputs(options: Mapping[str, Any], meta: Mapping[str, Any]) -> list[Writer]:
    outs = options["out"] or (STDOUT,)
    if len({os.path.realpath(out) for out in outs}) < len(outs):
        raise FacescanError("--out: the same file is named twice")
    on_stdout = options["format"] or ("csv" if options["out"] else "text")
    formats = [format_of(out, on_stdout if out == STDOUT else options["format"]) for out in outs]
    if options["cache"] and os.path.realpath(options["cache"]) in {os.path.realpath(out) for out in outs}:
        raise FacescanError(f"--cache {options['cache']}: that is an --out, too")
    if sys.stdout.isatty() and ("parquet", STDOUT) in zip(formats, outs, strict=True):
        raise FacescanError("--format parquet: not onto a terminal; use --out FILE, or a pipe")
    return [
        Writer(out, form, meta, options["excel"], out == STDOUT and _color(), options["fail_on"])
        for out, form in zip(outs, formats, strict=True)
    ]


def _open_report(options: Mapping[str, Any], meta: Mapping[str, Any], detector: Detector) -> list[Writer]:
    """The page, if there is to be one; only then does it cost time to load what it takes."""
    file = options["report"]
    if file is None:
        return []
    from scanner.html.report import ReportWriter

    return [ReportWriter(file, detector.card, meta)]


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
        import scanner.ray_engine  # noqa: F401

        if settings.device == "cuda":
            raise FacescanError("--engine ray judges on processors, not on GPUs: leave --device cuda out")


def _check_explain(settings: Settings) -> None:
    if settings.explain is None:
        return
    if settings.device == "cuda":
        raise FacescanError("--explain looks on processors, not on GPUs: leave --device cuda out")
    if settings.ela_dir and os.path.realpath(settings.ela_dir) == os.path.realpath(settings.explain):
        raise FacescanError(f"--explain {settings.explain}: that is the --ela-dir, too")


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


def _check_summary(options: Mapping[str, Any]) -> None:
    """Find out now, not after the scan."""
    file = options["summary"]
    if file is None:
        return
    if os.path.splitext(file)[1].lower() not in (".json", ".md"):
        raise FacescanError(f"--summary {file}: unknown suffix; use .json or .md")
    if os.path.realpath(file) in {os.path.realpath(out) for out in options["out"]}:
        raise FacescanError(f"--summary {file}: that is an --out, too")
    if not os.path.isdir(os.path.dirname(os.path.realpath(file))):
        raise FacescanError(f"--summary {file}: there is no such folder")
    if not os.access(os.path.dirname(os.path.realpath(file)), os.W_OK):
        raise FacescanError(f"--summary {file}: its folder cannot be written to")


def _check_report(options: Mapping[str, Any]) -> None:
    """What else is written there would be lost."""
    file = options["report"]
    if file is None:
        return
    if os.path.splitext(file)[1].lower() not in (".html", ".htm"):
        raise FacescanError(f"--report {file}: unknown suffix; use .html")
    others = {"--out": options["out"], "--summary": [options["summary"]], "--cache": [_cache_file(options)]}
    for option, files in others.items():
        if os.path.realpath(file) in {os.path.realpath(other) for other in files if other}:
            raise FacescanError(f"--report {file}: that is the {option}, too")


def _write_summary(file: str, report: Report) -> None:
    text = report.as_markdown()
    if file.lower().endswith(".json"):
        text = json.dumps({"meta": report.meta, "summary": report.as_dict()}, indent=2) + "\n"
    try:
        replace_file(file, text.encode())
    except OSError as error:
        raise FacescanError(f"--summary {file}: {error.strerror}") from error
