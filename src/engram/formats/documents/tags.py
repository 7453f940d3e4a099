"""Reads HTML as tags and texts.

Owns where a tag, a comment and a text end. Everything is read once, as the HTML standard has it, and nothing is read
again if it turns out to be broken, so that any page takes time in proportion to its length. (The standard library's
parser takes a minute for 80 KB of "<a " in Python 3.11.) Does not know what a tag means for the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

_TAG = re.compile(
    r"<(/?)([a-z][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"?+|'[^']*+'?+)?+)*+)(>?+)",
    re.IGNORECASE,
)
"""A tag: its slash, name and attributes; the last group is empty if the page ends inside."""
_COMMENT_END = re.compile(r"--!?>")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']++)(?:\s*+=\s*+(?:\"([^\"]*+)\"?+|'([^']*+)'?+|([^\s>\"']*+)))?+")
_LONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}+|x[0-9a-f]{7,}+);?+", re.IGNORECASE)
"""A reference to a character that there is not; Python does not read a number of any length."""

RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
"""Elements without elements inside, each with what ends it."""


class Token(NamedTuple):
    """A text of a page, or a tag if it has a name."""

    position: int
    text: str = ""
    name: str = ""
    """The name of the tag in lower case."""
    closes: bool = False
    attributes: str = ""
    """The attributes as they are written."""


class Unclosed(Exception):
    """The page ends inside of what began at `position`; the message says what it is."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(what)
        self.position = position


def tokens(page: str) -> Iterator[Token]:
    """Yield the tags and texts of a page. Raises `Unclosed` at its end."""
    position = 0
    while position < len(page):
        start = page.find("<", position)
        start = len(page) if start < 0 else start
        if start > position:
            yield Token(position, text_of(page[position:start]))
        if start < len(page):
            position = yield from _markup(page, start)
        else:
            position = start


def _markup(page: str, start: int) -> Generator[Token, None, int]:
    """Yield what "<" at `start` begins: a tag, nothing for a comment, or a text. Returns where it ends."""
    match = _TAG.match(page, start)
    if match is None:
        return (yield from _no_tag(page, start))
    slash, name, attributes, end = match[1], match[2].lower(), match[3], match[4]
    if not end:
        raise Unclosed(start, f"the tag <{slash}{name[:20]}")
    yield Token(start, "", name, bool(slash), attributes)
    if slash or name not in RAW:
        return match.end()
    closing = RAW[name].search(page, match.end())
    if closing is None:
        raise Unclosed(start, f"the element <{name}>")
    yield Token(match.end(), text_of(page[match.end() : closing.start()]))
    return closing.start()


def _no_tag(page: str, start: int) -> Generator[Token, None, int]:
    if page.startswith("<!--", start):
        end = _COMMENT_END.search(page, start + 2)
        if end is None:
            raise Unclosed(start, "the comment <!--")
        return end.end()
    if page.startswith(("<!", "<?", "</"), start):
        stop = page.find(">", start)
        if stop < 0:
            raise Unclosed(start, f"the tag {page[start : start + 2]}")
        return stop + 1
    yield Token(start, "<")
    return start + 1


def text_of(source: str) -> str:
    """Return text of a page with its references to characters read, and without NUL."""
    if "&" in source:
        source = html.unescape(_LONG_REFERENCE.sub("\ufffd", source))
    return source.replace("\0", "\ufffd")


def attributes_of(token: Token) -> dict[str, str]:
    """Return the attributes of a tag by their names in lower case; the first of several with a name."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(token.attributes):
        found.setdefault(match[1].lower(), text_of(match[2] or match[3] or match[4] or ""))
    return found
