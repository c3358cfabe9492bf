"""Opens a model: its card, its ONNX session on a device, scores and thresholds.

Imports `imaging`, `system` and the vocabulary.
"""
