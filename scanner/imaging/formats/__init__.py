"""Reads the structure of each picture format, without decoding: one module a format.

Imports nothing else of facescan.
"""
