"""Keeps rows that are known already, in a database that survives damage.

Imports `files` and the vocabulary.
"""
