"""What is fast: derived from the store, can be thrown away and rebuilt."""

from engram.index.columns import GONE, ROW, Columns, Entry, Ints, Turns
from engram.index.damage import IndexDamaged, damage_noticed, is_panic
from engram.index.generation import Snapshot
from engram.index.index import Index
from engram.index.lexical import EVERY
from engram.index.tail import Tail
from engram.index.view import View

__all__ = [
    "EVERY",
    "GONE",
    "ROW",
    "Columns",
    "Entry",
    "Index",
    "IndexDamaged",
    "Ints",
    "Snapshot",
    "Tail",
    "Turns",
    "View",
    "damage_noticed",
    "is_panic",
]
