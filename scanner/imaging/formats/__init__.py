"""Reads the structure of each picture format without decoding pixels: one module a format.

Imports nothing else of facescan.
"""
