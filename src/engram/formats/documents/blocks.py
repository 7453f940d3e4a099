"""What the readers of documents yield: blocks, what a document states of itself, and remarks on parts of it.

Owns these values. Does not know the formats, or how passages are made of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engram.formats.items import Problem, Remark, Skipped

Kind = Literal["heading", "text", "item", "row", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document that stays whole where it can: a heading, a paragraph, an item of a list, a row, or code."""

    kind: Kind
    text: str
    place: int
    """The line on which it begins, or its page; from 1."""
    level: int = 0
    """Of a heading: 1 (the highest) to 6."""
    frame: str = ""
    """Of a row: the header of its table. Of code: the line that opens it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a document states of itself; "" for what it does not state."""

    title: str = ""
    date: str = ""
    of_site: bool = False
    """Whether the title may name more than the document, so that a heading of level 1 takes its place."""


Part = Block | Stated | Problem | Skipped | Remark
"""What a reader yields, in the order of the document; `Stated` comes first."""


def fenced(code: str, opening: str = "```") -> str:
    """Return code between the line that opens it and its closing line."""
    fence = opening[: len(opening) - len(opening.lstrip(opening[:1]))]
    return f"{opening}\n{code}\n{fence}"
