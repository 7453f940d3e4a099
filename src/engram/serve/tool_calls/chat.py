"""A reply of several rounds in OpenAI's chat completions.

Owns how its chunks are told apart, numbered and joined. Does not know the other APIs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engram.serve.http.errors import ServeError
from engram.serve.tool_calls.base import GAP, Json, RoundReply, ToolCall, joined, sent, upstream_error_of
from engram.serve.wire.openai_errors import openai_error
from engram.serve.wire.values import as_object, as_objects, as_text

ENDS = ("tool_calls", "stop", "function_call")
"""Reasons for which a reply ends that wants its calls answered; some servers say stop."""

FIRST = ("role", "id", "type", "object")
"""Fields of a delta that are not continued by later deltas."""

IDENTITY = ("id", "created", "model", "system_fingerprint", "service_tier")
"""Fields that are the same in all chunks of a stream."""

LEFT_OUT = ("annotations", "audio", "refusal", "function_call")
"""Fields of a reply that a request does not take, or that hold nothing for the next round."""


class ChatReply(RoundReply):
    """A chat completion of several rounds."""

    def _begin(self) -> None:
        self._message: Json = {"role": "assistant"}
        self._kept: dict[int, int | None] = {}
        """By the index of a call in this round: its index for the client, None if it is Engram's."""
        self._last_index = -1
        self._body: Json = {}
        if self.rounds == 1:
            self._texts: list[str] = []
            """The text of each round."""
            self._identity: Json = {}
            self._said = False
            """Whether the client has text of an earlier round, or of this one."""
        self._texts.append("")
        self._gap = GAP if self._said else ""

    # Responses that come whole.

    def take(self, body: Json) -> None:
        """Read the completion of this round."""
        self._body = body
        choice = next(iter(as_objects(body.get("choices"))), {})
        self._message = as_object(choice.get("message"))
        self._texts[-1] = as_text(self._message.get("content"))
        self._round_used = as_object(body.get("usage"))
        self.runnable = choice.get("finish_reason") in ENDS
        for call in as_objects(self._message.get("tool_calls")):
            if self._is_ours(name_of(call)):
                self.calls.append(called(call))
            else:
                self.for_client = True

    def whole(self, *, cut: bool) -> Json:
        """Return the completion of all rounds."""
        calls = [one for one in as_objects(self._message.get("tool_calls")) if not self._is_ours(name_of(one))]
        message = {**self._message, "content": joined(self._texts) or self._message.get("content"), "tool_calls": calls}
        if not calls:
            del message["tool_calls"]
        if cut and message["content"] is None:
            message["content"] = ""
        if not (choices := as_objects(self._body.get("choices"))):
            return self._body
        first, *others = choices
        choice = {**first, "message": message, **({"finish_reason": "length"} if cut else {})}
        body = {**self._body, "choices": [choice, *others]}
        return {**body, "usage": self._uses()} if self._uses() else body

    # Streams.

    def _event(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        if "choices" not in value:
            self.failed = self.failed or "error" in value
            return self._pass(kind, None, data)
        if not self._identity:
            self._identity = {name: value[name] for name in IDENTITY if name in value}
        value |= self._identity
        if used := as_object(value.get("usage")):
            self._round_used = used
            value["usage"] = self._uses()
        choices = as_objects(value.get("choices"))
        if not choices:
            return self._pass(kind, value if self.rounds > 1 else None, data)
        return self._choice(kind, value, choices[0], data)

    def _choice(self, kind: str, value: Json, choice: Json, data: bytes) -> list[bytes]:
        """Read a chunk with a choice; `choice` is changed to what the client gets of it."""
        delta = as_object(choice.get("delta"))
        had_calls = "tool_calls" in delta
        shown = self._for_client(delta)
        choice["delta"] = shown
        if choice.get("finish_reason") is not None:
            self.runnable = choice["finish_reason"] in ENDS
            self.calls = [called(one) for index, one in self._calls() if self._kept.get(index, 0) is None]
            return self._end(kind, value, choice)
        if not shown and "usage" not in value and (had_calls or self.rounds > 1):
            return []
        return self._pass(kind, value if had_calls or self.rounds > 1 else None, data)

    def _end(self, kind: str, value: Json, choice: Json) -> list[bytes]:
        """Read the chunk that says why the round ended; the text in it, if any, the client gets in any case."""
        now: list[bytes] = []
        if self.calls and choice["delta"]:
            said = {**value, "choices": [{**choice, "finish_reason": None}]}
            said.pop("usage", None)
            now = self._pass(kind, said)
            choice["delta"] = {}
        return now + self._hold_or_pass(kind, value)

    def _for_client(self, delta: Json) -> Json:
        """Return what the client gets of a delta, and keep it for the next round."""
        shown = dict(delta)
        given = as_objects(shown.pop("tool_calls", None))
        accumulate(self._message, shown)
        calls = [call for one in given if (call := self._call(one)) is not None]
        if self.rounds > 1:
            shown.pop("role", None)
        text = as_text(delta.get("content"))
        if text:
            self._texts[-1] += text
            shown["content"] = self._gap + text
            self._gap, self._said = "", True
        elif self.rounds > 1:
            shown.pop("content", None)
            shown = {name: field for name, field in shown.items() if field is not None}
        return {**shown, "tool_calls": calls} if calls else shown

    def _call(self, given: Json) -> Json | None:
        """Read a part of a call; return what the client gets of it, None for nothing."""
        index = given.get("index")
        if not isinstance(index, int):
            # Some servers send each call whole, without an index.
            index = self._last_index + 1 if given.get("id") or self._last_index < 0 else self._last_index
        self._last_index = index
        calls = self._message.setdefault("tool_calls", {})
        assert isinstance(calls, dict)
        call: Json = calls.setdefault(index, {})
        accumulate(call, {name: value for name, value in given.items() if name != "index"})
        if index in self._kept:
            kept = self._kept[index]
            return None if kept is None else {**given, "index": kept}
        name = name_of(call)
        if not name:
            return None
        if self._is_ours(name):
            self._kept[index] = None
            return None
        self.for_client = True
        kept = self._kept[index] = sum(one is not None for one in self._kept.values())
        return {"index": kept, **call}

    def _calls(self) -> list[tuple[int, Json]]:
        """Return the calls of this round's stream, by their indexes."""
        calls = self._message.get("tool_calls")
        return sorted(calls.items()) if isinstance(calls, dict) else []

    def _cut(self, value: Json) -> Json:
        for choice in as_objects(value.get("choices")):
            if choice.get("finish_reason") is not None:
                choice["finish_reason"] = "length"
        return value

    def error(self, error: ServeError, body: bytes = b"") -> bytes:
        """Return a chunk with the error, and the end of the stream."""
        own = upstream_error_of(body)
        chunk = sent("", {"error": own}) if own else sent("", None, openai_error(error))
        return chunk + b"data: [DONE]\n\n"

    # The next round.

    def following(self, results: Sequence[str], fields: Mapping[str, object]) -> list[Json]:
        """Return the model's message, and one message for each result."""
        message = {name: value for name, value in self._message.items() if name not in LEFT_OUT and value is not None}
        if isinstance(message.get("tool_calls"), dict):
            message["tool_calls"] = [call for _, call in self._calls()]
        message = {**message, "role": "assistant", "content": message.get("content") or None}
        answers: list[Json] = [
            {"role": "tool", "tool_call_id": call.id, "content": text}
            for call, text in zip(self.calls, results, strict=True)
        ]
        return [message, *answers]


def name_of(call: Mapping[str, object]) -> str:
    """Return the name of the function that a call is of."""
    return as_text((as_object(call.get("function")) or as_object(call.get("custom"))).get("name"))


def called(call: Mapping[str, object]) -> ToolCall:
    """Return a call of one of Engram's functions."""
    return ToolCall(as_text(call.get("id")), name_of(call), as_object(call.get("function")).get("arguments"))


def accumulate(whole: Json, delta: Mapping[str, object]) -> None:
    """Add a delta to what it continues: texts and lists grow, objects are added field by field."""
    for name, value in delta.items():
        before = whole.get(name)
        if isinstance(value, str) and isinstance(before, str) and name not in FIRST:
            whole[name] = before + value
        elif isinstance(value, dict) and isinstance(before, dict):
            accumulate(before, value)
        elif isinstance(value, list) and isinstance(before, list):
            whole[name] = continued(before, value)
        elif value is not None and (name not in FIRST or not before):
            whole[name] = dict(value) if isinstance(value, dict) else value


def continued(before: list[object], items: list[object]) -> list[object]:
    """Return a list with more items; an item with the index of an earlier one continues it."""
    result = list(before)
    for item in items:
        fields = as_object(item)
        known = as_objects(result) if "index" in fields else []
        same = next((one for one in known if one.get("index") == fields["index"]), None)
        if same is None:
            result.append(item)
        else:
            accumulate(same, {name: value for name, value in fields.items() if name != "index"})
    return result
