"""How a report behaves, in a real Chromium: filters, keys, hostile names, light, dark, a telephone, no script."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scanner.html.links import SUFFIXES
from scanner.html.report import ReportWriter
from scanner.output.summary import Summary
from scanner.printable import printable_path
from scanner.result import Result
from tests.conftest import TOY_CARD
from tests.test_report_html import LIGHT, META, row, write

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("jinja2", reason="needs the extra report")
pytest.importorskip("matplotlib", reason="needs the extra report")

Open = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def opened(browser) -> Open:
    """Open a page; at the end, nothing may have been asked of a network, complained of, or executed."""

    @contextmanager
    def opened(file: Path, **options: Any) -> Iterator[Any]:
        context = browser.new_context(**options)
        trouble: list[str] = []
        context.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else trouble.append(r.url))
        context.on("dialog", lambda dialog: (trouble.append(f"dialog {dialog.message}"), dialog.dismiss()))
        context.on("console", lambda message: trouble.append(f"console {message.text}"))
        context.on("weberror", lambda error: trouble.append(f"error {error.error}"))
        page = context.new_page()
        page.goto(file.as_uri())
        yield page
        executed = page.evaluate("window.executed") if options.get("java_script_enabled", True) else None
        context.close()
        assert (trouble, executed) == ([], None)

    return opened


def thumbnail(grey: int) -> bytes:
    return cv2.imencode(".jpg", np.full((90, 120, 3), grey, np.uint8))[1].tobytes()


FAKES = [row(f"up/{'ab'[i % 2]}/fake{i:03}.jpg", round(0.7 + i / 1000, 4), thumbnail=thumbnail(i)) for i in range(130)]
OTHERS = [
    row("up/a/maybe.jpg", 0.5, thumbnail=thumbnail(200)),
    row("up/a/deep/good.jpg", 0.1),
    row("up/b/cat.jpg"),
    row("up/b/cut.jpg", reason="truncated", bytes=7),
    row("up/b/more.heic", reason="unsupported_format:heic"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A hundred and thirty fakes on three pages, in two folders, and one of everything else."""
    return write(tmp_path_factory.mktemp("report") / "r.html", FAKES + OTHERS)


def names(page: Any) -> list[str]:
    return page.locator("#gallery .name").all_inner_texts()


def found(page: Any) -> str:
    return page.locator("#found").inner_text()


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.innerText ?? ''")


def test_findings_come_by_score_with_their_pictures(opened, report):
    with opened(report) as page:
        assert found(page) == "133 of 135 pictures"
        assert names(page) == [f"fake{i:03}.jpg" for i in range(129, 69, -1)]
        assert page.locator("#gallery .line").first.inner_text().split() == ["fake", "0.8290", "Details"]
        sizes = page.eval_on_selector_all("#gallery img", "all => all.map(i => [i.naturalWidth, i.naturalHeight])")
        assert sizes == [[120, 90]] * 60
        page.locator("#next").click()
        page.locator("#next").click()
        assert names(page)[-4:] == ["fake000.jpg", "maybe.jpg", "cut.jpg", "more.heic"]
        assert page.get_by_text("unsupported_format:heic", exact=True).last.is_visible()


def test_the_order_can_be_turned(opened, report):
    with opened(report) as page:
        page.get_by_role("combobox", name="Order", exact=True).select_option("lowest p_fake first")
        assert names(page)[:2] == ["maybe.jpg", "fake000.jpg"]
        page.get_by_role("combobox", name="Order", exact=True).select_option("as scanned")
        assert names(page)[:2] == ["fake000.jpg", "fake001.jpg"]


@pytest.mark.parametrize(
    ("checked", "shown"),
    [
        (["uncertain"], ["maybe.jpg"]),
        (["real", "no face"], ["good.jpg", "cat.jpg"]),
        (["error", "uncertain"], ["maybe.jpg", "cut.jpg", "more.heic"]),
        ([], ["Nothing matches."]),
    ],
)
def test_a_filter_by_verdict(opened, report, checked, shown):
    with opened(report) as page:
        for box in page.get_by_role("group", name="Verdict").get_by_role("checkbox").all():
            box.uncheck()
        for name in checked:
            page.get_by_role("checkbox", name=re.compile(rf"^{name} ")).check()
        assert page.locator("#gallery .name, #gallery li.quiet").all_inner_texts() == shown


def test_a_filter_by_folder_takes_what_is_below_it(opened, report):
    with opened(report) as page:
        page.get_by_role("checkbox", name=re.compile("^real")).check()
        assert page.get_by_role("combobox", name="Folder", exact=True).locator("option").all_inner_texts() == [
            "all", "up (135)", "up/a (67)", "up/a/deep (1)", "up/b (68)"
        ]  # fmt: skip
        page.get_by_role("combobox", name="Folder", exact=True).select_option("up/a (67)")
        assert found(page) == "67 of 135 pictures"
        page.get_by_role("combobox", name="Folder", exact=True).select_option("up/a/deep (1)")
        assert names(page) == ["good.jpg"]


def test_a_filter_by_score(opened, report):
    with opened(report) as page:
        page.get_by_label("p_fake from").fill("0.7")
        page.get_by_label("p_fake to").fill("0.702")
        assert names(page) == ["fake002.jpg", "fake001.jpg", "fake000.jpg"]
        page.get_by_label("p_fake from").fill("")
        assert names(page)[-1] == "maybe.jpg"
        page.get_by_role("button", name="Clear filters").click()
        assert found(page) == "133 of 135 pictures"


@pytest.mark.parametrize(
    ("words", "count"), [("fake01", 10), ("FAKE011", 1), ("up/b/fake", 65), ("truncated", 1), ("nothing such", 0)]
)
def test_a_search_by_name_or_reason(opened, report, words, count):
    with opened(report) as page:
        page.get_by_label("Name or reason").fill(words)
        assert found(page) == f"{count} of 135 pictures"


def test_the_tables_lead_to_what_they_count(opened, report):
    with opened(report) as page:
        page.get_by_role("link", name="up/b", exact=True).click()
        assert found(page) == "67 of 135 pictures"
        page.get_by_role("link", name="truncated", exact=True).click()
        assert names(page) == ["cut.jpg"]


def test_pages_are_turned_by_buttons_and_keys(opened, report):
    def shown() -> str:
        return page.locator("#page").inner_text()

    with opened(report) as page:
        assert shown() == "page 1 of 3" and page.locator("#previous").is_disabled()
        page.keyboard.press("n")
        assert shown() == "page 2 of 3" and focused(page) == "fake069.jpg"
        page.keyboard.press("PageDown")
        assert shown() == "page 3 of 3" and page.locator("#next").is_disabled()
        page.keyboard.press("n")
        page.keyboard.press("PageDown")
        assert shown() == "page 3 of 3"
        page.keyboard.press("PageUp")
        page.keyboard.press("p")
        assert shown() == "page 1 of 3"
        page.get_by_role("button", name="Next page").click()
        assert shown() == "page 2 of 3"


def test_page_down_scrolls_as_long_as_no_picture_has_the_focus(opened, report):
    with opened(report) as page:
        page.keyboard.press("PageDown")
        # Not wait_for_function(), whose polling the page's Content-Security-Policy forbids.
        page.evaluate(
            "new Promise(done => (function look() { scrollY > 100 ? done() : requestAnimationFrame(look) })())"
        )
        assert page.locator("#page").inner_text() == "page 1 of 3"


def test_keys_go_from_picture_to_picture_and_over_the_end_of_a_page(opened, report):
    with opened(report, viewport={"width": 1280, "height": 800}) as page:
        for key, name in [("j", "129"), ("j", "128"), ("ArrowRight", "127"), ("k", "128"), ("ArrowLeft", "129")]:
            page.keyboard.press(key)
            assert focused(page) == f"fake{name}.jpg"
        page.keyboard.press("ArrowDown")
        below = page.evaluate(
            "getComputedStyle(document.querySelector('#gallery')).gridTemplateColumns.split(' ').length"
        )
        assert focused(page) == f"fake{129 - below}.jpg"
        page.keyboard.press("ArrowUp")
        page.keyboard.press("n")
        page.keyboard.press("k")
        assert (page.locator("#page").inner_text(), focused(page)) == ("page 1 of 3", "fake070.jpg")
        page.keyboard.press("j")
        assert (page.locator("#page").inner_text(), focused(page)) == ("page 2 of 3", "fake069.jpg")


def test_search_and_help_have_keys_which_are_letters_while_one_writes(opened, report):
    with opened(report) as page:
        page.keyboard.press("/")
        page.keyboard.type("j/?n")
        assert page.get_by_label("Name or reason").input_value() == "j/?n"
        page.get_by_label("Name or reason").fill("fake00")
        page.keyboard.press("Escape")
        assert focused(page) == "fake009.jpg"
        page.keyboard.press("?")
        assert page.get_by_role("dialog", name="Keys").is_visible()
        page.get_by_label("Keys that are letters or signs").uncheck()
        page.keyboard.press("Escape")
        assert not page.get_by_role("dialog").is_visible()
        page.keyboard.press("?")
        page.keyboard.press("j")
        assert not page.get_by_role("dialog").is_visible()


MARKS = {
    name: {"marks": [{"kind": "iptc", "value": f"a <b>{name}</b>", "generator": None, "means": means}]}
    for name, means in {"generator": "generated", "camera": "camera"}.items()
}


def test_what_is_marked_as_generated_is_shown_though_it_looks_real(opened, tmp_path):
    rows = [row(f"{name}.jpg", 0.1, provenance=marks) for name, marks in MARKS.items()] + FAKES[:1]
    with opened(write(tmp_path / "r.html", rows)) as page:
        assert names(page) == ["fake000.jpg", "generator.jpg"]
        assert page.locator("#gallery .mark").all_inner_texts() == ["generated: a <b>generator</b>"]
        page.get_by_role("checkbox", name=re.compile("^fake")).uncheck()
        assert names(page) == ["generator.jpg"]
        page.get_by_role("checkbox", name="or marked as generated").uncheck()
        assert names(page) == []


def test_details_say_everything_and_can_be_leafed_through(opened, tmp_path):
    with opened(write(tmp_path / "r.html", [replace(one, provenance=MARKS["camera"]) for one in FAKES[:3]])) as page:
        assert page.locator("#gallery .mark").first.inner_text() == "camera: a <b>camera</b>"
        page.keyboard.press("j")
        page.keyboard.press("d")
        dialog = page.get_by_role("dialog")
        assert dialog.get_by_role("heading").inner_text() == "fake002.jpg"
        text = dialog.inner_text()
        for said in ("up/a/fake002.jpg", "0.702", "ab" * 32, "640", "face:0", "1, 2, 30, 40", "a <b>camera</b>"):
            assert said in text
        page.keyboard.press("j")
        assert dialog.get_by_role("heading").inner_text() == "fake001.jpg"
        page.keyboard.press("Escape")
        # The browser closes a dialog first, and tells of it in a task of its own.
        page.wait_for_function("name => document.activeElement.innerText === name", arg="fake001.jpg")
        page.get_by_role("button", name="Details of fake000.jpg").click()
        assert dialog.get_by_role("heading").inner_text() == "fake000.jpg"


HOSTILE = {
    "<script>window.executed=1;alert(1)<\u2215script>.jpg": "<script>window.executed=1;alert(1)<\u2215script>.jpg",
    "\"><img src=x onerror='window.executed=2'>.jpg": "\"><img src=x onerror='window.executed=2'>.jpg",
    "javascript:window.executed=3.jpg": "javascript:window.executed=3.jpg",
    "new\nline\ttab.jpg": r"new\nline\ttab.jpg",
    "\u202egpj.exe\u2066\u200b.jpg": r"\u202egpj.exe\u2066\u200b.jpg",
    "\u2028\u2029<!--.jpg": r"\u2028\u2029<!--.jpg",
    "עברית.jpg": "עברית.jpg",
    "{{7*7}}${7*7}.jpg": "{{7*7}}${7*7}.jpg",
    "100%#?&amp;.jpg": "100%#?&amp;.jpg",
}


def test_no_name_executes_and_every_name_is_shown(opened, tmp_path):
    rows = [row(f"<b>up</b>/{name}", 0.9, thumbnail=thumbnail(9)) for name in HOSTILE]
    rows += [row("</script><script>window.executed=4</script>", reason="</script><script>window.executed=5</script>")]
    with opened(write(tmp_path / "r.html", rows)) as page:
        assert names(page) == [*HOSTILE.values(), "script>"]
        assert page.locator("#gallery .folder").first.inner_text() == "<b>up</b>"
        assert page.locator("#gallery .reason").inner_text() == "</script><script>window.executed=5</script>"
        for at in range(len(rows)):
            page.locator("#gallery .line button").nth(at).click()
            assert page.get_by_role("dialog").is_visible()
            page.keyboard.press("Escape")
        page.get_by_role("combobox", name="Folder", exact=True).select_option("<b>up</b> (9)")
        assert len(names(page)) == len(HOSTILE)
    with opened(tmp_path / "r.html", java_script_enabled=False) as page:
        shown = page.locator("noscript tbody").first.inner_text()
        assert all(name in shown for name in HOSTILE.values())


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
@pytest.mark.parametrize(
    "name", [b"plain.jpg", b"a b#c?d%41.jpg", b"latin\xff.jpg", "größe\n\u202e.jpg".encode(), b"\\xff.jpg"]
)
def test_a_link_opens_the_picture(opened, tmp_path, name):
    folder = os.fsencode(tmp_path) + b"/up"
    os.mkdir(folder)
    file = os.fsdecode(folder + b"/" + name)
    Path(file).write_bytes(thumbnail(77))
    result = row(printable_path(file), 0.9)
    (tmp_path / "out").mkdir()
    with opened(write(tmp_path / "out/r.html", [result])) as page:
        with page.context.expect_page() as opening:
            page.locator("#gallery .name a").click()
        tab = opening.value
        tab.wait_for_load_state()
        assert tab.evaluate("document.images[0].naturalWidth") == 120
        assert tab.evaluate("window.opener") is None


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_what_is_linked_is_never_taken_for_a_page(browser, tmp_path, suffix):
    """Whoever names a page like a picture gets no script run: why nothing of other suffixes is linked."""
    file = tmp_path / f"x{suffix}"
    file.write_bytes(
        b"<!doctype html><svg xmlns='http://www.w3.org/2000/svg'/><script>document.title='executed'</script>"
    )
    page = browser.new_page()
    try:
        page.goto(file.as_uri())
    except sync_api.Error as error:
        assert "Download is starting" in str(error) or "ERR_ABORTED" in str(error)
    assert page.title() != "executed"
    assert not page.evaluate("document.contentType").endswith(("html", "svg+xml")) or page.url == "about:blank"
    page.close()


def test_dark_follows_the_system_charts_included(opened, report):
    looks = {}
    for scheme in ("light", "dark"):
        with opened(report, color_scheme=scheme) as page:
            looks[scheme] = [
                page.evaluate("([selector, name]) => getComputedStyle(document.querySelector(selector))[name]", [s, n])
                for s, n in [
                    ("body", "backgroundColor"),
                    ("body", "color"),
                    ("figure svg [fill='var(--fake)']", "fill"),
                    ("figure svg text", "fill"),
                    ("select", "backgroundColor"),
                ]
            ]
    assert looks["light"][0] == "rgb(255, 255, 255)"
    assert looks["light"][2] == f"rgb({', '.join(str(int(LIGHT['fake'][i : i + 2], 16)) for i in (1, 3, 5))})"
    assert all(light != dark for light, dark in zip(*looks.values(), strict=True))


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_narrow_window(opened, tmp_path, width):
    long = "x" * 300
    rows = [*FAKES[:9], row(f"{long}/{long}.jpg", 0.9), row(f"{long}.jpg", reason=f"internal_error:{long}"), *OTHERS]
    write(tmp_path / "r.html", rows)
    with opened(tmp_path / "r.html", viewport={"width": width, "height": 800}, has_touch=width < 700) as page:
        for steps in (
            lambda: None,
            lambda: page.locator("#gallery .line button").nth(1).click(),
            lambda: (page.keyboard.press("Escape"), page.locator("#keys").evaluate("button => button.click()")),
        ):
            steps()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for dialog in page.locator("dialog[open]").all():
                assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


def test_everything_that_can_be_operated_has_a_name(opened, report):
    with opened(report) as page:
        page.keyboard.press("?")
        page.keyboard.press("Escape")
        page.locator("#gallery .line button").first.click()
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        page.keyboard.press("Escape")
        tree += page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    operable = {"button", "link", "checkbox", "searchbox", "textbox", "spinbutton", "combobox", "dialog", "image"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and node["role"]["value"] in operable
    ]
    assert {role for role, _ in named} >= {"button", "link", "checkbox", "searchbox", "spinbutton", "dialog"}
    assert [(role, name) for role, name in named if not name.strip()] == []


def test_headings_go_down_step_by_step_and_the_language_is_said(opened, report):
    with opened(report) as page:
        levels = page.eval_on_selector_all("h1, main h2, main h3", "all => all.map(h => Number(h.tagName[1]))")
        assert page.locator("html").get_attribute("lang") == "en"
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tab_reaches_a_picture_and_shows_where_it_is(opened, report):
    with opened(report) as page:
        page.locator("#keys").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert focused(page) == "fake129.jpg"
        item = page.locator("#gallery li").first
        assert item.evaluate("item => getComputedStyle(item).outlineStyle") == "solid"


def test_without_a_script_the_findings_and_errors_can_be_read(opened, report):
    with opened(report, java_script_enabled=False) as page:
        assert page.locator(".toolbar").is_hidden()
        assert page.locator("ul.verdicts").inner_text().startswith("130")
        cells = page.locator("noscript table").first.locator("tbody tr").all_inner_texts()
        assert len(cells) == 131
        assert cells[0].split("\t") == ["0.8290", "fake", "up/b/fake129.jpg"]
        assert page.locator("noscript table").last.locator("tbody tr").all_inner_texts() == [
            "truncated\tup/b/cut.jpg", "unsupported_format:heic\tup/b/more.heic"
        ]  # fmt: skip


@pytest.mark.parametrize(
    "rows", [[], [row("a.jpg", reason="empty")], [row("a.jpg", 0.1)]], ids=["none", "error", "real"]
)
def test_a_report_of_little_opens(opened, tmp_path, rows):
    with opened(write(tmp_path / "r.html", rows)) as page:
        shown = [one for one in rows if one.verdict == "error"]
        assert found(page) == f"{len(shown)} of {len(rows)} pictures"


def test_a_report_that_is_not_finished_says_so(opened, tmp_path):
    writer = ReportWriter(str(tmp_path / "r.html"), TOY_CARD, META)
    writer.write(Result("a.jpg", FAKES[0].verdict, 0.9))
    shutil.copy(tmp_path / "r.html.partial", tmp_path / "killed.html")
    writer.abandon(Summary(META).as_dict())
    shutil.copy(tmp_path / "r.html.partial", tmp_path / "interrupted.html")
    with opened(tmp_path / "killed.html") as page:
        assert page.get_by_text("the scan is still running, or was killed").is_visible()
    with opened(tmp_path / "interrupted.html") as page:
        assert page.get_by_text("This scan was interrupted.").is_visible()
        assert page.get_by_text("the scan is still running, or was killed").is_hidden()
        assert names(page) == ["a.jpg"]
