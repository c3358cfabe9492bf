"""Describes a file that gets a row, before it is read."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from scanner.files.beneath import LinkError
from scanner.files.fingerprint import FileFingerprint
from scanner.reasons import Reason

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Holds a file that gets a row.

    Attributes:
        path: as walked, with undecodable bytes as surrogates; `-` for standard input; or a URL.
        trouble: the reason why it cannot be read, if that is known already; else empty.
        content: of standard input or a URL, once it was read.
        size: bytes of a file that was not read because it is too large.
        fingerprint: of the object behind a URL, when it was listed or, later, read; None for local files, and if the
            store gives no ETag.
        named: whether the command line names it, so that it was not found in a folder or a list.
        root: the folder whose walk found the file, if no symbolic link below that folder may be followed; else empty.
    """

    path: str
    trouble: str = ""
    content: bytes | None = field(default=None, repr=False)
    size: int | None = None
    fingerprint: FileFingerprint | None = field(default=None, repr=False)
    named: bool = False
    root: str = field(default="", compare=False)


def failure_reason(error: Exception, path: str, missing: str) -> str:
    """Return the reason of a row from an error of the operating system.

    Args:
        error: the error.
        path: of the file.
        missing: the reason if there is no such file.
    """
    if isinstance(error, LinkError):
        return f"{Reason.NOT_A_FILE}:link"
    if isinstance(error, FileNotFoundError):
        return Reason.BROKEN_LINK if os.path.islink(path) else missing
    if isinstance(error, PermissionError):
        return Reason.PERMISSION_DENIED
    return f"{Reason.READ_FAILED}:{errno.errorcode.get(getattr(error, 'errno', None) or 0, 'invalid_name')}"
