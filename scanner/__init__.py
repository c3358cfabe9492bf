"""facescan tells real faces from fake ones in bulk, offline.

This folder holds the command, the wiring of one scan, and the vocabulary that every room may import: results, reasons,
findings, settings and errors. Each room is a folder below; pyproject.toml says which room may import which.
"""

import os

# ONNX Runtime 1.29 and later sends usage data to its maker, and keeps an identifier in the home directory and a file in
# the temporary one. It reads this variable when it is imported. Every module that imports it lies in this package, or
# imports this package first, as train and tests do. Processes that are started inherit the variable.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
# Raise it when decoding, face finding, cropping, scoring or provenance changes what a row says: rows kept before no
# longer count.
ROWS_VERSION = 4
