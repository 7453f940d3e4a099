"""The items that a reader yields: a turn, a problem, or a skipped part, each with its location.

Owns these values, and the ids of turns that have none. Does not know the formats or the memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from engram.engram import DEFAULT_NAMESPACE, Engram, draft, less_trusted
from engram.errors import InvalidEngram
from engram.formats import MAX_UNPACKED
from engram.formats.documents import KIND, DocumentFormat
from engram.ids import uuid7_of
from engram.times import EPOCH, as_utc, parse_time


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A location in a file: a line (from 1), or a path into its JSON."""

    file: str
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        return f"{self.file}{line}" + (f" {self.path}" if self.path else "")

    def inside(self, *steps: str | int) -> SourceLocation:
        """Return the location of a part: `location.inside("chat_messages", 3)`."""
        path = self.path
        for step in steps:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class ImportedTurn:
    """An engram that was read and is not yet in a memory.

    `open_fields` are the fields that the source does not determine: filled with the time of the import, or different in
    every export (the title of a conversation). They are ignored when the turn is compared with an existing engram.
    """

    location: SourceLocation
    engram: Engram
    open_fields: frozenset[str] = frozenset()

    def same_as(self, existing: Engram) -> bool:
        """Return whether `existing` is this turn, imported earlier."""
        return replace(self.engram, **{name: getattr(existing, name) for name in self.open_fields}) == existing


LONGEST_WHY = 1_000
"""Characters of a reason, which may quote the file; the rest is cut off."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part that could not be read or stored, and the reason."""

    location: SourceLocation
    why: str

    def __post_init__(self) -> None:
        if len(self.why) > LONGEST_WHY:
            object.__setattr__(self, "why", self.why[:LONGEST_WHY] + "…")

    def __str__(self) -> str:
        return f"{self.location}: {self.why}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part that was understood and is not a turn: a hidden message, the output of a tool, a message without text."""

    location: SourceLocation
    why: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What a user should know of a part that was read."""

    location: SourceLocation
    why: str

    def __str__(self) -> str:
        return f"{self.location}: {self.why}"


Item = ImportedTurn | Problem | Skipped | Remark


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """Settings of an import."""

    now: datetime
    """The time of the import."""
    namespace: str = DEFAULT_NAMESPACE
    """The namespace of turns whose source names none."""
    branches: bool = True
    """Whether to import all branches of a ChatGPT conversation."""
    max_unpacked: int = MAX_UNPACKED
    """The bytes that one compressed file may unpack to."""
    format: DocumentFormat | None = None
    """The format of the document that the file is; None to recognise what it is."""
    session: str | None = None
    """The session of documents; None for the name of the file."""
    at: datetime | None = None
    """The time of documents; None for the one that a document states, else that of its file."""
    zone: tzinfo = UTC
    """The time zone of dates that a document states without one."""


def imported(
    location: SourceLocation, settings: ImportSettings, at: datetime | None, open_fields: set[str], **fields: Any
) -> ImportedTurn | Problem:
    """Return the turn with these fields of `draft`, or the problem with them.

    at: None if the source gives no time; the time of the import is used then, and `at` is an open field.
    """
    try:
        engram = draft(at=settings.now if at is None else at, recorded_at=settings.now, **fields)
    except InvalidEngram as error:
        return Problem(location, str(error))
    also_open = {"recorded_at"} if at else {"recorded_at", "at"}
    return ImportedTurn(location, with_import_origin(engram), frozenset(open_fields | also_open))


def with_import_origin(engram: Engram, *, stated: bool = False) -> Engram:
    """Return an engram of a file with its origin: import, or what it comes from if that is less trusted.

    stated: whether `engram.origin` is what the file says; otherwise source, kind and role tell it.
    """
    known = engram.origin
    if not stated:
        known = "agent" if engram.source == "mcp" else "document" if engram.kind == "attachment" else known
        known = less_trusted(known, "document") if engram.kind == KIND else known
    return replace(engram, origin=less_trusted("import", known))


def time_or_none(value: object) -> datetime | None:
    """Return the time in ISO 8601 text, in UTC; None if `value` is no such text."""
    try:
        return as_utc("time", parse_time("time", value))
    except InvalidEngram:
        return None


def derived_id(at: datetime | None, *key: str | int | None, order: int | None = None) -> str:
    """Return the id of a turn that has none: the same for the same `key`, sorted by `at` (None: by 1970).

    `order` (below 4096) sorts turns with the same `at`.
    """
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    if order is not None:
        digest = (order & 0xFFF).to_bytes(2) + digest
    return uuid7_of(EPOCH if at is None else at, digest)
