"""Which paths are URLs. Knows no file system, so that paths that are none cost nothing."""

from __future__ import annotations

import re

# Two characters at least: one is a Windows drive.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """A file whose name looks like one has to be named as ``./s3://...``."""
    return _URL.match(path) is not None


def scheme_of(url: str) -> str:
    """``s3`` of ``s3://bucket/prefix``."""
    return url.partition("://")[0]


def authority_of(url: str) -> str:
    """``s3://bucket`` of ``s3://bucket/prefix``."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
