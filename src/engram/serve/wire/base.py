"""The parts of requests and replies that memory needs, in a form that all APIs share.

Data and one interface. Does not know JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MessagePart:
    """A part of a message that is remembered: one engram."""

    role: str
    """user, assistant or tool."""
    text: str
    """Not empty, and without lone surrogates."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was left out of messages because their users did not type it."""

    by: str
    """The name of the front end that wrote it."""
    pieces: int
    characters: int


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a request, or a reply."""

    role: str
    """user, assistant, system (also for developer) or tool."""
    parts: tuple[MessagePart, ...]
    """The parts that are remembered; () for none, as for an image alone or a system message."""
    canonical: str
    """Its content in a canonical form: the same message sent again has the same.

    A collected reply has the canonical form of the message that a client later sends back for it. The first line is
    the text with white space collapsed; one line for each tool call, tool result and other part follows.
    """
    text: str
    """The user's or the assistant's words; "" if there are none."""
    span: tuple[int, int] | None
    """Start and end of the object or string in `Request.text`, in characters. None for a reply."""
    speaker: str | None = None
    """The name of the author, if the request gives one that is valid as a speaker."""
    pieces: tuple[str, ...] = ()
    """The texts of a user's message as they were sent, one for each part of its content; () for other roles."""
    left_out: tuple[LeftOut, ...] = ()
    """What was left out of the text and the parts: one for each front end."""


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request to a model that memory needs."""

    text: str
    """The body."""
    messages: tuple[ChatMessage, ...]
    """In order, with system messages."""
    user: str | None
    """The end user whom the caller names."""
    stream: bool
    model: str | None
    previous_response_id: str | None
    """The id of the response that the request continues from (Responses API)."""
    instructions: tuple[str, ...] = ()
    """The system prompt, where it is no message: the text of each part, with white space collapsed."""
    one_token: bool = False
    """Whether the request asks for a reply of one token."""
    task: str | None = None
    """The name of the front end whose own task the request is (`frontends.tasks`), or "--strip" if the operator's
    patterns left nothing of it; None for a conversation."""
    prefill: ChatMessage | None = None
    """The beginning of the reply, if the request ends with one. `messages` do not hold it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply."""

    message: ChatMessage
    complete: bool
    """Whether it ended the way the API ends a reply."""
    index: int
    """The index of the choice, from 0."""


class Collector(Protocol):
    """Collects the body of one response. Use it from one thread at a time."""

    @property
    def size(self) -> int:
        """Bytes collected."""

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the body, cut anywhere. Cheap: the bytes are parsed later."""

    def replies(self) -> list[Reply]:
        """Return the replies collected so far, by choice.

        [] if there are none, or they cannot be parsed. Never raises.
        """

    @property
    def response_id(self) -> str | None:
        """The id by which a later request can continue from this reply (Responses API); set once `replies` is read."""
