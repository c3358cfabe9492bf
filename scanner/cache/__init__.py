"""Caches rows in an SQLite database that survives damage.

Imports `files` and the vocabulary.
"""
