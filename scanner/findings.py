"""Decides which rows are findings, which are shown to people, and which are written (`--fail-on`, `--only`)."""

from __future__ import annotations

from collections.abc import Collection

from scanner.result import Result, Verdict, is_marked

FAIL_ON = ("fake", "uncertain", "error", "provenance", "never")
# Verdicts that are findings, by --fail-on. With `provenance`, pictures that are marked as generated are findings, too.
FINDINGS: dict[str, frozenset[Verdict]] = {
    "fake": frozenset({Verdict.FAKE}),
    "uncertain": frozenset({Verdict.FAKE, Verdict.UNCERTAIN}),
    "error": frozenset({Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR}),
    "provenance": frozenset({Verdict.FAKE}),
    "never": frozenset(),
}
# Verdicts that people want to see, whatever counts for the exit code; in that order.
NOTABLE = (Verdict.FAKE, Verdict.UNCERTAIN, Verdict.ERROR)
# Values of --only: verdicts, and `marked` for pictures whose metadata say that they were generated.
ONLY = (*(verdict.value for verdict in Verdict), "marked")


def is_finding(fail_on: str, verdict: Verdict, marked: bool) -> bool:
    """Return whether a row is a finding.

    Args:
        fail_on: one of `FAIL_ON`.
        verdict: of the row.
        marked: whether the picture's metadata say that it was generated: a finding with `provenance`.
    """
    return verdict in FINDINGS[fail_on] or (fail_on == "provenance" and marked)


def is_notable(result: Result) -> bool:
    """Return whether a row is shown to people: for its verdict, or because it is marked as generated."""
    return result.verdict in NOTABLE or is_marked(result.provenance)


def is_wanted(only: Collection[str] | None, result: Result) -> bool:
    """Return whether a row is written.

    Args:
        only: values out of `ONLY`; None for all rows.
        result: the row.
    """
    return only is None or result.verdict in only or ("marked" in only and is_marked(result.provenance))
