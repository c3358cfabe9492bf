"""Takes options from the command line, the environment and a file, and offers them to shells.

Imports the vocabulary, and names of bundled models.
"""
