"""Reflection: what the turns of a memory add up to, as links and labels that point at turns.

Everything here is derived from the store's log and can be made again. No sentence is ever written: a statement is a
part of a turn, by its offsets.
"""
