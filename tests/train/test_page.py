"""The page of an evaluation: its figures, its charts, and that nothing in it comes from, or goes, elsewhere."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2", reason="needs the extra report")
pytest.importorskip("matplotlib", reason="needs the extra report")

from scanner.detector.model import Detector
from train.cli import main
from train.data.index import read_samples
from train.evaluation.evaluate import evaluate
from train.evaluation.page import Source, page

HOSTILE = "<img src=x onerror=alert(1)>&\"'\u202e"


class Page(HTMLParser):
    """What is in a page: elements, text, and rows of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        assert not [name for name in given if name.startswith("on") or name == "style"]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """Sixty pictures of one grey each, which is the toy's p_fake, of two generators; three that are broken."""
    folder = tmp_path_factory.mktemp("page")
    random = np.random.default_rng(0)
    rows = []
    for i in range(60):
        fake = i % 2 == 1
        level = np.clip(random.normal(0.65 if fake else 0.35, 0.2), 0.02, 1)
        pixels = np.full((40, 40, 3), round(255 * level), np.uint8)
        (folder / f"{i}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        generator = ("pixelmill", HOSTILE)[i % 4 // 2] if fake else "camera"
        rows.append((f"{i}.png", ("real", "fake")[fake], "old", generator, str(i // 4)))
    for i in range(3):
        name = f"{i}{HOSTILE}.png".replace("/", "")
        (folder / name).write_bytes(b"\x89PNG")
        rows.append((name, "real", "old", "camera", ""))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "set", "generator", "group"), *rows])
    return folder / "index.csv"


@pytest.fixture(scope="module")
def evaluation(toy, index):
    return evaluate(Detector(toy), read_samples(index))


@pytest.fixture(scope="module")
def written(toy, index, tmp_path_factory) -> Path:
    """The page that the command writes."""
    file = tmp_path_factory.mktemp("out") / "page.html"
    assert main(["evaluate", str(toy), "--data", str(index), "--html", str(file)]) == 0
    return file


def test_it_shows_the_figures_of_the_evaluation(written, evaluation):
    found = Page(written.read_text("utf-8"))
    pooled = evaluation.row("pooled", "all")
    words = re.sub(r"\s+", " ", found.text)
    assert f"{pooled.auc:.3f} AUC" in words
    assert f"{100 * pooled.tpr_5:.1f} % found at 5 %" in words
    assert evaluation.sha256 in words
    assert "63 in 18 groups" in words
    assert "3 left out" in words
    by_name = {row[0]: row for row in found.rows if row}
    for row in evaluation.rows["re_encoded"]:
        if row.scope == "generator":
            assert by_name[row.name][2:4] == [str(row.n_fake), f"{row.auc:.3f}"]
    real = by_name["real"]
    assert sum(int(count) for count in real[1::2]) == 30
    alarms = int((evaluation.scores.p_fake["re_encoded"][~evaluation.scores.fake] >= 0.7).sum())
    assert by_name["5 %"][1:3] == ["0.7000", f"{alarms} of 30"]


def test_it_holds_everything_it_needs_and_escapes_what_others_named(written):
    html = written.read_text("utf-8")
    found = Page(html)
    assert found.tags["svg"] >= 6
    assert found.tags["script"] == found.tags["link"] == 0
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in found.links)
    assert len(set(found.ids)) == len(found.ids)
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert HOSTILE in found.text
    assert "default-src 'none'" in html


def test_it_shows_the_worst_mistakes_of_both_kinds_and_reports_both_classes(written, evaluation):
    found = Page(written.read_text("utf-8"))
    labels, p_fake = evaluation.scores.fake, evaluation.scores.p_fake["re_encoded"]
    alarms, misses = np.sort(p_fake[~labels & (p_fake >= 0.7)])[::-1], np.sort(p_fake[labels & (p_fake < 0.7)])
    assert found.tags["img"] == min(12, len(alarms)) + min(12, len(misses)) > 2
    shown = re.search(r"Reals called fake(.*)Fakes called real(.*)Curves", found.text, re.DOTALL)
    for part, expected in zip(shown.groups(), (alarms, misses), strict=True):
        assert [float(p) for p in re.findall(r"\b[01]\.\d{4}\b", part)] == pytest.approx(expected[:12].tolist())
    pooled = evaluation.row("pooled", "all")
    by_name = {row[0]: row[1:] for row in found.rows if row}
    assert by_name["fake pictures"] == [f"{pooled.precision:.3f}", f"{pooled.recall:.3f}", f"{pooled.f1:.3f}", "30"]
    assert by_name["real pictures"][1] == f"{pooled.tn / (pooled.tn + pooled.fp):.3f}"


def test_with_a_run_it_shows_the_training_and_the_layers(toy, index, tmp_path):
    epochs = [{"loss": 0.7, "val_loss": 0.8, "accuracy": 0.5, "val_accuracy": 0.6}] * 2
    layers = [{"name": "conv_1", "kind": "Conv2D", "output": [30, 30, 8], "parameters": 1224}]
    values = {"splits": {"test": [f"{i}.png" for i in range(60)]}, "history": epochs, "layers": layers}
    record, file = tmp_path / "run.json", tmp_path / "page.html"
    record.write_text(json.dumps(values))
    assert main(["evaluate", str(toy), "--data", str(index), "--run", str(record), "--html", str(file)]) == 0
    found = Page(file.read_text("utf-8"))
    assert ["conv_1", "Conv2D", "30 x 30 x 8", "1,224"] in found.rows
    assert any(row[:3] == ["all layers", "", ""] and row[3].startswith("1,224") for row in found.rows)
    assert {"training", "layers"} <= set(found.ids)


@pytest.mark.parametrize(("kept", "charts"), [("camera", 2), ("nothing", 0)])
def test_of_one_class_or_none_there_is_still_a_page(toy, index, kept, charts):
    samples = [sample for sample in read_samples(index) if not sample.fake]
    if kept == "nothing":
        samples = samples[-3:]
    detector = Detector(toy)
    found = Page(page(evaluate(detector, samples), detector.card, Source(index, None, samples)))
    assert found.text.count("AUC") >= 2
    assert found.tags["figure"] == charts


def test_a_place_that_cannot_be_written_is_told_before_the_work(toy, index, tmp_path, capsys):
    assert main(["evaluate", str(toy), "--data", str(index), "--html", str(tmp_path / "no" / "page.html")]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"facescan-train: {tmp_path}/no/page.html: No such file or directory\n")


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(toy, index, tmp_path, missing):
    from tests.train.test_evaluate import run_without

    done = run_without({missing}, "evaluate", toy, "--data", index, "--html", tmp_path / "page.html")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install jinja2 matplotlib\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_a_browser_shows_it_without_complaint(written, browser, scheme, width):
    with browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900}) as shown:
        said: list[str] = []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("request", lambda request: said.append(request.url))
        shown.goto(written.as_uri())
        assert said == [written.as_uri()]
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        colours = shown.evaluate("[document.body, document.querySelector('svg')].map(e => getComputedStyle(e).color)")
        assert len(set(colours)) == 1  # charts follow the scheme
        assert (colours[0] == "rgb(228, 232, 237)") == (scheme == "dark")
