"""The parts of README.md that a program can write: `python tests/readme_blocks.py` brings them up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def facescan(*arguments: str, module: str = "scanner") -> str:
    """What the terminal shows of a command: standard output, then standard error."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "FACESCAN_NO_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def block(name: str, readme: str) -> str:
    """The fenced block below ``<!-- name -->``."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", readme, re.DOTALL)
    assert found, f"README.md has no block below <!-- {name} -->"
    return found[1]


def current() -> dict[str, str]:
    """The blocks as they should be, by name."""
    scan = ("examples/pictures", "--fpr", "0.05")
    shown = f"$ facescan {' '.join(scan)}\n{facescan(*scan, '--config', os.devnull)}"
    recipes = facescan("list", module="train.cli")
    return {"help": facescan("--help"), "transcript": shown, "recipes": recipes}


if __name__ == "__main__":
    text = README.read_text("utf-8")
    for name, content in current().items():
        text = re.sub(
            rf"(<!-- {name} -->\n```\w+\n).*?```",
            lambda found, new=content: f"{found[1]}{new}```",
            text,
            flags=re.DOTALL,
        )
    README.write_text(text, "utf-8")
