"""Names everything that one run writes, checks that it can be written, and opens it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scanner.cache.database import cache_file, check_cache, database_files
from scanner.detector.card import Card
from scanner.errors import FacescanError
from scanner.files.url import is_url, scheme_of
from scanner.output.destination import STDOUT, descriptor_of, replace_file
from scanner.output.formats import format_of
from scanner.output.overwrite import SUMMARY, check_replaceable
from scanner.output.summary import Summary
from scanner.output.writers import Writer


@dataclass(frozen=True, slots=True)
class Outputs:
    """Holds the paths of everything that one run writes.

    Attributes:
        out: files for rows, or `STDOUT`; empty for lines on standard output.
        format: of standard output, and of files with an unknown suffix; None for the default.
        report: HTML file; None for none.
        summary: JSON or Markdown file; None for none.
        ela_dir: folder for maps of error levels; None for none.
        explain: folder for sheets that explain scores; None for none.
        cache: SQLite file of the cache; None for none.
        excel: whether CSV files are for a spreadsheet.
        force: whether files that facescan did not write may be replaced.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
    """

    out: tuple[str, ...]
    format: str | None
    report: str | None
    summary: str | None
    ela_dir: str | None
    explain: str | None
    cache: str | None
    excel: bool
    force: bool
    fail_on: str

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Outputs:
        """Make an instance from the options of the command line."""
        return cls(
            # /dev/stdout is standard output as much as - is.
            out=tuple(STDOUT if descriptor_of(out) == 1 else out for out in options["out"]),
            cache=None if options["no_cache"] else options["cache"] or cache_file(),
            **{
                name: options[name]
                for name in ("format", "report", "summary", "ela_dir", "explain", "excel", "force", "fail_on")
            },
        )

    def own_files(self) -> frozenset[str]:
        """Return the real paths of everything that this run writes, which must not become its input."""
        written = [file for file in (*self.out, self.summary, self.report) if file]
        paths = [*written, *(f"{file}.partial" for file in written), self.ela_dir, self.explain]
        if self.cache:
            paths += database_files(os.path.realpath(self.cache))
        return frozenset(os.path.realpath(path) for path in paths if path and path != STDOUT)

    def check(self, read: Mapping[str, str | None]) -> None:
        """Fail before anything is opened if an output cannot be written in the end.

        Args:
            read: files that this run reads, by the option that names them; None for options that are not given.

        Raises:
            FacescanError: a path is a URL, is named twice, has an unknown suffix, or may not be replaced.
        """
        self._check_local(read)
        self._check_distinct(read)
        if self.cache:
            check_cache(self.cache)
        self._check_summary()
        if self.report is not None and os.path.splitext(self.report)[1].lower() not in (".html", ".htm"):
            raise FacescanError(f"--report {self.report}: unknown suffix; use .html")

    def make_folders(self) -> None:
        """Make the folders for maps and sheets.

        Raises:
            FacescanError: a folder cannot be made.
        """
        for option, folder in (("--ela-dir", self.ela_dir), ("--explain", self.explain)):
            if folder:
                try:
                    os.makedirs(folder, exist_ok=True)
                except OSError as error:
                    raise FacescanError(f"{option} {folder}: {error.strerror}") from error

    def open(self, meta: Mapping[str, Any], card: Card) -> list[Writer]:
        """Open and begin every output. If one cannot be opened, none begins, and rows of earlier runs stay.

        Args:
            meta: tool, model, device, thresholds and settings, for the head of the outputs.
            card: of the model, for the report.

        Raises:
            FacescanError: an output cannot be opened.
        """
        writers: list[Writer] = []
        try:
            for writer in self._writers(meta, card):
                writers.append(writer)
            for writer in writers:  # now that each of them can be written
                writer.begin()
        except BaseException:
            for writer in writers:
                writer.abandon({})
            raise
        return writers

    def write_summary(self, summary: Summary) -> None:
        """Write the file of `--summary`, if it was asked for.

        Raises:
            FacescanError: it cannot be written.
        """
        if self.summary is None:
            return
        text = summary.as_markdown()
        if self.summary.lower().endswith(".json"):
            text = json.dumps({"meta": summary.meta, "summary": summary.as_dict()}, indent=2) + "\n"
        replace_file(self.summary, text.encode(), None if self.force else SUMMARY, "--summary")

    def _writers(self, meta: Mapping[str, Any], card: Card) -> Iterator[Writer]:
        """Yield a writer for each output."""
        outs = self.out or (STDOUT,)
        on_stdout = self.format or ("csv" if self.out else "text")
        formats = [format_of(out, on_stdout if out == STDOUT else self.format) for out in outs]
        if sys.stdout.isatty() and ("parquet", STDOUT) in zip(formats, outs, strict=True):
            raise FacescanError("--format parquet: cannot be shown on a terminal; use --out FILE, or a pipe")
        for out, form in zip(outs, formats, strict=True):
            color = out == STDOUT and _wants_color()
            yield Writer(out, form, meta, self.excel, color, self.fail_on, self.force)
        if self.report is not None:  # imported here, because loading Jinja2 and Matplotlib takes time
            from scanner.html.charts import keep_fonts
            from scanner.html.report import ReportWriter

            keep_fonts(self.cache is not None)
            yield ReportWriter(self.report, card, meta, self.force)

    def _check_local(self, read: Mapping[str, str | None]) -> None:
        """Refuse URLs: only scanned files may be URLs."""
        written: list[tuple[str, str | None]] = [("--out", out) for out in self.out]
        written += [
            (f"--{name.replace('_', '-')}", getattr(self, name))
            for name in ("summary", "report", "ela_dir", "explain", "cache")
        ]
        for option, path in written:
            if path and is_url(path):
                raise FacescanError(
                    f"{option} {path}: cannot write to a URL; write a local file, and copy it to "
                    f"{scheme_of(path)}:// afterwards"
                )
        for option, path in read.items():
            if path and is_url(path):
                raise FacescanError(f"{option} {path}: cannot read a URL; download it first, and name the local file")

    def _check_distinct(self, read: Mapping[str, str | None]) -> None:
        """Refuse two outputs with the same path. Outputs may replace files that were read, at the end; the cache
        may not.
        """
        outs = [("--out", out) for out in self.out]
        cache = ("--cache", self.cache)
        others = [
            ("--summary", self.summary),
            ("--report", self.report),
            ("--ela-dir", self.ela_dir),
            ("--explain", self.explain),
        ]
        for group in ([*outs, cache, *others], [cache, *read.items()]):
            options: dict[str, str] = {}
            for option, path in group:
                if path:
                    descriptor = descriptor_of(path)  # two descriptors may lead to the same terminal or log
                    place = os.path.realpath(path) if descriptor is None else f"descriptor {descriptor}"
                    if place in options:
                        raise FacescanError(f"{option} {path}: is the same file as {options[place]}; name another")
                    options[place] = f"{option} {path}"

    def _check_summary(self) -> None:
        """Fail if the summary cannot be written."""
        file = self.summary
        if file is None:
            return
        if os.path.splitext(file)[1].lower() not in (".json", ".md"):
            raise FacescanError(f"--summary {file}: unknown suffix; use .json or .md")
        if os.path.isdir(file):
            raise FacescanError(f"--summary {file}: is a folder; name a file")
        if not os.path.isdir(os.path.dirname(os.path.realpath(file))):
            raise FacescanError(f"--summary {file}: its folder does not exist")
        if not os.access(os.path.dirname(os.path.realpath(file)), os.W_OK):
            raise FacescanError(f"--summary {file}: no permission to write to its folder")
        if descriptor_of(file) is None:
            check_replaceable(file, None if self.force else SUMMARY, "--summary")


def _wants_color() -> bool:
    """Return whether standard output is coloured: on a terminal, or as no-color.org and force-color.org define."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()
