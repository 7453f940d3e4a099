"""The wire formats: one row for each API whose conversations are remembered.

A row says everything about an API that the rest of the server needs: its path, how its requests, responses and errors
look, how its streams end, and which header carries its key. Callers look rows up here; no other module lists APIs.

A new wire format needs:

1. a module next to this one with `parse_messages`, a subclass of `BodyCollector` and `has_end` (server-sent events are
   taken apart by `engram.text.sse`, and messages are built by `content.MessageBuilder`);
2. a row in `WIRES`;
3. its streams in the parametrised tests of `tests/serve/wire/test_collector.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from engram.serve.http.errors import ServeError, bad_request
from engram.serve.wire import anthropic_messages, openai_chat, openai_responses
from engram.serve.wire.base import ChatMessage, Collector, Request
from engram.serve.wire.content import collapsed, plain, split_parts
from engram.serve.wire.fields import identifier, openai_user
from engram.serve.wire.openai_errors import openai_error
from engram.serve.wire.spans import Edit, JsonBody, edited, field_edit, message_edit, note_edit, read_body
from engram.serve.wire.values import as_text


@dataclass(frozen=True, slots=True, eq=False)
class Wire:
    """The wire format of one API."""

    name: str
    """How metrics and logs name the API."""
    path: str
    """The path of its requests; the paths below it answer errors in the same form."""
    messages_field: str
    """The field of a request that holds the messages."""
    note_type: str
    """The type of a content part that holds a note."""
    parse_messages: Callable[[JsonBody], Sequence[ChatMessage]]
    """Returns the messages of a request. Raises `ServeError` 400 that names the field and the fault."""
    user_of: Callable[[Mapping[str, object]], str | None]
    """Returns the end user that a request's fields name."""
    collector: Callable[[str], Collector]
    """Returns a collector for a response of a content type: an event stream, or JSON."""
    ends: Callable[[bytes], bool]
    """Returns whether these bytes of an event stream hold its end mark.

    The mark is a separate line, so that a model's words never match it. A caller that has the bytes in chunks
    puts the last 32 bytes of what came before in front of each chunk.
    """
    error: Callable[[ServeError], bytes]
    """Returns the body of an error response."""
    key_header: str
    """The header that carries the key for upstream."""
    system_field: str | None = None
    """The field of a request with the system prompt; None if it is a message."""
    previous_field: str | None = None
    """The field of a request with the id of the response that it continues from; None if the API has none."""
    marker_header: str | None = None
    """A header that every client of the API sends, and clients of other APIs do not."""

    def read(self, body: bytes) -> Request:
        """Return the request in a body. Raises `ServeError` 400 that names the field and the fault."""
        parsed = read_body(body, self.messages_field)
        fields = parsed.fields
        try:
            messages = tuple(self.parse_messages(parsed))
        except RecursionError:
            raise bad_request("the body is nested too deeply") from None
        return Request(
            text=parsed.text,
            messages=messages,
            user=self.user_of(fields),
            stream=fields.get("stream") is True,
            model=plain(as_text(fields.get("model"))) or None,
            previous_response_id=None if self.previous_field is None else identifier(fields, self.previous_field),
            instructions=() if self.system_field is None else _texts(fields.get(self.system_field)),
            one_token=fields.get("max_tokens") == 1,
        )

    def with_notes(
        self, request: Request, notes: Mapping[int, str], skip: Callable[[str], bool] | None = None, system: str = ""
    ) -> bytes:
        """Return the request's body with each note in front of the text of the message at that index.

        skip: returns whether a text part is not the user's; the note goes behind it. system: an addition to the end of
        the system prompt; a request without one gets it as its system prompt. All other bytes stay the same. Takes time
        in proportion to the body. Raises `ValueError` for a message without content.
        """
        edits = []
        for index, note in notes.items():
            span = request.messages[index].span
            if span is None:
                raise ValueError(f"message {index} cannot hold a note")
            edits.append(note_edit(request.text, span, plain(note), self.note_type, skip))
        if system and (edit := self._system_edit(request, plain(system))) is not None:
            edits.append(edit)
        return edited(request.text, edits)

    def _system_edit(self, request: Request, addition: str) -> Edit | None:
        """Return the edit that puts an addition at the end of the system prompt; None if that is of no known kind.

        The system prompt is a field of the request, or the system messages with which a conversation begins.
        """
        if self.system_field is not None:
            return field_edit(request.text, self.system_field, addition, self.note_type)
        spans = [message.span for message in takewhile(lambda one: one.role == "system", request.messages)]
        if spans and spans[-1] is not None:
            edit = message_edit(request.text, spans[-1], addition, self.note_type)
            if edit is not None:
                return edit
        if not request.messages or (first := request.messages[0].span) is None:
            return None
        message = json.dumps({"role": "system", "content": addition}, ensure_ascii=False)
        return first[0], first[0], f"{message}, "


CHAT = Wire(
    name="chat",
    path="/v1/chat/completions",
    messages_field="messages",
    note_type="text",
    parse_messages=openai_chat.parse_messages,
    user_of=openai_user,
    collector=openai_chat.ChatCollector,
    ends=openai_chat.has_end,
    error=openai_error,
    key_header="authorization",
)
MESSAGES = Wire(
    name="messages",
    path="/v1/messages",
    messages_field="messages",
    note_type="text",
    parse_messages=anthropic_messages.parse_messages,
    user_of=anthropic_messages.user_of,
    collector=anthropic_messages.MessagesCollector,
    ends=anthropic_messages.has_end,
    error=anthropic_messages.anthropic_error,
    key_header="x-api-key",
    system_field="system",
    marker_header="anthropic-version",
)
RESPONSES = Wire(
    name="responses",
    path="/v1/responses",
    messages_field="input",
    system_field="instructions",
    previous_field="previous_response_id",
    note_type="input_text",
    parse_messages=openai_responses.parse_messages,
    user_of=openai_user,
    collector=openai_responses.ResponsesCollector,
    ends=openai_responses.has_end,
    error=openai_error,
    key_header="authorization",
)
WIRES = (CHAT, MESSAGES, RESPONSES)

_BY_PATH = {wire.path: wire for wire in WIRES}

KEY_HEADERS = frozenset(wire.key_header for wire in WIRES)
"""The headers that may carry a key for upstream."""


def _texts(content: object) -> tuple[str, ...]:
    """Return the text of each part of a content on one line."""
    return tuple(collapsed(plain(text)) for text in split_parts(content)[0])


def wire_at(path: str) -> Wire | None:
    """Return the wire format of requests to a path; None if they are no conversation."""
    return _BY_PATH.get(path)


def error_wire(path: str) -> Wire:
    """Return the wire format in which errors at a path are answered: OpenAI's, unless the path is another API's."""
    return next((wire for wire in WIRES if path.startswith(wire.path)), CHAT)


def key_for_upstream(key: str, header_names: Collection[str]) -> tuple[str, str]:
    """Return the header that carries `key` to upstream, as the API wants it that the request's headers belong to."""
    wire = next((wire for wire in WIRES if wire.marker_header in header_names), CHAT)
    return wire.key_header, f"Bearer {key}" if wire.key_header == "authorization" else key
