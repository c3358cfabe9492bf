"""facescan: tells real faces from fake ones in bulk, offline."""

__version__ = "0.1.0"
# Raise it when decoding, face finding, cropping, scoring or provenance changes what a row says: rows kept before no
# longer count.
ROWS_VERSION = 4
