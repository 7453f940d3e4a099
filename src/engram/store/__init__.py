"""What is true: every engram, durable before it is acknowledged."""

from engram.store.base import Filter, Record, Store, StoreStats
from engram.store.sqlite import SqliteStore

__all__ = ["Filter", "Record", "SqliteStore", "Store", "StoreStats"]
