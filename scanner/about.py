"""Describes the installation and its cache, for `--version -v`, `--cache-info` and `--cache-clear`."""

from __future__ import annotations

import os

from scanner import __version__


def version(verbose: bool) -> str:
    """Return `facescan 0.1.0` and, if `verbose`, what it runs on: libraries and models, as a bug report needs them."""
    line = f"facescan {__version__}"
    if not verbose:
        return line
    import platform

    import cv2
    import numpy
    import onnxruntime

    from scanner.detector.model import Detector, bundled_models, find_model

    models = [(Detector(find_model(name)), name) for name in bundled_models()]
    return "\n".join(
        [
            line,
            f"python {platform.python_version()} on {platform.platform()}",
            f"onnxruntime {onnxruntime.__version__}, providers built in: "
            + ", ".join(onnxruntime.get_available_providers()),
            f"opencv {cv2.__version__}, numpy {numpy.__version__}",
            *(f"model {name}: version {d.card.version}, {d.card.task}, sha256 {d.sha256}" for d, name in models),
        ]
    )


def about_cache(named: str | None, clear: bool) -> str:
    """Describe what is in the cache, or empty it.

    Args:
        named: file of `--cache`; None for the user's cache.
        clear: whether to empty it.
    """
    from datetime import UTC, datetime

    from scanner.cache.database import cache_file, disk_usage
    from scanner.cache.store import Cache

    file = named or cache_file()
    if file is None or not os.path.exists(file):
        return f"no cache at {file or 'all: there is no home directory'}"
    with Cache(file) as cache:
        if clear:
            return f"removed {cache.clear():,} rows from {cache.file}"
        info = cache.info()
    when = [
        "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(" ").removesuffix("+00:00")
        for seconds in (info["oldest"], info["newest"])
    ]
    return "\n".join(
        [
            f"cache      {cache.file}",
            f"rows       {info['rows']:,}, of {info['files']:,} files",
            f"size       {disk_usage(cache.file):,} bytes",
            f"oldest     {when[0]}",
            f"newest     {when[1]}",
            *(f"model      {model}: {rows:,} rows" for model, rows in info["models"].items()),
        ]
    )
