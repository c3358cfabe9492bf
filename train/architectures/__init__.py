"""Builds the networks, one per file: `build(size, weights, **options)` returns a Keras model with its last layer."""
