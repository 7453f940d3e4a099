"""A Claude export: conversations with their messages in a list.

Owns which messages are turns: what the person and Claude said, and text that was attached. Thinking and the use of
tools stay out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from engram.engram import draft
from engram.errors import InvalidEngram
from engram.formats.items import Item, LeftOut, Place, Problem, Settings, Turn, derived_id
from engram.times import parse_time

SOURCE = "import:claude"
ROLES = {"human": "user", "assistant": "assistant"}


def is_conversation(value: Mapping[str, object]) -> bool:
    """Whether a JSON object is a conversation of a Claude export."""
    return "chat_messages" in value


def read(conversation: Mapping[str, object], place: Place, settings: Settings) -> Iterator[Item]:
    """The turns of a conversation in the order of the export; its uuid is the session."""
    messages, session = conversation["chat_messages"], conversation.get("uuid")
    if not isinstance(session, str) or not session:
        yield Problem(place, f"uuid is {session!r}; it must be text, which becomes the session")
        return
    if not isinstance(messages, list):
        yield Problem(place.at("chat_messages"), f"is {type(messages).__name__}; it must be a list of messages")
        return
    reader = _Conversation(session, conversation, settings)
    for number, message in enumerate(messages):
        yield from reader.message(message, number, place.at("chat_messages", number))


class _Conversation:
    """What the messages of one conversation share, and the time of the last."""

    def __init__(self, session: str, conversation: Mapping[str, object], settings: Settings) -> None:
        self._session = session
        self._settings = settings
        name = conversation.get("name")
        self._title = {"title": name} if isinstance(name, str) and name else {}
        self._at = when(conversation.get("created_at"))

    def message(self, message: object, number: int, place: Place) -> Iterator[Item]:
        """The turn that a message is, and those that were attached to it."""
        if not isinstance(message, dict):
            yield Problem(place, f"is {type(message).__name__}; a message must be an object")
            return
        role = ROLES.get(str(message.get("sender")))
        if role is None:
            yield Problem(place, f"sender is {message.get('sender')!r}; it must be human or assistant")
            return
        # A message without a time was said after the one before it.
        self._at = when(message.get("created_at")) or self._at
        uuid = message.get("uuid")
        key = uuid if isinstance(uuid, str) and uuid else number
        more = {"message_id": key, "files": names(message.get("files"))}
        attached = list(_attached(message.get("attachments")))
        text = said(message)
        if isinstance(text, str) and text.strip():
            yield self._turn(place, text, role, "turn", more, (key,))
        elif not isinstance(text, str):
            yield Problem(place, f"text is {type(text).__name__}; it must be text")
        elif not attached:
            yield LeftOut(place, "holds no text")
        for position, name, content in attached:
            more = {"message_id": key, "file_name": name}
            yield self._turn(place.at("attachments", position), content, role, "attachment", more, (key, position))

    def _turn(
        self, place: Place, text: str, role: str, kind: str, more: Mapping[str, object], key: tuple[str | int, ...]
    ) -> Turn | Problem:
        settings, at = self._settings, self._at
        try:
            engram = draft(
                text,
                namespace=settings.namespace,
                session=self._session,
                role=role,
                speaker="Claude" if role == "assistant" else None,
                at=settings.now if at is None else at,
                recorded_at=settings.now,
                kind=kind,
                source=SOURCE,
                metadata=self._title | {name: value for name, value in more.items() if value},
                id=derived_id(at, "claude", settings.namespace, self._session, *key),
            )
        except InvalidEngram as error:
            return Problem(place, str(error))
        # The title may be another in the next export; the turn is the same.
        return Turn(place, engram, frozenset({"recorded_at", "metadata"} if at else {"recorded_at", "metadata", "at"}))


def said(message: Mapping[str, object]) -> object:
    """The text of a message: its text blocks if it has any, else its plain text."""
    blocks = message.get("content")
    texts = []
    for block in blocks if isinstance(blocks, list) else []:
        text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else None
        if isinstance(text, str) and text.strip():
            texts.append(text)
    if texts:
        return "\n\n".join(texts)
    plain = message.get("text")
    return "" if plain is None else plain


def names(files: object) -> list[str]:
    """The names of the files that came with a message."""
    found = [file.get("file_name") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return [name for name in found if isinstance(name, str) and name]


def _attached(attachments: object) -> Iterator[tuple[int, str, str]]:
    """Position, name and text of each attachment whose text the export holds."""
    for position, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        content = attachment.get("extracted_content") if isinstance(attachment, dict) else None
        if isinstance(content, str) and content.strip():
            name = attachment.get("file_name")
            yield position, name if isinstance(name, str) else "", content


def when(value: object) -> datetime | None:
    """The time that an export gives a message, or None if it gives none that can be read."""
    try:
        return parse_time("created_at", value)
    except InvalidEngram:
        return None
