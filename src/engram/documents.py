"""The documents of an agent's state: a JSON value under a name, in versions. Data only.

Owns their fields, their limits and the canonical text of a value. Does not know how documents are stored.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engram.engram import byte_length, check_name, check_no_nul
from engram.errors import InvalidEngram, StateConflict
from engram.times import as_utc

MAX_VALUE_BYTES = 1 << 20
"""Longest value of one document, in bytes of its canonical JSON (1 MiB)."""

MAX_DEPTH = 100
"""Most lists and objects inside each other. Every reader of JSON can read such a value."""

MAX_VERSION = (1 << 53) - 1
"""Highest number of a version: every reader of JSON reads it exactly."""

KEPT_VERSIONS = 1_000
"""How many versions of a document stay by default, the newest ones."""

DEFAULT_AGENT = "default"

CORE = "core/"
"""How the names of core blocks begin: documents that a model should always have. A working memory shows them first."""

LONGEST_SHOWN = 60
"""Characters of a name in a message."""


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Identifies one document. Raises `InvalidEngram` if a field is not 1 to 512 bytes of UTF-8 without NUL."""

    namespace: str
    agent: str
    name: str

    def __post_init__(self) -> None:
        for name in ("namespace", "agent", "name"):
            check_name(name, getattr(self, name))

    def __str__(self) -> str:
        return f"the document {shown(self.name)} of the agent {shown(self.agent)} in {shown(self.namespace)}"


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document without its value, as lists show it."""

    namespace: str
    agent: str
    name: str
    version: int
    """The current version."""
    at: datetime
    """When the current version was written; aware, in UTC, to the microsecond."""


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document."""

    namespace: str
    """The wall: no other namespace sees the document."""
    agent: str
    """Whose state it is. A name and no wall: every agent of the namespace can name it."""
    name: str
    version: int
    """Grows by 1 with every write. Versions of a deleted document are not used again in its namespace."""
    at: datetime
    """When this version was written; aware, in UTC, to the microsecond."""
    value: Any = field(hash=False)
    """The JSON value: dict, list, str, int, float, bool or None. A copy, which may be changed."""


def shown(name: str) -> str:
    """Return a name for a message: quoted, and cut if it is long."""
    return repr(name if len(name) <= LONGEST_SHOWN else name[:LONGEST_SHOWN] + "…")


def check_version(field_name: str, value: object, least: int = 1) -> None:
    """Raise `InvalidEngram` unless `value` is an int that can be the number of a version, at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidEngram(f"{field_name} is {type(value).__name__}; it must be int, the number of a version")
    if not least <= value <= MAX_VERSION:
        raise InvalidEngram(f"{field_name} is no number of a version; it must be from {least} to {MAX_VERSION}")


def check_expected(key: DocumentKey, expect: int | None, current: int) -> None:
    """Raise `StateConflict` if a write expects another current version; 0: that there is no document."""
    if expect is None or expect == current:
        return
    found = f"is at version {current}" if current else "does not exist"
    expected = f"version {expect}" if expect else "no document"
    raise StateConflict(
        f"{key} {found}, and {expected} was expected; nothing was written: read it again and repeat the change", current
    )


def checked_document(document: Document) -> Document:
    """Return a document that was read from a damaged file. Raises `InvalidEngram` if a field is outside its limits."""
    DocumentKey(document.namespace, document.agent, document.name)
    check_version("version", document.version)
    as_utc("at", document.at)
    canonical_json(document.value)
    return document


def canonical_json(value: object) -> str:
    """Return the one text of a JSON value: keys sorted, without spaces, in Unicode. 1 and 1.0 keep their spellings.

    Raises `InvalidEngram` that names the place of what is no JSON value, or the limit that is exceeded.
    """
    check_value(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except ValueError as error:
        raise InvalidEngram("value holds an integer with too many digits; write it as a text") from error
    size = byte_length("value", text)
    if size > MAX_VALUE_BYTES:
        raise InvalidEngram(f"value is {size:,} bytes of JSON; the limit is {MAX_VALUE_BYTES:,} (1 MiB)")
    return text


Place = tuple[Any, object] | None
"""Where in a value an item is: the place of what holds it, and its key or index there; None for the whole."""


def check_value(value: object) -> None:
    """Raise `InvalidEngram` unless `value` is a JSON value of at most `MAX_DEPTH` levels, and say where it is not."""
    pending: list[tuple[object, Place, int]] = [(value, None, 0)]
    seen = 0
    while pending:
        item, place, depth = pending.pop()
        seen += 1
        if seen > MAX_VALUE_BYTES:
            # Also ends the walk through a value that holds itself.
            raise InvalidEngram(f"value is over {MAX_VALUE_BYTES:,} bytes of JSON, the limit (1 MiB)")
        if isinstance(item, (dict, list)):
            if depth == MAX_DEPTH:
                raise InvalidEngram(f"value has more than {MAX_DEPTH} levels of lists and objects, the limit")
            held = item.items() if isinstance(item, dict) else enumerate(item)
            for key, inner in held:
                if isinstance(item, dict):
                    _check_key(key, place)
                pending.append((inner, (place, key), depth + 1))
        else:
            _check_scalar(item, place)


def _check_key(key: object, place: Place) -> None:
    if not isinstance(key, str):
        raise InvalidEngram(f"a key of {place_text(place)} is {type(key).__name__}; JSON has only str keys")
    if "\0" in key or not key.isascii():
        _check_text(f"a key of {place_text(place)}", key)


def _check_scalar(item: object, place: Place) -> None:
    if isinstance(item, str):
        if "\0" in item or not item.isascii():
            _check_text(place_text(place), item)
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise InvalidEngram(f"{place_text(place)} is {item}; JSON has only finite numbers")
    elif item is not None and not isinstance(item, int):
        raise InvalidEngram(
            f"{place_text(place)} is {type(item).__name__}; it must be dict, list, str, int, float, bool or None"
        )


def _check_text(name: str, text: str) -> None:
    byte_length(name, text)
    check_no_nul(name, text)


def place_text(place: Place) -> str:
    """Return a place as an expression of Python, such as value['steps'][3]; cut in front if it is long."""
    steps: list[str] = []
    while place is not None:
        place, key = place
        steps.append(f"[{shown(key) if isinstance(key, str) else key}]")
        if len(steps) == 4 and place is not None:
            steps.append("…")
            break
    return "value" + "".join(reversed(steps))
