"""An engram as JSON: one object with the fields of `Memory.remember`.

Owns the names and types of the fields in JSON, for every format, REST and MCP. Documented in docs/formats.md.
"""

from __future__ import annotations

import json
import re

from engram.engram import Engram

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
