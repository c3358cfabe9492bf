"""Measures ONNX files on labelled pictures: scores, figures, thresholds, plots and a page.

Imports `data` and the scanner.
"""
