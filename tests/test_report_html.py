"""The page that `--report` writes: what is in it, and how it comes to be. How it behaves: test_report_in_browser.py."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.detector.model import Detector, find_model
from scanner.errors import FacescanError
from scanner.html import report as report_module
from scanner.html import tallies
from scanner.html.links import Links
from scanner.html.report import VERDICTS, ReportWriter
from scanner.html.scan_charts import pace, scores
from scanner.html.tallies import Folders, Pace, Scores, Thumbnails
from scanner.output.formats.rows import as_object
from scanner.output.summary import Summary
from scanner.printable import on_one_line, printable_path
from scanner.result import Face, Result, Verdict
from tests.conftest import TOY_CARD, clean_environment
from tests.outputs import OLD_REPORT
from tests.pictures import encode, scene
from tests.test_writers import HOSTILE, full_disk, results

pytest.importorskip("jinja2", reason="needs the extra report")
pytest.importorskip("matplotlib", reason="needs the extra report")

THRESHOLDS = {"uncertain": 0.4, "fake": 0.6}
META = {
    "schema": 1,
    "tool": "facescan 0",
    "model": {"name": "toy", "version": "1", "task": "general", "sha256": "ab" * 32},
    "device": {"used": "cpu", "note": "no <GPU>"},
    "thresholds": THRESHOLDS,
    "settings": {},
}
JPEG = encode(scene(), "JPEG")
NAMES = {"fake": (0.6, 1.0), "uncertain": (0.4, 0.5999), "real": (0.0, 0.3999)}


def row(path: str, p_fake: float | None = None, reason: str = "", **fields) -> Result:
    """A row whose verdict follows from its score; without one an error, if there is a reason, or else no face."""
    if p_fake is None:
        return Result(path, Verdict.ERROR if reason else Verdict.NO_FACE, reason=reason, **fields)
    verdict = next(Verdict(name) for name, (low, high) in NAMES.items() if low <= p_fake <= high)
    face = Face((1, 2, 30, 40), 0.87, p_fake, {"toy": p_fake})
    return replace(
        Result(path, verdict, p_fake, 1, 640, 480, "jpeg", 12345, "ab" * 32, reason or "face:0", (face,)), **fields
    )


def write(file: Path, rows: list[Result], **options) -> Path:
    """A report as `scanner.command.run` writes it."""
    report = Summary(META, **options)
    writer = ReportWriter(str(file), TOY_CARD, META)
    for one in rows:
        writer.write(one)
        report.add(one)
    report.spent("model", 1.0)
    writer.finish(report.as_dict())
    return file


class Page(HTMLParser):
    """A page as a browser would take it apart, without running it.

    Attributes:
        elements: tag and attributes of all there are.
        scripts: text of the script elements, by the value of `class` or `id`, or of `type`.
        text: all that is neither script nor style.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, list[str]] = {}
        self.text = ""
        self._open: tuple[str, dict[str, str | None]] = ("", {})
        self.source = file.read_text("utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs))
        if tag in ("script", "style"):
            self._texts().append("")

    def handle_endtag(self, tag):
        self._open = ("", {})

    def handle_data(self, data):
        if self._open[0] in ("script", "style"):
            self._texts()[-1] += data
        else:
            self.text += data

    def _texts(self) -> list[str]:
        tag, attributes = self._open
        return self.scripts.setdefault(attributes.get("class") or attributes.get("id") or tag, [])

    @property
    def rows(self) -> list[dict]:
        """The rows as the page's script reads them."""
        found, folder, base = [], "", ""
        for block in self.scripts.get("rows", []):
            for item in json.loads(block):
                if len(item) == 2:
                    folder, base = item
                    continue
                name, verdict, p_fake, segment, detail = item + [1, {}][len(item) - 3 :]
                found.append(
                    {
                        "path": os.path.join(folder, name),
                        "verdict": VERDICTS[verdict],
                        "p_fake": p_fake,
                        "url": f"{base}/{name if segment == 1 else segment}" if segment else "",
                        "detail": detail,
                    }
                )
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The figures at the top, by verdict."""
        top = self.source.partition('<ul class="verdicts">')[2].partition("</ul>")[0]
        return {v: int(n.replace(",", "")) for v, n in re.findall(r'<strong class="(\w+)">([\d,]+)</strong>', top)}


ROWS = [
    row("up/a/1.jpg", 0.95, thumbnail=JPEG),
    row("up/a/2.jpg", 0.05),
    row("up/b/3.jpg", 0.5),
    row("up/b/4.jpg", reason="truncated", format="jpeg", bytes=100),
    row("up/5.jpg"),
    row("6.jpg", 0.7, baseline=True),
]


@pytest.mark.slow
def test_a_scan_writes_one_file_that_needs_no_other(facescan, tmp_path, examples):
    done = facescan(examples, "--out", "r.csv", "--report", "r.html", "--summary", "s.json", "--fpr", "0.05")
    assert (done.returncode, done.stdout) == (1, b"")
    assert sorted(os.listdir(tmp_path)) == ["r.csv", "r.html", "s.json"]
    page, summary = Page(tmp_path / "r.html"), json.loads((tmp_path / "s.json").read_text())["summary"]
    assert page.counts == summary["verdicts"]
    assert [one["path"] for one in page.rows] == [str(file) for file in sorted(examples.glob("*.jpg"))]
    loads = [
        value for tag, a in page.elements for key, value in a.items() if key in ("src", "srcset", "data", "action")
    ]
    assert loads == []
    assert {tag for tag, _ in page.elements} & {"link", "iframe", "object", "embed", "base"} == set()
    assert not re.search(r"url\((?!#)|@import", page.source)
    threshold = f"{Detector(find_model('default')).card.operating_points['0.05']:.4f}"
    for said in ("facescan's detector of wholly generated faces", "cpu", threshold, summary["bound_by"]):
        assert said in page.text


def test_the_counts_are_those_of_the_summary(tmp_path):
    page = Page(write(tmp_path / "r.html", ROWS))
    assert page.counts == {"fake": 2, "uncertain": 1, "error": 1, "real": 1, "no_face": 1}
    assert "1 known findings (in the baseline), 1 new" in page.text
    assert "no <GPU>" in page.text


def test_findings_and_errors_are_there_in_full_and_the_others_can_be_found(tmp_path):
    rows = Page(write(tmp_path / "r.html", ROWS)).rows
    assert [(one["path"], one["verdict"], one["p_fake"]) for one in rows] == [
        (one.path, one.verdict, one.p_fake) for one in ROWS
    ]
    for one, result in zip(rows, ROWS, strict=True):
        if result.verdict in ("real", "no_face"):
            assert one["detail"] == {}
            continue
        whole = json.loads(json.dumps(as_object(result)))
        left = {k: v for k, v in whole.items() if k not in ("path", "verdict", "p_fake") and v not in (None, "", [])}
        assert one["detail"] == left


def test_what_is_marked_as_generated_is_there_in_full_whatever_its_verdict(tmp_path):
    mark = {"kind": "exif", "where": "Software", "value": "made by <AI>", "generator": None, "means": "generated"}
    known, plain = {"marks": [mark], "jpeg_quality": 90, "c2pa": None}, {"marks": [], "jpeg_quality": 75}
    rows = [
        row("a.jpg", 0.1, provenance=known),
        row("b.jpg", 0.1, provenance=plain),
        row("c.jpg", 0.9, provenance=plain),
    ]
    page = Page(write(tmp_path / "r.html", rows))
    del mark["generator"]
    assert [one["detail"].get("provenance") for one in page.rows] == [
        {"marks": [mark], "jpeg_quality": 90}, None, {"jpeg_quality": 75}
    ]  # fmt: skip
    assert "1 marked as generated" in page.text


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.lists(results | st.sampled_from(HOSTILE).map(lambda name: row(name, 0.9)), max_size=6))
def test_no_name_gets_out_of_its_place(rows):
    hostile = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--<script>", "]]>", "'`${1}"]
    rows = rows + [row(f"{name}/{name}.jpg", 0.9) for name in hostile] + [row(name, reason=name) for name in hostile]
    with tempfile.TemporaryDirectory() as folder:
        page = Page(write(Path(folder, "r.html"), rows))
        plain = Page(write(Path(folder, "plain.html"), [row("a.jpg", 0.9), row("b.jpg", reason="corrupt")]))
    expected = [os.path.join(*(on_one_line(part) for part in os.path.split(one.path))) for one in rows]
    assert [one["path"] for one in page.rows] == expected
    tags = [Counter(tag for tag, _ in p.elements if tag in ("script", "style", "img", "form")) for p in (page, plain)]
    assert tags[0] == tags[1]
    assert {a for _, attributes in page.elements for a in attributes if a.startswith("on") or a == "style"} == set()


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(tmp_path):
    page = Page(write(tmp_path / "r.html", ROWS))
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))

    def hashes(kind: str) -> set[str]:
        return {
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in page.scripts[kind]
        }

    assert set(rules.pop("style-src").split()) == hashes("style")
    assert set(rules.pop("script-src").split()) == hashes("script")
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("report", "path", "url"),
    [
        ("r.html", "a.jpg", "./a.jpg"),
        ("r.html", "up/a b.jpg", "./up/a%20b.jpg"),
        ("out/r.html", "up/a.PNG", "../up/a.PNG"),
        ("up/r.html", "up/a.jpg", "./a.jpg"),
        ("r.html", "a:b#c?d%20.jpg", "./a%3Ab%23c%3Fd%2520.jpg"),
        ("r.html", "javascript:alert(1).jpg", "./javascript%3Aalert%281%29.jpg"),
        ("r.html", "größe\n.webp", "./gr%C3%B6%C3%9Fe%0A.webp"),
        ("r.html", r"bytes\xff\xfe/\x80.jpg", "./bytes%FF%FE/%80.jpg"),
        ("r.html", r"called so\xff.jpg", "./called%20so%5Cxff.jpg"),
        ("r.html", "s3://bucket/a.jpg", ""),
        ("r.html", "-", ""),
        ("r.html", "a.svg", ""),
        ("r.html", "a.html", ""),
        ("r.html", "no suffix", ""),
        ("r.html", "a.heic", ""),
    ],
)
def test_links_lead_to_the_bytes_of_a_name(tmp_path, monkeypatch, report, path, url):
    monkeypatch.chdir(tmp_path)
    (tmp_path / r"called so\xff.jpg").touch()
    assert "/".join(Links(report).to(path)).removeprefix("/") == url


def test_a_link_through_the_folder_above_a_symbolic_link_is_that_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there/deep").mkdir(parents=True)
    (tmp_path / "here/link").symlink_to(tmp_path / "there/deep")
    monkeypatch.chdir(tmp_path / "here")
    assert Links("r.html").to("link/../a.jpg") == ("../there", "a.jpg")
    assert Links("r.html").to("link/a.jpg") == ("./link", "a.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=30).filter(lambda name: not set(name) & set(b"\0/") and name.strip(b".")))
def test_any_name_can_be_linked(name):
    """But `..jpg`: not all agree that it has a suffix, and without one a browser would look into the file."""
    raw = name + b".jpg"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "up").mkdir()
        file = os.path.join(os.fsencode(folder), b"up", raw)
        Path(os.fsdecode(file)).touch()
        base, last = Links(f"{folder}/r.html").to(printable_path(os.fsdecode(file)))
    assert (base, unquote_to_bytes(last)) == ("./up", raw)
    assert re.fullmatch(r"[\w.~%-]+", last, re.ASCII)


def test_the_highest_scores_have_their_thumbnail_as_far_as_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setattr(tallies, "THUMBNAIL_BYTES", 0)
    kept = Thumbnails(room=3 * 1000 + 1)
    for number, score in enumerate([0.7, 0.9, 0.6, 0.8, 0.95]):
        kept.add(number, score, bytes([number]) * 1000)
    assert [(number, base64.b64decode(text)[0]) for number, text in kept] == [(1, 1), (3, 3), (4, 4)]
    assert (len(kept), kept.left_out) == (3, 2)


def test_a_report_says_how_many_thumbnails_it_has_no_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "Thumbnails", lambda: Thumbnails(room=2 * len(JPEG)))
    page = Page(write(tmp_path / "r.html", [row(f"{i}.jpg", 0.6 + i / 100, thumbnail=JPEG) for i in range(5)]))
    assert sorted(key for key in page.scripts if re.fullmatch(r"t\d+", key)) == ["t3", "t4"]
    assert base64.b64decode(page.scripts["t4"][0]) == JPEG
    assert (
        "The 2 pictures with the highest scores have a thumbnail; the other 3 exceed the size limit of this page."
        in page.text
    )
    assert "no room" not in Page(write(tmp_path / "s.html", ROWS)).text


def test_findings_are_listed_however_many_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "MAX_OTHER_ROWS", 2)
    monkeypatch.setattr(report_module, "BLOCK", 3)
    rows = [row(f"{i}.jpg", p) for i, p in enumerate([0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.5])]
    page = Page(write(tmp_path / "r.html", rows))
    assert [one["path"] for one in page.rows] == ["0.jpg", "1.jpg", "2.jpg", "4.jpg", "6.jpg"]
    assert [len(json.loads(block)) for block in page.scripts["rows"]] == [4, 2]
    assert "only the first 2 other pictures: 2 more are only counted" in page.text
    assert page.counts["real"] == 4


def test_folders_are_counted_with_what_is_below_them(tmp_path):
    folders = Folders()
    for path in ("up/a/x", "up/a/x", "up/a/y", "up/b", "/abs", ""):
        folders.add(path, Verdict.FAKE)
    assert {folder: counts.total() for folder, counts in folders.table().items()} == {
        "": 1, "/abs": 1, "up": 4, "up/a": 3, "up/a/x": 2, "up/a/y": 1, "up/b": 1
    }  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=4).map("/".join), max_size=60), st.integers(1, 10))
def test_too_many_folders_count_as_those_they_are_in(paths, most):
    folders = Folders(most)
    for path in paths:
        folders.add(path, Verdict.REAL)
        assert len(folders._verdicts) <= most
    table = folders.table()
    kept = {path: path for path in set(paths)}
    if folders.depth is not None:
        kept = {path: "/".join(path.split("/")[: folders.depth]) if path else "" for path in kept}
    for folder, counts in table.items():
        inside = [p for p in paths if kept[p] == folder or (folder and kept[p].startswith(f"{folder}/"))]
        assert counts.total() == len(inside)


@pytest.mark.filterwarnings("error")
def test_the_pace_of_one_file_on_a_busy_machine_is_not_drawn():
    """All slots of time but the last were empty, and Matplotlib complained on standard error."""
    counts = Pace(started=0.0)
    counts.add()
    assert set(counts.rates()) == {0.0}
    assert pace(counts) == ""


def test_the_pace_keeps_its_slots_few(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(tallies.time, "perf_counter", lambda: now[0])
    pace = Pace(started=0.0)
    for second in range(100_000):
        now[0] = float(second)
        pace.add()
    assert pace.width == 1024
    assert len(pace.rates()) == 100_000 // 1024
    assert set(pace.rates()) == {1.0}


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from([Verdict.FAKE, Verdict.REAL, Verdict.UNCERTAIN]), st.lists(st.floats(0, 1))),
    st.sampled_from([1, 1000]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_any_scores_can_be_drawn(given_scores, times, band):
    counts = Scores()
    for verdict, values in given_scores.items():
        for value in values * times:
            counts.add(verdict, value)
    drawn = str(scores(counts, {"uncertain": band[0], "fake": band[1]}))
    assert drawn.startswith("<svg") and drawn.endswith("</svg>")
    assert "style=" not in drawn and "#0a0b0" not in drawn
    assert f"{sum(counts.of(Verdict.FAKE)):,} fake" in drawn


def test_thresholds_and_bars_are_in_the_colours_of_their_verdicts(tmp_path):
    drawn = re.search(r"<svg.*?</svg>", write(tmp_path / "r.html", ROWS).read_text(), re.DOTALL)[0]
    assert "fake from 0.6</text>" in drawn and "uncertain from 0.4</text>" in drawn
    assert all(f'fill="var(--{name})"' in drawn for name in ("fake", "uncertain", "real"))


@pytest.fixture
def uncollected():
    """What Matplotlib leaves to the garbage collector is more than what is measured, and goes when it likes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.usefixtures("uncollected")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    def peak(count: int) -> int:
        tracemalloc.start()
        rows = (row(f"up/{i // 1000}/{i:06}.jpg", (i * 7 % 1000) / 1000) for i in range(count))
        writer, report = ReportWriter(str(tmp_path / "r.html"), TOY_CARD, META), Summary(META)
        for one in rows:
            writer.write(one)
            report.add(one)
        writer.finish(report.as_dict())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(2000)  # by then, what is of a fixed size is full: lists of tuples that Python keeps, too
    assert peak(6000) < few + 500_000  # the rows themselves are 1.3 MB more


def test_yesterdays_report_stays_until_todays_is_complete(tmp_path):
    out = tmp_path / "r.html"
    out.write_text(OLD_REPORT)
    writer = ReportWriter(str(out), TOY_CARD, META)
    writer.write(ROWS[0])
    assert out.read_text() == OLD_REPORT
    assert "or was killed" in (tmp_path / "r.html.partial").read_text()
    writer.write(ROWS[1])
    report = Summary(META)
    report.add(ROWS[0])
    report.add(ROWS[1])
    writer.abandon(report.as_dict())
    page = Page(tmp_path / "r.html.partial")
    assert out.read_text() == OLD_REPORT
    assert "This scan was interrupted." in page.text
    assert [one["path"] for one in page.rows] == ["up/a/1.jpg", "up/a/2.jpg"]


def test_a_full_disk_keeps_the_old_report(tmp_path):
    out = tmp_path / "r.html"
    out.write_text(OLD_REPORT)
    writer = ReportWriter(str(out), TOY_CARD, META)
    writer.write(ROWS[0])
    size = (tmp_path / "r.html.partial").stat().st_size
    with full_disk(size + 2000):
        with pytest.raises(FacescanError, match=r"r\.html: File too large; \d+ rows are in .*r\.html\.partial"):
            for i in range(100):
                writer.write(row(f"{i}.jpg", 0.9))
        writer.abandon(Summary(META).as_dict())
    assert out.read_text() == OLD_REPORT


@pytest.fixture
def here(tmp_path, toy, monkeypatch) -> Path:
    """A folder to stand in, with one picture and `toy` for the model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encode(scene(), "PNG"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--report", "r.html", "-o", "./r.html", "--format", "csv"],
            "--report r.html: is the same file as --out ./r.html; name another",
        ),
        (["--report", "r.txt"], "--report r.txt: unknown suffix; use .html"),
        (["--report", "-"], "--report -: unknown suffix; use .html"),
        (
            ["--report", "r.html", "--cache", "r.html"],
            "--report r.html: is the same file as --cache r.html; name another",
        ),
        (["--report", "nowhere/r.html"], "--report nowhere/r.html: No such file or directory"),
    ],
)
def test_a_report_that_cannot_be_is_one_line_and_code_2(facescan, here, toy, arguments, said):
    done = facescan("a.png", "--model", toy, "-q", *arguments)
    assert (done.returncode, done.stderr.decode().strip()) == (2, f"facescan: {said}")


@pytest.mark.slow
def test_two_scans_do_not_write_the_same_report(here, facescan, toy):
    writer = ReportWriter(str(here / "r.html"), TOY_CARD, META)
    done = facescan("a.png", "--model", toy, "-q", "--report", "r.html")
    writer.abandon(Summary(META).as_dict())
    assert done.returncode == 2
    assert b"--report r.html: another scan is writing it" in done.stderr


@pytest.mark.slow
def test_the_report_is_no_picture_to_scan(facescan, here, toy):
    for _ in range(2):
        done = facescan(".", "--include", "*", "--model", toy, "-q", "--out", "r.jsonl", "--report", "r.html")
        assert done.returncode == 0
    assert [json.loads(line)["path"] for line in (here / "r.jsonl").read_text().splitlines()] == ["./a.png"]


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_extra_is_one_line_that_names_it(here, toy, missing):
    (here / "blocked").mkdir()
    (here / "blocked" / f"{missing}.py").write_text("raise ImportError('not there')")
    environment = clean_environment() | {"PYTHONPATH": os.pathsep.join([str(here / "blocked"), os.getcwd(), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-m", "scanner", "a.png", "--model", str(toy), "--report", "r.html"],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"facescan: .* need Jinja2 and Matplotlib: pip install jinja2 matplotlib\n", done.stderr)
    assert not (here / "r.html").exists()


def test_a_scan_without_a_report_loads_nothing_of_it(here, toy):
    code = (
        "import sys; from scanner.cli import main; main(sys.argv[1:]); print({'jinja2', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "a.png", "--model", str(toy), "-q", "--out", "r.csv"],
        env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "set()\n"


TOKENS = re.findall(r"--([\w-]+): (#[0-9a-f]{6});", (Path(report_module.__file__).parent / "base.css").read_text())
LIGHT, DARK = dict(TOKENS[: len(TOKENS) // 2]), dict(TOKENS[len(TOKENS) // 2 :])


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_all_text_stands_out(scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    grounds = ("paper", "panel", "hover")
    assert LIGHT.keys() == DARK.keys() and len(LIGHT) == 12
    for name in scheme.keys() - {*grounds, "line"}:
        for ground in grounds:
            light, dark = sorted([luminance(scheme[name]), luminance(scheme[ground])], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{name} on {ground}"


def test_what_was_passed_over_and_what_is_missing_stand_on_the_page(tmp_path):
    report = Summary(META)
    writer = ReportWriter(str(tmp_path / "r.html"), TOY_CARD, META)
    lacking = row("a.heic", reason="unsupported_format:heic")
    writer.write(lacking)
    report.add(lacking)
    for kind in ("no_picture", "no_picture", "links"):
        report.passed_over.add(kind)
    writer.finish(report.as_dict())
    text = Page(tmp_path / "r.html").text
    assert "Skipped 3: 2 not pictures, 1 link not followed." in text
    assert "pip install pillow-heif" in text
    assert "Skipped" not in Page(write(tmp_path / "s.html", [row("a.jpg", 0.9)])).text
