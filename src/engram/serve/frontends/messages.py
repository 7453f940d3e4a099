"""Reduces the messages of a request to what was said: what users typed, and what tools and the model said.

Knows the form of messages (`wire.base`), and applies the table and the operator's patterns to each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from engram.notes.injection import without_notes
from engram.serve.frontends.reading import Reading, read_parts
from engram.serve.frontends.strip import Strip
from engram.serve.frontends.table import FRONTENDS
from engram.serve.wire.base import ChatMessage, LeftOut, MessagePart
from engram.serve.wire.content import collapsed
from engram.serve.wire.reading import reworded, without_our_notes

OPERATOR = "--strip"
"""How receipts and metrics name what the operator's patterns left out."""

_ANSWERS = frozenset(answer for frontend in FRONTENDS for answer in frontend.answers)

_BROKEN_OFF = tuple(mark for frontend in FRONTENDS for mark in frontend.broken_off)
_AFTER_RESULTS = tuple((frontend.name, tag) for frontend in FRONTENDS for tag in frontend.after_results)

MOST_AFTER_RESULT = 8
"""Elements that are left out of the end of one result."""

NO_ROLE = "system"
"""The role of a message of which nothing was said: like a system message, it is no part of the conversation."""


def as_said(messages: Iterable[ChatMessage], strip: Strip) -> tuple[ChatMessage, ...]:
    """Return the messages of a request without what front ends, the operator's patterns and Engram put into them."""
    said: list[ChatMessage] = []
    for message in messages:
        message = _without_reminders(message)
        if message.role == "user" or message.pieces:
            said.append(_typed(message, strip))
        elif message.role == "assistant" and message.text.strip() in _ANSWERS and said and _is_front_ends(said[-1]):
            # The front end wrote both.
            said.append(replace(message, role=NO_ROLE, parts=(), text="", canonical=""))
        else:
            whole = reworded(message, _whole_reply) if message.role == "assistant" else message
            said.append(without_our_notes(whole))
    return tuple(said)


def _whole_reply(reply: str) -> str:
    """Return a reply without the mark that it was broken off."""
    end = reply.rstrip()
    mark = next((mark for mark in _BROKEN_OFF if end.endswith(f"\n{mark}")), None)
    return reply if mark is None else end.removesuffix(mark).rstrip()


def _without_reminders(message: ChatMessage) -> ChatMessage:
    """Return a message whose tool results end without elements that the front end added."""
    parts, left_out = [], []
    for part in message.parts:
        for _ in range(MOST_AFTER_RESULT if part.role == "tool" else 0):
            end = part.text.rstrip()
            name, tag = next((one for one in _AFTER_RESULTS if end.endswith(f"</{one[1]}>")), ("", ""))
            start = end.rfind(f"<{tag}>") if tag else -1
            if start < 0 or not (start == 0 or end[start - 1] == "\n"):
                break
            part = replace(part, text=end[:start].rstrip())
            left_out.append(LeftOut(name, 1, len(end) - start))
        if part.text:
            parts.append(part)
    if not left_out:
        return message
    return replace(message, parts=tuple(parts), left_out=total([replace(message, left_out=tuple(left_out))]))


def total(messages: Iterable[ChatMessage]) -> tuple[LeftOut, ...]:
    """Return what was left out of messages, summed for each front end, in order of the names."""
    sums: dict[str, tuple[int, int]] = {}
    for one in (one for message in messages for one in message.left_out):
        pieces, characters = sums.get(one.by, (0, 0))
        sums[one.by] = pieces + one.pieces, characters + one.characters
    return tuple(LeftOut(name, *sums[name]) for name in sorted(sums))


def newly_left_out(messages: Sequence[ChatMessage], new: Collection[int]) -> tuple[LeftOut, ...]:
    """Return what was left out of the messages at the indexes `new`, and of those around them without a role."""
    old = (index for index, message in enumerate(messages) if message.role != NO_ROLE and index not in new)
    return total(messages[max(old, default=-1) + 1 :])


def _is_front_ends(message: ChatMessage) -> bool:
    return message.role == NO_ROLE and bool(message.left_out)


def _typed(message: ChatMessage, strip: Strip) -> ChatMessage:
    """Return a message of the user's without what is not the user's."""
    texts, left_out = [], list(message.left_out)
    for piece in message.pieces or (message.text,):
        text, lengths = strip(without_notes(piece))
        texts.append(text)
        left_out += [LeftOut(OPERATOR, 1, length) for length in lengths]
    readings = read_parts(texts, [part.text for part in message.parts if part.role == "tool"])
    left_out += [LeftOut(name, 1, length) for reading in readings for name, length in reading.left_out]
    if not left_out and not any(reading.result for reading in readings):
        return without_our_notes(message)
    return _reduced(message, readings, left_out)


def _reduced(message: ChatMessage, readings: Sequence[Reading], left_out: Sequence[LeftOut]) -> ChatMessage:
    words = "\n".join(reading.words for reading in readings if reading.words)
    results = [reading.result for reading in readings if reading.result]
    parts = [part for part in message.parts if part.role != "user"]
    parts += [MessagePart("tool", result) for result in results]
    # The first line of the canonical form is the text.
    lines = [*message.canonical.split("\n")[1:], *(f"result {collapsed(result)}" for result in results)]
    if words:
        role = "user"
        parts.append(MessagePart("user", words))
    elif parts:
        role = "tool"
    else:
        role = "user" if lines else NO_ROLE
    canonical = "\n".join([collapsed(words), *lines])
    summed = total([replace(message, left_out=tuple(left_out))])
    return replace(message, role=role, parts=tuple(parts), text=words, canonical=canonical, left_out=summed)
