"""Turns a Keras model into an ONNX file with a card; makes it smaller.

Imports `fitting`, `recipes` and the scanner's reader of cards.
"""
