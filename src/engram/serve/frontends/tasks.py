"""Recognises requests that a front end sends for itself: for a title, tags, a summary, a search query.

Such a request is no conversation: nothing of it is stored, and it gets no notes. Owns the shapes: the marks in `table`,
and one shape without a name, a single message that asks for the title of a transcript in it. A request that only
resembles one is a conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from engram.serve.frontends.table import FRONTENDS, Task
from engram.serve.wire.base import ChatMessage, Request

LONGEST_OPENING = 400
"""Characters of a message in which it asks for a title."""

LONGEST_SYSTEM = 20_000
"""Characters of each system message, or of each part of the system prompt, that are searched."""

LONGEST_TRANSCRIPT = 20_000
"""Characters of a message in which a transcript is looked for."""

UNKNOWN = "a front end"

_TASKS = tuple((frontend.name, task) for frontend in FRONTENDS for task in frontend.tasks)

_ASKING = frozenset("generate create write provide suggest give make summarize summarise come".split())
_TITLES = frozenset("title titles".split())
_CONVERSATIONS = frozenset("conversation chat dialogue dialog discussion thread session messages".split())
_WORD = re.compile(r"\w++")
_USER = re.compile(r"(?:^|[\s>\"{*])(?:user|human)[\"*]{0,3}:", re.IGNORECASE)
_ASSISTANT = re.compile(r"(?:^|[\s>\"{*])(?:assistant|ai|bot|model)[\"*]{0,3}:", re.IGNORECASE)
_TRANSCRIPT = re.compile(r"<(?:chat_history|conversation|transcript|messages|chat|dialogue)>", re.IGNORECASE)


def task_of(request: Request) -> str | None:
    """Return the name of the front end whose own task a request is; None for a conversation."""
    turns = [message for message in request.messages if message.role != "system"]
    system = [text[:LONGEST_SYSTEM] for text in _system_texts(request)]
    only_user = all(turn.role == "user" for turn in turns)
    is_one = only_user and len(turns) == 1
    texts = [_opening(message) for message in request.messages[-1:] if message.role in ("user", "system")]
    if only_user and turns:
        texts.append(_opening(turns[0]))
    for name, task in _TASKS:
        if task.in_system:
            found = is_one and any(_matches(task, text) for text in system)
        elif task.system or task.one_token:
            held = any(task.system in text for text in system) if task.system else request.one_token
            found = held and is_one and _matches(task, _opening(turns[0]))
        else:
            found = any(_matches(task, text) for text in texts) and (len(request.messages) > 1 or not task.is_whole)
        if found:
            return name
    return UNKNOWN if is_one and _asks_for_title(turns[0]) else None


def _system_texts(request: Request) -> Iterator[str]:
    yield from request.instructions[:8]
    yield from islice((_opening(message) for message in request.messages if message.role == "system"), 8)


def _opening(message: ChatMessage) -> str:
    """Return a message's text with white space collapsed: the first line of its canonical form."""
    end = message.canonical.find("\n")
    return message.canonical if end < 0 else message.canonical[:end]


def _matches(task: Task, text: str) -> bool:
    if task.is_whole:
        return text == task.opening
    return text.startswith(task.opening) and all(text.find(part, len(task.opening)) >= 0 for part in task.holds)


def _asks_for_title(message: ChatMessage) -> bool:
    """Return whether a message asks for the title of a conversation that it holds."""
    text = _opening(message)
    asked = set(_WORD.findall(text[:LONGEST_OPENING].casefold()))
    if not (asked & _ASKING and asked & _TITLES and asked & _CONVERSATIONS):
        return False
    parts: Sequence[re.Pattern[str]] = (_USER, _ASSISTANT)
    held = text[:LONGEST_TRANSCRIPT]
    return _TRANSCRIPT.search(held) is not None or all(part.search(held) for part in parts)
