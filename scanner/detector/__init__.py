"""Opens a model: its card, its ONNX session on a device, its scores and the thresholds for a verdict.

Imports `imaging`, `system` and the vocabulary.
"""
