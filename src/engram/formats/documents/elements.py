"""Keeps which elements of a page are open, and so whether its text is read.

Owns what is left out of a page: scripts and styles, navigation, footers, forms, what is hidden, and what is outside
of the main part of a page that marks one. Closing an element takes, over a whole page, time in proportion to its
tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from engram.formats.documents.tags import Token, Unclosed, attributes_of, tokens

VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
"""Elements without an end tag."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer"
    " form header hgroup hr html legend li main menu nav ol p pre section summary table tbody td tfoot th thead tr ul"
    .split()
) | frozenset(HEADINGS)  # fmt: skip
"""Elements that begin on a line of their own."""

UNREAD = frozenset("script style noscript template svg canvas object audio video map datalist".split())
"""Elements that hold no text of the page."""
ASIDE = frozenset("nav footer form button select textarea iframe noembed noframes dialog menu".split())
"""Elements around the text of a page; `aside` is one outside of the main part."""
CONTAINERS = BLOCKS | UNREAD | ASIDE
"""Elements that the end tag of an element inside of a line does not close."""
PARTS = ("article", "section", "aside")
"""Elements with headers of their own, besides the main part."""
ASIDE_ROLES = frozenset("navigation contentinfo search complementary dialog menu menubar toolbar".split())

LEAST_MAIN = 0.2
"""Share of the text of a page from which its main part is read alone."""
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
_HIDING = re.compile(r"(?:^|;)\s*+(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden)", re.IGNORECASE)
_MAIN = re.compile(r"<main[\s>]|\brole\s*+=\s*+[\"']?+main\b", re.IGNORECASE)


class OpenElements:
    """The open elements of a page."""

    def __init__(self, *, main_only: bool = False) -> None:
        """main_only: whether what is outside of the main part is left out."""
        self._main_only = main_only
        self._names: list[str] = []
        self._containers: Counter[str] = Counter()
        self._inline: list[Counter[str] | None] = [None]
        """The elements that are no containers, outside of all and inside of each open one; None for none."""
        self._mains: list[int] = []
        self._skipped: int | None = None
        self._header: int | None = None
        """Positions in `_names`: of the main parts, of the element of which nothing is read, of the page's header."""
        self.left_out = 0
        """Elements around the text of the page that were left out."""

    @property
    def in_main(self) -> bool:
        """Whether the main part is open."""
        return bool(self._mains)

    @property
    def in_header(self) -> bool:
        """Whether the header of the page is open, of which only headings are read."""
        return self._header is not None

    @property
    def hides(self) -> bool:
        """Whether an element is open of which nothing is read."""
        return self._skipped is not None

    @property
    def skips(self) -> bool:
        """Whether text is left out where the page is now."""
        return self._skipped is not None or (self._main_only and not self._mains)

    def tag(self, token: Token) -> None:
        """Open or close the element of a tag."""
        if token.closes:
            self._close(token.name)
        elif token.name not in VOID:
            if self._skipped is None:
                self._look_at(token)
            self._names.append(token.name)
            if token.name in CONTAINERS:
                self._containers[token.name] += 1
                self._inline.append(None)
            else:
                inline = self._inline[-1] or Counter()
                inline[token.name] += 1
                self._inline[-1] = inline

    def _look_at(self, token: Token) -> None:
        """Find out whether a tag opens the main part, the header, or what is not read."""
        name, position = token.name, len(self._names)
        attributes = attributes_of(token) if token.attributes else NO_ATTRIBUTES
        role = attributes.get("role", "").lower()
        if name == "main" or role == "main":
            self._mains.append(position)
        of_page = name == "header" and not (self._mains or any(self._containers[part] for part in PARTS))
        if (of_page or role == "banner") and self._header is None:
            self._header = position
        if name in UNREAD:
            self._skipped = position
        elif self._is_aside(name, attributes):
            self.left_out += not self.skips
            self._skipped = position

    def _is_aside(self, name: str, attributes: Mapping[str, str]) -> bool:
        if name in ASIDE or (name == "aside" and not self._mains):
            return True
        if not attributes:
            return False
        hidden = attributes.get("hidden", "until-found").lower() != "until-found"
        hidden = hidden or attributes.get("aria-hidden", "").lower() == "true"
        # A role that stands at the whole page is a mistake of the page.
        role = "" if name in ("body", "html", "main") else attributes.get("role", "").lower()
        return hidden or role in ASIDE_ROLES or _HIDING.search(attributes.get("style", "")) is not None

    def _close(self, name: str) -> None:
        inline = self._inline[-1]
        if not (self._containers[name] if name in CONTAINERS else inline and inline[name]):
            return
        closed = ""
        while closed != name:
            closed = self._names.pop()
            if closed in CONTAINERS:
                self._containers[closed] -= 1
                self._inline.pop()
            elif (inline := self._inline[-1]) is not None:
                inline[closed] -= 1
        if self._skipped is not None and len(self._names) <= self._skipped:
            self._skipped = None
        if self._header is not None and len(self._names) <= self._header:
            self._header = None
        while self._mains and self._mains[-1] >= len(self._names):
            self._mains.pop()


def has_main(page: str) -> bool:
    """Return whether a page marks a main part, with at least `LEAST_MAIN` of its text."""
    if not _MAIN.search(page):
        return False
    opened = OpenElements()
    inside = outside = 0
    try:
        for token in tokens(page):
            if token.name:
                opened.tag(token)
            elif not opened.skips:
                length = len(token.text.strip())
                inside, outside = (inside + length, outside) if opened.in_main else (inside, outside + length)
    except Unclosed:
        # What follows is not read, either.
        pass
    return inside > LEAST_MAIN * (inside + outside)
