"""Holds scripts that write this repository's own tables and files; no command of a user needs them.

Imports every room of train.
"""
