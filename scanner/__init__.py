"""facescan: tells real faces from fake ones in bulk, offline."""

__version__ = "0.1.0"
