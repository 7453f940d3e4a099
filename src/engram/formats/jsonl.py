"""The JSON format of Engram: one object per engram, with the fields of `records.FIELDS`.

Owns the reading: what `export` writes, `import` reads back to the same engram. Documented in docs/formats.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engram.engram import Engram, draft, metadata_json
from engram.errors import InvalidEngram
from engram.formats.items import (
    ImportedTurn,
    ImportSettings,
    Item,
    Problem,
    SourceLocation,
    derived_id,
    with_import_origin,
)
from engram.records import FIELDS, TIMES, replaced_nul
from engram.times import parse_time

NUL_REPLACED = "holds NUL characters, which a memory does not store; the turn is imported with U+FFFD in their place"


class RecordReader:
    """Reads the records of one file. Counts equal records without id, so that each gets a different id."""

    def __init__(self, settings: ImportSettings) -> None:
        self._settings = settings
        self._seen: Counter[str] = Counter()

    def read(self, record: Mapping[str, object], location: SourceLocation) -> Iterator[Item]:
        """Yield the turn of a record, or its problem.

        A record with an id was stored before. An older version could store NUL, which no memory takes today: such a
        turn is kept with U+FFFD in its place, and the problem says so.
        """
        replaced = replaced_nul(dict(record)) if record.get("id") is not None else record
        try:
            yield self._turn(replaced, location)
        except InvalidEngram as error:
            yield Problem(location, str(error))
        else:
            if replaced != record:
                yield Problem(location, NUL_REPLACED)

    def _turn(self, record: Mapping[str, object], location: SourceLocation) -> ImportedTurn:
        unknown = sorted(record.keys() - set(FIELDS))
        if unknown:
            raise InvalidEngram(f"has an unknown field {unknown[0]!r}; the fields are {', '.join(FIELDS)}")
        # null means the same as a missing field.
        fields: dict[str, Any] = {name: value for name, value in record.items() if value is not None}
        if "text" not in fields:
            raise InvalidEngram("has no text; the field 'text' is required")
        open_fields = frozenset(name for name in TIMES if name not in fields)
        for name in TIMES:
            fields[name] = parse_time(name, fields[name]) if name in fields else self._settings.now
        fields.setdefault("namespace", self._settings.namespace)
        if "id" in fields and not isinstance(fields["id"], str):
            raise InvalidEngram(f"id is {type(fields['id']).__name__}; it must be a UUID in text form")
        engram = with_import_origin(draft(**fields), stated="origin" in fields)
        if "id" not in fields:
            engram = replace(engram, id=self._id(engram, open_fields))
        return ImportedTurn(location, engram, open_fields)

    def _id(self, engram: Engram, open_fields: frozenset[str]) -> str:
        """Return an id derived from the content of a record, and from how often this file has had the same content."""
        metadata = metadata_json(dict(sorted(engram.metadata.items()))) if engram.metadata else None
        # The order of the parts is part of the format: another order would give other ids.
        parts = (
            "jsonl",
            engram.namespace,
            engram.session,
            engram.role,
            engram.speaker,
            engram.text,
            *(None if name in open_fields else getattr(engram, name).isoformat() for name in TIMES),
            engram.kind,
            engram.source,
            metadata,
        )
        at = None if "at" in open_fields else engram.at
        first = derived_id(at, *parts)
        self._seen[first] += 1
        count = self._seen[first]
        return first if count == 1 else derived_id(at, *parts, count)
