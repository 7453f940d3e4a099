"""In and out: other people's formats and our own, read into a memory and written from it."""

from engram.transfer.items import Item, LeftOut, Place, Problem, Settings, Turn
from engram.transfer.loading import Outcome, load
from engram.transfer.reading import Reading
from engram.transfer.records import to_json, to_record
from engram.transfer.writing import export, write

__all__ = [
    "Item",
    "LeftOut",
    "Outcome",
    "Place",
    "Problem",
    "Reading",
    "Settings",
    "Turn",
    "export",
    "load",
    "to_json",
    "to_record",
    "write",
]
