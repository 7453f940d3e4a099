"""Generates hostile texts for a regular expression: those on which a careless pattern takes quadratic time.

Owns the generation: from the parse tree of a pattern come repeated beginnings, bodies that almost match, and single
characters; to these come texts that are hostile to any reader. Does not measure anything.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tools.patterns import AnyPattern

# The parser of `re` is not documented; it has had this form since Python 3.11.
parser = importlib.import_module("re._parser")

MOST_ROUTES = 24
"""Alternatives of a pattern that are followed, one in each route."""
LONG = 8
"""Repetitions from which a part counts as one that may repeat without end."""
TAIL = "\x01"
"""Ends each text: a character that no pattern expects."""

CLASSES = {
    "CATEGORY_DIGIT": "0",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_WORD": "<",
}
ANY_CHARACTER = "a 0<\n-.'\"_[|é\u0300"
"""What is tried where a pattern takes all but some characters."""

GENERIC = (
    "a", "0", "a ", "0 ", "0.", "0/", "0-", "1,", " ", "\n", "\t", "\r", " \n", "\r\n", "- \n", "\n\n", "<", ">",
    "< ", "</", "<|", "<a", "<a ", "<>", "[", "[[", "]", "[ ", "[/", "{", "{{", "{{ ", "}", "(", ")", "|", "\\", "&",
    "&amp;", "&#0", "&#60;", "&lt;", ";", ":", ": ", "?", "? ", "!", ".", ". ", ",", "'", "\"", "`", "```\n", "~~~\n",
    "#", "*", "_", "=", "@", "/", "//", "\x7f", "\x1b[", "\x85", "who a ", "do i ", "may ", "9 ", "1 may ", "a b ",
    "\u2028", "\u2029", "\u00a0", "\u3000", "\u200b", "\u200d", "a\u200d", "\ufeff", "\u202e", "\ufe0f", "\ufe0fa",
    "\u00ad", "a\u0300", "a\u0300\u0316", "\u0300", "\u0300\u0316", "\u0f73\u0316", "\uff9e\u0316", "\u0344",
    "\u1e9b\u0323", "\u0e01\u0e33", "\ufdfa", "\ufdfb", "\ufdfa ", "\u3316", "\u3316a", "\ufdfc", "\U0001d160",
    "\u32c0", "\uff1c", "\uff1c/", "\uff1c\uff5c", "\u2581", "\u0130", "\u00df", "\u1100\u1161\u11a8", "\uac00",
    "\u4e00", "\u3042", "\U0001f600", "\U0001f468\u200d", "\U000e0041", "\u05d0\u05b8", "\u0627\u064e",
    "\u0915\u093e", "\u3002", "\uff1f", "<think>", "</think>", "<engram-notes>\n", "</engram-notes>",
    "<system-reminder>", "data: ", "data: [", "event: ", "\"\\u0000",
)  # fmt: skip
"""Texts that are hostile to a careless reader of any kind, each to be repeated."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A text that is made by repetition."""

    before: str
    repeated: str
    after: str = TAIL
    then: str = ""
    """What the second half repeats, instead of `repeated`; "" for the same."""

    @property
    def name(self) -> str:
        """Its parts, to be read by people."""
        then = f" + {self.then[:40]!r}*n" if self.then else ""
        return f"{self.before[:40]!r} + {self.repeated[:40]!r}*n{then} + {self.after[:20]!r}"

    def text(self, size: int) -> str:
        """Return the text with about `size` bytes of UTF-8."""
        left = size - len((self.before + self.after).encode(errors="replace"))
        if not self.then:
            return self.before + repeated_to(left, self.repeated) + self.after
        return self.before + repeated_to(left // 2, self.repeated) + repeated_to(left // 2, self.then) + self.after


def repeated_to(size: int, piece: str) -> str:
    """Return `piece`, repeated to at most `size` bytes of UTF-8, at least once."""
    return piece * max(1, size // len(piece.encode(errors="replace")))


def halves(pairs: Iterable[tuple[str, str]]) -> tuple[Hostile, ...]:
    """Return texts whose first half repeats one of two pieces, and whose second half repeats the other.

    They are hostile to what looks for a piece near the other: nothing is near, and every two are compared.
    """
    return tuple(Hostile("", first, then=second) for pair in pairs for first, second in (pair, pair[::-1]))


GENERIC_TEXTS = tuple(Hostile("", piece) for piece in GENERIC)
BASIC_TEXTS = tuple(Hostile("", piece) for piece in ("a", "0", " ", "\n", "<", "a ", "0 ", "a\n"))
"""The texts for patterns, besides those that are made from the pattern itself."""


@dataclass(slots=True)
class Part:
    """A part of an example of what a pattern matches."""

    text: str
    repeats: bool = False
    """Whether the pattern takes it again and again; then `text` is one round, and the example holds it already."""


def hostile_to(pattern: AnyPattern) -> list[Hostile]:
    """Return the texts that are hostile to a pattern, each once; their repeated parts are not empty."""
    source = pattern.pattern
    tree = parser.parse(source, pattern.flags & ~re.DEBUG)
    texts: dict[tuple[str, str], Hostile] = {}
    routes: set[str] = set()
    for route in range(MOST_ROUTES):
        parts = list(Examples(route).of(tree))
        if (joined := "\0".join(part.text for part in parts)) in routes:
            continue
        routes.add(joined)
        for hostile in from_parts(parts):
            texts.setdefault((hostile.before[-60:], hostile.repeated), hostile)
    return list(texts.values())


def from_parts(parts: list[Part]) -> Iterator[Hostile]:
    """Yield the texts that one example gives."""
    begun = ""
    for part in parts:
        if part.repeats:
            yield Hostile(begun.removesuffix(part.text), part.text)
            yield Hostile("", part.text)
        elif part.text:
            begun += part.text
            yield Hostile("", begun)
            yield Hostile("", part.text)
    for first, second in pairwise([part.text for part in parts if part.text]):
        yield Hostile("", first + second)


class Examples:
    """Examples of what a parsed pattern matches. `route` chooses among alternatives."""

    def __init__(self, route: int) -> None:
        self._route = route
        self._groups: dict[int, str] = {}

    def of(self, tree: Any) -> Iterator[Part]:
        """Yield the parts of an example, in order; literal characters that follow each other are one part."""
        word = ""
        for op, value in tree:
            if str(op) == "LITERAL":
                word += chr(value)
                continue
            if word:
                yield Part(word)
                word = ""
            yield from self._of_node(str(op), value)
        if word:
            yield Part(word)

    def _of_node(self, op: str, value: Any) -> Iterator[Part]:
        match op:
            case "NOT_LITERAL":
                yield Part(self._chosen([c for c in ANY_CHARACTER if c != chr(value)]))
            case "ANY":
                yield Part(self._chosen(list(ANY_CHARACTER.replace("\n", ""))))
            case "IN":
                yield Part(self._chosen(characters(value)))
            case "BRANCH":
                yield from self.of(self._chosen(value[1]))
            case "SUBPATTERN":
                yield from self._remembered(value[0], value[3])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                yield from self._repeated(*value)
            case "ATOMIC_GROUP":
                yield from self.of(value)
            case "ASSERT" if value[0] > 0:
                yield from self.of(value[1])
            case "GROUPREF":
                yield Part(self._groups.get(value, ""))

    def _remembered(self, group: int | None, tree: Any) -> Iterator[Part]:
        parts = list(self.of(tree))
        if group is not None:
            self._groups[group] = "".join(part.text for part in parts if not part.repeats)
        yield from parts

    def _repeated(self, least: int, most: int, tree: Any) -> Iterator[Part]:
        parts = list(self.of(tree))
        for _ in range(max(1, min(int(least), 3))):
            yield from parts
        if int(most) >= LONG:
            yield Part("".join(part.text for part in parts if not part.repeats) or TAIL, repeats=True)

    def _chosen(self, options: list[Any]) -> Any:
        return options[self._route % len(options)] if options else TAIL


def characters(members: Any) -> list[str]:
    """Return characters of a class, a few of each kind in it."""
    found: list[str] = []
    refused = str(members[0][0]) == "NEGATE"
    for op, value in members:
        match str(op):
            case "LITERAL":
                found.append(chr(value))
            case "RANGE":
                found += [chr(value[0]), chr(value[1])]
            case "CATEGORY":
                found.append(CLASSES.get(str(value), "a"))
    if not refused:
        return list(dict.fromkeys(found))
    return [c for c in ANY_CHARACTER if not any(is_in(c, op, value) for op, value in members)]


def is_in(character: str, op: Any, value: Any) -> bool:
    """Return whether one member of a class takes a character."""
    match str(op):
        case "LITERAL":
            return ord(character) == int(value)
        case "RANGE":
            return int(value[0]) <= ord(character) <= int(value[1])
        case "CATEGORY":
            kinds = {"DIGIT": character.isdigit(), "SPACE": character.isspace()}
            kinds["WORD"] = character.isalnum() or character == "_"
            _, _, kind = str(value).rpartition("_")
            return kinds[kind] is not str(value).startswith("CATEGORY_NOT")
    return False
