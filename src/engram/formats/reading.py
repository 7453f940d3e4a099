"""One file to import, of any format: tells what each JSON value in it is and hands it to the reader of that.

Owns the table of formats. Reading never raises for what a file holds: that becomes a `Problem`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from engram.formats import chatgpt, claude, locomo
from engram.formats.items import Item, Place, Problem, Settings
from engram.formats.jsonl import Records
from engram.formats.sources import Value, values

EXPORTS = (
    ("chatgpt", chatgpt.is_conversation, chatgpt.read),
    ("claude", claude.is_conversation, claude.read),
    ("locomo", locomo.is_sample, locomo.read),
)
"""Each format's name, how one of its objects is known, and its reader; what is none of these is an engram."""


class Reading:
    """The items of the file at `path` ("-": what `stdin` holds), in its order, read as they are asked for."""

    def __init__(self, path: str, settings: Settings, stdin: BinaryIO | None = None) -> None:
        self.path = path
        self.done = 0.0
        """How much of the file is behind, 0 to 1."""
        self.formats: Counter[str] = Counter()
        """Objects read of each format: jsonl, chatgpt, claude, locomo."""
        self._settings = settings
        self._stdin = stdin

    def __iter__(self) -> Iterator[Item]:
        records = Records(self._settings)
        for found in values(self.path, self._stdin):
            if isinstance(found, Problem):
                yield found
                continue
            self.done = found.done
            if isinstance(found.value, dict):
                yield from self._items(found.value, found.place, records)
            else:
                yield Problem(found.place, f"is {kind_of(found)}; it must be an object")
        self.done = 1.0

    def _items(self, value: Mapping[str, object], place: Place, records: Records) -> Iterator[Item]:
        for name, known, read in EXPORTS:
            if known(value):
                self.formats[name] += 1
                yield from read(value, place, self._settings)
                return
        self.formats["jsonl"] += 1
        yield from records.read(value, place)


def kind_of(found: Value) -> str:
    """What a JSON value is, in JSON's own words."""
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(found.value), "a number")
