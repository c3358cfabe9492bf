"""How fast facescan is, how little memory it takes, and beside whom: ``python -m tests.bench --help``."""
