"""Builds a `ChatMessage`: its text, its tool calls and results as they are remembered, and its canonical form.

The same builder is used for messages of requests and for replies, so that both come out equal. Does not know where
an API's format keeps each part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from engram.serve.wire.base import ChatMessage, MessagePart
from engram.serve.wire.spans import Span, loads, text_of
from engram.text.thoughts import without_thoughts

IGNORED_FIELDS = ("cache_control", "id", "status")
"""Fields of a part that carry no content, and may change when the part is sent again."""


@dataclass(slots=True)
class MessageBuilder:
    """The content of one message, while it is built."""

    texts: list[str] = field(default_factory=list)
    canonical_lines: list[str] = field(default_factory=list)
    """One line for each part that is not text."""
    parts: list[MessagePart] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    def add_text(self, role: str, texts: Iterable[str]) -> None:
        """Add texts, joined into one part. A model's thoughts in tags are left out."""
        given = [plain(text) for text in texts if text]
        text = "\n".join(given)
        if role == "user":
            self.pieces += given
        if role == "assistant":
            text = without_thoughts(text)
        if text.strip():
            self.texts.append(text)
            self.parts.append(MessagePart(role, text))

    def add_tool_call(self, name: object, arguments: object) -> None:
        """Add a tool call. `arguments`: an object, or the JSON text of one."""
        name = plain(name) if isinstance(name, str) else ""
        shown, canonical = call_forms(arguments)
        self.parts.append(MessagePart("tool", f"{name}({shown})"))
        self.canonical_lines.append(f"call {collapsed(name)} {canonical}")

    def add_tool_result(self, content: object) -> None:
        """Add the result of a tool: text, or a list of parts."""
        texts, others = split_parts(content)
        text = plain("\n".join(texts))
        if text.strip():
            self.parts.append(MessagePart("tool", text))
        self.canonical_lines.append(f"result {collapsed(text)}")
        self.add_other_parts(others)

    def add_other_parts(self, parts: Iterable[object]) -> None:
        """Add parts that are not remembered but identify the message: images, files."""
        self.canonical_lines += (f"part {digest(part)}" for part in parts)

    def add_name(self, name: str | None) -> None:
        """Add the name of the author, where several share one role."""
        if name is not None:
            self.canonical_lines.append(f"name {collapsed(name)}")

    def message(self, role: str, span: Span | None = None, speaker: str | None = None) -> ChatMessage:
        """Return the message."""
        text = "\n".join(self.texts)
        canonical = "\n".join([collapsed(text), *self.canonical_lines])
        if role == "system":
            return ChatMessage(role, (), canonical, "", span, speaker)
        return ChatMessage(role, tuple(self.parts), canonical, text, span, speaker, tuple(self.pieces))


def plain(text: str) -> str:
    """Return `text` with surrogate pairs joined, and U+FFFD for each lone surrogate."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def collapsed(text: str) -> str:
    """Return `text` on one line: stripped, and each run of white space as one space."""
    return " ".join(text.split())


def split_parts(content: object) -> tuple[list[str], list[object]]:
    """Return the texts of a content, and its other parts."""
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
    """Return the arguments of a tool call as they are remembered, and in canonical form."""
    if isinstance(arguments, str):
        try:
            arguments = loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            # Cut off, or no JSON by design: the input of a custom tool.
            text = plain(str(arguments))
            return text, collapsed(text)
    shown = plain(json.dumps(arguments, ensure_ascii=False))
    return shown, json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def digest(part: object) -> str:
    """Return a hash of a part that does not depend on the order of its fields."""
    if isinstance(part, dict):
        part = {name: value for name, value in part.items() if name not in IGNORED_FIELDS}
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:32]
