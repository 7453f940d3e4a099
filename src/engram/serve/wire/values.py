"""Reads JSON values whose types are not checked: a value of another type counts as missing.

For responses of upstream, which are not ours to validate, and for optional fields of requests.
"""

from __future__ import annotations

from collections.abc import Mapping


def as_object(value: object) -> dict[str, object]:
    """Return `value` if it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[dict[str, object]]:
    """Return the objects in a list; [] if the value is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return `value` if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def as_index(fields: Mapping[str, object], name: str) -> int:
    """Return a field that holds an index into a list; 0 if there is none."""
    value = fields.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
