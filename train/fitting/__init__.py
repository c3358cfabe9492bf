"""Trains networks: batches, optimizers, the loop, checkpoints, initial weights, and PyTorch's defaults.

Imports `data`, `recipes` and `architectures`.
"""
