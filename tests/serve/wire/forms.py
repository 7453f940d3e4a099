"""What the wire's tests have in common: streams as bytes, and any JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from engram.serve.wire.base import Reply
from engram.serve.wire.table import Wire

settings.register_profile("wire", deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
settings.load_profile("wire")

STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=3)


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields, ensure_ascii=False).encode()


def stream(events: Iterable[dict[str, Any] | str], *, named: bool = False, line_end: str = "\n") -> bytes:
    """Events as an event stream; `named`: with their types in lines of their own."""
    lines: list[str] = []
    for event in events:
        if named and isinstance(event, dict):
            lines.append(f"event: {event['type']}")
        lines += [f"data: {event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)}", ""]
    return "".join(line + line_end for line in lines).encode()


def pieces(whole: bytes, borders: Sequence[int]) -> list[bytes]:
    """`whole` cut at `borders`."""
    cuts = [0, *sorted(border % (len(whole) + 1) for border in borders), len(whole)]
    return [whole[a:b] for a, b in pairwise(cuts)]


def collected(wire: Wire, chunks: Iterable[bytes], content_type: str = STREAM) -> list[Reply]:
    """The replies in a body."""
    collector = wire.collector(content_type)
    for chunk in chunks:
        collector.feed(chunk)
    return collector.replies()


def end_seen_at(wire: Wire, chunks: Iterable[bytes]) -> int | None:
    """In which of `chunks` the stream's end is seen, as a caller looks for it."""
    tail = b""
    for place, chunk in enumerate(chunks):
        if wire.ends(tail + chunk):
            return place
        tail = (tail + chunk)[-32:]
    return None
