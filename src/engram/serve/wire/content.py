"""What a message says: its words, tool calls and results as they are remembered, and the key it is known again by.

One `Content` is filled from a message of a request and from a reply alike, so that both come out the same. Knows
nothing of where in which API's form each thing stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from engram.serve.wire.base import ChatMessage, MessagePart
from engram.serve.wire.spans import Span, loads, text_of

NOT_SAID = ("cache_control", "id", "status")
"""Fields of a part that say nothing, and may differ where it is sent again."""


@dataclass(slots=True)
class Content:
    """The content of one message, as it is put together."""

    words: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    """What is not words, a line each."""
    parts: list[MessagePart] = field(default_factory=list)

    def say(self, role: str, texts: Iterable[str]) -> None:
        """Add words, in one piece."""
        text = plain("\n".join(filter(None, texts)))
        if text.strip():
            self.words.append(text)
            self.parts.append(MessagePart(role, text))

    def call(self, name: object, arguments: object) -> None:
        """Add a tool call; its arguments are an object, or the JSON of one."""
        name = plain(name) if isinstance(name, str) else ""
        shown, canonical = call_forms(arguments)
        self.parts.append(MessagePart("tool", f"{name}({shown})"))
        self.marks.append(f"call {collapsed(name)} {canonical}")

    def result(self, content: object) -> None:
        """Add what a tool gave: text, or a list of parts."""
        texts, others = parted(content)
        text = plain("\n".join(texts))
        if text.strip():
            self.parts.append(MessagePart("tool", text))
        self.marks.append(f"result {collapsed(text)}")
        self.other(others)

    def other(self, parts: Iterable[object]) -> None:
        """Add parts that are not remembered, by which the message is known all the same: images, files."""
        self.marks += (f"part {digest(part)}" for part in parts)

    def named(self, name: str | None) -> None:
        """Say who it is that speaks, among several in one role."""
        if name is not None:
            self.marks.append(f"name {collapsed(name)}")

    def said(self, role: str, span: Span | None = None, speaker: str | None = None) -> ChatMessage:
        """The message."""
        text = "\n".join(self.words)
        key = "\n".join([collapsed(text), *self.marks])
        if role == "system":
            return ChatMessage(role, (), key, "", span, speaker)
        return ChatMessage(role, tuple(self.parts), key, text, span, speaker)


def plain(text: str) -> str:
    """`text` with a U+FFFD for each lone surrogate; a pair that came apart is put together."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def collapsed(text: str) -> str:
    """`text` on one line, white space at its ends gone and each other run of it one blank."""
    return " ".join(text.split())


def parted(content: object) -> tuple[list[str], list[object]]:
    """The texts of a content, and its other parts."""
    if isinstance(content, str):
        return [content], []
    texts: list[str] = []
    others: list[object] = []
    for part in content if isinstance(content, list) else []:
        text = text_of(part)
        if text is None:
            others.append(part)
        else:
            texts.append(text)
    return texts, others


def call_forms(arguments: object) -> tuple[str, str]:
    """The arguments of a tool call as they are remembered, and in their canonical form."""
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            # It broke off, or is no JSON by intent: a custom tool's input.
            given = plain(str(arguments))
            return given, collapsed(given)
    shown = plain(json.dumps(arguments, ensure_ascii=False))
    return shown, json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def digest(part: object) -> str:
    """What tells a part from others, whatever the order of its fields."""
    if isinstance(part, dict):
        part = {name: value for name, value in part.items() if name not in NOT_SAID}
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:32]
