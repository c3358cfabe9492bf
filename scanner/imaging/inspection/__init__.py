"""Inspects a file's bytes before a decoder may run: its format, size, damage and the memory that decoding takes.

Imports `imaging.formats`.
"""
