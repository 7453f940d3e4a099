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
"""Characters of the system messages that are searched."""

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
    system = " ".join(_system_texts(request))[:LONGEST_SYSTEM]
    only_user = all(turn.role == "user" for turn in turns)
    texts = [_opening(message) for message in request.messages[-1:] if message.role in ("user", "system")]
    if only_user and turns:
        texts.append(_opening(turns[0]))
    for name, task in _TASKS:
        if task.in_system:
            found = only_user and task.opening in system and all(part in system for part in task.holds)
        elif task.is_whole:
            found = len(turns) == 1 and only_user and turns[0].canonical == task.opening
        else:
            found = any(_matches(task, text) for text in texts)
        if found:
            return name
    if len(turns) == 1 and only_user and _asks_for_title(turns[0]):
        return UNKNOWN
    return None


def _system_texts(request: Request) -> Iterator[str]:
    yield request.instructions
    yield from islice((message.canonical for message in request.messages if message.role == "system"), 8)


def _opening(message: ChatMessage) -> str:
    """Return a message's text with white space collapsed: the first line of its canonical form."""
    end = message.canonical.find("\n")
    return message.canonical if end < 0 else message.canonical[:end]


def _matches(task: Task, text: str) -> bool:
    return text.startswith(task.opening) and all(part in text for part in task.holds)


def _asks_for_title(message: ChatMessage) -> bool:
    """Return whether a message asks for the title of a conversation that it holds."""
    text = _opening(message)
    asked = set(_WORD.findall(text[:LONGEST_OPENING].casefold()))
    if not (asked & _ASKING and asked & _TITLES and asked & _CONVERSATIONS):
        return False
    parts: Sequence[re.Pattern[str]] = (_USER, _ASSISTANT)
    held = text[:LONGEST_TRANSCRIPT]
    return _TRANSCRIPT.search(held) is not None or all(part.search(held) for part in parts)
