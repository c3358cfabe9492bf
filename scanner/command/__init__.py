"""Carries out one command line: a scan with its outputs, what `--version` and `--cache-info` show, a check of memory.

Imports every room. Only `cli` imports it.
"""
