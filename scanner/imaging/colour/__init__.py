"""Find the colour space that a file declares, and convert its pixels to sRGB as browsers do.

Imports `imaging.inspection`, `imaging.formats` and `imaging.orientation`.
"""
