"""What a reader finds: a turn, a problem or something left out on purpose, each with its place.

Owns these values and the ids of turns that bring none. Knows no format and no memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from engram.engram import DEFAULT_NAMESPACE, Engram
from engram.ids import uuid7_of
from engram.times import EPOCH


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands: a line (from 1), or a path into its JSON."""

    file: str
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        return f"{self.file}{line}" + (f" {self.path}" if self.path else "")

    def at(self, *steps: str | int) -> Place:
        """The place of a part: `place.at("chat_messages", 3)`."""
        path = self.path
        for step in steps:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class Turn:
    """An engram that was read, not yet in any memory.

    `open_fields` are those that the source does not settle: filled with the moment of the import, or free to change
    from one export to the next (a conversation's title). Whether a turn is there already is not judged by them.
    """

    place: Place
    engram: Engram
    open_fields: frozenset[str] = frozenset()

    def same_as(self, known: Engram) -> bool:
        """Whether `known` is this turn, imported before."""
        return replace(self.engram, **{name: getattr(known, name) for name in self.open_fields}) == known


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read or kept, and why."""

    place: Place
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was understood and is no turn: a hidden message, a tool's output, a message without text."""

    place: Place
    why: str


Item = Turn | Problem | LeftOut


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read: where to put what names no namespace, the moment of the import, and whether to keep branches."""

    now: datetime
    namespace: str = DEFAULT_NAMESPACE
    branches: bool = True


def derived_id(at: datetime | None, *key: str | int | None, order: int | None = None) -> str:
    """The id of a turn that brings none: the same for the same `key`, sorted by `at` (None: by 1970).

    `order` (under 4096) sorts turns that have one and the same `at`.
    """
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    if order is not None:
        digest = (order & 0xFFF).to_bytes(2) + digest
    return uuid7_of(EPOCH if at is None else at, digest)
