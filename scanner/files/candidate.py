"""A file that gets a row, before anything is known of it."""

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
    """A file that gets a row.

    Attributes:
        path: as walked, undecodable bytes as surrogates; `-` for standard input; or a URL.
        trouble: why there is nothing to read, if that is known already.
        content: of standard input or a URL, once it was read.
        size: bytes of what was not read because it is too large.
        fingerprint: of the object behind a URL, when it was listed or, later, read; None for local files, and if the
            store gives no ETag.
        named: asked for by itself, not found in a folder or a list.
        root: the folder whose walk found the file, if no symbolic link below that folder may be followed; else empty.
    """

    path: str
    trouble: str = ""
    content: bytes | None = field(default=None, repr=False)
    size: int | None = None
    fingerprint: FileFingerprint | None = field(default=None, repr=False)
    named: bool = False
    root: str = field(default="", compare=False)


def trouble_of(error: Exception, path: str, missing: str) -> str:
    """An operating-system error -> the short word of a row's reason.

    Args:
        error: what was raised.
        path: of the file.
        missing: the word if there is no such file.
    """
    if isinstance(error, LinkError):
        return f"{Reason.NOT_A_FILE}:link"
    if isinstance(error, FileNotFoundError):
        return Reason.BROKEN_LINK if os.path.islink(path) else missing
    if isinstance(error, PermissionError):
        return Reason.PERMISSION_DENIED
    return f"{Reason.READ_FAILED}:{errno.errorcode.get(getattr(error, 'errno', None) or 0, 'invalid_name')}"
