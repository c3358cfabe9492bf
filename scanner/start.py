"""Starts the commands, and checks that they are facescan's.

Installed as `facescan_start`, beside our packages, whose names another project may have as well. Python ends with exit
code 1 where an import fails, which would mean that a scan has findings.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec


def facescan() -> int:
    """Run `facescan` and return its exit code."""
    return _run("facescan", "scanner")


def facescan_train() -> int:
    """Run `facescan-train` and return its exit code."""
    return _run("facescan-train", "train")


def _run(command: str, package: str) -> int:
    try:
        for name in ("scanner", package):  # before anything of another project runs
            if not os.path.isfile(os.path.join(os.path.dirname(_place(name)), "cli.py")):
                raise ImportError(f"{_place(name)} is not facescan's {name}")
        main = import_module(f"{package}.cli").main
        if not hasattr(import_module("scanner"), "ROWS_VERSION"):
            raise ImportError(f"{_place('scanner')} is not facescan's scanner")
    except (Exception, SystemExit) as error:
        what = f"{command}: cannot start: {type(error).__name__}: {error}"
        print(f"{what}; unset PYTHONPATH ({os.environ.get('PYTHONPATH')}) or install facescan again", file=sys.stderr)
        return 2
    code: int = main()
    return code


def _place(package: str) -> str:
    """Return the file that Python would import for a package; empty if there is none."""
    spec = find_spec(package)
    return (spec.origin or "") if spec else ""
