"""Reads a Claude export: conversations with their messages in a list.

Owns which messages are turns: the texts of the person and of Claude, voice notes, attached text, and artifacts.
Thinking, the use of tools, and the text that a client puts in place of a block are not imported.
"""

from __future__ import annotations

import re
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
PLACEHOLDER = re.compile(
    r"^```[ \t]*\nThis block is not supported on your current device yet\.[ \t]*\n```[ \t]*$"
    r"|^Viewing artifacts created via [^\n]{1,100} isn[’']t yet supported on [^\n]{1,40}\.$",
    re.MULTILINE,
)
"""What a client shows in place of a block, in exports whose message has no list of blocks."""

ROLES = {"human": "user", "assistant": "assistant"}


def is_conversation(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a conversation of a Claude export."""
    return "chat_messages" in value or {"uuid", "name", "created_at"} <= value.keys()


def read(conversation: Mapping[str, object], location: SourceLocation, settings: ImportSettings) -> Iterator[Item]:
    """Yield the turns of a conversation in the order of the export; its uuid is the session."""
    messages, session = conversation.get("chat_messages"), conversation.get("uuid")
    if messages is None:
        yield Skipped(location, "is an empty conversation")
        return
    if not isinstance(session, str) or not session:
        yield Problem(location, f"uuid is {session!r}; it must be text, which becomes the session")
        return
    if not isinstance(messages, list):
        yield Problem(location.inside("chat_messages"), f"is {type(messages).__name__}; it must be a list of messages")
        return
    reader = _ConversationReader(session, conversation, settings, messages)
    for number, message in enumerate(messages):
        yield from reader.message(message, number, location.inside("chat_messages", number))


class _ConversationReader:
    """Reads the messages of one conversation. Holds their common fields, and the time of the last message."""

    def __init__(
        self, session: str, conversation: Mapping[str, object], settings: ImportSettings, messages: list[object]
    ) -> None:
        self._session = session
        self._settings = settings
        name = conversation.get("name")
        self._title = {"title": name} if isinstance(name, str) and name else {}
        times = (time_or_none(message.get("created_at")) for message in messages if isinstance(message, dict))
        self._at = time_or_none(conversation.get("created_at")) or min(filter(None, times), default=None)

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
        artifacts = list(_artifacts(message.get("content")))
        text = text_of(message)
        if not isinstance(text, str):
            yield Problem(location, f"text is {type(text).__name__}; it must be text")
        else:
            said = PLACEHOLDER.sub("", text).strip() if role == "assistant" and PLACEHOLDER.search(text) else text
            if said != text or _stands_for_a_tool(message):
                yield Skipped(location, "stands for a block that the client could not show")
            elif not said.strip() and not attached and not artifacts:
                yield Skipped(location, "contains no text")
            if said.strip():
                yield self._turn(location, said, role, "turn", metadata, (key,))
        for index, name, content in artifacts:
            inside = location.inside("content", index)
            metadata = {"message_id": key, "file_name": name}
            yield self._turn(inside, content, role, "attachment", metadata, (key, "artifact", index))
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
    """Return the text of a message: of its blocks of text and voice if it has any, else of its field `text`.

    The field is "" where all blocks are of a tool: a client fills it with a sentence that stands for them.
    """
    texts = _texts(message.get("content"))
    if texts:
        return "\n\n".join(texts)
    text = message.get("text")
    return "" if text is None or _stands_for_a_tool(message) else text


def _texts(blocks: object) -> list[str]:
    """Return the texts of the blocks of text and voice."""
    texts = []
    for block in blocks if isinstance(blocks, list) else []:
        text = block.get("text") if isinstance(block, dict) and block.get("type") in ("text", "voice_note") else None
        if isinstance(text, str) and text.strip():
            texts.append(text)
    return texts


def _stands_for_a_tool(message: Mapping[str, object]) -> bool:
    """Return whether the field `text` has words, and the blocks are of a tool and have none."""
    blocks, text = message.get("content"), message.get("text")
    types = [block.get("type") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    return "tool_use" in types and not _texts(blocks) and isinstance(text, str) and bool(text.strip())


def _artifacts(blocks: object) -> Iterator[tuple[int, str, str]]:
    """Yield index, title and text of each artifact that Claude wrote in whole."""
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        artifact = isinstance(block, dict) and block.get("type") == "tool_use" and block.get("name") == "artifacts"
        made = block.get("input") if artifact else None
        content = made.get("content") if isinstance(made, dict) else None
        if isinstance(made, dict) and isinstance(content, str) and content.strip():
            title = made.get("title")
            yield index, title if isinstance(title, str) else "", content


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
