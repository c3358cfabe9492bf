"""Reads data sets, splits them, cuts faces, and degrades or augments pictures.

Imports scanner, and `recipes` for the rules by which pictures are split.
"""
