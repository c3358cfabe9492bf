"""Decides which rows are findings, which people want to see, and which are written (`--fail-on`, `--only`)."""

from __future__ import annotations

from collections.abc import Collection

from scanner.result import Result, Verdict, is_marked

FAIL_ON = ("fake", "uncertain", "error", "provenance", "never")
# Verdicts that are findings: each level adds one kind to the one before, but `provenance`, which see.
FINDINGS: dict[str, frozenset[Verdict]] = {
    "fake": frozenset({Verdict.FAKE}),
    "uncertain": frozenset({Verdict.FAKE, Verdict.UNCERTAIN}),
    "error": frozenset({Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR}),
    "provenance": frozenset({Verdict.FAKE}),
    "never": frozenset(),
}
# What people want to see, whatever counts for the exit code; in that order.
NOTABLE = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR)
# What --only takes: verdicts, and `marked` for pictures that say themselves that they were generated.
ONLY = (*(verdict.value for verdict in Verdict), "marked")


def is_finding(fail_on: str, verdict: Verdict, marked: bool) -> bool:
    """Whether a row is a finding.

    Args:
        fail_on: one of `FAIL_ON`.
        verdict: of the row.
        marked: whether the picture says itself that it was generated: a finding with `provenance`.
    """
    return verdict in FINDINGS[fail_on] or (fail_on == "provenance" and marked)


def is_notable(result: Result) -> bool:
    """Whether people want to see a row: also that of a picture that says it was generated."""
    return result.verdict in NOTABLE or is_marked(result.provenance)


def is_wanted(only: Collection[str] | None, result: Result) -> bool:
    """Whether a row is written, out of `ONLY`; all are where nothing was chosen."""
    return only is None or result.verdict in only or ("marked" in only and is_marked(result.provenance))
