"""Keeps the rows of earlier scans in an SQLite database that survives damage.

Imports `files` and the vocabulary.
"""
