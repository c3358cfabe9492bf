"""Builds the networks, one file each: `build(size, weights, **options) -> keras.Model`, pixels in, scores out.

Imports nothing else of train.
"""
