"""Pictures that somebody looked at and allowed: `.facescanignore`, a file of content hashes with reasons.

    # one picture a line: its SHA-256, until when, and why
    4f3a9c...e1  until 2027-06-30  # press photograph, checked by Ann
    77d012...0b  # drawn by our designer

An allowed picture still gets its row; it counts no more for the exit code, as a finding of the baseline does.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanner.errors import FacescanError
from scanner.options.config import lies_in, project_folders
from scanner.result import Result

FILE_NAME = ".facescanignore"
_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64})(?:\s+until\s+(?P<until>\d{4}-\d{2}-\d{2}))?\s*(?:#.*)?")
# Pictures of which the hook shows the line to paste, at most.
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Allowed:
    """The pictures that a file allows.

    Attributes:
        hashes: SHA-256 of the pictures, in lower case; without those whose date has passed.
        file: where they were read; empty if there is no such file.
        warnings: lines for the user.
    """

    hashes: frozenset[str] = frozenset()
    file: str = ""
    warnings: tuple[str, ...] = ()


def find_allowed(roots: Iterable[str], today: datetime.date | None = None) -> Allowed:
    """Read the `.facescanignore` of the working directory, or of a folder above it up to the project's.

    A file from inside a folder that is scanned is not used: whoever uploads a picture could upload it as well.

    Args:
        roots: files and folders to scan.
        today: to hold dates against; the system's date by default.

    Raises:
        FacescanError: the file cannot be read, or has a line that cannot be understood.
    """
    scanned = [os.path.realpath(root) for root in roots if os.path.isdir(root)]
    warnings = []
    for folder in project_folders(Path.cwd()):
        file = folder / FILE_NAME
        if not os.path.isfile(file):
            continue
        if any(lies_in(file, root) for root in scanned):
            warnings.append(f"{file} is not used: it lies in a folder that is scanned; --baseline {file} uses it")
            continue
        hashes, expired = read_allowed(str(file), today)
        return Allowed(hashes, str(file), (*warnings, *expired))
    return Allowed(warnings=tuple(warnings))


def read_allowed(file: str, today: datetime.date | None = None) -> tuple[frozenset[str], list[str]]:
    """The hashes in a file, and a warning for each whose date has passed.

    Raises:
        FacescanError: the file cannot be read, or has a line that cannot be understood.
    """
    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FacescanError(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    today = today or datetime.date.today()
    hashes, warnings = set(), []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        try:
            until = datetime.date.fromisoformat(found["until"]) if found and found["until"] else datetime.date.max
        except ValueError:
            found = None
        if found is None:
            raise FacescanError(
                f"{file}, line {number}: a line is a SHA-256, perhaps 'until YYYY-MM-DD', and perhaps '# why'"
            )
        if until < today:
            warnings.append(f"{file}, line {number}: allowed until {until}, which has passed; the picture counts again")
        else:
            hashes.add(found["sha256"].lower())
    return frozenset(hashes), warnings


def is_allowed_file(first_line: str) -> bool:
    """Whether a file begins as a `.facescanignore` does, with a comment or a hash."""
    return first_line.startswith("#") or _LINE.fullmatch(first_line.strip()) is not None


def how_to_allow(findings: Sequence[Result], count: int, meta: Mapping[str, Any]) -> list[str]:
    """Lines that tell somebody whose commit was refused why, and how to allow the pictures.

    Args:
        findings: rows of the first of them.
        count: how many there are.
        meta: of the scan, as JSON output has it.
    """
    model, threshold = meta["model"], meta["thresholds"]["fake"]
    shown = findings[:MOST_SHOWN]
    more = [f"# ... and {count - len(shown)} more"] if count > len(shown) else []
    by = f"{model['name']} {model['version']}"
    return [
        f"a picture is called fake from a score of {threshold:.4f} on, by the model {by}; it may be wrong",
        f"to allow a picture that you have looked at, add its line to {FILE_NAME} in this folder, with your reason:",
        *(f"{row.sha256}  # {row.path}" for row in shown if row.sha256),
        *more,
    ]
