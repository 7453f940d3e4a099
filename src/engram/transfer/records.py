"""Engram's own JSON: one object an engram, with the fields of `remember`.

Owns the field names and types, both ways: what `export` writes, `import` reads back to the same engram. Documented in
docs/formats.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from engram.engram import Engram, draft, metadata_json
from engram.errors import InvalidEngram
from engram.transfer.items import Item, Place, Problem, Settings, Turn, derived_id

FIELDS = (
    "id",
    "namespace",
    "session",
    "role",
    "speaker",
    "text",
    "at",
    "recorded_at",
    "kind",
    "source",
    "metadata",
)
TIMES = ("at", "recorded_at")

UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""What JSON allows unescaped, but terminals obey and some line readers split at."""


def to_record(engram: Engram) -> dict[str, object]:
    """Every field of an engram as JSON values, in the order of `FIELDS`."""
    record: dict[str, object] = {name: getattr(engram, name) for name in FIELDS}
    for name in TIMES:
        record[name] = getattr(engram, name).isoformat()
    record["metadata"] = dict(engram.metadata)
    return record


def to_json(value: object, indent: int | None = None) -> str:
    """JSON that is readable in every script and safe to show on a terminal; no newline in it unless indented."""
    separators = None if indent else (", ", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
            given[name] = moment(name, given[name]) if name in given else self._settings.now
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


def moment(field: str, value: object) -> datetime:
    """A time from ISO 8601 text; one without a zone is taken as UTC by `draft`."""
    if not isinstance(value, str):
        raise InvalidEngram(f"{field} is {type(value).__name__}; it must be a time as ISO 8601 text")
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise InvalidEngram(f"{field} is {value[:40]!r}; it must be ISO 8601, such as 2026-03-02T14:05:00Z") from None
