"""Recognises URLs among paths. Imports nothing heavy: most paths are no URLs, and must cost nothing."""

from __future__ import annotations

import re

# Two characters at least: one is a Windows drive.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """Return whether a path is a URL. A file whose name looks like one has to be named as ``./s3://...``."""
    return _URL.match(path) is not None


def scheme_of(url: str) -> str:
    """Return ``s3`` for ``s3://bucket/prefix``."""
    return url.partition("://")[0]


def authority_of(url: str) -> str:
    """Return ``s3://bucket`` for ``s3://bucket/prefix``."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
