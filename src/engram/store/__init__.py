"""Stores: the source of truth. Every engram is durable in a store before it is acknowledged."""
