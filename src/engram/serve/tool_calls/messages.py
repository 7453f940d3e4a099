"""A reply of several rounds in Anthropic's messages.

Owns how its blocks are told apart, numbered and joined. Does not know the other APIs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from engram.serve.http.errors import ServeError
from engram.serve.tool_calls.base import GAP, Json, RoundReply, ToolCall, sent, upstream_error_of
from engram.serve.wire.anthropic_messages import anthropic_error
from engram.serve.wire.spans import loads
from engram.serve.wire.values import as_index, as_object, as_objects, as_text

ENDS = ("tool_use", "end_turn")
"""Reasons for which a reply ends that wants its calls answered; some servers say end_turn."""

DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""The fields of a block that deltas continue."""


class MessagesReply(RoundReply):
    """A message of several rounds."""

    def _begin(self) -> None:
        self._blocks: dict[int, Json] = {}
        """The blocks of this round by their index; the input of a call from a stream is its JSON text."""
        self._kept: dict[int, int | None] = {}
        """By the index of a block in this round: its index for the client, None if it is Engram's."""
        self._body: Json = {}
        if self.rounds == 1:
            self._content: list[Json] = []
            """The blocks that the client gets of a response that comes whole."""
            self._count = 0
            """Blocks of a stream that the client has got."""
            self._said = False
        self._gap = GAP if self._said else ""

    # Responses that come whole.

    def take(self, body: Json) -> None:
        """Read the message of this round."""
        self._body = body
        self._blocks = dict(enumerate(as_objects(body.get("content"))))
        self._round_used = as_object(body.get("usage"))
        self.runnable = body.get("stop_reason") in ENDS
        self._find_calls()
        self._content += [self._spaced(block) for block in self._blocks.values() if not self._is_our_call(block)]

    def _spaced(self, block: Json) -> Json:
        """Return a block; the first text of a later round begins with a gap."""
        if block.get("type") != "text" or not block.get("text"):
            return block
        spaced = {**block, "text": self._gap + as_text(block["text"])}
        self._gap, self._said = "", True
        return spaced

    def whole(self, *, cut: bool) -> Json:
        """Return the message of all rounds."""
        if "content" not in self._body:
            return self._body
        body = {**self._body, "content": self._content, "usage": self._uses()}
        return {**body, "stop_reason": "max_tokens"} if cut else body

    # Streams.

    def _event(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        match as_text(value.get("type")) or kind:
            case "message_start":
                self._round_used = as_object(as_object(value.get("message")).get("usage"))
                return self._pass(kind, None, data) if self.rounds == 1 else []
            case "content_block_start":
                return self._start(kind, value, data)
            case "content_block_delta" | "content_block_stop":
                return self._continue(kind, value, data)
            case "message_delta":
                return self._end(kind, value)
            case "error":
                self.failed = True
        return self._pass(kind, None, data)

    def _start(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        index, block = as_index(value, "index"), as_object(value.get("content_block"))
        self._blocks[index] = dict(block)
        if block.get("type") == "tool_use":
            # Its deltas are the JSON text of the input.
            self._blocks[index]["input"] = json.dumps(block["input"]) if block.get("input") else ""
        if self._is_our_call(block):
            self._kept[index] = None
            return []
        self._kept[index] = kept = self._count
        self._count += 1
        return self._pass(kind, None if kept == index else {**value, "index": kept}, data)

    def _continue(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        """Read a delta, or the end, of a block."""
        index, delta = as_index(value, "index"), as_object(value.get("delta"))
        self._add(self._blocks.setdefault(index, {}), delta)
        kept, gap = self._kept.get(index, index), ""
        if delta.get("type") == "text_delta" and delta.get("text"):
            gap, self._gap, self._said = self._gap, "", True
        if kept is None:
            return []
        if gap:
            value = {**value, "delta": {**delta, "text": gap + as_text(delta["text"])}}
        return self._pass(kind, None if kept == index and not gap else {**value, "index": kept}, data)

    @staticmethod
    def _add(block: Json, delta: Mapping[str, object]) -> None:
        name = DELTAS.get(as_text(delta.get("type")))
        if name is not None:
            block[name] = as_text(block.get(name)) + as_text(delta.get(name))
        elif delta.get("type") == "input_json_delta":
            block["input"] = as_text(block.get("input")) + as_text(delta.get("partial_json"))
        elif delta.get("type") == "citations_delta":
            block["citations"] = [*as_objects(block.get("citations")), as_object(delta.get("citation"))]

    def _end(self, kind: str, value: Json) -> list[bytes]:
        """Read why the round ended, and what it used."""
        self._round_used = added_up(self._round_used, as_object(value.get("usage")))
        self.runnable = as_object(value.get("delta")).get("stop_reason") in ENDS
        self._find_calls()
        if self.rounds > 1 and "usage" in value:
            value = {**value, "usage": self._uses()}
        return self._hold_or_pass(kind, value)

    def _cut(self, value: Json) -> Json:
        if value.get("type") != "message_delta":
            return value
        return {**value, "delta": {**as_object(value.get("delta")), "stop_reason": "max_tokens"}}

    def error(self, error: ServeError, body: bytes = b"") -> bytes:
        """Return the event that says that a stream failed; nothing follows it."""
        own = upstream_error_of(body)
        return sent("error", {"type": "error", "error": own}) if own else sent("error", None, anthropic_error(error))

    # The next round.

    def following(self, results: Sequence[str], fields: Mapping[str, object]) -> list[Json]:
        """Return the model's message, and one of the user with the results."""
        content = [as_sent(block) for _, block in sorted(self._blocks.items()) if block.get("text") != ""]
        answers: list[Json] = [
            {"type": "tool_result", "tool_use_id": call.id, "content": text}
            for call, text in zip(self.calls, results, strict=True)
        ]
        return [{"role": "assistant", "content": content}, {"role": "user", "content": answers}]

    def _find_calls(self) -> None:
        """Note the calls of this round."""
        for _, block in sorted(self._blocks.items()):
            if self._is_our_call(block):
                call = ToolCall(as_text(block.get("id")), as_text(block.get("name")), block.get("input"))
                self.calls.append(call)
            elif block.get("type") == "tool_use":
                self.for_client = True

    def _is_our_call(self, block: Mapping[str, object]) -> bool:
        return block.get("type") == "tool_use" and self._is_ours(as_text(block.get("name")))


def as_sent(block: Mapping[str, object]) -> Json:
    """Return a block of a reply as a request holds it: with the input of a call as an object, without null fields."""
    fields = {name: value for name, value in block.items() if value is not None}
    if fields.get("type") != "tool_use" or isinstance(fields.get("input"), dict):
        return fields
    try:
        given = loads(as_text(fields.get("input")) or "{}")
    except (ValueError, RecursionError):
        given = {}
    # What is no JSON cannot be sent again; the result of the call says what was wrong.
    return {**fields, "input": as_object(given)}


def added_up(start: Mapping[str, object], end: Mapping[str, object]) -> Json:
    """Return what a message used: what its end says replaces what its start says."""
    return {**start, **{name: value for name, value in end.items() if value is not None}}
