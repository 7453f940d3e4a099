"""Sentences: the parts of a turn that can be statements of who wrote it.

Owns which parts of a text its writer says. What a message quotes or pastes (quoted lines, mails, code, tables, lists
of headers) is somebody else's. Pure functions in time proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engram.text.passages import Span, goes_on, passages, size, units

LONGEST = 60.0
"""Words of a sentence above which it is cut like a passage."""
MOST = 64
"""Sentences of a turn that are read, from its beginning."""
READ = 65_536
"""Characters of a turn that are read."""

_ASIDE = ("```", "~~~", ">", "|")
"""How code, quoted lines and rows of tables begin."""
_HEADS = (
    "from to cc subject date sent re fwd von an betreff gesendet de para asunto objet oggetto onderwerp van temat od"
    " тема от 主题 主旨 发件人 件名"
).split()
_HEADER = re.compile(rf"\s{{0,8}}(?:{'|'.join(_HEADS)})\s?[:：]\s?\S", re.IGNORECASE)
"""A line of the head of a mail."""
_SALUTATIONS = (
    "dear liebe lieber cher chère estimado estimada querido querida gentile caro cara beste geachte szanowny szanowna"
    " drogi droga prezado prezada уважаемый уважаемая sayın 尊敬的 敬愛的 拝啓"
).split()
_SALUTATION = re.compile(
    rf"\s{{0,8}}[\"'“«„]?(?:sehr geehrte|{'|'.join(_SALUTATIONS)})[^.!?\n]{{0,80}}[,:!，：]?\s*$", re.IGNORECASE
)
"""The first line of a letter."""
_LETTER = re.compile(r"[^\W\d_]")


def statements_of(text: str) -> list[Span]:
    """Return where the sentences begin and end that the writer of `text` says, in characters, in their order.

    What follows a head of a mail or a salutation is taken for pasted, unless the text begins with it.
    """
    found: list[Span] = []
    for start, end in units(text[:READ]):
        begin, stop = _trimmed(text, start, end)
        part = text[begin:stop]
        if _HEADER.match(part) or (found and _SALUTATION.match(part)):
            break
        if not _LETTER.search(part) or part.startswith(_ASIDE):
            continue
        if found and goes_on(text[slice(*found[-1])]):
            found[-1] = (found[-1][0], stop)
            continue
        found += _cut(text, begin, stop)
        if len(found) >= MOST:
            break
    return found[:MOST]


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _cut(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the parts of a sentence: itself, unless it is very long."""
    if size(text[start:end]) <= LONGEST:
        yield start, end
        return
    for begin, stop in passages(text[start:end]):
        span = _trimmed(text, start + begin, start + stop)
        if span[0] < span[1]:
            yield span
