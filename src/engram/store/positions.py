"""Cursors of a log that is totally ordered: a position among the appended engrams and one among the deletions.

Owns the text form of such a cursor and the arithmetic on it. Knows no store.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from engram.store.base import CursorExpired, Distance


class Position(NamedTuple):
    """A cursor, taken apart. Both numbers count from 1; 0 is the beginning."""

    appended: int
    deleted: int

    @staticmethod
    @lru_cache(64)
    def parse(cursor: str) -> Position:
        """Read the text form; "" is the beginning. Raises `CursorExpired`."""
        if not cursor:
            return Position(0, 0)
        parts = cursor.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            raise CursorExpired(f"{cursor[:40]!r} is no cursor of this log")
        return Position(int(parts[0]), int(parts[1]))

    def __str__(self) -> str:
        return f"{self.appended}.{self.deleted}"

    def start(self, cursor: str, pruned: int) -> Position:
        """Return the position of `cursor` in a log whose head is `self`.

        `pruned`: the number of the last deletion that was pruned. Raises `CursorExpired` if deletions after the cursor
        were pruned, or if the cursor is after the head.
        """
        if not cursor:
            return Position(0, self.deleted)
        position = Position.parse(cursor)
        if position.appended > self.appended or position.deleted > self.deleted:
            raise CursorExpired(f"the cursor {cursor} is ahead of the log, which ends at {self}")
        if position.deleted < pruned:
            raise CursorExpired(f"the deletions after the cursor {cursor} were pruned, up to number {pruned}")
        return position

    def keeping(self, start: Position, keep: int) -> Position:
        """Return the position after `start` that leaves out all but the last `keep` engrams before `self`."""
        return Position(max(start.appended, self.appended - keep), start.deleted)


def distance(start: str, end: str) -> Distance:
    """Return the number of changes between two cursors. Raises `CursorExpired`."""
    first, last = Position.parse(start), Position.parse(end)
    return Distance(last.appended - first.appended, last.deleted - first.deleted)
