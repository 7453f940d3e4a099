"""Passages: the parts of a text that are indexed, ranked and shown by themselves.

Owns how a text is parted. Its units are sentences, lines (of lists, tables and headings) and blocks of code; units that
follow each other make up a passage of up to `MOST` words. Pure functions in time proportional to the length of the
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST = 40.0
"""Words of a passage, about; a longer unit is cut."""

LETTERS, SIGNS = 6.0, 1.6
"""Characters that count as a word: in scripts that write spaces, the space included, and in those that write none."""

_UNSPACED = re.compile("[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_END = re.compile(
    "[.!?\u2026\u061f\u06d4\u0964][\"')\\]\u201d\u2019\u00bb]{0,3}+\\s++|[\u3002\uff01\uff1f][\u201d\u2019\u300d\u300f\uff09]{0,3}+"
)
_ITEM = re.compile(r"\s{0,12}+(?:[-*+|\u2022]|\d{1,3}[.)])")
"""The start of an item of a list or a row of a table, which stays whole."""
_FENCE = ("```", "~~~")

Span = tuple[int, int]
"""Where a part begins and ends in its text, in characters."""


def passages(text: str) -> list[Span]:
    """Return the passages of `text`, in order, at least one; each begins where the one before it ends."""
    if size(text) <= MOST:
        return [(0, len(text))]
    result: list[Span] = []
    filled, is_ascii = 0.0, text.isascii()
    for start, end in units(text):
        words = (end - start) / LETTERS if is_ascii else size(text[start:end])
        parts = _cut(text, start, end) if words > 1.5 * MOST else ((start, end),)
        for begin, stop in parts:
            if len(parts) > 1:
                words = size(text[begin:stop])
            if result and filled + words <= MOST:
                result[-1] = (result[-1][0], stop)
                filled += words
            else:
                result.append((begin, stop))
                filled = words
    return result


def passage_at(text: str, start: int) -> int:
    """Return the number of the passage of `text` that begins at `start` or holds it."""
    # The first one needs no look at the text.
    return sum(begin <= start for begin, _ in passages(text)) - 1 if start > 0 else 0


def size(text: str) -> float:
    """Return about how many words `text` has, in any script."""
    signs = 0 if text.isascii() else len(_UNSPACED.findall(text))
    return (len(text) - signs) / LETTERS + signs / SIGNS


def units(text: str) -> Iterator[Span]:
    """Yield the units of a text: sentences, lines and blocks of code; each begins where the one before it ends."""
    start = position = 0
    code = ""
    for line in text.splitlines(keepends=True):
        position += len(line)
        mark = line.lstrip()[:3]
        if code:
            if mark != code:
                continue
            code = ""
        elif mark in _FENCE:
            code = mark
            continue
        elif not line.isspace() and not (_ITEM.match(line) and size(line) <= MOST):
            begin = position - len(line)
            for match in _END.finditer(line):
                if begin + match.end() < position:
                    yield start, begin + match.end()
                    start = begin + match.end()
        if not line.isspace() and start < position:
            yield start, position
            start = position
    if start < len(text):
        yield start, len(text)


def _cut(text: str, start: int, end: int) -> list[Span]:
    """Return parts of a long unit, cut at white space where there is some."""
    parts: list[Span] = []
    length = int(MOST * (SIGNS if size(text[start:end]) * LETTERS > 1.5 * (end - start) else LETTERS))
    while end - start > length:
        stop = max(
            text.rfind(" ", start + length // 2, start + length), text.rfind("\n", start + length // 2, start + length)
        )
        stop = stop + 1 if stop >= 0 else start + length
        parts.append((start, stop))
        start = stop
    if start < end:
        parts.append((start, end))
    return parts
