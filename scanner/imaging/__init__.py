"""Decodes bytes to upright sRGB pictures and frames, or finds why it cannot; crops, resizes; Error Level Analysis.

Imports `system` and the vocabulary.
"""
