"""OpenAI's chat completions: the form of their requests, replies and streams.

Owns what stands where in them. Knows nothing of the other APIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from engram.serve.http.errors import ServeError
from engram.serve.wire.base import ChatMessage, Collector, Reply, Request
from engram.serve.wire.content import Content, parted, plain
from engram.serve.wire.fields import check_content, messages_of, places_of, role_of, speaker_of, string, too_deep
from engram.serve.wire.openai_errors import openai_error
from engram.serve.wire.spans import Span, read_body, spliced
from engram.serve.wire.sse import (
    Gathered,
    as_index,
    as_object,
    as_objects,
    as_text,
    events,
    parsed_at_once,
    quickly_parsed,
)

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_END = re.compile(rb"[\r\n]data: ?\[DONE\]")


class Chat:
    """POST /v1/chat/completions."""

    name = "chat"

    def read(self, body: bytes) -> Request:
        """The request in a body."""
        parts = read_body(body, "messages")
        fields = parts.fields
        try:
            messages = messages_of(fields, _said)
        except RecursionError:
            raise too_deep() from None
        model = plain(as_text(fields.get("model"))) or None
        return Request(
            parts.text, messages, string(fields, "user"), fields.get("stream") is True, model, previous_response_id=None
        )

    def with_notes(self, request: Request, notes: Mapping[int, str]) -> bytes:
        """The request's body with notes in it."""
        return spliced(request.text, places_of(request, notes), "text")

    def collector(self, content_type: str) -> Collector:
        """A collector for an answer of this type."""
        return ChatCollector(content_type)

    def ends(self, data: bytes) -> bool:
        """Whether the stream's end is in these bytes."""
        return b"[DONE]" in data and _END.search(data) is not None

    def error(self, error: ServeError) -> bytes:
        """The body of an answer that says what is wrong."""
        return openai_error(error)


def _said(message: dict[str, object], span: Span, where: str) -> ChatMessage:
    role = role_of(message, ROLES, where)
    check_content(message.get("content"), where)
    if role == "assistant":
        return _assistant(message).said(role, span, speaker_of(message.get("name")))
    content = Content()
    if role == "tool":
        content.result(message.get("content"))
        return content.said(role, span)
    speaker = speaker_of(message.get("name"))
    texts, others = parted(message.get("content"))
    content.say(role, texts)
    content.other(others)
    content.named(speaker)
    return content.said(role, span, speaker)


def _assistant(message: Mapping[str, object]) -> Content:
    """What a model says. What else there is, thoughts or sounds, is not sent back as it came, or not at all."""
    content = Content()
    texts, _ = parted(message.get("content"))
    content.say("assistant", [*texts, as_text(message.get("refusal"))])
    calls = as_objects(message.get("tool_calls"))
    for call in calls:
        custom = as_object(call.get("custom"))
        function = as_object(call.get("function")) or custom
        content.call(function.get("name"), function.get("input" if custom else "arguments"))
    if not calls and (function := as_object(message.get("function_call"))):
        content.call(function.get("name"), function.get("arguments"))
    return content


@dataclass(slots=True)
class _Call:
    """A tool call of a stream, as far as it came."""

    names: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    custom: bool = False

    def add(self, delta: Mapping[str, object]) -> None:
        custom = as_object(delta.get("custom"))
        function = as_object(delta.get("function")) or custom
        self.custom = self.custom or bool(custom)
        self.names.append(as_text(function.get("name")))
        self.arguments.append(as_text(function.get("input" if custom else "arguments")))

    def whole(self) -> dict[str, object]:
        name, arguments = "".join(self.names), "".join(self.arguments)
        if self.custom:
            return {"custom": {"name": name, "input": arguments}}
        return {"function": {"name": name, "arguments": arguments}}


@dataclass(slots=True)
class _Choice:
    """A choice of a stream, as far as it came."""

    words: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    last_call: int = -1
    ended: bool = False

    def add(self, choice: Mapping[str, object]) -> None:
        delta = as_object(choice.get("delta"))
        self.ended = self.ended or choice.get("finish_reason") is not None
        if isinstance(word := delta.get("content"), str):
            self.words.append(word)
            if len(delta) == 1:
                return
        else:
            self.words += parted(word)[0]
        if refused := as_text(delta.get("refusal")):
            self.refusal.append(refused)
        for call in as_objects(delta.get("tool_calls")):
            self._add_call(call)
        if function := as_object(delta.get("function_call")):
            self._add_call({"index": 0, "function": function})

    def _add_call(self, call: Mapping[str, object]) -> None:
        index = call.get("index")
        if not isinstance(index, int):
            # Some servers send each call whole, without its place.
            index = self.last_call + 1 if call.get("id") or self.last_call < 0 else self.last_call
        self.last_call = index
        self.calls.setdefault(index, _Call()).add(call)

    def content(self) -> Content:
        calls = [call.whole() for _, call in sorted(self.calls.items())]
        return _assistant({"content": "".join(self.words), "refusal": "".join(self.refusal), "tool_calls": calls})


class ChatCollector(Gathered):
    """Gathers a chat completion."""

    def _events(self) -> Iterator[tuple[str, dict[str, object]]]:
        # No number in them counts: the arguments of calls are text.
        body = self._came()
        if (values := parsed_at_once(body)) is not None:
            return (("", as_object(value)) for value in values)
        return ((event, quickly_parsed(data)) for event, data in events(body))

    def _streamed(self, stream: Iterable[tuple[str, dict[str, object]]]) -> list[Reply]:
        choices: dict[int, _Choice] = {}
        for _, data in stream:
            for delta in as_objects(data.get("choices")):
                index = as_index(delta, "index")
                choice = choices.get(index)
                if choice is None:
                    choice = choices[index] = _Choice()
                choice.add(delta)
        replies = []
        for index, choice in sorted(choices.items()):
            said = choice.content().said("assistant")
            if choice.ended or said.canonical:
                replies.append(Reply(said, choice.ended, index))
        return replies

    def _whole(self, body: dict[str, object]) -> list[Reply]:
        return [
            Reply(_assistant(message).said("assistant"), complete=True, index=as_index(choice, "index"))
            for choice in as_objects(body.get("choices"))
            if (message := as_object(choice.get("message")))
        ]


CHAT = Chat()
