"""Stores: what is true. Every engram is durable here before it is acknowledged."""
