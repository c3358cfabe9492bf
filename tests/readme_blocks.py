"""Writes the generated blocks of the documents: `python tests/readme_blocks.py` brings them up to date."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MANUAL = ROOT / "scanner" / "README.md"
TRAINING = ROOT / "train" / "README.md"
TESTS = ROOT / "tests" / "README.md"
# Every document that people read, whoever writes it.
DOCUMENTS = (
    README,
    MANUAL,
    TRAINING,
    TESTS,
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / ".github" / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    ROOT / "THIRD_PARTY.md",
    ROOT / "examples" / "pictures" / "README.md",
    ROOT / "scanner" / "models" / "README.md",
    ROOT / "train" / "EXPERIMENTS.md",
    ROOT / "train" / "RESULTS.md",
)
# The scan in the README, as a shell would run it.
SHOWN = "facescan examples/pictures/[fgr]*.jpg --fpr 0.05 --quiet"


def facescan(*arguments: str, module: str = "scanner") -> str:
    """Return what the terminal shows of a command: standard output, then standard error."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "FACESCAN_MODEL"}
        | {"COLUMNS": "100", "NO_COLOR": "1", "FACESCAN_NO_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def block(name: str, text: str) -> str:
    """Return the fenced block below ``<!-- name -->``, or the lines between that and ``<!-- end -->``."""
    found = _pattern(name).search(text)
    assert found, f"there is no block below <!-- {name} -->"
    return found[2]


def transcript() -> str:
    """Show a scan of some example pictures, with the command line in front."""
    _, pattern, *options = SHOWN.split()
    files = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.glob(pattern))
    return f"$ {SHOWN}\n{facescan(*files, *options, '--config', os.devnull)}"


def rooms(package: str) -> str:
    """List the rooms and modules of a package, each with the first line of its docstring.

    A room is a folder with an ``__init__.py``; the whole docstring of its ``__init__`` stands above its modules.
    """
    return "\n".join(_room(folder) for folder in _folders(ROOT / package))


def helpers() -> str:
    """List the modules beside the tests, each with the first line of its docstring."""
    files = sorted(file for file in TESTS.parent.glob("*.py") if not file.name.startswith(("test_", "__")))
    return _listed(files) + "\n"


# Document and name of a block -> what writes it.
BLOCKS: dict[tuple[Path, str], Callable[[], str]] = {
    (README, "transcript"): transcript,
    (MANUAL, "help"): lambda: facescan("--help"),
    (MANUAL, "rooms"): lambda: rooms("scanner"),
    (TRAINING, "recipes"): lambda: facescan("list", module="train.cli"),
    (TRAINING, "rooms"): lambda: rooms("train"),
    (TESTS, "helpers"): helpers,
}


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->\n(?:```\w+\n)?)(.*?)(?=```|<!-- end -->)", re.DOTALL)


def _folders(package: Path) -> Iterator[Path]:
    """Find a package and the packages below it, in the order of their paths."""
    yield from sorted(file.parent for file in package.rglob("__init__.py"))


def _room(folder: Path) -> str:
    """List one room: its docstring in one paragraph, then its modules."""
    paragraph = " ".join(_docstring(folder / "__init__.py").split())
    modules = sorted(file for file in folder.glob("*.py") if file.stem not in ("__init__", "__main__"))
    return f"**{folder.relative_to(ROOT).as_posix()}/** {paragraph}\n\n{_listed(modules)}\n"


def _listed(files: Iterable[Path]) -> str:
    return "\n".join(f"- `{file.name}`: {_docstring(file).splitlines()[0]}" for file in files)


def _docstring(file: Path) -> str:
    found = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    assert found, f"{file} has no docstring"
    return found.replace("``", "`")


if __name__ == "__main__":
    for (document, name), write in BLOCKS.items():
        content = write()
        text = _pattern(name).sub(lambda found, new=content: f"{found[1]}{new}", document.read_text("utf-8"))
        document.write_text(text, "utf-8")
