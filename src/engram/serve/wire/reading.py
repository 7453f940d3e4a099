"""Reads the words of the user and of the model out of a message: without what Engram put in front of them, and in
pieces that an engram can hold.

Does not know the format of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from engram.engram import MAX_TEXT_BYTES
from engram.notes.injection import without_notes
from engram.serve.wire.base import ChatMessage
from engram.serve.wire.content import collapsed
from engram.text.redaction import unbroken

LONGEST_SECRET = 32_768
"""Bytes on each side of a cut in which a secret or personal data are looked for, which must stay in one piece."""

LONGEST_WORD = 4096
"""Bytes before the limit of a piece in which a line break or a space is looked for."""


def as_stored(message: ChatMessage) -> ChatMessage:
    """Return a message with the parts that are stored: no notes of Engram, and no part too long for an engram."""
    return in_pieces(without_our_notes(message))


def in_pieces(message: ChatMessage) -> ChatMessage:
    """Return a message whose long parts are cut into several; nothing is left out."""
    if all(len(part.text) <= MAX_TEXT_BYTES // 4 for part in message.parts):
        return message
    parts = tuple(replace(part, text=piece) for part in message.parts for piece in pieces(part.text))
    return replace(message, parts=parts)


def pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of at most `MAX_TEXT_BYTES`, cut after a line break or a space if the text has them.

    No cut parts what redaction looks for: it reads one piece at a time.
    """
    data, start = text.encode(), 0
    while len(data) > start + MAX_TEXT_BYTES:
        end = start + MAX_TEXT_BYTES
        gaps = [data.rfind(sign, end - LONGEST_WORD, end) for sign in (b"\n", b" ")]
        end = next((gap + 1 for gap in gaps if gap >= 0), end)
        while data[end] & 0xC0 == 0x80:
            # Inside a character.
            end -= 1
        before = data[max(start, end - LONGEST_SECRET) : end].decode(errors="ignore")
        behind = data[end : end + LONGEST_SECRET].decode(errors="ignore")
        end -= len(before[unbroken(before + behind, len(before)) :].encode())
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()


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
