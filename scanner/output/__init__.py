"""Writes rows in every format, and the summary; knows which findings are allowed or known.

Imports `options`, `detector`, `sources`, `files`, `imaging` and the vocabulary.
"""
