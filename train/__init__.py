"""facescan-train: rebuilds, trains and exports the detectors that facescan runs."""

import scanner  # noqa: F401  # first: it switches ONNX Runtime's telemetry off, which some modules here import before ours
