"""Reads the words of the user and of the model out of a message: without what Engram put in front of them.

Does not know the format of a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engram.notes.injection import without_notes
from engram.serve.wire.base import ChatMessage
from engram.serve.wire.content import collapsed


def without_our_notes(message: ChatMessage) -> ChatMessage:
    """Return a message without notes that Engram had inserted."""
    return reworded(message, without_notes)


def continued(beginning: ChatMessage, reply: ChatMessage) -> ChatMessage:
    """Return a reply with the beginning that the request gave, as one message. Some models repeat the beginning."""
    if not reply.text or reply.text.lstrip().startswith(beginning.text.strip()):
        return reply
    text = beginning.text + reply.text
    parts = (replace(beginning.parts[0], text=text), *(part for part in reply.parts if part.role != "assistant"))
    canonical = "\n".join([collapsed(text), *reply.canonical.split("\n")[1:]])
    return replace(reply, parts=parts, text=text, canonical=canonical)


def reworded(message: ChatMessage, change: Callable[[str], str]) -> ChatMessage:
    """Return a message whose text, and each of whose parts, is changed by `change`. Empty parts are left out."""
    parts = tuple(replace(part, text=words) for part in message.parts if (words := change(part.text)))
    if parts == message.parts:
        return message
    text = change(message.text)
    # The first line of the canonical form is the text.
    lines = [collapsed(text), *message.canonical.split("\n")[1:]]
    return replace(message, parts=parts, text=text, canonical="\n".join(lines))
