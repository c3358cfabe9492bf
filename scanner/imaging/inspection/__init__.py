"""Learns from a file's bytes what must be known before a decoder may run: kind, size, damage, cost.

Imports `imaging.formats`.
"""
