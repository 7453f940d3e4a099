"""OpenAI's responses: the format of requests, responses and streams.

Owns the fields that hold each part. A reply is a list of items, and the client sends it back as such: successive items
of the model are one message here. Does not know the other APIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engram.serve.http.errors import bad_request
from engram.serve.wire.base import ChatMessage, Reply
from engram.serve.wire.collector import BodyCollector, Events
from engram.serve.wire.content import MessageBuilder, plain, split_parts
from engram.serve.wire.fields import check_content, fields_of, found_kind, role_of
from engram.serve.wire.spans import Items, JsonBody, Span
from engram.serve.wire.values import as_index, as_object, as_objects, as_text

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS = ("function_call_output", "custom_tool_call_output")
WITHOUT_INPUT = ("previous_response_id", "conversation", "prompt")
"""Fields of which a request needs one if it has no input."""

ENDS = {"response.completed": True, "response.incomplete": True, "response.failed": False}
"""The events that end a stream, and whether the reply then is complete."""
DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}

_END = re.compile(rb"[\r\n](?:event: ?|data: ?\{ ?\"type\": ?\")response\.(?:completed|incomplete|failed)\b(?!\.)")
_END_NAMES = tuple(name.encode() for name in ENDS)


def has_end(data: bytes) -> bool:
    """Return whether these bytes of a stream hold its end mark."""
    return any(map(data.__contains__, _END_NAMES)) and _END.search(data) is not None


def parse_messages(body: JsonBody) -> list[ChatMessage]:
    """Return the messages of a request. Raises `ServeError` 400 for an invalid item."""
    items = body.fields.get("input")
    if isinstance(items, str):
        builder = MessageBuilder()
        builder.add_text("user", [items])
        return [builder.message("user", body.span)]
    if items is None and any(body.fields.get(name) is not None for name in WITHOUT_INPUT):
        return []
    if not isinstance(items, Items):
        found = found_kind(body.fields, "input")
        raise bad_request(f"input is {found}; it must be a string or a list of items", "input")
    return _messages(items)


def _messages(items: Items) -> list[ChatMessage]:
    """Return a message for each item, and one for each run of items of the model."""
    messages: list[ChatMessage] = []
    reply: MessageBuilder | None = None
    for index, (value, span) in enumerate(zip(items.values, items.spans, strict=True)):
        where = f"input[{index}]"
        item = fields_of(value, where)
        role = _role(item, where)
        if role == "assistant":
            if reply is None:
                reply = MessageBuilder()
            _add_output(reply, item)
        elif role is not None:
            if reply is not None:
                messages.append(reply.message("assistant"))
                reply = None
            messages.append(_message(item, role, span))
    if reply is not None:
        messages.append(reply.message("assistant"))
    return messages


def _role(item: Mapping[str, object], where: str) -> str | None:
    """Return the role of an item; None for references, reasoning, and the work of the provider's tools."""
    item_type = item.get("type")
    if item_type == "message" or (item_type is None and "role" in item):
        role = role_of(item, ROLES, where)
        check_content(item.get("content"), where)
        return role
    if item_type in RESULTS:
        return "tool"
    return "assistant" if isinstance(item_type, str) and item_type in CALLS else None


def _message(item: Mapping[str, object], role: str, span: Span) -> ChatMessage:
    builder = MessageBuilder()
    if role == "tool":
        builder.add_tool_result(item.get("output"))
        return builder.message(role)
    texts, others = split_parts(item.get("content"))
    builder.add_text(role, texts)
    builder.add_other_parts(others)
    return builder.message(role, span)


def _add_output(builder: MessageBuilder, item: Mapping[str, object]) -> None:
    """Add an item of the model: a message or a tool call."""
    item_type = item.get("type")
    if isinstance(item_type, str) and item_type in CALLS:
        builder.add_tool_call(item.get("name"), item.get(CALLS[item_type]))
    elif item_type in (None, "message"):
        builder.add_text("assistant", split_parts(item.get("content"))[0])


def _reply(items: Iterable[Mapping[str, object]], complete: bool) -> list[Reply]:
    builder = MessageBuilder()
    for item in items:
        _add_output(builder, item)
    message = builder.message("assistant")
    return [Reply(message, complete, 0)] if complete or message.canonical else []


@dataclass(slots=True)
class _Item:
    """An item, collected from a stream."""

    item: dict[str, object] = field(default_factory=dict)
    done: bool = False
    deltas: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    """By the index of the part, and the field."""

    def joined(self) -> dict[str, object]:
        """Return the item as a response holds it."""
        if self.done or not self.deltas:
            return self.item
        texts = {key: "".join(deltas) for key, deltas in sorted(self.deltas.items())}
        item_type = self.item.get("type")
        if isinstance(item_type, str) and item_type in CALLS:
            return {**self.item, CALLS[item_type]: "".join(texts.values())}
        types = {"text": "output_text", "refusal": "refusal"}
        parts = [{"type": types[name], name: text} for (_, name), text in texts.items() if name in types]
        return {"type": "message", "content": parts}


class ResponsesCollector(BodyCollector):
    """Collects a response."""

    def __init__(self, content_type: str) -> None:
        super().__init__(content_type)
        self._id: str | None = None

    @property
    def response_id(self) -> str | None:
        """The id of the response; set once `replies` is read."""
        return self._id

    def _from_events(self, events: Events) -> list[Reply]:
        items: dict[int, _Item] = {}
        complete = False
        output: list[dict[str, object]] = []
        for event_type, data in events:
            kind = as_text(data.get("type")) or event_type
            index = as_index(data, "output_index")
            if not data and kind not in ENDS:
                continue
            if kind in DELTAS:
                key = as_index(data, "content_index"), DELTAS[kind]
                items.setdefault(index, _Item()).deltas.setdefault(key, []).append(as_text(data.get("delta")))
            elif kind in ("response.output_item.added", "response.output_item.done"):
                item = items.setdefault(index, _Item())
                item.item, item.done = as_object(data.get("item")), kind.endswith("done")
            elif (response := as_object(data.get("response"))) or kind in ENDS:
                self._note_id(response)
                if kind in ENDS:
                    complete, output = ENDS[kind], as_objects(response.get("output"))
        return _reply(output or [item.joined() for _, item in sorted(items.items())], complete)

    def _from_object(self, body: dict[str, object]) -> list[Reply]:
        output = body.get("output")
        if not isinstance(output, list):
            return []
        self._note_id(body)
        status = body.get("status", "completed")
        return _reply(as_objects(output), status in ("completed", "incomplete"))

    def _note_id(self, response: Mapping[str, object]) -> None:
        self._id = plain(as_text(response.get("id"))) or self._id
