"""Finds faces of every size and turn in a picture.

Imports `imaging`, and `detector` for ONNX sessions.
"""
