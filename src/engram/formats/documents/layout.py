"""Makes blocks of the lines of pages, as a PDF holds them: without paragraphs.

Owns what the lines of a page are: paragraphs, items, headings that the outline names, and what stands at the top and at
the bottom of every page and is no text. Does not know the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from engram.formats.documents.blocks import Block
from engram.formats.documents.cutting import ends_sentence
from engram.formats.documents.plain import ITEM

EDGE = 2
"""Lines at the top and at the bottom of a page that can be the same on other pages."""
LEAST_REPEATED, REPEATED, LEAST_NUMBERED = 3, 0.4, 2
"""Pages, and share of them, from which a line at the edge is the head or the foot of a page; and pages if the number of
the page is in the line."""
LONGEST_EDGE = 300
"""Characters of a line in which the number of the page is looked for."""
SHORT, NARROW = 0.75, 30
"""Share of the length of the page's long lines, and characters, under which a line ends its paragraph."""
LONGEST_JOINED = 20_000
"""Characters up to which a paragraph can go on on the next page."""

_NUMBERS = re.compile(r"(?<![0-9])[0-9]{1,5}+(?![0-9])")
_LEADS = re.compile(r"\u2026 ?[0-9]{1,5}+$")
_LEADERS = re.compile(r"\.(?: ?\.){3,}+")
_NUMBER = re.compile(
    r"(?:(?:chapter|appendix|section)\s++)?+(?:[0-9]{1,4}+|[A-Z])(?:\.[0-9]{1,4}+)*+[.:)]?+\s++", re.IGNORECASE
)
_HYPHEN = re.compile(r"[^\W\d_][-\u00ad\u2010]$")


class Entry(NamedTuple):
    """A heading that the outline names."""

    level: int
    title: str


class Page(NamedTuple):
    """A page: its number in the file, from 1, and its lines without white space at their ends."""

    number: int
    lines: list[str]


def page_of(number: int, text: str) -> Page:
    """Return the page with this text."""
    return Page(number, [line.strip() for line in _LEADERS.sub("\u2026", text).split("\n")])


def blocks(pages: Sequence[Page], outline: Mapping[int, list[Entry]]) -> Iterator[Block]:
    """Yield the blocks of all pages. outline: the headings on each page, by its number."""
    return _joined(_blocks(pages, outline))


def _blocks(pages: Sequence[Page], outline: Mapping[int, list[Entry]]) -> Iterator[Block]:
    """Yield the blocks of all pages."""
    edges = _Edges(pages)
    for page in pages:
        yield from _page_blocks(edges.without(page), page.number, outline.get(page.number, []))


class _Edges:
    """What stands at the top and at the bottom of the pages of a document, and is no text of them."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._offset = _offset(pages)
        self._least = max(LEAST_REPEATED, REPEATED * len(pages))
        self._counts: Counter[str] = Counter()
        """On how many pages a line stands at an edge, with "#" in place of the number of its page."""
        for page in pages:
            self._counts.update({self._key(line, page.number) for line in _edges(page)})

    def without(self, page: Page) -> list[str]:
        """Return the lines of a page without its head and foot."""
        kept = list(page.lines)
        for position in (0, -1):
            removed = 0
            while kept and removed < EDGE and (not kept[position] or self._is_edge(kept[position], page.number)):
                removed += bool(kept.pop(position))
        return kept

    def _is_edge(self, line: str, page: int) -> bool:
        key = self._key(line, page)
        count = self._counts[key]
        return key == "#" or count >= self._least or ("#" in key and count >= LEAST_NUMBERED)

    def _key(self, line: str, page: int) -> str:
        if self._offset is not None:
            number = str(page + self._offset)
            for match in _NUMBERS.finditer(line[:LONGEST_EDGE]):
                if match[0] == number:
                    return f"{line[: match.start()]}#{line[match.end() :]}"
        return line


def _edges(page: Page) -> set[str]:
    """Return the lines at the top and at the bottom of a page."""
    lines = [line for line in page.lines if line]
    return {*lines[:EDGE], *lines[-EDGE:]}


def _offset(pages: Sequence[Page]) -> int | None:
    """Return the printed number of a page less its number in the file; None if the pages have no numbers."""
    counts: Counter[int] = Counter()
    for page in pages:
        found = {int(number) for line in _edges(page) for number in _NUMBERS.findall(line[:LONGEST_EDGE])}
        counts.update({number - page.number for number in found})
    offset, count = max(counts.items(), key=lambda pair: pair[1], default=(0, 0))
    return offset if count >= LEAST_REPEATED else None


def _page_blocks(lines: list[str], page: int, entries: list[Entry]) -> Iterator[Block]:
    """Yield the blocks of one page. entries: the headings on it, in order."""
    headings = _Headings(lines, entries)
    yield from headings.without_line(page)
    lengths = sorted(len(line) for line in lines if line)
    short = max(NARROW, SHORT * lengths[len(lengths) * 9 // 10] if lengths else 0.0)
    paragraph: list[str] = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if headings.begins(line):
            yield from _paragraph(paragraph, page)
            paragraph = []
            yield from headings.next(page)
            continue
        if not line or ITEM.match(line):
            yield from _paragraph(paragraph, page)
            paragraph = []
        if line:
            paragraph.append(line)
        ends = len(line) < short and (ends_sentence(line) or not following[:1].islower())
        if ends or _LEADS.search(line[-8:]):
            yield from _paragraph(paragraph, page)
            paragraph = []
    yield from _paragraph(paragraph, page)


class _Headings:
    """The headings of one page, to be found among its lines."""

    def __init__(self, lines: list[str], entries: list[Entry]) -> None:
        known = {_letters(line) for line in lines}
        self._left = [entry for entry in entries if _letters(entry.title)]
        self._lines = [_letters(entry.title) if _letters(entry.title) in known else "" for entry in self._left]
        """For each heading that is left the line that it stands on; "" for one that has no line of its own."""

    def begins(self, line: str) -> bool:
        """Return whether a line is the next heading."""
        return bool(self._lines) and _letters(line) == self._lines[0]

    def next(self, page: int) -> Iterator[Block]:
        """Yield the next heading, and those behind it that have no line."""
        yield self._taken(page)
        yield from self.without_line(page)

    def without_line(self, page: int) -> Iterator[Block]:
        """Yield the next headings as far as they have no line."""
        while self._lines and not self._lines[0]:
            yield self._taken(page)

    def _taken(self, page: int) -> Block:
        self._lines.pop(0)
        entry = self._left.pop(0)
        return Block("heading", entry.title, page, entry.level)


def _letters(heading: str) -> str:
    """Return the letters and digits of a heading behind its number, which are compared."""
    number = _NUMBER.match(heading)
    return "".join(filter(str.isalnum, heading[number.end() if number else 0 :].casefold()))


def _paragraph(lines: list[str], page: int) -> Iterator[Block]:
    """Yield lines as one block: joined, without hyphens at their ends. A single line can be a row, and stays close."""
    if not lines:
        return
    text = lines[0]
    pieces = []
    for line in lines[1:]:
        joined = line[:1].islower() and _HYPHEN.search(text[-2:]) is not None
        pieces.append(text[:-1] if joined else text + " ")
        text = line
    text = "".join([*pieces, text])
    yield Block("item" if len(lines) == 1 or ITEM.match(text) else "text", text, page)


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield blocks; a paragraph that goes on on the next page is one."""
    held: Block | None = None
    for block in blocks:
        if held is not None and block.place == held.place + 1 and _goes_on(held, block):
            hyphen = _HYPHEN.search(held.text[-2:]) is not None
            text = held.text[:-1] + block.text if hyphen else f"{held.text} {block.text}"
            held = replace(held, text=text)
            continue
        if held is not None:
            yield held
        held = block
    if held is not None:
        yield held


def _goes_on(first: Block, second: Block) -> bool:
    paragraphs = "heading" not in (first.kind, second.kind) and len(first.text) <= LONGEST_JOINED
    return paragraphs and second.text[:1].islower() and not ends_sentence(first.text)
