"""Tells the words of a user from a template that a front end put around them, by comparing two forms of one message.

Front ends send the last message inside a template (instructions, documents, the question) and later resend it bare. The
shorter form then is what the user typed. Pure functions over strings; knows no template.
"""

from __future__ import annotations

import re

from engram.text.markup import is_question
from engram.text.tokenizer import words

LONG_MESSAGE = 40
"""Words. In a message of more than these and of several lines, the question is looked for."""

LEAST_QUESTION = 3
"""Words of a question that is understood without the lines around it."""

MOST_LINES = 1_000
"""Lines of a long message in which the question is looked for, the last ones."""

MOST_PLACES = 100
"""Places at which a short text is looked for inside words of a long one."""

_LABEL = re.compile(r"[^\s:：][^\n:：?？]{0,30}[:：][ \t]{1,64}+(?=\S)")
_TAG = re.compile(r"\A<[^<>]{1,40}+>|</[^<>]{1,40}+>\Z")
_BORDER = re.compile(r"[^\S\n]{0,64}+(?:\Z|[\n<\"”»`'])")


def asks_same(one: str, other: str) -> bool:
    """Return whether two messages are one question in two forms: one holds the other, or both end in one question."""
    if is_framed(one, other):
        return True
    question = _last_question(one)
    return question is not None and question == _last_question(other)


def shares_words(one: str, other: str) -> bool:
    """Return whether at least half of the words of the shorter of two texts are words of the other."""
    fewer, more = sorted((set(words(one.casefold())), set(words(other.casefold()))), key=len)
    return bool(fewer) and 2 * len(fewer & more) >= len(fewer)


def is_framed(sent: str, bare: str) -> bool:
    """Return whether one of two texts contains the other as whole words. White space is ignored."""
    long, short = sorted((" ".join(sent.split()), " ".join(bare.split())), key=len, reverse=True)
    return bool(short) and _find(long, short) >= 0


def typed(sent: str, bare: str) -> str | None:
    """Return `bare` if it is what the user typed of `sent`, else None.

    A part that begins `sent` and ends inside a line is no proof: clients also cut long messages.
    """
    bare = bare.strip()
    start = _find(sent, bare) if bare and len(bare) < len(sent.strip()) else -1
    if start < 0:
        return None
    ends_line = _BORDER.match(sent, start + len(bare)) is not None
    return bare if ends_line and (sent[:start].strip() or "\n\n" in sent[start + len(bare) :]) else None


def question_of(text: str) -> str:
    """Return the question in a long text: its last line that asks, without a label; the text if no line asks."""
    return text if len(words(text)) <= LONG_MESSAGE else _last_question(text) or text


def _last_question(text: str) -> str | None:
    """Return the last line that asks in a text of several lines, without a label and tags around it; None for none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines[-MOST_LINES:]) if len(lines) > 1 else ():
        label = _LABEL.match(line)
        question = _TAG.sub("", line if label is None else line[label.end() :])
        if (is_question(question) or question.endswith(("?", "？", "؟"))) and len(words(question)) >= LEAST_QUESTION:
            return question
    return None


def _find(long: str, short: str) -> int:
    """Return where `short` stands last in `long` as whole words; -1 for nowhere."""
    # Reversed, because `str.rfind` may take the product of both lengths and `str.find` does not.
    reversed_long, reversed_short, end = long[::-1], short[::-1], 0
    for _ in range(MOST_PLACES):
        end = reversed_long.find(reversed_short, end)
        if end < 0:
            return -1
        start = len(long) - end - len(short)
        before, after = long[max(0, start - 1) : start], long[start + len(short) : start + len(short) + 1]
        if not (before.isalnum() and short[0].isalnum()) and not (after.isalnum() and short[-1].isalnum()):
            return start
        end += 1
    return -1
