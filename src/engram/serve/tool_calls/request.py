"""Engram's functions in a request to a model: added in front of the client's own, and the rounds that follow.

Owns what is inserted, and which requests take no functions. All other bytes stay as they are, and each round's request
begins with the bytes of the one before, so that a provider's prompt cache holds. Does not know how a reply is read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from engram.serve.tool_calls.base import Json
from engram.serve.wire.base import Request
from engram.serve.wire.spans import Edit, Items, JsonBody, edited, list_edit, read_body, value_edit
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, Wire
from engram.serve.wire.values import as_object, as_objects, as_text
from engram.tools.functions import FUNCTIONS, PREFIX, Provider, definitions_json

PROVIDERS: Mapping[str, Provider] = {
    CHAT.name: "openai",
    MESSAGES.name: "anthropic",
    RESPONSES.name: "openai-responses",
}
"""By the name of a wire format: the form of its definitions."""

FORCED = ("required", "any")
"""Values of `tool_choice` by which a model must call some tool."""


@dataclass(slots=True)
class ToolRequest:
    """The body of a request with Engram's functions, as it grows from round to round."""

    wire: Wire
    fields: Mapping[str, object]
    """Of the client's request."""
    client_tools: frozenset[str]
    """The names of the client's own tools."""
    _text: str
    """With the functions."""
    _end: Edit
    """Where the messages end, and what stands between them and those that follow; or what replaces a text."""
    _close: str
    """What stands after the messages that follow."""
    _choices: Mapping[str, Edit]
    """By the new choice, none or auto: the edit that makes it."""
    _more: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, wire: Wire, body: bytes, *, writes: bool) -> ToolRequest:
        """Return the request in a body. writes: with the functions that write.

        Raises `ValueError`, whose text is the reason, if the request takes no functions of Engram's.
        """
        parsed = read_body(body, wire.messages_field)
        names = frozenset(tool_name(tool) for tool in as_objects(parsed.fields.get("tools")))
        if (why := refusal(parsed.fields, names)) is not None:
            raise ValueError(why)
        edit = list_edit(parsed.text, "tools", definitions_json(PROVIDERS[wire.name], writes=writes))
        if edit is None:
            raise ValueError("tools is no list")
        with_tools = read_body(edited(parsed.text, [edit]), wire.messages_field)
        text = with_tools.text
        end, close = messages_end(with_tools, wire.messages_field)
        choices = {
            name: value_edit(text, "tool_choice", json.dumps({"type": name} if wire is MESSAGES else name))
            for name in ("none", "auto")
        }
        return cls(wire, parsed.fields, names, text, end, close, choices)

    def is_ours(self, name: str) -> bool:
        """Return whether a function of this name is Engram's, or no tool of anybody's that is called like one."""
        return name not in self.client_tools and name.startswith(PREFIX)

    def follow(self, messages: Sequence[Json]) -> None:
        """Add the messages of a round to those of the next request."""
        self._more += map(json.dumps, messages)

    def body(self, *, last: bool) -> bytes:
        """Return the body of the next request. last: the model is to answer now, and call no function of Engram's."""
        edits = []
        if self._more:
            start, end, gap = self._end
            edits.append((start, end, gap + ", ".join(self._more) + self._close))
        if (choice := self._choice(last=last)) is not None:
            edits.append(self._choices[choice])
        return edited(self._text, edits)

    def _choice(self, *, last: bool) -> str | None:
        """Return the `tool_choice` that replaces the client's; None for none."""
        if last and not self.client_tools:
            return "none"
        named = chosen_name(self.fields.get("tool_choice"))
        # The client's wish for a function of Engram's is met by the call of the first round.
        return "auto" if self._more and named is not None and self.is_ours(named) else None


def messages_end(body: JsonBody, name: str) -> tuple[Edit, str]:
    """Return where messages are added to a body and what stands before them, and what stands after them."""
    items, span = body.fields.get(name), body.span
    if isinstance(items, Items) and span is not None:
        end = items.spans[-1][1] if items.spans else span[0] + 1
        return (end, end, ", " if items.spans else ""), ""
    if span is None:
        # A response that is continued without input.
        start, end, text = value_edit(body.text, name, "[")
        return (start, end, text.rstrip(", ")), "]" + ", " * text.endswith(", ")
    if isinstance(items, str):
        return (*span, "[" + json.dumps({"role": "user", "content": items}) + ", "), "]"
    return (*span, "["), "]"


def refusal(fields: Mapping[str, object], names: Collection[str]) -> str | None:
    """Return why a request takes no functions of Engram's; None if it does. names: those of the client's tools."""
    if clash := sorted(set(names) & set(FUNCTIONS)):
        return f"the request has a tool {clash[0]} of its own"
    if not isinstance(fields.get("tools", []), list | None):
        return "tools is no list"
    count = fields.get("n")
    if isinstance(count, int) and count > 1:
        return "the request asks for several replies (n)"
    if fields.get("functions") is not None:
        return "the request uses functions, the old form of tools"
    if fields.get("conversation") is not None or fields.get("background") is True:
        return "the request uses conversation or background, which the rounds of a reply cannot share"
    if is_structured(fields):
        return "the request asks for structured output"
    if not names and (choice_type(fields.get("tool_choice")) in FORCED):
        return "tool_choice asks for a call of a tool, and the request has none"
    return None


def has_prefill(request: Request) -> bool:
    """Return whether a request ends with the beginning of the reply."""
    last = request.messages[-1] if request.messages else None
    return request.prefill is not None or (last is not None and last.role == "assistant")


def is_structured(fields: Mapping[str, object]) -> bool:
    """Return whether a request asks for a reply of a given form, which texts of several rounds would break."""
    formats = (
        fields.get("response_format"),
        as_object(fields.get("text")).get("format"),
        fields.get("output_format"),
        as_object(fields.get("output_config")).get("format"),
    )
    return any(as_object(one).get("type", "text") != "text" for one in formats)


def tool_name(tool: Mapping[str, object]) -> str:
    """Return the name of a tool of a request; "" for a tool without one."""
    inner = as_object(tool.get("function")) or as_object(tool.get("custom")) or tool
    return as_text(inner.get("name"))


def choice_type(choice: object) -> str:
    """Return the kind of a `tool_choice`, such as auto, required or any."""
    return choice if isinstance(choice, str) else as_text(as_object(choice).get("type"))


def chosen_name(choice: object) -> str | None:
    """Return the name of the function that a `tool_choice` names; None if it names none."""
    return tool_name(as_object(choice)) or None
