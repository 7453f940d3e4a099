"""OpenAI's responses: the form of their requests, replies and streams.

Owns what stands where in them. A reply is a list of items, and comes back as such: successive items of the model are
one message here. Knows nothing of the other APIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engram.serve.http.errors import ServeError, bad_request
from engram.serve.wire.base import ChatMessage, Collector, Reply, Request
from engram.serve.wire.content import Content, parted, plain
from engram.serve.wire.fields import check_content, fields_of, found_kind, places_of, role_of, string, too_deep
from engram.serve.wire.openai_errors import openai_error
from engram.serve.wire.spans import Items, Span, read_body, spliced
from engram.serve.wire.sse import Gathered, as_index, as_object, as_objects, as_text

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS = ("function_call_output", "custom_tool_call_output")
WITHOUT_INPUT = ("previous_response_id", "conversation", "prompt")
"""What a request can consist in where it has no input."""

ENDS = {"response.completed": True, "response.incomplete": True, "response.failed": False}
"""The events that end a stream, and whether the reply then is as the model meant it to be."""
DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}

_END = re.compile(rb"[\r\n](?:event: ?|data: ?\{ ?\"type\": ?\")response\.(?:completed|incomplete|failed)\b(?!\.)")


class Responses:
    """POST /v1/responses."""

    name = "responses"

    def read(self, body: bytes) -> Request:
        """The request in a body."""
        parts = read_body(body, "input")
        fields = parts.fields
        try:
            messages = _messages(fields, parts.span)
        except RecursionError:
            raise too_deep() from None
        return Request(
            parts.text,
            tuple(messages),
            string(fields, "user"),
            fields.get("stream") is True,
            plain(as_text(fields.get("model"))) or None,
            string(fields, "previous_response_id"),
        )

    def with_notes(self, request: Request, notes: Mapping[int, str]) -> bytes:
        """The request's body with notes in it."""
        return spliced(request.text, places_of(request, notes), "input_text")

    def collector(self, content_type: str) -> Collector:
        """A collector for an answer of this type."""
        return ResponsesCollector(content_type)

    def ends(self, data: bytes) -> bool:
        """Whether the stream's end is in these bytes."""
        return any(map(data.__contains__, _MARKS)) and _END.search(data) is not None

    def error(self, error: ServeError) -> bytes:
        """The body of an answer that says what is wrong."""
        return openai_error(error)


_MARKS = tuple(name.encode() for name in ENDS)


def _messages(fields: Mapping[str, object], span: Span | None) -> list[ChatMessage]:
    given = fields.get("input")
    if isinstance(given, str):
        content = Content()
        content.say("user", [given])
        return [content.said("user", span)]
    if given is None and any(fields.get(name) is not None for name in WITHOUT_INPUT):
        return []
    if not isinstance(given, Items):
        raise bad_request(f"input is {found_kind(fields, 'input')}; it must be a string or a list of items", "input")
    messages: list[ChatMessage] = []
    reply: Content | None = None
    for place, (value, at) in enumerate(zip(given.values, given.spans, strict=True)):
        where = f"input[{place}]"
        item = fields_of(value, where)
        role = _role(item, where)
        if role == "assistant":
            if reply is None:
                reply = Content()
            _add_output(reply, item)
        elif role is not None:
            if reply is not None:
                messages.append(reply.said("assistant"))
                reply = None
            messages.append(_said(item, role, at))
    if reply is not None:
        messages.append(reply.said("assistant"))
    return messages


def _role(item: Mapping[str, object], where: str) -> str | None:
    """Whose an item is; None if it is nobody's words: a reference, thoughts, what the provider's own tools do."""
    of = item.get("type")
    if of == "message" or (of is None and "role" in item):
        role = role_of(item, ROLES, where)
        check_content(item.get("content"), where)
        return role
    if of in RESULTS:
        return "tool"
    return "assistant" if isinstance(of, str) and of in CALLS else None


def _said(item: Mapping[str, object], role: str, span: Span) -> ChatMessage:
    content = Content()
    if role == "tool":
        content.result(item.get("output"))
        return content.said(role)
    texts, others = parted(item.get("content"))
    content.say(role, texts)
    content.other(others)
    return content.said(role, span)


def _add_output(content: Content, item: Mapping[str, object]) -> None:
    """Add an item of the model's: a message or a tool call."""
    of = item.get("type")
    if isinstance(of, str) and of in CALLS:
        content.call(item.get("name"), item.get(CALLS[of]))
    elif of in (None, "message"):
        content.say("assistant", parted(item.get("content"))[0])


def _reply(items: Iterable[Mapping[str, object]], complete: bool) -> list[Reply]:
    content = Content()
    for item in items:
        _add_output(content, item)
    said = content.said("assistant")
    return [Reply(said, complete, 0)] if complete or said.canonical else []


@dataclass(slots=True)
class _Item:
    """An item of a stream, as far as it came."""

    item: dict[str, object] = field(default_factory=dict)
    done: bool = False
    deltas: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    """By the place of the part, and the field."""

    def whole(self) -> dict[str, object]:
        if self.done or not self.deltas:
            return self.item
        joined = {place: "".join(deltas) for place, deltas in sorted(self.deltas.items())}
        of = self.item.get("type")
        if isinstance(of, str) and of in CALLS:
            return {**self.item, CALLS[of]: "".join(joined.values())}
        types = {"text": "output_text", "refusal": "refusal"}
        parts = [{"type": types[name], name: text} for (_, name), text in joined.items() if name in types]
        return {"type": "message", "content": parts}


class ResponsesCollector(Gathered):
    """Gathers a response."""

    def __init__(self, content_type: str) -> None:
        super().__init__(content_type)
        self._id: str | None = None

    @property
    def response_id(self) -> str | None:
        """The id of the response, once `replies` was asked."""
        return self._id

    def _streamed(self, stream: Iterable[tuple[str, dict[str, object]]]) -> list[Reply]:
        items: dict[int, _Item] = {}
        complete = False
        output: list[dict[str, object]] = []
        for event, data in stream:
            of = as_text(data.get("type")) or event
            index = as_index(data, "output_index")
            if not data and of not in ENDS:
                continue
            if of in DELTAS:
                place = as_index(data, "content_index"), DELTAS[of]
                items.setdefault(index, _Item()).deltas.setdefault(place, []).append(as_text(data.get("delta")))
            elif of in ("response.output_item.added", "response.output_item.done"):
                item = items.setdefault(index, _Item())
                item.item, item.done = as_object(data.get("item")), of.endswith("done")
            elif (response := as_object(data.get("response"))) or of in ENDS:
                self._note_id(response)
                if of in ENDS:
                    complete, output = ENDS[of], as_objects(response.get("output"))
        return _reply(output or [item.whole() for _, item in sorted(items.items())], complete)

    def _whole(self, body: dict[str, object]) -> list[Reply]:
        output = body.get("output")
        if not isinstance(output, list):
            return []
        self._note_id(body)
        status = body.get("status", "completed")
        return _reply(as_objects(output), status in ("completed", "incomplete"))

    def _note_id(self, response: Mapping[str, object]) -> None:
        self._id = plain(as_text(response.get("id"))) or self._id


RESPONSES = Responses()
