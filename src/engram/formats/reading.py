"""Reads one file of any supported format: recognises each JSON value in it and passes it to the reader of its format.

Owns the table of formats. Reading never raises for the content of a file: errors become `Problem` items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from engram.formats import chatgpt, claude, locomo
from engram.formats.items import ImportSettings, Item, Problem, SourceLocation
from engram.formats.jsonl import RecordReader
from engram.formats.sources import values

EXPORTS = (
    ("chatgpt", chatgpt.is_conversation, chatgpt.read),
    ("claude", claude.is_conversation, claude.read),
    ("locomo", locomo.is_sample, locomo.read),
)
"""For each format: its name, a test for its objects, and its reader. An object of no format is read as an engram."""


class ImportFile:
    """The items of the file at `path` ("-": `stdin`), in file order, read while they are iterated."""

    def __init__(self, path: str, settings: ImportSettings, stdin: BinaryIO | None = None) -> None:
        self.path = path
        self.progress = 0.0
        """The part of the file that has been read, 0 to 1."""
        self.formats: Counter[str] = Counter()
        """Number of objects of each format: jsonl, chatgpt, claude, locomo."""
        self._settings = settings
        self._stdin = stdin

    def __iter__(self) -> Iterator[Item]:
        records = RecordReader(self._settings)
        for part in values(self.path, self._stdin, self._settings.max_unpacked):
            if isinstance(part, Problem):
                yield part
                continue
            self.progress = part.progress
            if isinstance(part.value, dict):
                yield from self._items(part.value, part.location, records)
            else:
                yield Problem(part.location, f"is {json_type(part.value)}; it must be an object")
        self.progress = 1.0

    def _items(self, value: Mapping[str, object], location: SourceLocation, records: RecordReader) -> Iterator[Item]:
        for name, recognises, read in EXPORTS:
            if recognises(value):
                self.formats[name] += 1
                yield from read(value, location, self._settings)
                return
        self.formats["jsonl"] += 1
        yield from records.read(value, location)


def json_type(value: object) -> str:
    """Return the type of a JSON value, named as in JSON."""
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
