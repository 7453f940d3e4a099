"""JSON for a prompt: exactly a value, on one line, without anything that reads as the markup of a chat template.

Owns how the signs of such markup are written in JSON. Knows neither documents nor models.
"""

from __future__ import annotations

import json

from engram.records import to_json
from engram.text.markup import neutral

SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>[]#|&"}
"""The signs with which the markup of chat templates begins and ends, as JSON can write them."""


def shown_json(value: object, *, compact: bool = False) -> str:
    """Return JSON of exactly this value, without markup of chat templates and without hidden characters.

    compact: without spaces between its parts.
    """
    text = to_json(value, compact=compact)
    return text if neutral(text) == text else escaped_json(value, compact=compact)


def escaped_json(value: object, *, compact: bool = False) -> str:
    """Return JSON of exactly this value, in which every string is ASCII without `SIGNS`."""
    if isinstance(value, str):
        return json.dumps(value).translate(SIGNS)
    comma, colon = (",", ":") if compact else (", ", ": ")
    if isinstance(value, list):
        return f"[{comma.join(escaped_json(item, compact=compact) for item in value)}]"
    if isinstance(value, dict):
        items = ((escaped_json(name), escaped_json(item, compact=compact)) for name, item in value.items())
        return "{" + comma.join(f"{name}{colon}{item}" for name, item in items) + "}"
    return json.dumps(value)
