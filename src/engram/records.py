"""An engram as JSON: one object with the fields of `Engram`, in their order.

Owns the JSON types of the fields, for all formats, REST, MCP and the command line, and how JSON is written and read at
these edges. Documented in docs/formats.md.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from engram.engram import Engram

FIELDS = tuple(field.name for field in dataclasses.fields(Engram))
"""Names of the fields, in the order of the JSON object."""

TIMES = ("at", "recorded_at")
"""Fields that are times: ISO 8601 text in JSON."""

UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""Characters that JSON allows unescaped, but that control a terminal or that some readers take for a line end."""

_CANDIDATES = (*range(0xA0), *range(0x2028, 0x206A), 0xFEFF)
ESCAPES = {number: f"\\u{number:04x}" for number in _CANDIDATES if UNSAFE.match(chr(number))}


LONGEST_KEY = 100
"""Characters of a key in an error."""


class RepeatedKey(ValueError):
    """An object in JSON has a key twice."""

    def __init__(self, key: str) -> None:
        self.key = key[:LONGEST_KEY].encode("utf-8", "backslashreplace").decode()
        super().__init__(f"{self.key}: it came twice in one object; send it once")


def to_record(engram: Engram) -> dict[str, object]:
    """Return every field of an engram as a JSON value, in the order of `FIELDS`."""
    record: dict[str, object] = {name: getattr(engram, name) for name in FIELDS}
    for name in TIMES:
        record[name] = getattr(engram, name).isoformat()
    record["metadata"] = dict(engram.metadata)
    return record


def replaced_nul(value: Any) -> Any:
    """Return a JSON value, or the value of a field, with U+FFFD in place of each NUL character."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {replaced_nul(key): replaced_nul(item) for key, item in value.items()}
    return [replaced_nul(item) for item in value] if isinstance(value, list) else value


def to_json(value: object, indent: int | None = None, *, compact: bool = False) -> str:
    """Return JSON that is readable in every script and safe to show on a terminal; on one line unless indented.

    compact: without spaces between its parts.
    """
    separators = None if indent else (",", ":") if compact else (", ", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.translate(ESCAPES) if UNSAFE.search(text) else text


def from_json(text: str | bytes, parse_constant: Callable[[str], object] | None = None) -> Any:
    """Return the value of a JSON text that somebody sent. parse_constant: as in `json.loads`.

    Raises `RepeatedKey` if an object has a key twice, of which the last would win without a word; another ValueError
    if it is not JSON; RecursionError if it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_object_of, parse_constant=parse_constant)


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RepeatedKey(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found
