"""OpenAI's chat completions: the format of requests, responses and streams.

Owns the fields that hold each part. Does not know the other APIs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from engram.serve.wire.base import ChatMessage, Reply
from engram.serve.wire.collector import BodyCollector, Events, fast_events
from engram.serve.wire.content import MessageBuilder, split_parts
from engram.serve.wire.fields import check_content, messages_of, role_of, speaker_of
from engram.serve.wire.spans import JsonBody, Span
from engram.serve.wire.values import as_index, as_object, as_objects, as_text

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_END = re.compile(rb"[\r\n]data: ?\[DONE\]")


def has_end(data: bytes) -> bool:
    """Return whether these bytes of a stream hold its end mark."""
    return b"[DONE]" in data and _END.search(data) is not None


def parse_messages(body: JsonBody) -> list[ChatMessage]:
    """Return the messages of a request. Raises `ServeError` 400 for an invalid one."""
    return messages_of(body, _message)


def _message(message: dict[str, object], span: Span, where: str) -> ChatMessage:
    role = role_of(message, ROLES, where)
    check_content(message.get("content"), where)
    if role == "assistant":
        return _assistant(message).message(role, span, speaker_of(message.get("name")))
    builder = MessageBuilder()
    if role == "tool":
        builder.add_tool_result(message.get("content"))
        return builder.message(role, span)
    speaker = speaker_of(message.get("name"))
    texts, others = split_parts(message.get("content"))
    builder.add_text(role, texts)
    builder.add_other_parts(others)
    builder.add_name(speaker)
    return builder.message(role, span, speaker)


def _assistant(message: Mapping[str, object]) -> MessageBuilder:
    """Read a message of the model.

    Other parts (reasoning, audio) are ignored: clients do not send them back, or not unchanged.
    """
    builder = MessageBuilder()
    texts, _ = split_parts(message.get("content"))
    builder.add_text("assistant", [*texts, as_text(message.get("refusal"))])
    calls = as_objects(message.get("tool_calls"))
    for call in calls:
        custom = as_object(call.get("custom"))
        function = as_object(call.get("function")) or custom
        builder.add_tool_call(function.get("name"), function.get("input" if custom else "arguments"))
    if not calls and (function := as_object(message.get("function_call"))):
        builder.add_tool_call(function.get("name"), function.get("arguments"))
    return builder


@dataclass(slots=True)
class _ToolCall:
    """A tool call, collected from a stream."""

    names: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    custom: bool = False

    def add(self, delta: Mapping[str, object]) -> None:
        custom = as_object(delta.get("custom"))
        function = as_object(delta.get("function")) or custom
        self.custom = self.custom or bool(custom)
        self.names.append(as_text(function.get("name")))
        self.arguments.append(as_text(function.get("input" if custom else "arguments")))

    def joined(self) -> dict[str, object]:
        """Return the call as a message holds it."""
        name, arguments = "".join(self.names), "".join(self.arguments)
        if self.custom:
            return {"custom": {"name": name, "input": arguments}}
        return {"function": {"name": name, "arguments": arguments}}


@dataclass(slots=True)
class _Choice:
    """A choice, collected from a stream."""

    texts: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, _ToolCall] = field(default_factory=dict)
    last_call: int = -1
    ended: bool = False

    def add(self, choice: Mapping[str, object]) -> None:
        delta = as_object(choice.get("delta"))
        self.ended = self.ended or choice.get("finish_reason") is not None
        if isinstance(text := delta.get("content"), str):
            self.texts.append(text)
            if len(delta) == 1:
                return
        else:
            self.texts += split_parts(text)[0]
        if refusal := as_text(delta.get("refusal")):
            self.refusal.append(refusal)
        for call in as_objects(delta.get("tool_calls")):
            self._add_call(call)
        if function := as_object(delta.get("function_call")):
            self._add_call({"index": 0, "function": function})

    def _add_call(self, call: Mapping[str, object]) -> None:
        index = call.get("index")
        if not isinstance(index, int):
            # Some servers send each call whole, without an index.
            index = self.last_call + 1 if call.get("id") or self.last_call < 0 else self.last_call
        self.last_call = index
        self.calls.setdefault(index, _ToolCall()).add(call)

    def message(self) -> ChatMessage:
        calls = [call.joined() for _, call in sorted(self.calls.items())]
        fields = {"content": "".join(self.texts), "refusal": "".join(self.refusal), "tool_calls": calls}
        return _assistant(fields).message("assistant")


class ChatCollector(BodyCollector):
    """Collects a chat completion."""

    def _events(self) -> Events:
        # No number in them matters: the arguments of calls are text.
        return fast_events(self._body())

    def _from_events(self, events: Events) -> list[Reply]:
        choices: dict[int, _Choice] = {}
        for _, data in events:
            for delta in as_objects(data.get("choices")):
                index = as_index(delta, "index")
                choice = choices.get(index)
                if choice is None:
                    choice = choices[index] = _Choice()
                choice.add(delta)
        replies = []
        for index, choice in sorted(choices.items()):
            message = choice.message()
            if choice.ended or message.canonical:
                replies.append(Reply(message, choice.ended, index))
        return replies

    def _from_object(self, body: dict[str, object]) -> list[Reply]:
        return [
            Reply(_assistant(message).message("assistant"), complete=True, index=as_index(choice, "index"))
            for choice in as_objects(body.get("choices"))
            if (message := as_object(choice.get("message")))
        ]
