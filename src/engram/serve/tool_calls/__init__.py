"""Engram's function tools in requests to a model: added, run on the way, and hidden from the client."""
