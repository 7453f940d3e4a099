"""Anthropic's messages: the form of their requests, replies and streams.

Owns what stands where in them. Knows nothing of the other APIs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, Collector, Reply, Request
from engram.serve.wire.content import Content, plain
from engram.serve.wire.fields import check_content, messages_of, places_of, role_of, string, too_deep
from engram.serve.wire.spans import Span, is_aside, read_body, spliced, text_of
from engram.serve.wire.sse import Gathered, as_index, as_object, as_objects, as_text

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

SESSION = re.compile(r"_session_[0-9a-f-]{36}$")
"""What Claude Code writes behind a person."""


class Messages:
    """POST /v1/messages."""

    name = "messages"

    def read(self, body: bytes) -> Request:
        """The request in a body."""
        parts = read_body(body, "messages")
        fields = parts.fields
        try:
            messages = messages_of(fields, _said)
        except RecursionError:
            raise too_deep() from None
        user = person(string(as_object(fields.get("metadata")), "user_id", "metadata."))
        model = plain(as_text(fields.get("model"))) or None
        return Request(parts.text, messages, user, fields.get("stream") is True, model, previous_response_id=None)

    def with_notes(self, request: Request, notes: Mapping[int, str]) -> bytes:
        """The request's body with notes in it."""
        return spliced(request.text, places_of(request, notes), "text")

    def collector(self, content_type: str) -> Collector:
        """A collector for an answer of this type."""
        return MessagesCollector(content_type)

    def ends(self, data: bytes) -> bool:
        """Whether the stream's end is in these bytes."""
        return b"message_stop" in data and _END.search(data) is not None

    def error(self, error: ServeError) -> bytes:
        """The body of an answer that says what is wrong."""
        of = ERRORS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
        return json.dumps({"type": "error", "error": {"type": of, "message": error.message}}).encode()


def _said(message: dict[str, object], span: Span, where: str) -> ChatMessage:
    role = role_of(message, ROLES, where)
    given = message.get("content")
    check_content(given, where)
    parts: list[object] = given if isinstance(given, list) else [given or ""]
    if role == "assistant":
        return _assistant(parts).said(role, span)
    content = Content()
    texts: list[str] = []
    results = asides = 0
    for part in parts:
        if (text := text_of(part)) is not None:
            if is_aside(text):
                asides += 1
            else:
                texts.append(text)
        elif isinstance(part, dict) and part.get("type") == "tool_result":
            results += 1
            content.result(part.get("content"))
        else:
            content.other([part])
    content.say(role, texts)
    return content.said("tool" if results and results + asides == len(parts) else role, span)


def _assistant(parts: Sequence[object]) -> Content:
    """What a model says. Its thoughts, and what tools of the provider's own gave, are not remembered."""
    content = Content()
    texts: list[str] = []
    follows = False
    for part in parts:
        text = text_of(part)
        if text is not None and follows:
            # One sentence comes in several blocks where parts of it are cited.
            texts[-1] += text
        elif text is not None:
            texts.append(text)
        follows = text is not None
    content.say("assistant", texts)
    for part in as_objects(parts):
        if part.get("type") == "tool_use":
            content.call(part.get("name"), part.get("input"))
    return content


def person(user_id: str | None) -> str | None:
    """Who is meant by a `user_id`.

    Claude Code writes its session behind the person, or both into a JSON object: a person with a memory of their own
    in every session would remember nothing.
    """
    if user_id is None or not user_id.startswith("{"):
        return user_id and SESSION.sub("", user_id)
    try:
        parts = json.loads(user_id)
    except (ValueError, RecursionError):
        return user_id
    if not isinstance(parts, dict):
        return user_id
    return next((str(parts[name]) for name in ("account_uuid", "device_id") if parts.get(name)), user_id)


class MessagesCollector(Gathered):
    """Gathers a message."""

    def _streamed(self, stream: Iterable[tuple[str, dict[str, object]]]) -> list[Reply]:
        blocks: dict[int, dict[str, object]] = {}
        deltas: dict[int, list[str]] = {}
        ended = False
        for event, data in stream:
            of = as_text(data.get("type")) or event
            index = as_index(data, "index")
            if of == "message_stop":
                ended = True
            elif not data:
                continue
            elif of == "content_block_start":
                blocks[index] = as_object(data.get("content_block"))
            elif of == "content_block_delta":
                delta = as_object(data.get("delta"))
                if (text := as_text(delta.get("text")) or as_text(delta.get("partial_json"))) != "":
                    deltas.setdefault(index, []).append(text)
        parts = [
            _block(blocks.get(index, {}), deltas.get(index, [])) for index in sorted(blocks.keys() | deltas.keys())
        ]
        said = _assistant(parts).said("assistant")
        return [Reply(said, ended, 0)] if ended or said.canonical else []

    def _whole(self, body: dict[str, object]) -> list[Reply]:
        parts = body.get("content")
        if not isinstance(parts, list):
            return []
        return [Reply(_assistant(parts).said("assistant"), complete=True, index=0)]


def _block(started: Mapping[str, object], deltas: Sequence[str]) -> dict[str, object]:
    """A block as it stands in a whole message, from how it began and what came after that."""
    of = started.get("type", "text")
    if of == "text":
        return {"type": of, "text": as_text(started.get("text")) + "".join(deltas)}
    return {**started, "input": "".join(deltas)} if deltas else dict(started)


MESSAGES = Messages()
