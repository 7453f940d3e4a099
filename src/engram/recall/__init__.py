"""Cue, candidates, scores, context: pure functions over arrays."""
