"""Decode bytes to upright sRGB pictures and frames, or find the reason why not; crop and resize; Error Level Analysis.

Imports `system` and the vocabulary.
"""
