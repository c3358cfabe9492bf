"""The README says what is true: its options, its transcript, its picture of the house."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scanner.reasons import Reason
from tests.readme_blocks import README, ROOT, block, current, facescan

TEXT = README.read_text("utf-8")


def test_options_are_those_of_help():
    assert block("help", TEXT) == facescan("--help"), "run python tests/readme_blocks.py"


def test_recipes_are_those_of_the_list():
    assert block("recipes", TEXT) == facescan("list", module="train.cli"), "run python tests/readme_blocks.py"


def test_transcript_shows_what_a_scan_shows():
    """Verdicts and paths; scores may differ in the last digit between processors, and times always do."""

    def rows(text: str) -> list[tuple[str, str]]:
        return re.findall(r"^(fake|real|uncertain|no_face|error) +[\d.]* +(examples/\S+)", text, re.MULTILINE)

    shown = rows(block("transcript", TEXT))
    assert shown == rows(current()["transcript"]), "run python tests/readme_blocks.py"
    assert len(shown) == len(list((ROOT / "examples" / "pictures").glob("*.jpg")))


def modules_of(package: str) -> list[Path]:
    """All but the architectures, which are many and alike."""
    return [file for file in (ROOT / package).rglob("*.py") if file.parent.name != "architectures"]


@pytest.mark.parametrize("package", ["scanner", "train"])
def test_architecture_names_every_module(package):
    section = TEXT.split("## Architecture")[1].split("\n## ")[0]
    modules = {file.name for file in modules_of(package)} - {"__init__.py", "__main__.py"}
    assert modules <= set(re.findall(r"\w+\.py", section))


def test_architecture_names_no_module_that_is_gone():
    section = TEXT.split("## Architecture")[1].split("\n## ")[0]
    modules = {file.name for package in ("scanner", "train") for file in modules_of(package)}
    assert set(re.findall(r"\w+\.py", section)) <= modules


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([^)]+)\)", TEXT))
def test_anchors_are_headings(anchor):
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_what_is_to_be_installed_can_be_installed():
    """Facescan is on no package index: its extras are installed in the checkout, and messages name packages."""
    texts = [TEXT, *(file.read_text("utf-8") for package in ("scanner", "train") for file in modules_of(package))]
    assert [
        found for text in texts for found in re.findall(r"facescan\[\w.*|pip install [^.\n]*\bfacescan\b.*", text)
    ] == []
    extras = {name for found in re.findall(r"pip install (?:-e )?'\.\[([\w,]+)\]'", TEXT) for name in found.split(",")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras <= project["optional-dependencies"].keys()
    assert extras >= project["optional-dependencies"].keys() - {"bench", "dev", "fuzz"}


def test_reasons_are_documented():
    assert [reason for reason in Reason if f"`{reason}" not in TEXT] == []
