"""Counts rows, and turns the counts into the summary, for people and for machines, and the exit code."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scanner.findings import is_finding
from scanner.printable import on_one_line
from scanner.reasons import Reason
from scanner.result import Result, Verdict, is_marked
from scanner.sources.passed_over import PassedOver

if TYPE_CHECKING:
    from rich.console import Console

# Stages in the order of the work on a picture. `wait` is the time that the main process waits for the workers.
STAGES = ("walk", "read", "cache", "decode", "provenance", "faces", "ela", "crop", "model", "explain", "write", "wait")
# Reasons that one command resolves -> advice in the summary.
_REMEDIES = {
    f"{Reason.UNSUPPORTED_FORMAT}:heic": "HEIC pictures need pillow-heif: pip install pillow-heif",
    Reason.GIT_LFS_POINTER: "Git LFS pointers stand for pictures that are not here: git lfs pull",
}
_STYLES = {"fake": "red", "real": "green", "uncertain": "yellow", "no_face": "dim", "error": "magenta"}


def stage_shares(stages: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the stages that took time, and their share of the work, 0..1; waiting is no work.

    Args:
        stages: seconds by stage.
    """
    work = {stage: seconds for stage, seconds in stages.items() if stage != "wait"}
    total = sum(work.values()) or 1.0
    return [(stage, seconds / total) for stage, seconds in work.items() if seconds / total >= 0.005]


@dataclass(slots=True)
class Summary:
    """Counts the rows of a scan.

    Attributes:
        meta: tool, model, device, thresholds and settings, as JSON output has them.
        fail_on: which rows are findings; one of `scanner.findings.FAIL_ON`.
        exit_zero: whether the exit code is 0 whatever was found.
        finding_code: exit code if there are findings.
        error_code: exit code if files could not be judged, also if there are findings; None for 2, but only if there
            are no findings.
        verdicts, faces: counted over all rows.
        reasons: of errors, counted over all rows.
        findings: number of findings that are not in the baseline.
        marked: number of pictures that are marked as generated.
        cached: number of rows that came from the cache.
        animations: number of files of more than one frame or page.
        frames, frames_judged: numbers of frames of these files.
        baseline: findings that are in the baseline, and so do not count, by verdict.
        stages: seconds by stage.
        passed_over: counts of skipped files.
        allow_empty: whether a scan of no file at all is a success.
    """

    meta: Mapping[str, Any]
    fail_on: str = "fake"
    exit_zero: bool = False
    finding_code: int = 1
    error_code: int | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    faces: int = 0
    findings: int = 0
    marked: int = 0
    cached: int = 0
    animations: int = 0
    frames: int = 0
    frames_judged: int = 0
    baseline: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.perf_counter)
    passed_over: PassedOver = field(default_factory=PassedOver)
    allow_empty: bool = False

    def add(self, result: Result) -> None:
        """Count one row."""
        self.verdicts[result.verdict] += 1
        self.faces += result.n_faces or 0
        self.cached += result.cached
        if (result.frames or 1) > 1:
            self.animations += 1
            self.frames += result.frames or 0
            self.frames_judged += result.frames_judged or 0
        self.marked += is_marked(result.provenance)
        if result.baseline:
            self.baseline[result.verdict] += 1
        elif is_finding(self.fail_on, result.verdict, is_marked(result.provenance)):
            self.findings += 1
        if result.verdict is Verdict.ERROR:
            self.reasons[_without_figures(result.reason)] += 1

    def spent(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage; stages overlap, so their sum may exceed the elapsed time."""
        self.stages[stage] += seconds

    @property
    def bound_by(self) -> str:
        """Return the stage that limits the speed of the scan; empty if nothing was done."""
        if not self.files:
            return ""
        main_process = {"walk", "cache", "write"} | ({"model"} if self.meta["device"]["used"] != "cpu" else set())
        workers = set(STAGES) - main_process - {"wait"}
        waited = self.stages["wait"] > sum(self.stages[stage] for stage in main_process)
        return max(workers if waited else main_process, key=self.stages.__getitem__)

    @property
    def files(self) -> int:
        """Return the number of rows."""
        return self.verdicts.total()

    def exit_code(self) -> int:
        """Return 0 without findings, 1 with findings, 2 for files that could not be judged or no file; or as the
        options say.
        """
        if self.exit_zero:
            return 0
        errors = self.verdicts[Verdict.ERROR] > self.baseline[Verdict.ERROR]
        if errors and self.error_code is not None:
            return self.error_code
        if self.findings:
            return self.finding_code
        return 2 if errors or self._is_empty else 0

    @property
    def _is_empty(self) -> bool:
        """Return whether nothing was scanned without permission to do so. One shard may have none of the files."""
        return not (self.files or self.passed_over.candidates or self.allow_empty)

    def warnings(self) -> list[str]:
        """Return lines that users must see even if they want no summary: that there was nothing to scan."""
        lines = self.passed_over.warnings()
        if self._is_empty:
            passed = self.passed_over.text()
            why = f" (skipped {passed})" if passed else ""
            lines.append(f"nothing was scanned{why}: name other paths, or use --allow-empty if that is intended")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for machines; it has all verdicts, including those with a count of 0."""
        elapsed = time.perf_counter() - self.started
        return {
            "files": self.files,
            "faces": self.faces,
            "verdicts": {verdict.value: self.verdicts[verdict] for verdict in Verdict},
            "errors": dict(self.reasons.most_common()),
            "findings": self.findings,
            "marked": self.marked,
            "baseline": self.baseline.total(),
            "cached": self.cached,
            "passed_over": self.passed_over.as_dict(),
            "remedies": self._remedies(),
            "animations": self.animations,
            "frames": self.frames,
            "frames_judged": self.frames_judged,
            "exit_code": self.exit_code(),
            "seconds": round(elapsed, 3),
            "files_per_second": round(self.files / elapsed, 1) if elapsed else 0.0,
            "bound_by": self.bound_by,
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in self.stages.items()},
        }

    def as_markdown(self) -> str:
        """Return the summary as a Markdown page."""
        figures = "\n".join(f"| {label} | {text} |" for label, text in self._lines())
        return f"# facescan\n\n| | |\n|---|---|\n{figures}\n"

    def render(self, console: Console) -> None:
        """Print the summary on a terminal."""
        from rich.text import Text

        for label, text in self._lines():
            console.print(Text(f"{label:<10} ", _STYLES.get(label, "bold")) + Text(text), soft_wrap=True)

    def _lines(self) -> list[tuple[str, str]]:
        """Return label and text of each line of the summary."""
        summary, meta = self.as_dict(), self.meta
        lines = [(verdict.value, f"{self.verdicts[verdict]:,}") for verdict in Verdict]
        if self.reasons:
            label, count = lines.pop()
            lines.append((label, f"{count}: " + ", ".join(f"{why} {n:,}" for why, n in self.reasons.most_common())))
        rate, seconds = summary["files_per_second"], summary["seconds"]
        cached = f", {self.cached:,} from the cache" if self.cached else ""
        lines += [("remedy", remedy) for remedy in self._remedies()]
        if self.marked:
            lines.append(("marked", f"{self.marked:,} pictures whose metadata say that they were generated"))
        if self.animations:
            judged = f"{self.frames_judged:,} of {self.frames:,} frames judged"
            lines.append(("animations", f"{self.animations:,} animations or documents, {judged}"))
        if self.baseline:
            lines.append(("baseline", f"{self.baseline.total():,} known findings, {self.findings:,} new"))
        passed = [("skipped", self.passed_over.text())] if self.passed_over.counts else []
        spent = ", ".join(f"{stage} {share:.0%}" for stage, share in stage_shares(self.stages))
        model, device, thresholds = meta["model"], meta["device"], meta["thresholds"]
        return [
            *lines,
            ("files", f"{self.files:,}, faces {self.faces:,}, {seconds:.1f} s, {rate:,.1f} files a second{cached}"),
            *passed,
            ("time", f"{spent}; bound by {self.bound_by}" if spent else "none"),
            ("model", f"{model['name']} {model['version']} (sha256 {model['sha256'][:12]}...)"),
            ("device", device["used"] + (f": {device['note']}" if device["note"] else "")),
            ("thresholds", f"fake from {thresholds['fake']:.4f}, uncertain from {thresholds['uncertain']:.4f}"),
            *(
                [("config", on_one_line(f"{meta['config']}: {', '.join(meta['configured'])}"))]
                if meta.get("config")
                else []
            ),
            *([("allowed", f"by {on_one_line(meta['allowed'])}")] if meta.get("allowed") else []),
        ]

    def _remedies(self) -> list[str]:
        return [remedy for reason, remedy in _REMEDIES.items() if self.reasons[reason]]


def _without_figures(reason: str) -> str:
    """Return a reason without its figures, to count `too_many_pixels:900000000` together with all others of its
    kind.
    """
    word, _, detail = reason.partition(":")
    return word if re.fullmatch(r"(over_)?\d+", detail) else reason
