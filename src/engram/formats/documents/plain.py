"""Reads plain text: paragraphs between empty lines, lists, and headings that are underlined.

Owns what these look like. The text is read line by line, so that its length does not matter, and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TextIO

from engram.formats.documents.blocks import Block

AT_ONCE = 64 << 10
"""Characters of a line that are read at once."""
LONGEST = 256 << 10
"""Characters of a paragraph from which it is cut where a sentence, a line or a word ends."""
LONGEST_TITLE = 120
"""Characters of a line that can be a heading."""
LEVELS = {"=": 1, "-": 2, "~": 3}
"""Levels of a heading by the sign that underlines it; another sign is of level 4."""

ITEM = re.compile(r"[ \t]{0,12}+(?:[-*+\u2022]|\d{1,3}[.)])[ \t]")
"""The start of an item of a list."""
_RULE = re.compile(r"([=~^\"'*+#_.-])\1{2,}+[ \t]*+$")
_LAST_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\]\u201d\u2019\u00bb]{0,3}+\s")


def blocks(stream: TextIO) -> Iterator[Block]:
    """Yield the blocks of a text."""
    lines: list[str] = []
    number, first, length = 1, 1, 0
    while chunk := stream.readline(AT_ONCE):
        chunk = chunk.replace("\0", "\ufffd")
        blank = chunk.isspace()
        if blank and (not lines or lines[-1].endswith("\n")):
            yield from paragraph(lines, first)
            lines, length = [], 0
        if not lines:
            first = number + blank
        if not blank or lines:
            lines.append(chunk)
            length += len(chunk)
        number += chunk.endswith("\n")
        if length > LONGEST:
            text, rest = _parted("".join(lines))
            yield from paragraph(text.splitlines(keepends=True), first)
            first += text.count("\n")
            lines, length = [rest] if rest else [], len(rest)
    yield from paragraph(lines, first)


def paragraph(lines: list[str], first: int) -> Iterator[Block]:
    """Yield the blocks of lines without an empty one between them, of which `first` is the number of the first."""
    heading = _heading([line.strip() for line in lines[:3]])
    if heading is not None:
        text, level, used = heading
        yield Block("heading", text, first, level)
        lines, first = lines[used:], first + used
    starts = [0, *(number for number, line in enumerate(lines) if number and ITEM.match(line)), len(lines)]
    for start, end in pairwise(starts):
        text = "".join(lines[start:end]).rstrip()
        if text and not _RULE.match(text.strip()):
            yield Block("item" if ITEM.match(text) else "text", text.strip("\n"), first + start)


def _heading(lines: list[str]) -> tuple[str, int, int] | None:
    """Return the text of a heading, its level and its number of lines, if lines begin with one."""
    over = bool(lines) and _RULE.match(lines[0]) is not None
    title, under = [*lines, "", ""][over : over + 2]
    is_title = 0 < len(title) <= LONGEST_TITLE and not _RULE.match(title)
    if not (is_title and _RULE.match(under) and 5 * len(under) >= 4 * len(title)):
        return None
    if over and lines[0][0] != under[0]:
        return None
    return title, LEVELS.get(under[0], 4), 2 + over


def _parted(text: str) -> tuple[str, str]:
    """Return a long text in two parts: the second begins behind the last sentence, line or word that ends."""
    near = len(text) - AT_ONCE
    ends = [match.end() for match in _LAST_END.finditer(text, near)]
    cut = ends[-1] if ends else max(text.rfind(white, near) for white in "\n ") + 1
    return (text[:cut], text[cut:]) if cut > 0 else (text, "")
