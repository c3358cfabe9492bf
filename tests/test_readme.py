"""The documents say what is true: options, transcript, rooms, links, extras and reasons."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scanner.reasons import Reason
from tests.readme_blocks import BLOCKS, DOCUMENTS, MANUAL, README, ROOT, block

TEXTS = {document: document.read_text("utf-8") for document in DOCUMENTS}
SAME = [(document, name) for document, name in BLOCKS if name != "transcript"]
# Outside of the fenced blocks, whose brackets are no links.
PROSE = {document: re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE) for document, text in TEXTS.items()}
LINKS = [
    (document, *link) for document in DOCUMENTS for link in re.findall(r"\]\(([^)#:]*)(#[^)]+)?\)", PROSE[document])
]


def shown(value: object) -> str:
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("document", "name"), SAME, ids=shown)
def test_generated_blocks_are_up_to_date(document, name):
    assert block(name, TEXTS[document]) == BLOCKS[document, name](), "run python tests/readme_blocks.py"


@pytest.mark.slow
def test_transcript_shows_what_a_scan_shows():
    """Verdicts and paths; scores may differ in the last digit between processors, and times always do."""

    def rows(text: str) -> list[tuple[str, str]]:
        return re.findall(r"^(fake|real|uncertain|no_face|error) +[\d.]* +(examples/\S+)", text, re.MULTILINE)

    found = rows(block("transcript", TEXTS[README]))
    assert found == rows(BLOCKS[README, "transcript"]()), "run python tests/readme_blocks.py"
    assert {verdict for verdict, _ in found} == {"fake", "real", "no_face"}


@pytest.mark.parametrize("package", ["scanner", "train"])
def test_architecture_names_every_module_and_no_other(package):
    listed = re.findall(r"^(?:\*\*(\S+/)\*\* |- `(\w+\.py)`: )", TEXTS[ROOT / package / "README.md"], re.MULTILINE)
    modules, room = set(), ""
    for folder, module in listed:
        room = folder or room
        modules |= {f"{room}{module}"} if module else set()
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / package).rglob("*.py")}
    assert modules == {file for file in files if not file.endswith(("__init__.py", "__main__.py"))}


def test_every_document_is_known_here():
    """So that a new one has its links and commands tried as well."""
    folders = (".github", "examples", "scanner", "tests", "train")
    files = {*ROOT.glob("*.md"), *(file for folder in folders for file in (ROOT / folder).rglob("*.md"))}
    assert files == set(DOCUMENTS)


@pytest.mark.parametrize(("document", "target", "anchor"), LINKS, ids=shown)
def test_links_lead_somewhere(document, target, anchor):
    file = (document.parent / target).resolve() if target else document
    assert file.exists()
    assert not anchor or anchor.removeprefix("#") in anchors(file)


def anchors(document: Path) -> list[str]:
    """Names that a page on GitHub gives its headings."""
    headings = re.findall(r"^#+ (.+)$", PROSE[document], re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]


def test_the_readme_is_short_and_leads_to_all_other_documents():
    assert len(TEXTS[README].splitlines()) <= 220
    targets = {(document.parent / target).resolve() for document, target, _ in LINKS if document == README and target}
    assert {document for document in DOCUMENTS if document != README} - targets <= {
        ROOT / "examples" / "pictures" / "README.md",  # of a folder that is named
        ROOT / "train" / "EXPERIMENTS.md",  # a log, named by train/README.md
    }


def modules_of(package: str) -> list[Path]:
    return list((ROOT / package).rglob("*.py"))


def test_what_is_to_be_installed_can_be_installed():
    """Facescan is on no package index: its extras are installed in the checkout, and messages name packages."""
    texts = [*TEXTS.values(), *(file.read_text("utf-8") for name in ("scanner", "train") for file in modules_of(name))]
    assert [
        found for text in texts for found in re.findall(r"facescan\[\w.*|pip install [^.\n]*\bfacescan\b.*", text)
    ] == []
    commands = re.findall(r"pip install (?:-e )?'\.\[([\w,]+)\]'", "\n".join(TEXTS.values()))
    extras = {name for found in commands for name in found.split(",")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras == project["optional-dependencies"].keys()
    table = set(re.findall(r"^\| `pip install '\.\[(\w+)\]'` \|", TEXTS[MANUAL], re.MULTILINE))
    assert table == project["optional-dependencies"].keys() - {"bench", "dev", "fuzz"}


def test_reasons_are_documented():
    assert [reason for reason in Reason if f"`{reason}" not in TEXTS[MANUAL]] == []
