"""Reads a ChatGPT export: conversations as trees of messages.

Owns which messages are turns, and their order. A regenerated reply or an edited question opens a branch. All branches
are imported: first the path that ChatGPT shows (up to `current_node`), then the others, each in its order and numbered
in the metadata. With `ImportSettings.branches` False only the shown path is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from engram.engram import ROLES
from engram.formats.items import (
    ImportSettings,
    Item,
    Problem,
    Skipped,
    SourceLocation,
    derived_id,
    imported,
    time_or_none,
)
from engram.formats.tree import MessageTree

SOURCE = "import:chatgpt"
TEXT_TYPES = ("text", "multimodal_text", "code")
"""Content types that are imported; the others are thinking, output of tools and hidden instructions."""


class MessageText(NamedTuple):
    """The part of a message that becomes a turn."""

    role: str
    text: str
    other_parts: list[str]
    """Content types of the parts without text, such as images."""


def is_conversation(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a conversation of a ChatGPT export."""
    return "mapping" in value or {"title", "create_time"} <= value.keys()


def read(conversation: Mapping[str, object], location: SourceLocation, settings: ImportSettings) -> Iterator[Item]:
    """Yield the turns of a conversation; its id is the session."""
    mapping = conversation.get("mapping")
    if mapping is None or mapping == {}:
        yield Skipped(location, "is an empty conversation")
        return
    if not isinstance(mapping, dict):
        yield Problem(
            location.inside("mapping"), f"is {type(mapping).__name__}; it must be an object of messages by id"
        )
        return
    tree = MessageTree(mapping, conversation.get("current_node"))
    times = _times(tree, conversation)
    session = _session(conversation, tree)
    title = conversation.get("title")
    shown = set(tree.path)
    for node in tree.order():
        inside = location.inside("mapping", node)
        if node not in shown and not settings.branches:
            yield Skipped(inside, "belongs to another branch")
            continue
        message = tree.message(node)
        if message is None:
            if node in tree.unreadable:
                yield Problem(inside, "is not an object with a message")
            continue
        content = _content(message, inside)
        if not isinstance(content, MessageText):
            yield content
            continue
        metadata = {
            "title": title if isinstance(title, str) else None,
            "message_id": node,
            "alternative": tree.alternative(node),
            "parts": content.other_parts,
        }
        yield imported(
            inside,
            settings,
            times[node],
            # The title can differ in the next export; the turn is the same.
            open_fields={"metadata"},
            text=content.text,
            namespace=settings.namespace,
            session=session,
            role=content.role,
            speaker="ChatGPT" if content.role == "assistant" else None,
            source=SOURCE,
            metadata={name: value for name, value in metadata.items() if value},
            id=derived_id(times[node], "chatgpt", settings.namespace, session, node),
        )


def _content(message: Mapping[str, object], location: SourceLocation) -> MessageText | Skipped | Problem:
    """Return the text of a message with its role, or the reason why the message is not a turn."""
    author, content, metadata = (message.get(name) for name in ("author", "content", "metadata"))
    role = author.get("role") if isinstance(author, dict) else None
    if role not in ROLES:
        return Problem(location, f"author.role is {role!r}; it must be one of {', '.join(ROLES)}")
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return Skipped(location, "is hidden in the conversation")
    if role == "tool" or message.get("recipient") not in (None, "all"):
        return Skipped(location, "passes between the model and a tool")
    if not isinstance(content, dict):
        return Problem(location, f"content is {type(content).__name__}; it must be an object")
    if content.get("content_type") not in (None, *TEXT_TYPES):
        return Skipped(
            location, f"contains {str(content['content_type'])[:100]}, which is not part of the conversation"
        )
    parts = content.get("parts", [content["text"]] if "text" in content else None)
    if not isinstance(parts, list):
        return Problem(location, f"content.parts is {type(parts).__name__}; it must be a list")
    texts, other_parts = [], []
    for number, part in enumerate(parts):
        # Speech is an object with its transcript.
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif isinstance(part, dict):
            other_parts.append(str(part.get("content_type", "unknown")))
        elif part is not None:
            return Problem(location, f"content.parts[{number}] is {type(part).__name__}; it must be text or an object")
    text = "\n".join(filter(str.strip, texts))
    return MessageText(str(role), text, other_parts) if text else Skipped(location, "contains no text")


def _session(conversation: Mapping[str, object], tree: MessageTree) -> str:
    """Return the id of the conversation; that of its first message for an old export without ids."""
    for name in ("conversation_id", "id"):
        value = conversation.get(name)
        if isinstance(value, str) and value:
            return value
    return tree.root


def _times(tree: MessageTree, conversation: Mapping[str, object]) -> dict[str, datetime | None]:
    """Return the time of each message; one without a time gets that of its parent, or of the conversation."""
    begin = parse_timestamp(conversation.get("create_time")) or _earliest(tree)
    times: dict[str, datetime | None] = {}
    for node in tree.parents_first():
        message = tree.message(node) or {}
        parent = tree.parent.get(node)
        own_time = parse_timestamp(message.get("create_time"))
        times[node] = own_time or (times.get(parent) if parent else None) or begin
    return times


def _earliest(tree: MessageTree) -> datetime | None:
    """Return the earliest time of a message, so that no message is later than its own reply; None if none has one."""
    times = (parse_timestamp((tree.message(node) or {}).get("create_time")) for node in tree.parents_first())
    return min(filter(None, times), default=None)


def parse_timestamp(value: object) -> datetime | None:
    """Return the time from seconds since 1970 or ISO 8601 text, in UTC; None if `value` is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return time_or_none(value)
