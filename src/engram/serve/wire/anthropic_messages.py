"""Anthropic's messages: the format of requests, responses, streams and errors.

Owns the fields that hold each part. Does not know the other APIs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, Reply
from engram.serve.wire.claude_code import end_user
from engram.serve.wire.collector import BodyCollector, Events
from engram.serve.wire.content import MessageBuilder
from engram.serve.wire.fields import check_content, identifier, messages_of, role_of
from engram.serve.wire.spans import JsonBody, Span, text_of
from engram.serve.wire.values import as_index, as_object, as_objects, as_text

ROLES = {"user": "user", "assistant": "assistant", "system": "system"}

ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_END = re.compile(rb"[\r\n](?:event: ?|data: ?\{ ?\"type\": ?\")message_stop\b")


def has_end(data: bytes) -> bool:
    """Return whether these bytes of a stream hold its end mark."""
    return b"message_stop" in data and _END.search(data) is not None


def anthropic_error(error: ServeError) -> bytes:
    """Return the body of an error response."""
    kind = ERRORS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return json.dumps({"type": "error", "error": {"type": kind, "message": error.message}}).encode()


def user_of(fields: Mapping[str, object]) -> str | None:
    """Return the end user in the metadata of a request."""
    return end_user(identifier(as_object(fields.get("metadata")), "user_id", "metadata."))


def parse_messages(body: JsonBody) -> list[ChatMessage]:
    """Return the messages of a request. Raises `ServeError` 400 for an invalid one."""
    return messages_of(body, _message)


def _message(message: dict[str, object], span: Span, where: str) -> ChatMessage:
    role = role_of(message, ROLES, where)
    value = message.get("content")
    check_content(value, where)
    parts: list[object] = value if isinstance(value, list) else [value or ""]
    if role == "assistant":
        return _assistant(parts).message(role, span)
    builder = MessageBuilder()
    texts: list[str] = []
    results = 0
    for part in parts:
        if (text := text_of(part)) is not None:
            texts.append(text)
        elif isinstance(part, dict) and part.get("type") == "tool_result":
            results += 1
            builder.add_tool_result(part.get("content"))
        else:
            builder.add_other_parts([part])
    builder.add_text(role, texts)
    return builder.message("tool" if results == len(parts) > 0 else role, span)


def _assistant(parts: Sequence[object]) -> MessageBuilder:
    """Read a message of the model. Its thinking, and results of the provider's own tools, are not remembered."""
    builder = MessageBuilder()
    texts: list[str] = []
    after_text = False
    for part in parts:
        text = text_of(part)
        if text is not None and after_text:
            # A sentence with citations comes in several successive text blocks.
            texts[-1] += text
        elif text is not None:
            texts.append(text)
        after_text = text is not None
    builder.add_text("assistant", texts)
    for part in as_objects(parts):
        if part.get("type") == "tool_use":
            builder.add_tool_call(part.get("name"), part.get("input"))
    return builder


class MessagesCollector(BodyCollector):
    """Collects a message."""

    def _from_events(self, events: Events) -> list[Reply]:
        blocks: dict[int, dict[str, object]] = {}
        deltas: dict[int, list[str]] = {}
        ended = False
        for event_type, data in events:
            kind = as_text(data.get("type")) or event_type
            index = as_index(data, "index")
            if kind == "message_stop":
                ended = True
            elif not data:
                continue
            elif kind == "content_block_start":
                blocks[index] = as_object(data.get("content_block"))
            elif kind == "content_block_delta":
                delta = as_object(data.get("delta"))
                if (text := as_text(delta.get("text")) or as_text(delta.get("partial_json"))) != "":
                    deltas.setdefault(index, []).append(text)
        parts = [
            _block(blocks.get(index, {}), deltas.get(index, [])) for index in sorted(blocks.keys() | deltas.keys())
        ]
        message = _assistant(parts).message("assistant")
        return [Reply(message, ended, 0)] if ended or message.canonical else []

    def _from_object(self, body: dict[str, object]) -> list[Reply]:
        parts = body.get("content")
        if not isinstance(parts, list):
            return []
        return [Reply(_assistant(parts).message("assistant"), complete=True, index=0)]


def _block(start: Mapping[str, object], deltas: Sequence[str]) -> dict[str, object]:
    """Return a block as a whole message holds it, from its start event and its deltas."""
    kind = start.get("type", "text")
    if kind == "text":
        return {"type": kind, "text": as_text(start.get("text")) + "".join(deltas)}
    return {**start, "input": "".join(deltas)} if deltas else dict(start)
