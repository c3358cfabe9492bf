"""Writes rows in every format, and the summary; knows which findings are allowed or known.

Imports `detector` for cards and thresholds, `options`, `files` and the vocabulary.
"""
