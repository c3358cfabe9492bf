"""Counts, summaries and the exit code."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scanner.findings import FAIL_ON
from scanner.output.summary import STAGES, Summary
from scanner.result import Result, Verdict

META = {
    "model": {"name": "toy", "version": "7", "sha256": "0123456789abcdef" * 4},
    "device": {"requested": "auto", "used": "cpu", "note": "no NVIDIA driver found"},
    "thresholds": {"uncertain": 0.25, "fake": 0.75},
}
REASONS = [
    "too_many_pixels:900000000",
    "too_many_pixels:400000001",
    "truncated",
    "truncated",
    "truncated",
    "unsupported_format:heic",
    "unsupported_format:svg",
    "unsupported_format:svg",
    "not_a_file:fifo",
    "too_many_bytes:over_100",
    "unsupported_format:jp2",
    "unsupported_pixels:float32",
]


def report_of(*verdicts: str, **options) -> Summary:
    report = Summary(META, **options)
    for verdict in verdicts:
        report.add(Result("a.jpg", Verdict(verdict), reason="truncated" if verdict == "error" else ""))
    return report


@pytest.mark.parametrize(
    ("verdicts", "exit_codes"),
    [  # for --fail-on fake, uncertain, error, provenance, never
        ("", (2, 2, 2, 2, 2)),  # nothing was scanned
        ("real no_face", (0, 0, 0, 0, 0)),
        ("real uncertain", (0, 1, 1, 0, 0)),
        ("real fake", (1, 1, 1, 1, 0)),
        ("real error", (2, 2, 1, 2, 2)),
        ("error uncertain", (2, 1, 1, 2, 2)),
        ("error fake", (1, 1, 1, 1, 2)),  # a finding beats an error
        ("error fake uncertain real no_face", (1, 1, 1, 1, 2)),
    ],
)
def test_exit_codes(verdicts, exit_codes):
    mix = verdicts.split()
    assert tuple(report_of(*mix, fail_on=level).exit_code() for level in FAIL_ON) == exit_codes
    assert {report_of(*mix, fail_on=level, exit_zero=True).exit_code() for level in FAIL_ON} == {0}


SAYS_SO = {"marks": [{"generator": "ComfyUI", "means": "generated"}, {"generator": "GIMP", "means": "edited"}]}
SAYS_OTHERWISE = {"marks": [{"generator": None, "means": "camera"}]}


@pytest.mark.parametrize("verdict", ["real", "no_face", "error"])
@pytest.mark.parametrize(
    ("said", "baseline", "marked", "findings"),
    [(SAYS_SO, None, 1, 1), (SAYS_SO, True, 1, 0), (SAYS_SO, False, 1, 1), (SAYS_OTHERWISE, None, 0, 0)],
)
def test_marks_of_generators_are_counted_and_may_be_findings(verdict, said, baseline, marked, findings):
    for level, expected in (("provenance", findings), ("fake", 0)):
        report = Summary(META, fail_on=level)
        report.add(Result("a.png", Verdict(verdict), provenance=said, baseline=baseline))
        summary = report.as_dict()
        assert (summary["marked"], summary["findings"]) == (marked, expected)
        assert ("marked     1 pictures whose metadata say that they were generated\n" in shown(report)) == bool(marked)


@given(st.lists(st.sampled_from(Verdict)), st.sampled_from(FAIL_ON))
def test_counts_add_up(verdicts, fail_on):
    summary = report_of(*verdicts, fail_on=fail_on).as_dict()
    assert summary["files"] == sum(summary["verdicts"].values()) == len(verdicts)
    assert list(summary["verdicts"]) == ["fake", "real", "uncertain", "no_face", "error"]
    assert all(summary["verdicts"][verdict] == verdicts.count(verdict) for verdict in verdicts)
    assert sum(summary["errors"].values()) == summary["verdicts"]["error"]
    assert (summary["exit_code"] == 1) == bool(summary["findings"])


def test_reasons_are_grouped_without_their_figures_the_most_frequent_first():
    report = Summary(META)
    for reason in REASONS:
        report.add(Result("a.jpg", Verdict.ERROR, reason=reason))
    report.add(Result("b.jpg", Verdict.NO_FACE, reason="too_small:3"))
    assert list(report.as_dict()["errors"].items()) == [
        ("truncated", 3),
        ("too_many_pixels", 2),
        ("unsupported_format:svg", 2),
        ("unsupported_format:heic", 1),
        ("not_a_file:fifo", 1),
        ("too_many_bytes", 1),
        ("unsupported_format:jp2", 1),
        ("unsupported_pixels:float32", 1),
    ]


def test_faces_are_counted_where_they_were_looked_for():
    report = Summary(META)
    for n_faces in (3, 0, None, 1):
        report.add(Result("a.jpg", Verdict.REAL, n_faces=n_faces))
    assert report.as_dict()["faces"] == 4


def test_rows_from_the_cache_are_counted():
    report = report_of("real")
    report.add(Result("a.jpg", Verdict.REAL, cached=True))
    assert report.as_dict()["cached"] == 1
    assert ", 1 from the cache\n" in shown(report)
    assert "cache" not in shown(report_of("real"))


@pytest.mark.parametrize("verdict", ["fake", "uncertain", "error"])
def test_findings_of_the_baseline_are_counted_apart(verdict):
    report = Summary(META, fail_on=verdict)
    report.add(Result("a.jpg", Verdict(verdict), baseline=True))
    summary = report.as_dict()
    assert (summary["findings"], summary["baseline"], summary["exit_code"]) == (0, 1, 0)
    assert summary["verdicts"][verdict] == 1
    assert "baseline   1 known findings, 0 new\n" in shown(report)
    report.add(Result("b.jpg", Verdict(verdict), baseline=False))
    assert (report.findings, report.exit_code()) == (1, 1)


def test_the_summary_for_machines_is_json():
    report = report_of("fake", "real", "error")
    report.spent("model", 1.5)
    report.spent("model", 0.25)
    summary = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert summary["stage_seconds"] == dict.fromkeys(STAGES, 0.0) | {"model": 1.75}
    assert summary["seconds"] >= 0
    assert summary["files_per_second"] > 0
    assert set(summary) == {
        "files", "faces", "verdicts", "errors", "findings", "marked", "baseline", "cached", "exit_code", "seconds",
        "files_per_second", "bound_by", "stage_seconds", "passed_over", "remedies",
        "animations", "frames", "frames_judged",
    }  # fmt: skip


@pytest.fixture
def busy() -> Summary:
    report = report_of(*["real"] * 1234, "fake", "error", "error")
    report.spent("decode", 3.0)
    report.spent("model", 1.0)
    report.spent("write", 0.001)
    return report


def shown(report: Summary, **options) -> str:
    console = Console(file=io.StringIO(), width=40, highlight=False, **options)
    report.render(console)
    return console.file.getvalue()


SAYS = [
    ("fake", "1"),
    ("real", "1,234"),
    ("uncertain", "0"),
    ("no_face", "0"),
    ("error", "2: truncated 2"),
    ("time", "decode 75%, model 25%; bound by write"),  # what took no time is left out
    ("model", "toy 7 (sha256 0123456789ab...)"),
    ("device", "cpu: no NVIDIA driver found"),
    ("thresholds", "fake from 0.7500, uncertain from 0.2500"),
]


def test_the_summary_for_people(busy):
    lines = shown(busy).splitlines()
    assert [line for line in lines if not line.startswith("files")] == [f"{label:<11}{text}" for label, text in SAYS]
    assert sum(line.startswith("files      1,237, faces 0, ") for line in lines) == 1


def test_the_summary_is_coloured_on_terminals_only(busy):
    assert "\x1b[" not in shown(busy)
    assert "\x1b[31mfake" in shown(busy, force_terminal=True, color_system="standard")


def test_the_summary_as_a_page(busy):
    page = busy.as_markdown()
    assert page.startswith("# facescan\n\n| | |\n|---|---|\n")
    for label, text in SAYS:
        assert f"\n| {label} | {text} |\n" in page


def test_an_empty_scan_can_be_summed_up():
    lines = dict(line.split(maxsplit=1) for line in shown(report_of()).splitlines() if " " in line.strip())
    assert lines["files"].startswith("0, faces 0")
    assert {lines[verdict.value] for verdict in Verdict} == {"0"}


@pytest.mark.parametrize(
    ("device", "spent", "bound_by"),
    [
        ("cpu", {"wait": 60, "decode": 50, "faces": 70, "model": 40, "write": 1}, "faces"),
        ("cpu", {"wait": 60, "read": 90, "model": 5, "write": 30}, "read"),
        ("cpu", {"wait": 10, "faces": 15, "model": 12, "write": 80}, "write"),  # they wait for us
        ("cuda", {"wait": 60, "decode": 50, "faces": 70, "model": 30}, "faces"),
        ("cuda", {"wait": 10, "decode": 50, "faces": 70, "model": 60}, "model"),
        ("cpu", {"cache": 50, "wait": 0, "write": 20}, "cache"),
        ("cpu", {"walk": 80, "wait": 10, "decode": 20, "write": 5}, "walk"),
    ],
)
def test_what_bound_the_scan(device, spent, bound_by):
    report = Summary(META | {"device": {"used": device, "note": ""}})
    assert report.bound_by == ""
    report.add(Result("a.jpg", Verdict.REAL))
    for stage, seconds in spent.items():
        report.spent(stage, seconds)
    assert report.as_dict()["bound_by"] == bound_by
    assert f"; bound by {bound_by} |" in report.as_markdown()
