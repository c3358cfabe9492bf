"""facescan tells real faces from fake ones in bulk, offline.

From Python, `Scanner().scan_file(path)` returns a `Result`; what is heavy is loaded when it is used first.

This folder holds the command, the library, the wiring of one scan, and the vocabulary that every room may import:
results, reasons, findings, settings and errors. Each room is a folder below; pyproject.toml says which of them may
import which.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanner.errors import FacescanError
    from scanner.python_api import Scanner
    from scanner.result import Face, Result, Verdict

__all__ = ["Face", "FacescanError", "Result", "Scanner", "Verdict", "__version__"]

_MODULES = {
    "Face": "scanner.result",
    "FacescanError": "scanner.errors",
    "Result": "scanner.result",
    "Scanner": "scanner.python_api",
    "Verdict": "scanner.result",
}

# ONNX Runtime 1.29 and later sends usage data to its maker, and keeps an identifier in the home directory and a file in
# the temporary one. It reads this variable when it is imported. Every module that imports it lies in this package, or
# imports this package first, as train and tests do. Processes that are started inherit the variable.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
# Raise it when decoding, face finding, cropping, scoring or provenance changes what a row says: rows kept before no
# longer count.
ROWS_VERSION = 4

if not TYPE_CHECKING:  # type checkers would take every name for one that exists

    def __getattr__(name: str) -> object:
        """Load what `__all__` names when it is used first.

        Raises:
            AttributeError: there is no such name.
        """
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
