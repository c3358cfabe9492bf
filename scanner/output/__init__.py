"""Writes rows in every format, and the summary; recognises findings that are allowed or already known.

Imports `detector` for cards and thresholds, `options`, `files` and the vocabulary.
"""
