"""Finds the colour space of a picture, and converts its pixels to sRGB as browsers do.

Imports `imaging.inspection` and `imaging.formats`.
"""
