"""A reply of several rounds in OpenAI's responses.

Owns how its items are told apart, numbered and joined. The id of the reply is that of the last round: the next request
continues from that one, which upstream has stored with the rounds before it. Does not know the other APIs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engram.serve.http.errors import ServeError
from engram.serve.tool_calls.base import Json, RoundReply, ToolCall, sent, upstream_error_of
from engram.serve.wire.openai_responses import ENDS
from engram.serve.wire.values import as_index, as_object, as_objects, as_text

FOR_CLIENT = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
    | {"mcp_approval_request"}
)
"""Types of items that the client answers."""

BEGINNINGS = ("response.created", "response.in_progress", "response.queued")


class ResponsesReply(RoundReply):
    """A response of several rounds."""

    def begin(self) -> None:
        """Begin the next round."""
        if self.rounds:
            # The client does not get what is held.
            self._sequence -= len(self._held)
        super().begin()

    def _begin(self) -> None:
        self._items: dict[int, Json] = {}
        """The items of this round by their index."""
        self._kept: dict[int, int | None] = {}
        """By the index of an item in this round: its index for the client, None if it is Engram's call."""
        self._body: Json = {}
        if self.rounds == 1:
            self._before: list[Json] = []
            """The items of the rounds before this one that the client gets."""
            self._count = self._sequence = 0
            """Items, and events, that the client has got."""
        else:
            self._before += self._own
        self._own: list[Json] = []
        """The items of this round that the client gets."""

    # Responses that come whole.

    @property
    def as_it_came(self) -> bool:
        """Whether the client gets the response of this round, which came whole, byte for byte."""
        return super().as_it_came and self._without_tools(self._body) == self._body

    def take(self, body: Json) -> None:
        """Read the response of this round."""
        self._body = body
        self._round_used = as_object(body.get("usage"))
        self.runnable = body.get("status", "completed") == "completed"
        self._find(as_objects(body.get("output")))

    def whole(self, *, cut: bool) -> Json:
        """Return the response of all rounds."""
        return self._joined(self._body, cut=cut) if "output" in self._body else self._body

    # Streams.

    def _event(self, kind: str, value: Json, data: bytes) -> list[bytes]:
        name = as_text(value.get("type")) or kind
        if name in BEGINNINGS:
            begun = {**value, "response": self._without_tools(as_object(value.get("response")))}
            return self._numbered(kind, begun) if self.rounds == 1 else []
        if name in ENDS:
            return self._end(kind, name, value)
        self.failed = self.failed or name == "error"
        if "output_index" not in value:
            return self._numbered(kind, value)
        index = as_index(value, "output_index")
        if name in ("response.output_item.added", "response.output_item.done"):
            self._items[index] = as_object(value.get("item"))
        if index not in self._kept:
            is_ours = self._is_our_call(self._items.get(index, {}))
            self._kept[index] = None if is_ours else self._count
            self._count += not is_ours
        kept = self._kept[index]
        return [] if kept is None else self._numbered(kind, {**value, "output_index": kept})

    def _end(self, kind: str, name: str, value: Json) -> list[bytes]:
        response = as_object(value.get("response"))
        self._round_used = as_object(response.get("usage"))
        self.runnable = name == "response.completed"
        self._find(as_objects(response.get("output")) or [item for _, item in sorted(self._items.items())])
        value = {**value, "response": self._joined(response, cut=False)}
        return self._hold_or_pass(kind, self._with_number(value))

    def _numbered(self, kind: str, value: Json) -> list[bytes]:
        return self._pass(kind, self._with_number(value))

    def _with_number(self, value: Json) -> Json:
        """Return an event with its number in the client's stream."""
        if "sequence_number" not in value:
            return value
        self._sequence += 1
        return {**value, "sequence_number": self._sequence - 1}

    def _cut(self, value: Json) -> Json:
        if value.get("type") not in ENDS:
            return value
        response = self._joined(as_object(value.get("response")), cut=True)
        return {**value, "type": "response.incomplete", "response": response}

    def release(self, *, cut: bool) -> list[bytes]:
        """Return what was held back of the last round. cut: as for `whole`."""
        if cut:
            # The name of the event is also outside of its data.
            self._held = [("response.incomplete" if kind in ENDS else kind, *rest) for kind, *rest in self._held]  # type: ignore[misc]
        return super().release(cut=cut)

    def error(self, error: ServeError, body: bytes = b"") -> bytes:
        """Return the event that says that a stream failed; nothing follows it."""
        own = upstream_error_of(body)
        fields = {"code": own.get("code") or error.code, "message": own.get("message") or error.message}
        value: Json = {"type": "error", **fields, "param": own.get("param"), "sequence_number": 0}
        return sent("error", self._with_number(value))

    # The next round.

    def following(self, results: Sequence[str], fields: Mapping[str, object]) -> list[Json]:
        """Return the items of the model, and one item for each result."""
        items = [item for _, item in sorted(self._items.items())]
        if fields.get("store") is False:
            # Upstream knows no item by its id, and reasoning only by its encrypted content.
            items = [
                without_id(item) for item in items if item.get("type") != "reasoning" or "encrypted_content" in item
            ]
        outputs: list[Json] = [
            {"type": "function_call_output", "call_id": call.id, "output": text}
            for call, text in zip(self.calls, results, strict=True)
        ]
        return [*items, *outputs]

    def _find(self, items: Sequence[Json]) -> None:
        """Note the items of this round."""
        self._items = dict(enumerate(items))
        for item in items:
            if self._is_our_call(item):
                call = ToolCall(as_text(item.get("call_id")), as_text(item.get("name")), item.get("arguments"))
                self.calls.append(call)
            else:
                self._own.append(item)
                self.for_client = self.for_client or as_text(item.get("type")) in FOR_CLIENT

    def _joined(self, response: Json, *, cut: bool) -> Json:
        """Return a response with the items and the use of all rounds."""
        body = {**self._without_tools(response), "output": [*self._before, *self._own]}
        if self._uses():
            body["usage"] = self._uses()
        if cut:
            body |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return body

    def _without_tools(self, response: Json) -> Json:
        """Return a response, which repeats the tools of its request, without those of Engram."""
        if not isinstance(response.get("tools"), list):
            return response
        own = [tool for tool in as_objects(response["tools"]) if not self._is_ours(as_text(tool.get("name")))]
        return {**response, "tools": own}

    def _is_our_call(self, item: Mapping[str, object]) -> bool:
        return item.get("type") == "function_call" and self._is_ours(as_text(item.get("name")))


def without_id(item: Mapping[str, object]) -> Json:
    """Return an item without its id."""
    return {name: value for name, value in item.items() if name != "id"}
