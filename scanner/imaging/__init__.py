"""Turns bytes into upright sRGB pictures and frames, or a reason; cuts and resizes; Error Level Analysis.

Imports `system` and the vocabulary.
"""
