"""Recall: from a query to ranked hits, and from hits to notes for a prompt."""
