"""One run: settings in, outputs written, exit code out. Wires the stages together; decides nothing itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from scanner import __version__
from scanner.errors import FacescanError, InterruptionError
from scanner.model import DEFAULT_MODEL, Detector, find_model
from scanner.pipeline import scan
from scanner.progress import Progress
from scanner.quiet import silent_decoders
from scanner.report import Report
from scanner.result import SCHEMA_VERSION, Verdict
from scanner.runtime import available_cpus
from scanner.settings import Settings
from scanner.thresholds import Thresholds, choose
from scanner.walk import STDIN, Candidate, Selection, candidates, read_list
from scanner.writers import STDOUT, Writer, as_line, format_of

_NAMED = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR)


def run(options: Mapping[str, Any]) -> int:
    """Scan as the command line's options say, and return the exit code.

    Raises:
        FacescanError: for trouble with the run, an interruption included; rows that are done stay in ``.partial``.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings(**{"model": DEFAULT_MODEL} | _fields_of(Settings, given))
    selection = Selection(**_fields_of(Selection, given))
    detector = Detector(find_model(settings.model), settings.device, settings.workers or available_cpus())
    thresholds = choose(detector.card, settings.threshold, settings.fpr)
    report = Report(_meta(settings, selection, detector, thresholds), options["fail_on"], options["exit_zero"])
    if settings.ela_dir:
        _make_folder(settings.ela_dir)
    writers = _open_outputs(options, report.meta)
    try:
        with silent_decoders():
            _scan_into(writers, report, options, settings, selection, detector, thresholds)
        for writer in writers:
            writer.finish(report.as_dict())
    except (KeyboardInterrupt, FacescanError) as error:
        for writer in writers:
            writer.abandon(report.as_dict())
        if isinstance(error, FacescanError):
            raise
        kept = ", ".join(writer.partial for writer in writers if writer.partial)
        where = f", kept in {kept}" if kept else ""
        raise InterruptionError(f"interrupted after {report.files} rows{where}") from error
    if options["summary"]:
        _write_summary(options["summary"], report)
    if not options["quiet"]:
        from rich.console import Console

        report.render(Console(stderr=True, highlight=False))
    return report.exit_code()


def _scan_into(
    writers: list[Writer],
    report: Report,
    options: Mapping[str, Any],
    settings: Settings,
    selection: Selection,
    detector: Detector,
    thresholds: Thresholds,
) -> None:
    results = scan(_candidates(options, selection), detector, thresholds, settings, report.spent)
    # Rows on the terminal are progress enough, and a bar would run through them.
    shown = not options["quiet"] and not (sys.stdout.isatty() and any(writer.on_stdout for writer in writers))
    countable = STDIN not in (options["files_from"], *options["paths"])
    with Progress(results, _candidates(options, selection) if countable else None, shown) as bar:
        for result in bar:
            started = time.perf_counter()
            for writer in writers:
                writer.write(result)
            report.spent("write", time.perf_counter() - started)
            report.add(result)
            if options["verbose"] and result.verdict in _NAMED:
                bar.say(as_line(result))


def _fields_of(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def _candidates(options: Mapping[str, Any], selection: Selection) -> Iterator[Candidate]:
    yield from candidates(options["paths"], selection)
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
    return [Writer(out, form, meta, options["excel"], _color()) for out, form in zip(outs, formats, strict=True)]


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
        "settings": asdict(settings) | {"region": settings.region or card.source} | asdict(selection),
    }


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise FacescanError(f"--ela-dir {folder}: {error.strerror}") from error


def _write_summary(file: str, report: Report) -> None:
    text = report.as_markdown()
    if os.path.splitext(file)[1].lower() == ".json":
        text = json.dumps({"meta": report.meta, "summary": report.as_dict()}, indent=2) + "\n"
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise FacescanError(f"--summary {file}: {error.strerror}") from error
