"""Examines candidates in processes, on an accelerator or in a cluster; yields results in order.

Imports every room but `output`, `html` and `options`.
"""
