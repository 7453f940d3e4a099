"""The body of an upstream response: stored while it streams, parsed into events or JSON when the replies are read.

Does not know what an API's events mean: each API has a subclass of `BodyCollector`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic_core import from_json

from engram.serve.wire.base import Reply
from engram.serve.wire.spans import loads
from engram.serve.wire.values import as_object
from engram.text.sse import read_events

EVENT_STREAM = "text/event-stream"

Events = Iterable[tuple[str, dict[str, object]]]
"""The type and the object of each event; {} for an event whose data is no object."""


def parse_object(body: bytes) -> dict[str, object]:
    """Return the object in a JSON text; {} if there is none."""
    try:
        return as_object(loads(body.decode(errors="replace")))
    except (ValueError, RecursionError):
        return {}


def parse_object_fast(body: bytes) -> dict[str, object]:
    """Return the same as `parse_object`, except that 1.0 stays a float: for texts whose numbers do not matter."""
    try:
        return as_object(from_json(body))
    except ValueError:
        # This parser also rejects invalid UTF-8, lone surrogates and deeply nested values.
        return parse_object(body)


def parse_events_at_once(body: bytes) -> list[object] | None:
    """Return the data of all events, parsed in one call: event by event takes three times as long.

    None unless each event is one line of JSON after "data: "; the last one may be [DONE].
    """
    lines = body.removesuffix(b"\n\n").removesuffix(b"\n\ndata: [DONE]")
    joined = lines.replace(b"\n\ndata: ", b",")
    if not joined.startswith(b"data: ") or b"\n" in joined or b"\r" in joined:
        return None
    try:
        values: list[object] = from_json(b"[%b]" % joined[6:])
    except ValueError:
        return None
    # A line that is no JSON by itself may have become part of a valid list.
    return values if len(values) == lines.count(b"\n\ndata: ") + 1 else None


class BodyCollector:
    """Collects the body of one response. Subclasses read the replies: `_from_object`, `_from_events`."""

    def __init__(self, content_type: str) -> None:
        self._is_stream = EVENT_STREAM in content_type.lower()
        self._chunks: list[bytes] = []
        self.size = 0
        """Bytes collected."""

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the body, cut anywhere."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def replies(self) -> list[Reply]:
        """Return the replies collected so far; [] if there are none, or they cannot be parsed."""
        try:
            return self._from_events(self._events()) if self._is_stream else self._from_object(self._object())
        except RecursionError:
            return []

    @property
    def response_id(self) -> str | None:
        """None: this API does not continue a conversation from a response id."""
        return None

    def _events(self) -> Events:
        return ((event.type, parse_object(event.data)) for event in read_events([self._body()]))

    def _object(self) -> dict[str, object]:
        return parse_object(self._body())

    def _body(self) -> bytes:
        return b"".join(self._chunks)

    def _from_events(self, events: Events) -> list[Reply]:
        raise NotImplementedError

    def _from_object(self, body: dict[str, object]) -> list[Reply]:
        raise NotImplementedError


def fast_events(body: bytes) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the events of a stream whose numbers do not matter."""
    if (values := parse_events_at_once(body)) is not None:
        return (("", as_object(value)) for value in values)
    return ((event.type, parse_object_fast(event.data)) for event in read_events([body]))
