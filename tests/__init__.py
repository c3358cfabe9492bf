import scanner  # noqa: F401  # first: it switches ONNX Runtime's telemetry off, for the benchmark's contenders, too
