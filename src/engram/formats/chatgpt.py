"""A ChatGPT export: conversations as trees of messages.

Owns which messages are turns, and their order. A reply that was made again, or a question that was reworded, opens a
branch; all branches were said, so all are kept: first the path that the conversation shows (up to `current_node`),
then the others, each in its own order, marked in the metadata. `Settings.branches` False keeps only the path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from engram.engram import ROLES, draft
from engram.errors import InvalidEngram
from engram.formats.items import Item, LeftOut, Place, Problem, Settings, Turn, derived_id
from engram.formats.tree import Tree

SOURCE = "import:chatgpt"
SPOKEN = ("text", "multimodal_text", "code")
"""Types of content that are said; the others are thinking, tools' output and instructions behind the scenes."""


def is_conversation(value: Mapping[str, object]) -> bool:
    """Whether a JSON object is a conversation of a ChatGPT export."""
    return "mapping" in value


def read(conversation: Mapping[str, object], place: Place, settings: Settings) -> Iterator[Item]:
    """The turns of a conversation; its id is the session."""
    mapping = conversation["mapping"]
    if not isinstance(mapping, dict):
        yield Problem(place.at("mapping"), f"is {type(mapping).__name__}; it must be an object of messages by id")
        return
    if not mapping:
        return
    tree = Tree(mapping, conversation.get("current_node"))
    times = _times(tree, conversation)
    session = _session(conversation, tree)
    title = conversation.get("title")
    shown = set(tree.path)
    for node in tree.order():
        inside = place.at("mapping", node)
        if node not in shown and not settings.branches:
            yield LeftOut(inside, "belongs to another branch")
            continue
        message = tree.message(node)
        if message is None:
            if node in tree.unreadable:
                yield Problem(inside, "is not an object with a message")
            continue
        spoken = _spoken(message, inside)
        if not isinstance(spoken, tuple):
            yield spoken
            continue
        role, text, others = spoken
        more = {
            "title": title if isinstance(title, str) else None,
            "message_id": node,
            "alternative": tree.alternative(node),
            "parts": others,
        }
        yield _turn(inside, settings, (session, node), role, text, times[node], more)


def _turn(
    place: Place,
    settings: Settings,
    where: tuple[str, str],
    role: str,
    text: str,
    at: datetime | None,
    more: Mapping[str, object],
) -> Turn | Problem:
    session, node = where
    try:
        engram = draft(
            text,
            namespace=settings.namespace,
            session=session,
            role=role,
            speaker="ChatGPT" if role == "assistant" else None,
            at=settings.now if at is None else at,
            recorded_at=settings.now,
            source=SOURCE,
            metadata={name: value for name, value in more.items() if value},
            id=derived_id(at, "chatgpt", settings.namespace, session, node),
        )
    except InvalidEngram as error:
        return Problem(place, str(error))
    # The title may be another in the next export; the turn is the same.
    return Turn(place, engram, frozenset({"recorded_at", "metadata"} if at else {"recorded_at", "metadata", "at"}))


def _spoken(message: Mapping[str, object], place: Place) -> tuple[str, str, list[str]] | LeftOut | Problem:
    """Role, text and the other parts of a message that was said aloud; else why it is no turn."""
    author, content, metadata = (message.get(name) for name in ("author", "content", "metadata"))
    role = author.get("role") if isinstance(author, dict) else None
    if role not in ROLES:
        return Problem(place, f"author.role is {role!r}; it must be one of {', '.join(ROLES)}")
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return LeftOut(place, "is hidden in the conversation")
    if role == "tool" or message.get("recipient") not in (None, "all"):
        return LeftOut(place, "passes between the model and a tool")
    if not isinstance(content, dict):
        return Problem(place, f"content is {type(content).__name__}; it must be an object")
    if content.get("content_type") not in (None, *SPOKEN):
        return LeftOut(place, f"holds {content['content_type']}, which is not said aloud")
    parts = content.get("parts", [content["text"]] if "text" in content else None)
    if not isinstance(parts, list):
        return Problem(place, f"content.parts is {type(parts).__name__}; it must be a list")
    texts, others = [], []
    for number, part in enumerate(parts):
        # What was spoken comes as an object with its transcript.
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif isinstance(part, dict):
            others.append(str(part.get("content_type", "unknown")))
        elif part is not None:
            return Problem(place, f"content.parts[{number}] is {type(part).__name__}; it must be text or an object")
    text = "\n".join(filter(str.strip, texts))
    return (role, text, others) if text else LeftOut(place, "holds no text")


def _session(conversation: Mapping[str, object], tree: Tree) -> str:
    """The conversation's id; where an old export has none, that of its first message."""
    for name in ("conversation_id", "id"):
        value = conversation.get(name)
        if isinstance(value, str) and value:
            return value
    return tree.root


def _times(tree: Tree, conversation: Mapping[str, object]) -> dict[str, datetime | None]:
    """When each message was said; one without a time takes that of the message it answers, or the conversation's."""
    begun = when(conversation.get("create_time"))
    times: dict[str, datetime | None] = {}
    for node in tree.downward():
        message = tree.message(node) or {}
        parent = tree.parent.get(node)
        times[node] = when(message.get("create_time")) or (times.get(parent) if parent else None) or begun
    return times


def when(value: object) -> datetime | None:
    """A time from seconds since 1970 or ISO 8601; None if it is neither."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and math.isfinite(value):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
