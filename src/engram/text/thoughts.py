"""Removes the thoughts of a thinking model from its reply, where the thoughts stand in tags inside the text.

Owns the tags. A tag counts where a model puts it, at the border of a line or a sentence; a tag in code or inside
a sentence is a word of the reply. Pure functions over strings, linear in their length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = r"(?:seed:|ant)?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|inner_?monologue)"

_TAG = re.compile(
    rf"<(?P<a>/)?{_NAMES}(?:\s[^<>]{{0,200}})?>"  # DeepSeek, Qwen, GLM, Seed
    r"|\[(?P<b>/)?THINK\]"  # Magistral
    r"|◁(?P<c>/)?think▷"  # Kimi
    r"|<\|(?:begin|(?P<d>end))_of_thought\|>",  # OpenThinker
    re.IGNORECASE,
)
"""A tag; one of its groups matches if the tag closes a thought."""

_HINT = re.compile(r"think|thought|reasoning|reflection|scratchpad|monologue", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_SUBJECT = re.compile(r"[ \t]+[a-zß-öø-ÿ]|[ \t]*[,;)\"'`”’]")
_SENTENCE_ENDS = frozenset(".!?:…。！？>]▷")

MOST_OPENING = 2
"""Opening tags in a row that are read."""

NEAR = 400
"""Characters before a tag in which inline code and the border of a line are looked for."""


class _Tag(NamedTuple):
    start: int
    end: int
    closes: bool
    is_word: bool
    """Whether the text after the tag reads as if the tag were a word: "<think> opens a thought"."""


def without_thoughts(reply: str) -> str:
    """Return a model's reply without thoughts in tags; "" if nothing else remains, as for a thought that never ends.

    A closing tag without an opening one ends a thought that begins with the reply: the model's template opened it.
    """
    if not _HINT.search(reply):
        return reply
    return _Reader(reply).read()


class _Reader:
    """Reads one reply, tag by tag."""

    def __init__(self, reply: str) -> None:
        self._reply = reply
        self._tags = [
            _Tag(
                match.start(), match.end(), match.lastgroup is not None, _SUBJECT.match(reply, match.end()) is not None
            )
            for match in _without_runs(_TAG.finditer(reply))
        ]
        self._closing = _next_closing(self._tags)
        self._kept: list[str] = []
        self._begin = 0
        """Where the text begins that is neither kept nor removed yet."""
        self._read = 0
        self._in_fence = False
        self._has_words = False
        """Whether text outside of thoughts was read."""
        self._found = False

    def read(self) -> str:
        """Return the reply without thoughts."""
        inside = False
        for index, tag in enumerate(self._tags):
            if inside:
                if tag.closes:
                    self._continue_at(tag.end)
                    inside = False
                continue
            self._read_to(tag.start)
            if tag.closes and self._ends_thought(tag):
                self._kept.clear()
                self._has_words = False
                self._continue_at(tag.end)
            elif not tag.closes and self._begins_thought(index):
                self._kept.append(self._reply[self._begin : tag.start])
                self._found = inside = True
        if not self._found:
            return self._reply
        return "".join(self._kept if inside else [*self._kept, self._reply[self._begin :]]).strip()

    def _continue_at(self, position: int) -> None:
        self._begin = self._read = position
        self._in_fence, self._found = False, True

    def _read_to(self, position: int) -> None:
        """Read the text up to a tag."""
        self._in_fence ^= len(_FENCE.findall(self._reply, self._read, position)) % 2 == 1
        self._has_words |= not self._reply[self._read : position].isspace() and position > self._read
        self._read = position

    def _in_code(self, tag: _Tag) -> bool:
        near = self._reply[max(self._begin, tag.start - NEAR) : tag.start]
        line = near[near.rfind("\n") + 1 :]
        return self._in_fence or line.count("`") % 2 == 1 or line.startswith(("    ", "\t"))

    def _at_border(self, tag: _Tag) -> bool:
        """Return whether a line, or a sentence, ends before the tag."""
        near = self._reply[max(self._begin, tag.start - NEAR) : tag.start].rstrip(" \t")
        return not near or near[-1] == "\n" or near[-1] in _SENTENCE_ENDS

    def _ends_thought(self, tag: _Tag) -> bool:
        after = self._reply[tag.end : tag.end + NEAR].lstrip(" \t")
        ends_line = not after or after[0] in "\r\n"
        return not self._in_code(tag) and not tag.is_word and (ends_line or self._at_border(tag))

    def _begins_thought(self, index: int) -> bool:
        tag = self._tags[index]
        if self._in_code(tag) or not self._at_border(tag):
            return False
        closing = self._closing[index]
        if closing is None:
            # The reply broke off in a thought. A tag further on, in a reply without thoughts, is only mentioned.
            return not tag.is_word and (self._found or not self._has_words)
        return not (tag.is_word and closing.is_word)


def _without_runs(matches: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    """Yield matches of tags, without those that change nothing where tags follow each other without a space.

    Of closing tags the last one ends as much as all. Of opening ones the first two count: where the second, at the
    border of a tag, begins no thought, a further one does not either.
    """
    last: re.Match[str] | None = None
    opening = 0
    for match in matches:
        follows = last is not None and last.end() == match.start()
        if last is not None and not (follows and last.lastgroup and match.lastgroup) and opening <= MOST_OPENING:
            yield last
        opening = 0 if match.lastgroup else opening + 1 if follows else 1
        last = match
    if last is not None and opening <= MOST_OPENING:
        yield last


def _next_closing(tags: list[_Tag]) -> list[_Tag | None]:
    """Return for each tag the first closing tag after it; None if there is none."""
    closing: list[_Tag | None] = []
    following: _Tag | None = None
    for tag in reversed(tags):
        closing.append(following)
        following = tag if tag.closes else following
    return closing[::-1]
