"""facescan-train rebuilds, trains, measures and exports the detectors that facescan runs.

This folder holds the command and what one run does, from a recipe and pictures to a model file. Imports the scanner;
the scanner never imports this package.
"""

import scanner  # noqa: F401  # first: it switches ONNX Runtime's telemetry off, which some modules here import before ours
