"""Meaning: vectors of texts that are near to each other if the texts mean the same."""
