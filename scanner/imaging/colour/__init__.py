"""Finds the colour space that a file declares, and converts its pixels to sRGB as browsers do.

Imports `imaging.inspection`, `imaging.formats` and `imaging.orientation`.
"""
