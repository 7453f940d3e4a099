"""A reply of several rounds: what the model said in each, as the one reply that the client gets.

Owns what all APIs share: which calls are Engram's, what is held back until a round is known to be the last, and the sum
of what all rounds used. Each API has a subclass. Does not know how a tool runs, nor how bytes travel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engram.serve.http.errors import ServeError
from engram.serve.wire.collector import parse_object
from engram.serve.wire.values import as_object
from engram.text.sse import Event

Json = dict[str, object]

GAP = "\n\n"
"""Stands between the texts of two rounds."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of Engram's functions."""

    id: str
    name: str
    arguments: Any
    """JSON text or an object, as the model gave it; another value is wrong."""


class RoundReply:
    """The reply to one request, through all of its rounds. Use it on one event loop.

    For each round call `begin`; then `take` with a response that came whole, or `event` with each event of a stream.
    After it, `calls`, `for_client` and `runnable` say what the model wants. A round that is not the last is followed by
    `following`, the last one by `whole` or `release`.
    """

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        """`is_ours`: returns whether a function of this name is Engram's."""
        self._is_ours = is_ours
        self.rounds = 0
        self.calls: list[ToolCall] = []
        """Engram's calls of this round."""
        self.for_client = False
        """Whether the model called the client's tools in this round."""
        self.runnable = False
        """Whether the round ended as one that calls tools does: it was neither cut off nor refused."""
        self.failed = False
        """Whether the stream of this round holds an error."""
        self._held: list[tuple[str, Json | None, bytes]] = []
        """Events that wait until the round is known to be the last: type, object and data."""
        self._used: Json = {}
        """What the rounds before this one used."""
        self._round_used: Json = {}

    def begin(self) -> None:
        """Begin the next round."""
        self.rounds += 1
        self._used, self._round_used = added(self._used, self._round_used), {}
        self.calls, self._held = [], []
        self.for_client = self.runnable = self.failed = False
        self._begin()

    # Responses that come whole.

    def take(self, body: Json) -> None:
        """Read the response of this round."""
        raise NotImplementedError

    @property
    def as_it_came(self) -> bool:
        """Whether the client gets the response of this round, which came whole, byte for byte."""
        return self.rounds == 1 and not self.calls

    def whole(self, *, cut: bool) -> Json:
        """Return the response for the client, of all rounds. cut: the reply ends although the model wants to go on."""
        raise NotImplementedError

    # Streams.

    def event(self, event: Event) -> list[bytes]:
        """Read an event of this round; return what the client gets of it now."""
        if event.data == b"[DONE]":
            return self._pass(event.type, None, event.data)
        value = parse_object(event.data)
        if not value:
            return self._pass(event.type, None, event.data)
        return self._event(event.type, value, event.data)

    def release(self, *, cut: bool) -> list[bytes]:
        """Return what was held back of the last round. cut: as for `whole`."""
        held, self._held = self._held, []
        if cut:
            held = [(kind, value and self._cut(value), data) for kind, value, data in held]
        return [sent(*one) for one in held]

    def error(self, error: ServeError, body: bytes = b"") -> bytes:
        """Return the end of a stream that failed. body: of upstream's own error response, if it gave one."""
        raise NotImplementedError

    # The next round.

    def following(self, results: Sequence[str], fields: Mapping[str, object]) -> list[Json]:
        """Return the messages that follow those of the request: this round's reply, and the results of its calls.

        fields: of the client's request.
        """
        raise NotImplementedError

    # For subclasses.

    def _begin(self) -> None:
        raise NotImplementedError

    def _event(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        raise NotImplementedError

    def _cut(self, value: Json) -> Json:
        """Return an event that ends a reply as one that ends because it is too long."""
        raise NotImplementedError

    def _pass(self, kind: str, value: Json | None, data: bytes = b"") -> list[bytes]:
        """Hold an event if events are held, else return it. data: sent if `value` is None."""
        if self._held:
            self._held.append((kind, value, data))
            return []
        return [sent(kind, value, data)]

    def _hold_or_pass(self, kind: str, value: Json) -> list[bytes]:
        """Hold an event that ends the round if the model called Engram's tools in it, else return it."""
        if not self.calls:
            return self._pass(kind, value)
        self._held.append((kind, value, b""))
        return []

    def _uses(self) -> Json:
        """Return what all rounds used so far."""
        return added(self._used, self._round_used)


def sent(kind: str, value: Json | None, data: bytes = b"") -> bytes:
    """Return an event as bytes."""
    body = data if value is None else json.dumps(value, ensure_ascii=False).encode(errors="replace")
    head = f"event: {kind}\n".encode() if kind else b""
    return head + b"".join(b"data: %b\n" % line for line in body.split(b"\n")) + b"\n"


def added(first: Mapping[str, object], second: Mapping[str, object]) -> Json:
    """Return the sum of two objects of counts; what is no count is that of the second."""
    total: Json = dict(first)
    for name, value in second.items():
        before = total.get(name)
        if isinstance(value, dict):
            total[name] = added(as_object(before), value)
        elif is_count(value) and is_count(before):
            total[name] = before + value  # type: ignore[operator]
        elif value is not None or name not in total:
            total[name] = value
    return total


def is_count(value: object) -> bool:
    """Return whether a value is a number that can be added."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def upstream_error_of(body: bytes) -> Json:
    """Return the object in the body of an error response of upstream; {} if it has none."""
    return as_object(parse_object(body).get("error"))


def joined(texts: Iterable[str]) -> str:
    """Return the texts of all rounds as one."""
    return GAP.join(text for text in texts if text)
