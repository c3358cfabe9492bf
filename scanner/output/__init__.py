"""Writes rows in every format, and the summary; recognises findings that are allowed or already known.

Imports `options`, `detector`, `sources`, `files`, `imaging` and the vocabulary.
"""
