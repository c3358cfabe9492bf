"""Walks folders, lists, standard input and object stores: roots -> candidates -> bytes, or a reason.

Imports `files` and the vocabulary.
"""
