"""Strength: what is recalled again and again comes before its equals, and time takes that away again.

Counts of use are no truth and are not derived from it: losing them changes the order of near-equal hits, and nothing
else. They are kept by engram id, without any text, query or name.
"""
