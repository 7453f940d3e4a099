"""The body of an answer: kept as it comes, and taken apart into events or JSON when it is asked for.

Owns the standard's form of server-sent events. Knows nothing of what an API's events mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic_core import from_json

from engram.serve.wire.base import Reply
from engram.serve.wire.spans import loads

EVENT_STREAM = "text/event-stream"
BOM = b"\xef\xbb\xbf"


def events(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The events of a stream: the type that its `event` line gives ("" without one), and its data.

    The last one counts though the stream ends without an empty line behind it; what it holds may have been cut off.
    """
    event, data = b"", list[bytes]()
    for line in body.removeprefix(BOM).splitlines():
        if not line:
            if event or data:
                yield event.decode(errors="replace"), b"\n".join(data)
                event, data = b"", []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    if event or data:
        yield event.decode(errors="replace"), b"\n".join(data)


def parsed(body: bytes) -> dict[str, object]:
    """The object in a JSON text; {} if there is none."""
    try:
        return as_object(loads(body.decode(errors="replace")))
    except (ValueError, RecursionError):
        return {}


def quickly_parsed(body: bytes) -> dict[str, object]:
    """The same where no number counts: in one that is written as 1.0 the form stays."""
    try:
        return as_object(from_json(body))
    except ValueError:
        # What that one is strict about: bytes that are no UTF-8, lone surrogates, how deeply values are nested.
        return parsed(body)


def parsed_at_once(body: bytes) -> list[object] | None:
    """The data of a stream's events, read in one go as `quickly_parsed` does: one by one it takes three times as long.

    None unless each event is one line of JSON behind "data: ", the last one perhaps [DONE].
    """
    lines = body.removesuffix(b"\n\n").removesuffix(b"\n\ndata: [DONE]")
    listed = lines.replace(b"\n\ndata: ", b",")
    if not listed.startswith(b"data: ") or b"\n" in listed or b"\r" in listed:
        return None
    try:
        values: list[object] = from_json(b"[%b]" % listed[6:])
    except ValueError:
        return None
    # What is no JSON by itself may be some between brackets.
    return values if len(values) == lines.count(b"\n\ndata: ") + 1 else None


class Gathered:
    """A body as it comes. Each API's collector says what is in it: `_whole`, `_streamed`."""

    def __init__(self, content_type: str) -> None:
        self._is_stream = EVENT_STREAM in content_type.lower()
        self._chunks: list[bytes] = []
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes of the body."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def replies(self) -> list[Reply]:
        """What has come so far; [] if nothing has, or nothing that can be understood."""
        try:
            return self._streamed(self._events()) if self._is_stream else self._whole(self._body())
        except RecursionError:
            return []

    @property
    def response_id(self) -> str | None:
        """None: there is no going on from a reply by its id."""
        return None

    def _events(self) -> Iterator[tuple[str, dict[str, object]]]:
        """The events' types and objects; {} for one that holds no object."""
        return ((event, parsed(data)) for event, data in events(self._came()))

    def _body(self) -> dict[str, object]:
        return parsed(self._came())

    def _came(self) -> bytes:
        return b"".join(self._chunks)

    def _streamed(self, stream: Iterable[tuple[str, dict[str, object]]]) -> list[Reply]:
        raise NotImplementedError

    def _whole(self, body: dict[str, object]) -> list[Reply]:
        raise NotImplementedError


# What stands in an answer is not ours to check: whatever is not as it should be counts as not there.


def as_object(value: object) -> dict[str, object]:
    """`value` if it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[dict[str, object]]:
    """The objects in a list; [] if it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """`value` if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def as_index(fields: Mapping[str, object], name: str) -> int:
    """A place in a list, 0 where none is given."""
    value = fields.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
