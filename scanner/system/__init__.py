"""Talks to the operating system: child processes, messages to them, signals, memory and limits.

Imports only the vocabulary (`scanner.errors`).
"""
