"""What is fast: derived from the store, can be thrown away and rebuilt."""

from engram.index.columns import GONE, ROW, Columns, Entry, IndexDamaged, Ints, Turns
from engram.index.index import Index, Snapshot, damage_noticed
from engram.index.tail import Tail
from engram.index.view import View

__all__ = ["GONE", "ROW", "Columns", "Entry", "Index", "IndexDamaged", "Ints", "Snapshot", "Tail", "Turns", "View", "damage_noticed"]
