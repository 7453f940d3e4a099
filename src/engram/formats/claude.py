"""Reads a Claude export: conversations with their messages in a list.

Owns which messages are turns: the texts of the person and of Claude, and attached text. Thinking and the use of tools
are not imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engram.formats.items import (
    ImportedTurn,
    ImportSettings,
    Item,
    Problem,
    Skipped,
    SourceLocation,
    derived_id,
    imported,
    time_or_none,
)

SOURCE = "import:claude"
ROLES = {"human": "user", "assistant": "assistant"}


def is_conversation(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a conversation of a Claude export."""
    return "chat_messages" in value


def read(conversation: Mapping[str, object], location: SourceLocation, settings: ImportSettings) -> Iterator[Item]:
    """Yield the turns of a conversation in the order of the export; its uuid is the session."""
    messages, session = conversation["chat_messages"], conversation.get("uuid")
    if not isinstance(session, str) or not session:
        yield Problem(location, f"uuid is {session!r}; it must be text, which becomes the session")
        return
    if not isinstance(messages, list):
        yield Problem(location.inside("chat_messages"), f"is {type(messages).__name__}; it must be a list of messages")
        return
    reader = _ConversationReader(session, conversation, settings)
    for number, message in enumerate(messages):
        yield from reader.message(message, number, location.inside("chat_messages", number))


class _ConversationReader:
    """Reads the messages of one conversation. Holds their common fields, and the time of the last message."""

    def __init__(self, session: str, conversation: Mapping[str, object], settings: ImportSettings) -> None:
        self._session = session
        self._settings = settings
        name = conversation.get("name")
        self._title = {"title": name} if isinstance(name, str) and name else {}
        self._at = time_or_none(conversation.get("created_at"))

    def message(self, message: object, number: int, location: SourceLocation) -> Iterator[Item]:
        """Yield the turn of a message, and those of its attachments."""
        if not isinstance(message, dict):
            yield Problem(location, f"is {type(message).__name__}; a message must be an object")
            return
        role = ROLES.get(str(message.get("sender")))
        if role is None:
            yield Problem(location, f"sender is {message.get('sender')!r}; it must be human or assistant")
            return
        # A message without a time gets that of the message before it.
        self._at = time_or_none(message.get("created_at")) or self._at
        uuid = message.get("uuid")
        key = uuid if isinstance(uuid, str) and uuid else number
        metadata = {"message_id": key, "files": file_names(message.get("files"))}
        attached = list(_attached(message.get("attachments")))
        text = text_of(message)
        if isinstance(text, str) and text.strip():
            yield self._turn(location, text, role, "turn", metadata, (key,))
        elif not isinstance(text, str):
            yield Problem(location, f"text is {type(text).__name__}; it must be text")
        elif not attached:
            yield Skipped(location, "contains no text")
        for index, name, content in attached:
            metadata = {"message_id": key, "file_name": name}
            inside = location.inside("attachments", index)
            yield self._turn(inside, content, role, "attachment", metadata, (key, index))

    def _turn(
        self,
        location: SourceLocation,
        text: str,
        role: str,
        kind: str,
        metadata: Mapping[str, object],
        key: tuple[str | int, ...],
    ) -> ImportedTurn | Problem:
        namespace = self._settings.namespace
        return imported(
            location,
            self._settings,
            self._at,
            # The title can differ in the next export; the turn is the same.
            open_fields={"metadata"},
            text=text,
            namespace=namespace,
            session=self._session,
            role=role,
            speaker="Claude" if role == "assistant" else None,
            kind=kind,
            source=SOURCE,
            metadata=self._title | {name: value for name, value in metadata.items() if value},
            id=derived_id(self._at, "claude", namespace, self._session, *key),
        )


def text_of(message: Mapping[str, object]) -> object:
    """Return the text of a message: of its text blocks if it has any, else of its field `text`."""
    blocks = message.get("content")
    texts = []
    for block in blocks if isinstance(blocks, list) else []:
        text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else None
        if isinstance(text, str) and text.strip():
            texts.append(text)
    if texts:
        return "\n\n".join(texts)
    text = message.get("text")
    return "" if text is None else text


def file_names(files: object) -> list[str]:
    """Return the names of the files of a message."""
    names = [file.get("file_name") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return [name for name in names if isinstance(name, str) and name]


def _attached(attachments: object) -> Iterator[tuple[int, str, str]]:
    """Yield index, name and text of each attachment whose text is in the export."""
    for index, attachment in enumerate(attachments if isinstance(attachments, list) else []):
        content = attachment.get("extracted_content") if isinstance(attachment, dict) else None
        if isinstance(content, str) and content.strip():
            name = attachment.get("file_name")
            yield index, name if isinstance(name, str) else "", content
