"""Trains: the loop, its checkpoints, weights to start from, and what PyTorch does otherwise than Keras.

Imports `data`, `recipes` and `architectures`.
"""
