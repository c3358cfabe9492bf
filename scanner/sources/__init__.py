"""Finds what to scan in folders, lists, standard input and object stores, and reads it.

Imports `files` and the vocabulary.
"""
