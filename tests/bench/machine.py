"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from scanner import __version__
from scanner.detector.runtime import available_cpus

PACKAGES = ("numpy", "opencv-python-headless", "opencv-python", "onnxruntime-gpu", "onnxruntime", "tensorflow", "ray")


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, load before anything was measured, and versions."""
    return {
        "cpu": _cpu(),
        "cores": available_cpus(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load": list(os.getloadavg()),
        "system": platform.platform(),
        "versions": {"facescan": __version__, "python": platform.python_version()} | _versions(),
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
