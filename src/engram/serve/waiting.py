"""The room for messages that wait to be written, shared out among the namespaces.

Owns the bounds: one for each namespace, so that the messages of one never refuse those of another, and one for the
memory of the process. Does not know what waits, nor for how long. Not safe to use from several threads at once.
"""

from __future__ import annotations

from typing import Protocol

MAX_BYTES = 256 << 20
"""Approximate bytes that may wait in all namespaces together."""

NAMESPACE_BYTES = MAX_BYTES // 4
"""Approximate bytes that may wait in one namespace."""

MESSAGE_BYTES = 1_000
"""Approximate bytes of one waiting message without its text."""


class Waiting(Protocol):
    """What waits: the messages of one request, or one reply."""

    @property
    def weight(self) -> int:
        """Number of engrams."""

    @property
    def characters(self) -> int:
        """Characters of their texts."""


class WaitingRoom:
    """Counts what waits in each namespace.

    One item counts as at most half of its namespace's room, however large it is: a long history can wait, and the next
    turns of its conversation fit beside it.
    """

    def __init__(self, most: int) -> None:
        """`most`: engrams that may wait in one namespace, at least 1."""
        self._most = most
        self._weights: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._all_bytes = 0

    def has_room(self, namespace: str, item: Waiting) -> bool:
        """Return whether an item of a namespace may wait."""
        weight, size = self._counted(item)
        return (
            self._weights.get(namespace, 0) + weight <= self._most
            and self._bytes.get(namespace, 0) + size <= NAMESPACE_BYTES
            and self._all_bytes + size <= MAX_BYTES
        )

    def enter(self, namespace: str, item: Waiting) -> None:
        """Count an item that waits now."""
        weight, size = self._counted(item)
        self._weights[namespace] = self._weights.get(namespace, 0) + weight
        self._bytes[namespace] = self._bytes.get(namespace, 0) + size
        self._all_bytes += size

    def leave(self, namespace: str, item: Waiting) -> None:
        """Count an item no longer that had entered."""
        weight, size = self._counted(item)
        self._weights[namespace] -= weight
        self._bytes[namespace] -= size
        self._all_bytes -= size
        if not self._weights[namespace]:
            del self._weights[namespace], self._bytes[namespace]

    def is_full(self) -> bool:
        """Return whether what waits in all namespaces together leaves no room for a short turn."""
        return self._all_bytes + 2 * MESSAGE_BYTES > MAX_BYTES

    def _counted(self, item: Waiting) -> tuple[int, int]:
        """Return the engrams and the bytes that an item counts as, each at least 1."""
        size = MESSAGE_BYTES * item.weight + item.characters
        return min(item.weight, max(1, self._most // 2)), min(size, NAMESPACE_BYTES // 2)
