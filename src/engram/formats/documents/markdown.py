"""Reads Markdown (CommonMark with tables), and the title and date of its front matter.

Owns which parts of the source are blocks. They stay as they are in the source, but for headings, which become plain
text, and for HTML, which is read as a page. The blocks are found by markdown-it-py, in chunks, because it takes many
times as much memory as the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from engram.formats.documents import webpage
from engram.formats.documents.blocks import Block, Kind, Part, Stated
from engram.formats.items import SourceLocation

CHUNK, LONGEST_CHUNK = 128 << 10, 1 << 20
"""Characters from which a chunk ends at the next line that can part blocks, and at the next line of any kind."""
LONGEST_INFO = 100
"""Characters that name the language of code; the rest is left out."""
LONGEST_HEADING = 300
"""Characters of a heading whose marks are read; those of a longer one stay."""
SHOWN = {"softbreak": " ", "hardbreak": " "}
"""What stands for parts of a heading that are no text."""
MOST_FRONT_LINES = 200
"""Lines within which front matter ends."""

_FRONT_LINE = re.compile(r"[\w\"'][^:\n]{0,100}+:(?:[ \t]|$)|[ \t#]|[-\]}]|$")
"""A line of front matter: a key, or what belongs to the key before it."""
_FIELD = re.compile(r"(title|date)[ \t]*+:[ \t]++(.*)", re.IGNORECASE)
_COMMENT = re.compile(r"(?<=[ \t])#.*")
_FENCE = re.compile(r"[ \t>]*+(?:(?:[-*+]|\d{1,9}+[.)])[ \t]++)?+(`{3,}+|~{3,}+)(.*)")


def front_matter(text: str) -> tuple[Stated, int]:
    """Return what the front matter of a document states, and where the text after it begins: 0 if there is none."""
    lines = text[: 256 * MOST_FRONT_LINES].splitlines(keepends=True)[:MOST_FRONT_LINES]
    if not lines or lines[0].rstrip() != "---":
        return Stated(), 0
    fields: dict[str, str] = {}
    length, keys = len(lines[0]), 0
    for line in lines[1:]:
        length += len(line)
        if line.rstrip() in ("---", "..."):
            # Without a key, the lines between two rules are text.
            return (Stated(fields.get("title", ""), fields.get("date", "")), length) if keys else (Stated(), 0)
        match = _FRONT_LINE.match(line)
        if match is None:
            break
        keys += match[0].endswith((":", ": ", ":\t"))
        match = _FIELD.match(line)
        if match is not None:
            fields.setdefault(match[1].lower(), _scalar(match[2].strip()))
    return Stated(), 0


def parts(text: str, location: SourceLocation, progress: Callable[[float], None]) -> Iterator[Part]:
    """Yield the parts of a document. progress: is told which part of the text was read, 0 to 1."""
    text = text.replace("\0", "\ufffd")
    stated, start = front_matter(text)
    yield stated
    line = 1 + text.count("\n", 0, start)
    for chunk in chunks(text[start:]):
        yield from _blocks(chunk, line, location)
        line += chunk.count("\n")
        start += len(chunk)
        progress(start / len(text))


def chunks(text: str) -> Iterator[str]:
    """Yield a text in parts that make it up: they end at empty lines outside of code, if there are any."""
    fence = ""
    begin = position = 0
    while position < len(text):
        end = text.find("\n", position) + 1 or len(text)
        # A fence is at the start of its line, so that a long line is not copied.
        line = text[position : min(end, position + 256)]
        match = _FENCE.match(line)
        if match is not None:
            fence = _fence_after(fence, match[1], match[2].strip())
        length = end - begin
        apart = not line.strip() and not fence and text[end : end + 1] not in (" ", "\t")
        if (length >= CHUNK and apart) or length >= LONGEST_CHUNK:
            yield text[begin:end]
            begin, fence = end, ""
        position = end
    if begin < len(text):
        yield text[begin:]


def _fence_after(fence: str, mark: str, rest: str) -> str:
    """Return the fence that is open after a line with the fence `mark`, if `fence` ("" for none) was open before it."""
    if not fence:
        return "" if mark[0] == "`" and "`" in rest else mark
    return "" if mark.startswith(fence) and not rest else fence


@cache
def _parser() -> MarkdownIt:
    # References are left as they are: their rule is of no use for blocks.
    return MarkdownIt("commonmark").enable("table").disable("reference")


def _blocks(text: str, first: int, location: SourceLocation) -> Iterator[Part]:
    """Yield the blocks of a chunk, whose first line has the number `first`."""
    tokens: list[Token] = []
    parser = _parser()
    parser.block.parse(text, parser, {}, tokens)
    reader = _ChunkReader(text.split("\n"), first, location)
    end = 0
    for number, token in enumerate(tokens):
        # Of each block at the top, the first token; a list and a table are read from the tokens inside.
        if number >= end and token.map is not None:
            end = _end_of(tokens, number)
            yield from reader.block(tokens[number:end])


def _end_of(tokens: list[Token], start: int) -> int:
    """Return the end of the block whose first token is at `start`."""
    depth = 0
    for number in range(start, len(tokens)):
        depth += tokens[number].nesting
        if depth <= 0:
            return number + 1
    return len(tokens)


class _ChunkReader:
    """Makes blocks of tokens and of the lines of their chunk."""

    def __init__(self, lines: list[str], first: int, location: SourceLocation) -> None:
        self._lines = lines
        self._first = first
        self._location = location

    def block(self, tokens: list[Token]) -> Iterator[Part]:
        """Yield the parts of one block at the top."""
        opening = tokens[0]
        start, end = opening.map or (0, 0)
        place = self._first + start
        match opening.type:
            case "heading_open":
                yield Block("heading", plain(tokens[1].content), place, int(opening.tag[1]))
            case "fence":
                yield from _code(opening.content, opening.markup + opening.info.strip()[:LONGEST_INFO], place)
            case "code_block":
                yield from _code(opening.content, "", place)
            case "html_block":
                yield from webpage.fragment_parts(opening.content, self._location, place)
            case "table_open":
                yield from self._rows(start, end)
            case "bullet_list_open" | "ordered_list_open":
                starts = [token.map[0] for token in tokens if token.type == "list_item_open" and token.map]
                yield from self._runs("item", sorted({start, *starts}), end)
            case "blockquote_open":
                empty = [n + 1 for n in range(start, end) if not self._lines[n].strip(" \t>")]
                yield from self._runs("text", [start, *empty], end)
            case "hr":
                return
            case _:
                yield from self._runs("text", [start], end)

    def _runs(self, kind: Kind, starts: list[int], end: int) -> Iterator[Block]:
        """Yield the lines from each start to the next one as a block."""
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            text = "\n".join(self._lines[start:stop]).strip("\n").rstrip()
            if text.strip(" \t>"):
                yield Block(kind, text, self._first + start)

    def _rows(self, start: int, end: int) -> Iterator[Block]:
        header = "\n".join(self._lines[start : start + 2])
        yield Block("row", header, self._first + start)
        for number in range(start + 2, end):
            if self._lines[number].strip():
                yield Block("row", self._lines[number].rstrip(), self._first + number, frame=header)


def _code(content: str, opening: str, place: int) -> Iterator[Block]:
    code = content.strip("\n").rstrip()
    if code:
        yield Block("code", code, place, frame=opening or webpage.fence_for(code))


def plain(heading: str) -> str:
    """Return a heading without the marks of Markdown, images and HTML."""
    if heading.endswith("}") and "{#" in heading:
        # The name of the heading, for links.
        heading = heading[: heading.rindex("{#")].rstrip()
    if len(heading) > LONGEST_HEADING:
        return heading
    inline = _parser().parseInline(heading)[0].children or []
    return "".join(
        SHOWN.get(token.type, token.content if token.type in ("text", "code_inline") else "") for token in inline
    )


def _scalar(text: str) -> str:
    """Return the text of a simple value of YAML."""
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    return _COMMENT.sub("", text).strip()
