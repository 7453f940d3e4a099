"""Reads what a user typed out of one part of a message, by the table of front ends.

Owns the places at which a mark counts: a front end's text stands at the beginning of a part, on lines of its own, or at
the end; never inside a sentence or in code. What is not certain stays verbatim. Pure functions over strings, linear in
their length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from engram.serve.frontends.table import CLINE, FRONTENDS, Block, Record, Template

MOST_MARKS = 1_000
"""Marks of front ends that are looked at in one part. What follows them stays verbatim."""

LONGEST_ATTRIBUTES = 400
"""Characters of the attributes in an opening tag."""

_BLOCKS: dict[str, list[tuple[str, Block]]] = {}
for _frontend in FRONTENDS:
    for _block in _frontend.blocks:
        _BLOCKS.setdefault(_block.tag, []).append((_frontend.name, _block))
_OWN_LINE = {block.tag for frontend in FRONTENDS for block in frontend.blocks if block.own_line}
_WRAPPERS = {tag: frontend for frontend in FRONTENDS for tag in frontend.wrappers}
_LAST_WRAPPER = {frontend.name for frontend in FRONTENDS if frontend.last_wrapper}
_ARGUMENTS = {frontend.command_arguments: frontend.name for frontend in FRONTENDS if frontend.command_arguments}
_RECORDS = [(frontend.name, record) for frontend in FRONTENDS for record in frontend.records]
_TEMPLATES = [(frontend.name, template) for frontend in FRONTENDS for template in frontend.templates]
_LINES = {line: frontend.name for frontend in FRONTENDS for line in frontend.lines}
_TAILS = {tail.opening: (frontend.name, tail) for frontend in FRONTENDS for tail in frontend.tails}
_ENCLOSED = {begin: (frontend.name, end) for frontend in FRONTENDS for begin, end in frontend.enclosed}
_OPENINGS = tuple(record.opening for _, record in _RECORDS)
_TEMPLATE_OPENINGS = tuple(template.opening for _, template in _TEMPLATES)

_TAGS = sorted({*_BLOCKS, *_WRAPPERS, *_ARGUMENTS}, key=len, reverse=True)
_TAG = rf"<(?=[A-Za-z])(?P<tag>{'|'.join(map(re.escape, _TAGS))})(?:\s[^<>\n]{{0,{LONGEST_ATTRIBUTES}}}+)?>"
_NAMED = (*_LINES, *_TAILS, *_ENCLOSED)
_ANY_TAG = re.compile(f"{_TAG}(?P<mark>)")
_ANY_MARK = re.compile(f"(?P<mark>{'|'.join(map(re.escape, _NAMED))})|{_TAG}")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_HEADING = re.compile(
    r"\[(?P<tool>[a-z_]{2,40}+)(?:\]| [^\n]{0,500}?\]| for '(?s:.{0,4000}?)'\]) Result:",
)
"""The heading of a tool's result in a user's message: [read_file for 'a.py'] Result:. A command may have lines."""
_ANOTHER_HEADING = re.compile(r"^\[[a-z_]{2,40}+[ \]][^\n]{0,500}?Result:|'\] Result:", re.MULTILINE)
_END_OF_MESSAGE = "</environment_details>"
_DENIED = tuple(record.opening for record in CLINE.records if record.before == "<feedback>")

_AFTER_BLOCK = re.compile(r"[^\S\n]{0,64}+(?:\Z|\n|<)|[^\W_]")
_SPACE = re.compile(r"\s*+")

NEAR = 64
"""Characters before a mark in which the beginning of its line is looked for."""


class Reading(NamedTuple):
    """What was read out of one part of a user's message."""

    words: str
    """What the user typed; "" for nothing."""
    result: str
    """A tool's result that the part holds; "" for none."""
    left_out: tuple[tuple[str, int], ...]
    """For each piece that is the front end's: the name of the front end, and the characters of the piece."""


class _Piece(NamedTuple):
    start: int
    end: int
    frontend: str
    words: tuple[int, int] | None = None
    """Start and end of words of the user inside the piece."""
    is_wrapper: bool = False
    is_result: bool = False


def read_parts(texts: Sequence[str], results: Sequence[str] = ()) -> list[Reading]:
    """Return what was read out of each part of one message. results: the texts of its tools' results."""
    message = (*texts, *results)
    readings: list[Reading] = []
    heading: re.Match[str] | None = None
    spanned = _spanned(texts)
    for index, text in enumerate(texts):
        if index in spanned:
            readings.append(Reading("", "", ((spanned[index], len(text)),)))
        elif heading is not None:
            # The heading of a tool's result is a part of its own, and the result follows.
            readings.append(_Part(text, message, is_result=True, asks=_asks(heading["tool"], text)).read())
            heading = None
        else:
            readings.append(_read(text, message))
            heading = _HEADING.fullmatch(text.strip()) if readings[-1].result else None
    return readings


def _spanned(texts: Sequence[str]) -> dict[int, str]:
    """Return the front end of each part, by index, from a mark that begins a part to the last closing mark of it.

    The marks then are in parts of their own, and the parts between them are documents.
    """
    spanned: dict[int, str] = {}
    for begin, (name, closing) in _ENCLOSED.items():
        begins = (index for index, text in enumerate(texts) if text.lstrip().startswith(begin) and closing not in text)
        ends = [index for index, text in enumerate(texts) if text.rstrip().endswith(closing)]
        first = next(begins, len(texts))
        spanned |= dict.fromkeys(range(first, max(ends, default=-1) + 1), name)
    return spanned


def _asks(tool: str, result: str) -> bool:
    """Return whether elements in a tool's result hold words of the user: no document stands in the result."""
    if _ANOTHER_HEADING.search(result) is not None:
        return False
    return tool in CLINE.asking_tools or (tool in CLINE.writing_tools and result.lstrip().startswith(_DENIED))


def is_front_ends(text: str) -> bool:
    """Return whether a part of a message holds nothing that the user typed."""
    reading = _read(text, (text,))
    return not reading.words and bool(reading.left_out)


def _read(text: str, texts: Sequence[str]) -> Reading:
    found = _from_template(text)
    if found is None:
        return _result_or_words(text, texts).read()
    name, words = found
    inner = _Part(words, texts).read()
    return inner._replace(left_out=((name, len(text) - len(words)), *inner.left_out))


def _result_or_words(text: str, texts: Sequence[str]) -> _Part:
    """Return the reader of a part: of a tool's result if the part begins with the heading of one."""
    heading = _HEADING.match(text, _blank_to(text, 0))
    if heading is None or not any(mark in one for mark in CLINE.wrapped_beside for one in texts):
        return _Part(text, texts)
    return _Part(text, texts, is_result=True, asks=_asks(heading["tool"], text[heading.end() :]))


# Templates.


def _from_template(text: str) -> tuple[str, str] | None:
    """Return the front end whose template a text is, and the user's words in it; None if it is no known template."""
    begin = _blank_to(text, 0)
    if not text.startswith(_TEMPLATE_OPENINGS, begin):
        return None
    for name, template in _TEMPLATES:
        if text.startswith(template.opening, begin) and (words := _words_in(text, template)) is not None:
            return name, words
    return None


def _words_in(text: str, template: Template) -> str | None:
    """Return the user's words in a template, "" if there are none; None if the text is another one."""
    if template.holds not in text or not text.rstrip().endswith(template.closing or ""):
        return None
    if template.documents:
        start, label = _first(text, template.label)
        if start < 0 or (end := text.find(template.documents, start)) < 0:
            return None
        if text.find(template.documents) == end or not template.closing:
            return text[start + len(label) : end].strip()
    # A document can hold each label, and the documents come first.
    behind = max(text.rfind(label) + len(label) if label in text else -1 for label in template.label)
    if behind < 0:
        return None
    words = text[behind:].strip()
    for closing in template.closing:
        words = words.removesuffix(closing).rstrip()
    return words


def _first(text: str, labels: Iterable[str]) -> tuple[int, str]:
    """Return where the first of `labels` that occurs in a text begins, and the label; -1 for none."""
    return next(((at, label) for label in labels if (at := text.find(label)) >= 0), (-1, ""))


# Pieces between a user's words.


class _Part:
    """Reads one part of a message that is no template."""

    def __init__(self, text: str, texts: Sequence[str], *, is_result: bool = False, asks: bool = True) -> None:
        """`texts`: all texts of the message. is_result: whether the part is a tool's result.

        asks: whether the tool asks the user, so that elements of the result hold the user's words.
        """
        self._text = text
        self._texts = texts
        self._is_result = is_result
        self._takes_words = asks
        # The search for tags alone takes a fraction of the time.
        self._mark = _ANY_MARK if any(mark in text for mark in _NAMED) else _ANY_TAG
        self._marks = 0
        """How many marks were looked at."""
        self._found: dict[str, int] = {}
        """For each closing mark: where the search for the next one found it."""
        self._last_found: dict[str, int] = {}
        """For each closing mark: where the last one in the text stands; -1 for nowhere."""
        self._held: dict[str, bool] = {}
        """For each mark that was asked for: whether the message holds it."""
        self._piece_end = 0
        """Where the last piece of the front end ends."""
        self._blank_to = 0
        """Where the text behind that piece begins, after white space."""
        self._read_to = 0
        """Up to where fences of code are counted."""
        self._in_fence = False
        self._last_fence = max(text.rfind("```"), text.rfind("~~~"))

    def read(self) -> Reading:
        """Return what was read."""
        pieces = list(self._pieces())
        if not pieces and not self._is_result:
            return Reading(self._text if self._text.strip() else "", "", ())
        runs = [*self._between(pieces)]
        if self._is_result:
            return self._as_result(pieces, runs)
        outside = self._around_last_wrapper(pieces)
        if outside is not None:
            pieces, runs = [*outside, *(_Piece(*run, outside[0].frontend) for run in runs)], []
        elif runs and any(piece.is_wrapper for piece in pieces):
            # Words outside of it: the element was typed with them, and belongs to them.
            pieces = [piece for piece in pieces if not piece.is_wrapper]
            runs = [*self._between(pieces)]
        inner = [piece.words for piece in pieces if piece.words is not None]
        result = "\n".join(self._text[piece.start : piece.end].strip() for piece in pieces if piece.is_result)
        left_out = tuple((one.frontend, _length(one)) for one in pieces if not one.is_result)
        if not pieces:
            return Reading(self._text, "", ())
        return Reading(self._joined(sorted([*runs, *inner])), result, left_out)

    def _as_result(self, pieces: list[_Piece], runs: list[tuple[int, int]]) -> Reading:
        inner = [piece.words for piece in pieces if piece.words is not None]
        left_out = tuple((piece.frontend, _length(piece)) for piece in pieces if not piece.is_result)
        return Reading(self._joined(inner), self._joined(runs), left_out)

    def _around_last_wrapper(self, pieces: list[_Piece]) -> list[_Piece] | None:
        """Return the pieces with the words of the last wrapper only; None unless documents may stand before it."""
        last = next((piece for piece in reversed(pieces) if piece.is_wrapper), None)
        if last is None or last.frontend not in _LAST_WRAPPER:
            return None
        if not any(piece.frontend == last.frontend and not piece.is_wrapper for piece in pieces):
            return None
        return [piece if piece is last or not piece.is_wrapper else piece._replace(words=None) for piece in pieces]

    def _pieces(self) -> Iterator[_Piece]:
        """Yield the pieces of the front end, in order."""
        position = 0
        while True:
            self._blank_to = _blank_to(self._text, position)
            piece = self._record(self._blank_to)
            if piece is None:
                piece = self._next(position)
            if piece is None:
                return
            yield piece
            position = self._piece_end = self._read_to = piece.end
            self._in_fence = False

    def _between(self, pieces: Sequence[_Piece]) -> Iterator[tuple[int, int]]:
        """Yield start and end of each text between the pieces, without the white space that separates them."""
        text, begin = self._text, 0
        for piece in chain(pieces, [None]):
            end = len(text) if piece is None else piece.start
            first = min(_blank_to(text, begin), end)
            if first < end:
                # The indentation of the first line belongs to it.
                line = text.rfind("\n", begin, first) + 1
                start = begin if begin == 0 else line or first
                last = end if piece is None else begin + len(text[begin:end].rstrip())
                yield start, last
            begin = end if piece is None else piece.end

    def _joined(self, runs: Sequence[tuple[int, int]]) -> str:
        """Return the texts of runs, with a blank line between two if the first had one after it."""
        joined: list[str] = []
        for index, (start, end) in enumerate(runs):
            if index:
                joined.append("\n\n" if self._text.startswith("\n\n", runs[index - 1][1]) else "\n")
            joined.append(self._text[start:end])
        return "".join(joined)

    # What a piece is.

    def _record(self, at: int) -> _Piece | None:
        """Return the record, or the tool's result, that begins at a position; None for none."""
        text = self._text
        if text.startswith("[", at) and (result := self._result(at)) is not None:
            return result
        if self._marks >= MOST_MARKS or not text.startswith(_OPENINGS, at):
            return None
        self._marks += 1
        for name, record in _RECORDS:
            if text.startswith(record.opening, at) and (past := self._end_of(record, at)) is not None:
                return _Piece(at, past, name)
        return None

    def _end_of(self, record: Record, at: int) -> int | None:
        """Return where a record ends whose opening stands at a position; None if the text is not the front end's."""
        behind, end = at + len(record.opening), len(self._text)
        if record.is_whole or record.before:
            following = _blank_to(self._text, behind)
            found_there = self._text[following : following + max(1, len(record.before))]
            return behind if found_there == record.before else None
        if record.until:
            found = [(place, mark) for mark in record.until if (place := self._end_mark(mark, behind)) is not None]
            if not found and "\n" not in record.until:
                return None
            place, mark = min(found, default=(end, ""))
            end = place + len(mark) if record.inclusive else place
        if not all(self._stands(part, behind, end) for part in record.holds):
            return None
        return end if not record.beside or any(map(self._holds, record.beside)) else None

    def _result(self, at: int) -> _Piece | None:
        """Return the tool's result whose heading stands at a position.

        The document in a result can hold every mark: nothing behind it is the user's, to the end of the part.
        """
        heading = None if self._is_result else _HEADING.match(self._text, at)
        if heading is None or not any(map(self._holds, CLINE.wrapped_beside)):
            return None
        end = len(self._text)
        if _asks(heading["tool"], self._text[heading.end() :]):
            following = self._next(heading.end())
            end = end if following is None else following.start
        elif self._text.rstrip().endswith(_END_OF_MESSAGE):
            environment = self._text.rfind("\n<environment_details>")
            end = environment if environment >= heading.end() else end
        return _Piece(at, end, CLINE.name, is_result=True)

    def _next(self, position: int) -> _Piece | None:
        """Return the next piece from a position on that is no record; None for none."""
        for match in self._mark.finditer(self._text, position):
            self._marks += 1
            if self._marks > MOST_MARKS:
                return None
            if self._in_code(match.start()):
                continue
            piece = self._at_mark(match) if match["mark"] else self._at_tag(match)
            if piece is not None:
                return piece
        return None

    def _at_mark(self, match: re.Match[str]) -> _Piece | None:
        text, mark, (start, end) = self._text, match["mark"], match.span()
        if not self._begins_line(start):
            return None
        if mark in _TAILS:
            name, tail = _TAILS[mark]
            return None if self._find(tail.holds, end) is None else _Piece(start, len(text), name)
        if mark in _LINES:
            after = _AFTER_BLOCK.match(text, end)
            return _Piece(start, end, _LINES[mark]) if after is not None and not after[0].isalnum() else None
        name, closing = _ENCLOSED[mark]
        close = self._last(closing, end)
        return None if close is None else _Piece(start, close + len(closing), name)

    def _at_tag(self, match: re.Match[str]) -> _Piece | None:
        """Return the element that begins with a tag, if it is a front end's."""
        tag, (start, begin) = match["tag"], match.span()
        if not self._takes_words and (tag in _ARGUMENTS or tag in _WRAPPERS):
            return None
        name = self._frontend_of(tag, begin) or _ARGUMENTS.get(tag)
        if name is None or not (self._begins_line(start) or self._is_glued(start, begin)):
            return None
        if tag not in _WRAPPERS and tag not in _ARGUMENTS:
            past = self._past_block(tag, begin)
            return None if past is None else _Piece(start, past, name)
        close = self._close_of(tag, begin)
        if close is None:
            return None
        end = close + len(tag) + len("</>")
        words = self._stripped(begin, close)
        if tag in _ARGUMENTS:
            is_sentence = len(self._text[slice(*words)].split(maxsplit=1)) > 1
            return _Piece(start, end, name, words if is_sentence else None)
        return _Piece(start, end, name, words, is_wrapper=True)

    def _past_block(self, tag: str, begin: int) -> int | None:
        """Return where the block ends whose content begins at `begin`: behind its last closing tag; None without one.

        A document inside may hold closing tags. From the first one on, every block that is opened before the end
        belongs to the piece, up to its own last closing tag: the document of one block may close another one.
        """
        close = self._last(f"</{tag}>", begin)
        first = self._find(f"</{tag}>", begin)
        if close is None or first is None or (tag in _OWN_LINE and self._is_talk(tag, begin, first)):
            return None
        end = close + len(tag) + len("</>")
        for match in _ANY_TAG.finditer(self._text, first):
            if match.start() >= end:
                break
            inner = match["tag"]
            if inner in _BLOCKS and self._frontend_of(inner, match.end()) is not None:
                last = self._last(f"</{inner}>", match.end())
                end = end if last is None else max(end, last + len(inner) + len("</>"))
        return end

    def _frontend_of(self, tag: str, begin: int) -> str | None:
        """Return the front end that writes the element with a tag whose content begins at `begin`."""
        for name, block in _BLOCKS.get(tag, ()):
            if block.beside and not self._holds(f"<{block.beside}>"):
                continue
            if not block.holds or self._text[begin : begin + len(block.holds) + 40].lstrip().startswith(block.holds):
                return name
        frontend = _WRAPPERS.get(tag)
        if frontend is None or (frontend.wrapped_beside and not any(map(self._holds, frontend.wrapped_beside))):
            return None
        return frontend.name

    def _holds(self, mark: str) -> bool:
        """Return whether a text of the message holds a mark."""
        if mark not in self._held:
            self._held[mark] = any(mark in text for text in self._texts)
        return self._held[mark]

    def _is_talk(self, tag: str, begin: int, close: int) -> bool:
        """Return whether an element stands in one line with words behind it, where the front end breaks the line."""
        return (
            not self._closes(close + len(tag) + len("</>")) and "\n" not in self._text[begin : min(close, begin + NEAR)]
        )

    # Places.

    def _begins_line(self, at: int) -> bool:
        """Return whether only a little white space, or another piece, stands in the line before a position."""
        if self._piece_end and at == self._blank_to:
            return True
        first = max(self._piece_end, at - NEAR)
        line = self._text.rfind("\n", first, at) + 1
        before = self._text[line or first : at]
        # Four spaces, or a tab, indent code.
        return (line > 0 or first == 0) and not before.strip() and len(before) < 4 and "\t" not in before

    def _is_glued(self, start: int, begin: int) -> bool:
        """Return whether a tag ends a line, and stands directly behind a word."""
        return self._text.startswith("\n", begin) and start > 0 and self._text[start - 1] not in " \t\n`"

    def _in_code(self, at: int) -> bool:
        """Return whether a position is in a fenced block of code that is closed. Ask for positions in order."""
        if at > self._read_to:
            self._in_fence ^= len(_FENCE.findall(self._text, self._read_to, at)) % 2 == 1
            self._read_to = at
        return self._in_fence and self._last_fence > at

    def _close_of(self, tag: str, begin: int) -> int | None:
        """Return where the first closing tag from `begin` on stands; None unless it ends a line or a tag follows it."""
        closing = f"</{tag}>"
        close = self._find(closing, begin)
        return None if close is None or not self._closes(close + len(closing)) else close

    def _find(self, closing: str, begin: int) -> int | None:
        """Return where a mark stands first from `begin` on. Ask for positions in order: no text is searched twice."""
        found = self._found.get(closing, -1)
        if found < begin:
            found = self._text.find(closing, begin)
            self._found[closing] = len(self._text) if found < 0 else found
        return None if found < 0 or found == len(self._text) else found

    def _last(self, closing: str, begin: int) -> int | None:
        """Return where the last closing mark that ends a line, or that a tag follows, stands; None for none."""
        if closing not in self._last_found:
            place = self._text.rfind(closing)
            while place >= 0 and not self._closes(place + len(closing)):
                place = self._text.rfind(closing, 0, place)
            self._last_found[closing] = place
        last = self._last_found[closing]
        return None if last < begin else last

    def _closes(self, end: int) -> bool:
        """Return whether a closing mark that ends at a position counts: it ends a line, or a tag follows it."""
        after = _AFTER_BLOCK.match(self._text, end)
        return after is not None and not after[0].islower()

    def _end_mark(self, mark: str, begin: int) -> int | None:
        """Return where the mark that ends a record stands: the last one if it closes an element, else the first."""
        return self._last(mark, begin) if mark.startswith("</") else self._find(mark, begin)

    def _stands(self, mark: str, begin: int, end: int) -> bool:
        """Return whether a mark begins between two positions. Ask for positions in order."""
        place = self._find(mark, begin)
        return place is not None and place < end

    def _stripped(self, start: int, end: int) -> tuple[int, int]:
        """Return start and end of a text without the white space around it."""
        inner = self._text[start:end].rstrip()
        return start + len(inner) - len(inner.lstrip()), start + len(inner)


def _blank_to(text: str, position: int) -> int:
    """Return where the white space from a position on ends."""
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _length(piece: _Piece) -> int:
    """Return the characters of a piece that are not the user's."""
    begin, end = piece.words or (0, 0)
    return piece.end - piece.start - (end - begin)
