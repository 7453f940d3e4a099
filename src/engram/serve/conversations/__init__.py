"""Conversations: which one a request continues, and how its messages are stored."""
