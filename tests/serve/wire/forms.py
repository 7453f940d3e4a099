"""Helpers of the wire tests: streams as bytes, and strategies for JSON values."""

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
    """Return the body of a request."""
    return json.dumps(fields, ensure_ascii=False).encode()


def stream(events: Iterable[dict[str, Any] | str], *, named: bool = False, line_end: str = "\n") -> bytes:
    """Return events as an event stream. `named`: with an `event` line for each type."""
    lines: list[str] = []
    for event in events:
        if named and isinstance(event, dict):
            lines.append(f"event: {event['type']}")
        lines += [f"data: {event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)}", ""]
    return "".join(line + line_end for line in lines).encode()


def pieces(whole: bytes, borders: Sequence[int]) -> list[bytes]:
    """Return `whole` cut at `borders`."""
    cuts = [0, *sorted(border % (len(whole) + 1) for border in borders), len(whole)]
    return [whole[a:b] for a, b in pairwise(cuts)]


def collected(wire: Wire, chunks: Iterable[bytes], content_type: str = STREAM) -> list[Reply]:
    """Return the replies that a wire format collects from a body."""
    collector = wire.collector(content_type)
    for chunk in chunks:
        collector.feed(chunk)
    return collector.replies()


def end_detected_at(wire: Wire, chunks: Iterable[bytes]) -> int | None:
    """Return the index of the chunk in which the end of the stream is detected; None if it is not."""
    tail = b""
    for index, chunk in enumerate(chunks):
        if wire.ends(tail + chunk):
            return index
        tail = (tail + chunk)[-32:]
    return None
