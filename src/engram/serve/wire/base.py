"""What a request and a reply are, whichever API they come by, and what each API's wire does.

Data and interfaces only. Knows nothing of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from engram.serve.http.errors import ServeError


@dataclass(frozen=True, slots=True)
class MessagePart:
    """Something that is remembered: one engram."""

    role: str
    """user, assistant or tool."""
    text: str
    """Never empty, never with a lone surrogate."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a request, or a reply."""

    role: str
    """user, assistant, system (developer, too) or tool."""
    parts: tuple[MessagePart, ...]
    """What of it is remembered; () for nothing: an image alone, a system message."""
    canonical: str
    """Its content in a canonical form, by which it is known again when it is resent.

    A reply as it was collected has the key of the message that a client sends back for it. The first line is its words
    with white space collapsed; a line for each tool call, tool result and part of another kind follows.
    """
    text: str
    """The user's or assistant's own words, "" if there are none."""
    span: tuple[int, int] | None
    """Where it stands in `Request.text`, in characters: an object, or a string. None for a reply."""
    speaker: str | None = None
    """Its author's name, where the request gives one that a speaker can have."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request to a model says, as far as memory needs it."""

    text: str
    """Its body."""
    messages: tuple[ChatMessage, ...]
    """In order, system messages among them."""
    user: str | None
    """Whom the caller names as its end user."""
    stream: bool
    model: str | None
    previous_response_id: str | None
    """The id of the response that it goes on from (Responses API)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered."""

    message: ChatMessage
    complete: bool
    """Whether it ended as the API says that a reply ends."""
    index: int
    """Which choice it is, from 0."""


class Collector(Protocol):
    """Gathers the body of one answer. To be used by one thread at a time."""

    @property
    def size(self) -> int:
        """Bytes that have come."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body, cut anywhere. Cheap: they are kept, and understood later."""

    def replies(self) -> list[Reply]:
        """What has come so far, by choice; [] if nothing has, or nothing that can be understood. Never raises."""

    @property
    def response_id(self) -> str | None:
        """The id by which a later request can go on from this reply (Responses API)."""


class Wire(Protocol):
    """One API's form."""

    @property
    def name(self) -> str:
        """chat, messages or responses."""

    def read(self, body: bytes) -> Request:
        """The request in a body. Raises `ServeError` (400) that names what is wrong, and where."""

    def with_notes(self, request: Request, notes: Mapping[int, str]) -> bytes:
        """The request's body with each of `notes` in front of the own words of the message at that place.

        All else is the same, byte for byte. Raises `ValueError` for a message without content.
        """

    def collector(self, content_type: str) -> Collector:
        """A collector for an answer of this type: an event stream, or JSON."""

    def ends(self, data: bytes) -> bool:
        """Whether these bytes of an event stream hold the mark with which it ends.

        The mark is a line of its own, so that a model's words never pass for one. A caller with the bytes piece by
        piece puts the last 32 before each in front of it.
        """

    def error(self, error: ServeError) -> bytes:
        """The body of an answer that says what is wrong."""
