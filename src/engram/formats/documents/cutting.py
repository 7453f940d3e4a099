"""Cuts the blocks of a document into passages.

Owns the size of passages and the places of the cuts. A passage ends at a heading, and otherwise between two blocks;
only a block that is longer than a passage is cut, between its sentences or lines. Where a passage ends depends on the
text before the cut and not on its position, so that after an edit the passages further down are the same as before.
Takes time in proportion to the text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from engram.formats.documents.blocks import Block, Kind, Part, Stated, fenced
from engram.formats.items import Problem, Remark, Skipped
from engram.text.passages import LETTERS, SIGNS, size

LEAST, MOST = 150.0, 370.0
"""Words from which a passage may end, and up to which it grows, its headings included."""
SMALL, LARGEST = 50.0, 390.0
"""Words up to which the rest of a section is added to the passage before it, and words of both together."""
PART = 200.0
"""Words of a part of code that is longer than a passage."""
LEAST_ROOM = 150.0
"""Words of a passage that its headings leave to the text."""
ONE_IN, ONE_SENTENCE_IN = 3, 6
"""How often a passage that may end does end: behind a paragraph, and behind a sentence, an item, a row or a line.
Measured in docs/LOG.md."""
LONGEST_HEADING = 200
"""Characters of a heading that begin its passages; a longer one is text of its section, too."""
BETWEEN = " > "
"""What stands between two headings."""

WRAPPED, LONGEST_WRAPPED = 0.7, 120
"""Of a text whose line breaks mean nothing: length of the average line as a share of the longest, and that one's most
characters."""

_SENTENCE_END = re.compile(
    "[.!?\u2026\u061f\u06d4\u0964][\"')\\]\u201d\u2019\u00bb]{0,3}+\\s++(?![a-z])"
    "|[\u3002\uff01\uff1f][\u201d\u2019\u300d\u300f\uff09]{0,3}+"
)
_ABBREVIATION = re.compile(r"(?<!\w)(?:\w|Dr|Mr|Mrs|Ms|St|Nr|No|Prof|vs|cf|Fig|Abb|bzw|ca|al)$")
_WORD = re.compile(r"\w+")
_LINE_END = re.compile(r"\n+")
_GAPS: dict[Kind, str] = {"text": "\n\n", "code": "\n\n", "item": "\n", "row": "\n"}


class Unit(NamedTuple):
    """What is not cut any more."""

    text: str
    words: float
    gap: str
    """What stands between it and the unit before it: nothing if both are of one paragraph."""
    place: int
    lead: str = ""
    """What is put in front of it where it begins a passage: the header of its table."""


class Passage(NamedTuple):
    """A passage of a document: its headings, and text."""

    text: str
    headings: tuple[str, ...]
    place: int
    last_place: int
    """Where its last unit begins."""


def passages(parts: Iterable[Part], name: str) -> Iterator[Passage | Stated | Problem | Skipped | Remark]:
    """Yield the passages of a document; what is no block is passed on.

    name: heads the passages of a document that has neither headings nor a title.
    """
    cutter = _Cutter(name)
    for part in parts:
        if isinstance(part, Block):
            yield from cutter.add(part)
        else:
            if isinstance(part, Stated):
                cutter.state(part)
            yield part
    yield from cutter.end()


class _Cutter:
    """Collects units until they make a passage."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stated = Stated()
        self._path: list[tuple[int, str]] = []
        self._bare: int | None = None
        """The place of the last heading, if no text came after it."""
        self._held: list[Unit] = []
        """A passage that is complete unless the section ends with a small rest."""
        self._units: list[Unit] = []
        self._filled = 0.0
        self._last: Kind = "heading"
        self._headings, self._room = self._head()

    def state(self, stated: Stated) -> None:
        """Take in the title of the document."""
        self._stated = replace(stated, title=shortened(stated.title))
        self._headings, self._room = self._head()

    def add(self, block: Block) -> Iterator[Passage]:
        """Add a block; yield the passages that it completes."""
        if block.kind == "heading":
            yield from self._heading(block)
            return
        self._bare = None
        for unit in units(block, self._room, self._last):
            yield from self._put(unit)
        self._last = block.kind

    def end(self) -> Iterator[Passage]:
        """Yield what is left of the section."""
        rest, held = (sum(unit.words for unit in group) for group in (self._units, self._held))
        if self._held and rest < SMALL and rest + held <= self._room + LARGEST - MOST:
            self._held, self._units = self._held + self._units, []
        for group in (self._held, self._units):
            if group:
                yield self._passage(group)
        if self._bare is not None:
            yield Passage(BETWEEN.join(self._headings), self._headings, self._bare, self._bare)
        self._held, self._units, self._filled, self._bare = [], [], 0.0, None

    def _heading(self, block: Block) -> Iterator[Passage]:
        text = " ".join(block.text.split())
        if self._bare is not None and block.level > self._path[-1][0]:
            # The heading of a part: its text begins below this one.
            self._bare = None
        yield from self.end()
        while self._path and self._path[-1][0] >= block.level:
            self._path.pop()
        if text:
            self._path.append((block.level, shortened(text)))
            self._bare = block.place
        self._headings, self._room = self._head()
        self._last = "heading"
        if len(text) > LONGEST_HEADING:
            yield from self.add(Block("text", text, block.place))

    def _head(self) -> tuple[tuple[str, ...], float]:
        """Return the headings of the next passage, and the words that they leave to the text."""
        headings = tuple(text for _, text in self._path)
        title = self._stated.title
        if title and not (headings and (_same(title, headings[0]) or (self._stated.of_site and self._path[0][0] == 1))):
            headings = (title, *headings)
        headings = headings or (self._name,)
        return headings, max(LEAST_ROOM, MOST - words_of(BETWEEN.join(headings)))

    def _put(self, unit: Unit) -> Iterator[Passage]:
        if self._units and (self._filled + unit.words > self._room or self._may_end(unit)):
            if self._held:
                yield self._passage(self._held)
            self._held, self._units, self._filled = self._units, [], words_of(unit.lead) if unit.lead else 0.0
        self._units.append(unit)
        self._filled += unit.words

    def _may_end(self, following: Unit) -> bool:
        if self._filled < min(LEAST, 0.8 * self._room):
            return False
        share = ONE_IN if following.gap == "\n\n" else ONE_SENTENCE_IN
        return zlib.crc32(self._units[-1].text.strip().encode(errors="replace")) % share == 0

    def _passage(self, group: list[Unit]) -> Passage:
        first = group[0]
        body = (f"{first.lead}\n" if first.lead else "") + first.text
        body += "".join(unit.gap + unit.text for unit in group[1:])
        text = f"{BETWEEN.join(self._headings)}\n{body.strip(chr(10)).rstrip()}"
        return Passage(text, self._headings, first.place, group[-1].place)


def units(block: Block, room: float, before: Kind) -> Iterator[Unit]:
    """Yield the units of a block. room: words up to which it stays whole. before: the kind of the block before it."""
    gap = _GAPS[block.kind] if block.kind == before or block.kind == "item" else "\n\n"
    if block.kind == "code":
        for part in _code_parts(block.text, room):
            text = fenced(part, block.frame)
            yield Unit(text, words_of(text), gap, block.place)
        return
    lead = block.frame if words_of(block.frame) <= SMALL else ""
    words = words_of(block.text)
    if words <= room:
        yield Unit(block.text, words, gap, block.place, lead)
        return
    for part in pieces(block.text, room):
        if not part.isspace():
            yield Unit(part, words_of(part), gap, block.place, lead)
            gap, lead = "", ""


def _code_parts(code: str, room: float) -> Iterator[str]:
    """Yield code in parts of whole lines; a line that is too long is cut."""
    if words_of(code) <= room:
        yield code
        return
    part: list[str] = []
    filled = 0.0
    for line in code.split("\n"):
        for piece in _cut(line, room) if words_of(line) > room else (line,):
            words = words_of(piece)
            if part and filled + words > PART:
                yield "\n".join(part)
                part, filled = [], 0.0
            part.append(piece)
            filled += words
    if part:
        yield "\n".join(part)


def pieces(text: str, most: float) -> Iterator[str]:
    """Yield `text` in parts that make it up: sentences, or lines if these are no longer; parts of a longer one."""
    ends = {match.end() for match in _SENTENCE_END.finditer(text) if not _abbreviated(text, match)}
    if not is_wrapped(text.split("\n")):
        ends.update(match.end() for match in _LINE_END.finditer(text))
    for start, end in pairwise([0, *sorted(ends - {0, len(text)}), len(text)]):
        part = text[start:end]
        if words_of(part) <= most:
            yield part
        else:
            yield from _cut(part, most)


def is_wrapped(lines: list[str]) -> bool:
    """Return whether the breaks between lines are those of a narrow page, and do not end anything."""
    longest = max(map(len, lines))
    if len(lines) < 3 or longest > LONGEST_WRAPPED:
        return False
    return sum(map(len, lines[:-1])) >= WRAPPED * longest * (len(lines) - 1)


def ends_sentence(text: str) -> bool:
    """Return whether a text ends where a sentence does."""
    return _SENTENCE_END.search(text[-5:].rstrip() + " ") is not None


def words_of(text: str) -> float:
    """Return about how many words `text` has, in any script; of short words at least as many as there are."""
    return max(size(text), float(len(text.split())))


def shortened(heading: str) -> str:
    """Return a heading as it begins its passages."""
    heading = " ".join(heading.split())
    if len(heading) <= LONGEST_HEADING:
        return heading
    beginning = heading[:LONGEST_HEADING]
    return (beginning.rpartition(" ")[0] or beginning) + " \u2026"


def _abbreviated(text: str, end: re.Match[str]) -> bool:
    return end[0][0] == "." and _ABBREVIATION.search(text[max(0, end.start() - 5) : end.start()]) is not None


def _same(title: str, heading: str) -> bool:
    """Return whether one of two names holds the words of the other, without regard to signs and case."""
    first, second = (f" {' '.join(_WORD.findall(name.casefold()))} " for name in (title, heading))
    return first in second or second in first


def _cut(text: str, most: float) -> Iterator[str]:
    """Yield parts of a text that has no better place for a cut, cut at white space where there is some."""
    length = int(
        most * (SIGNS if size(text) * LETTERS > 1.5 * len(text) else min(LETTERS, len(text) / max(1.0, words_of(text))))
    )
    length = max(1, length)
    start = 0
    while len(text) - start > length:
        stop = max(text.rfind(white, start + length // 2, start + length) for white in " \n\t") + 1
        stop = stop or start + length
        yield text[start:stop]
        start = stop
    yield text[start:]
