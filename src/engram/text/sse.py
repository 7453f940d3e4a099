"""Server-sent events: parses a byte stream into events.

Owns the format of the WHATWG standard ("Server-sent events", section 9.2). Knows nothing of what an API's events mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event."""

    type: str
    """The value of its `event` line; "" without one."""
    data: bytes
    """The values of its `data` lines, joined by line feeds."""


class EventParser:
    """Parses a stream that comes in chunks, cut anywhere."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        """The beginning of a line whose end has not come, in the pieces in which it came."""
        self._at_start = True
        self._after_cr = False
        """Whether the last line ended in CR: a LF that follows belongs to it."""
        self._type = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that end in this chunk."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._rest.append(chunk)
        if not self._at_start and b"\n" not in chunk and b"\r" not in chunk:
            return []
        text = b"".join(self._rest)
        if self._at_start:
            if BOM.startswith(text) and len(text) < len(BOM):
                return []
            text, self._at_start = text.removeprefix(BOM), False
        lines = text.splitlines()
        self._rest = [] if text.endswith((b"\n", b"\r")) or not lines else [lines.pop()]
        self._after_cr = self._after_cr or text.endswith(b"\r")
        return self._take(lines)

    def finish(self) -> list[Event]:
        """Return the last event if no empty line ended it; its data may be cut off."""
        rest, self._rest = b"".join(self._rest), []
        return self._take([rest, b""] if rest else [b""])

    def _take(self, lines: Iterable[bytes]) -> list[Event]:
        """Add whole lines to the current event; return the events that they end."""
        events: list[Event] = []
        event_type, data = self._type, self._data
        for line in lines:
            if not line:
                if event_type or data:
                    events.append(Event(event_type.decode(errors="replace"), b"\n".join(data)))
                    event_type, data = b"", []
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
            elif name == b"event":
                event_type = value.removeprefix(b" ")
        self._type, self._data = event_type, data
        return events


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield each event of a stream as soon as it ends.

    The last one counts even if no empty line follows it; its data may be cut off.
    """
    parser = EventParser()
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.finish()
