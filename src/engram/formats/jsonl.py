"""Engram's own JSON: one object an engram, with the fields of `remember`.

Owns the field names and types, both ways: what `export` writes, `import` reads back to the same engram. Documented in
docs/formats.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engram.engram import Engram, draft, metadata_json
from engram.errors import InvalidEngram
from engram.formats.items import Item, Place, Problem, Settings, Turn, derived_id
from engram.records import FIELDS, TIMES
from engram.times import parse_time


class Records:
    """Reads records of one file. Holds how often each that has no id has come, so that equal ones stay apart."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: Counter[str] = Counter()

    def read(self, record: Mapping[str, object], place: Place) -> Iterator[Item]:
        """The turn that a record is, or what is wrong with it."""
        try:
            yield self._turn(record, place)
        except InvalidEngram as error:
            yield Problem(place, str(error))

    def _turn(self, record: Mapping[str, object], place: Place) -> Turn:
        unknown = sorted(record.keys() - set(FIELDS))
        if unknown:
            raise InvalidEngram(f"has an unknown field {unknown[0]!r}; the fields are {', '.join(FIELDS)}")
        # null means the same as leaving it out.
        given: dict[str, Any] = {name: value for name, value in record.items() if value is not None}
        if "text" not in given:
            raise InvalidEngram("has no text; the field 'text' must hold what was said")
        open_fields = frozenset(name for name in TIMES if name not in given)
        for name in TIMES:
            given[name] = parse_time(name, given[name]) if name in given else self._settings.now
        given.setdefault("namespace", self._settings.namespace)
        if "id" in given and not isinstance(given["id"], str):
            raise InvalidEngram(f"id is {type(given['id']).__name__}; it must be a UUID in text form")
        engram = draft(**given)
        if "id" not in given:
            engram = replace(engram, id=self._id(engram, open_fields))
        return Turn(place, engram, open_fields)

    def _id(self, said: Engram, open_fields: frozenset[str]) -> str:
        """From what the record says, and how often this file has said it: wherever it stands, twice is two."""
        parts = (
            "jsonl",
            said.namespace,
            said.session,
            said.role,
            said.speaker,
            said.text,
            *(None if name in open_fields else getattr(said, name).isoformat() for name in TIMES),
            said.kind,
            said.source,
            metadata_json(dict(sorted(said.metadata.items()))) if said.metadata else None,
        )
        at = None if "at" in open_fields else said.at
        first = derived_id(at, *parts)
        self._seen[first] += 1
        times = self._seen[first]
        return first if times == 1 else derived_id(at, *parts, times)
