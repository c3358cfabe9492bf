"""Turns a Keras model into an ONNX file with a card, calibrates and measures it, and makes it smaller.

Imports `fitting`, `evaluation`, `data`, `recipes` and the scanner's reader of cards.
"""
