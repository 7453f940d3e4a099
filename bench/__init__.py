"""Benchmark of quality and speed against references measured in the same run: `python -m bench`.

Uses only the public names of Engram.
"""
