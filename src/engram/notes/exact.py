"""JSON of exact values for a model: no string in it can be read as the markup of a chat template.

Owns which signs are escaped. Does not know what the values are.
"""

from __future__ import annotations

import json

from engram.records import to_json
from engram.text.markup import neutral

SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>[]#|&"}
"""The signs with which the markup of chat templates begins and ends, as JSON can write them."""


def shown_json(value: object) -> str:
    """Return JSON of exactly this value, without markup of chat templates and without hidden characters."""
    text = to_json(value)
    return text if neutral(text) == text else escaped_json(value)


def escaped_json(value: object) -> str:
    """Return JSON of exactly this value, in which every string is ASCII without `SIGNS`."""
    if isinstance(value, str):
        return json.dumps(value).translate(SIGNS)
    if isinstance(value, list):
        return f"[{', '.join(map(escaped_json, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{escaped_json(name)}: {escaped_json(item)}" for name, item in value.items()) + "}"
    return json.dumps(value)
