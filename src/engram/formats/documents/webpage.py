"""Reads HTML: the text of a page in blocks.

Owns what the elements of a page mean for its text: headings, items of lists, rows of tables, code and paragraphs. Which
elements are read at all is decided in `elements`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from engram.formats.documents.blocks import Block, Part, Stated
from engram.formats.documents.elements import BLOCKS, HEADINGS, OpenElements, has_main
from engram.formats.documents.tags import Token, Unclosed, tokens
from engram.formats.items import Problem, Skipped, SourceLocation

_BACKTICKS = re.compile("`{3,}+")
BREAK = "\0"
"""Stands for a line break in the text of a block, which holds no NUL itself."""
DEEPEST = 8
"""Lists inside each other of which the items are indented."""
OF_TABLES = frozenset("table thead tbody tfoot tr td th caption".split())
ANCHORS = "\u00a7\u00b6\U0001f517 "
"""Signs of links to a heading, which stand beside it."""
LEFT_OUT = "is around the text of a page: navigation, a footer, a form, or hidden"
NOT_MAIN = "is outside of the main part of a page"
REPORTED = 1_000
"""Tokens after which progress is reported."""


def page_parts(page: str, location: SourceLocation, progress: Callable[[float], None]) -> Iterator[Part]:
    """Yield the parts of a page. If it marks its main part, only that is read.

    progress: is told which part of the page was read, 0 to 1.
    """
    main_only = has_main(page)
    reader = _PageReader(OpenElements(main_only=main_only))
    yield from _parts(page, location, reader, 1, progress)
    if main_only:
        yield Skipped(location, NOT_MAIN)


def fragment_parts(fragment: str, location: SourceLocation, first: int) -> Iterator[Part]:
    """Yield the parts of HTML inside of another document, on whose line `first` it begins."""
    return _parts(fragment, location, _PageReader(OpenElements(), titled=True), first, lambda _: None)


def _parts(
    page: str, location: SourceLocation, reader: _PageReader, line: int, progress: Callable[[float], None]
) -> Iterator[Part]:
    counted = 0
    try:
        for number, token in enumerate(tokens(page)):
            line += page.count("\n", counted, token.position)
            counted = token.position
            yield from reader.token(token, line)
            if number % REPORTED == 0:
                progress(token.position / len(page))
    except Unclosed as end:
        where = replace(location, line=line + page.count("\n", counted, end.position))
        yield Problem(where, f"{end}, which begins here, does not end, so that nothing after it was read")
    yield from reader.end()
    yield from (Skipped(location, LEFT_OUT) for _ in range(reader.opened.left_out))


def fence_for(code: str) -> str:
    """Return a fence that code does not hold."""
    return "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(code)), default=0))


class _Table:
    """An open table."""

    def __init__(self) -> None:
        self.cells: list[list[str]] | None = None
        """The texts in each cell of the open row; None outside of rows, and always if the table only lays out."""
        self.all_headings = True
        """Whether all cells of the row are headings."""
        self.header = ""
        self.lays_out = False

    def begin(self, *, heading: bool | None = None) -> None:
        """Begin a row, or a cell in it: a heading or not."""
        if self.lays_out:
            return
        if self.cells is None or heading is None:
            self.cells, self.all_headings = [], True
        if heading is not None:
            self.cells.append([])
            self.all_headings &= heading

    def take(self, text: str) -> None:
        """Add a text to the last cell."""
        if self.cells is not None:
            if not self.cells:
                self.begin(heading=False)
            self.cells[-1].append(text)

    def row(self, line: int) -> Iterator[Block]:
        """Yield the open row, which ends: one cell alone as a text, and a first row of headings as the header."""
        cells = [" ".join(texts) for texts in self.cells or ()]
        self.cells = None
        if not any(cells):
            return
        text = f"| {' | '.join(cells)} |"
        if len(cells) == 1:
            yield Block("text", cells[0], line)
        elif self.all_headings and not self.header:
            self.header = f"{text}\n|{'---|' * len(cells)}"
            yield Block("row", self.header, line)
        else:
            yield Block("row", text, line, frame=self.header)

    def lay_out(self, line: int) -> Iterator[Block]:
        """Take the table for one that lays out a page: yield what its cells hold, which are no cells any more."""
        self.lays_out = True
        for texts in self.cells or ():
            yield from (Block("text", text, line) for text in texts)
        self.cells = None


class _PageReader:
    """Makes blocks of the tokens of a page."""

    def __init__(self, opened: OpenElements, *, titled: bool = False) -> None:
        """titled: whether a title is known, so that none is read."""
        self.opened = opened
        self._titled = titled
        self._in_title = False
        self._text: list[str] = []
        """The text of the block so far."""
        self._line = 1
        """Where it begins."""
        self._code = 0
        self._heading = 0
        self._marker = ""
        """What begins the next block, if that is an item of a list."""
        self._lists: list[int | None] = []
        """The number of the last item of each open list; None for one without numbers."""
        self._tables: list[_Table] = []

    def token(self, token: Token, line: int) -> Iterator[Part]:
        """Take in a token; yield the parts that it completes."""
        if not token.name:
            if self._in_title:
                if not self._titled and not self.opened.hides:
                    self._titled = True
                    yield Stated(" ".join(token.text.split()), of_site=True)
            elif not self.opened.skips:
                self._take(token.text, line)
            return
        reads = not self.opened.skips
        self._in_title = token.name == "title" and not token.closes
        if reads and token.name in BLOCKS:
            yield from self._boundary(token)
        self.opened.tag(token)
        if reads and not self.opened.skips:
            yield from self._apply(token, line)

    def end(self) -> Iterator[Block]:
        """Yield what is left."""
        yield from self._flush()
        while self._tables:
            yield from self._tables.pop().row(self._line)

    def _take(self, text: str, line: int) -> None:
        if not self._text:
            if text.isspace() and not self._code:
                return
            self._line = line + text[: len(text) - len(text.lstrip())].count("\n")
        self._text.append(text)

    def _boundary(self, token: Token) -> Iterator[Block]:
        """End the block before a tag; inside of code, a line."""
        if self._code and token.name != "pre":
            if token.closes and self._text and not self._text[-1].endswith("\n"):
                self._text.append("\n")
            return
        yield from self._flush()

    def _apply(self, token: Token, line: int) -> Iterator[Block]:
        """Take in what a tag means for the blocks after it."""
        name, closes = token.name, token.closes
        if name in HEADINGS:
            yield from self._lay_out(line)
            self._heading = 0 if closes else HEADINGS[name]
        elif name == "pre":
            self._code = max(0, self._code + (-1 if closes else 1))
        elif name == "br":
            self._text.append("\n" if self._code else BREAK)
        elif name in ("ul", "ol"):
            if not closes:
                self._lists.append(0 if name == "ol" else None)
            elif self._lists:
                self._lists.pop()
        elif name == "li":
            self._marker = "" if closes else self._next_marker()
        elif name in OF_TABLES:
            yield from self._table_tag(token, line)

    def _next_marker(self) -> str:
        if not self._lists:
            return "- "
        last = self._lists[-1]
        indent = "  " * (min(len(self._lists), DEEPEST) - 1)
        if last is None:
            return f"{indent}- "
        self._lists[-1] = last + 1
        return f"{indent}{last + 1}. "

    def _table_tag(self, token: Token, line: int) -> Iterator[Block]:
        name, closes = token.name, token.closes
        if name == "table" and not closes:
            yield from self._lay_out(line)
            self._tables.append(_Table())
        elif self._tables:
            table = self._tables[-1]
            if name not in ("td", "th"):
                yield from table.row(line)
            if name == "table":
                self._tables.pop()
            elif name == "tr" and not closes:
                table.begin()
            elif name in ("td", "th") and not closes:
                table.begin(heading=name == "th")

    def _lay_out(self, line: int) -> Iterator[Block]:
        """Take the open table for one that lays out the page, if what follows stands in one of its cells."""
        if self._tables and self._tables[-1].cells:
            yield from self._tables[-1].lay_out(line)

    def _flush(self) -> Iterator[Block]:
        """Yield the block whose text was collected, if there is text; in a cell, add the text to the cell."""
        if not self._text:
            return
        raw = "".join(self._text)
        self._text = []
        in_row = bool(self._tables) and self._tables[-1].cells is not None
        if self._code and not in_row:
            code = raw.strip("\n").rstrip()
            if code.strip():
                yield Block("code", code, self._line, frame=fence_for(code))
            return
        text = "\n".join(filter(None, (" ".join(part.split()) for part in raw.split(BREAK))))
        if not text or (self.opened.in_header and not self._heading):
            return
        if in_row:
            self._tables[-1].take(self._marker.lstrip() + text.replace("\n", " "))
        elif self._heading:
            yield Block("heading", text.strip(ANCHORS).removesuffix(" #"), self._line, self._heading)
        else:
            yield Block("item" if self._marker else "text", self._marker + text, self._line)
        self._marker, self._heading = "", 0
