"""Handles one file: its name or URL, how it is opened safely, whether it has changed, and what its first bytes are.

Imports `imaging.inspection` and the vocabulary.
"""
