"""Writes tables in Markdown, and puts them into marked places of files that people write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Format a header and rows as a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def figure(value: float | None, decimals: int = 3) -> str:
    """Format a number, or a dash for None."""
    return "-" if value is None else f"{value:.{decimals}f}"


def fill(file: Path, blocks: Mapping[str, str]) -> None:
    """Replace the text between ``<!-- name -->`` and ``<!-- end -->`` in a file, for each name."""
    text = file.read_text("utf-8")
    for name, block in blocks.items():
        pattern = rf"(<!-- {re.escape(name)} -->\n).*?(\n?<!-- end -->)"

        def filled(found: re.Match[str], block: str = block) -> str:
            return f"{found[1]}{block}\n<!-- end -->"

        text = re.sub(pattern, filled, text, flags=re.DOTALL)
    file.write_text(text, "utf-8")
