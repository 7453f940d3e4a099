"""The directory: which passages belong to a namespace, so that a scan reads only these.

Owns the order of passages by namespace, in RAM: 4 bytes for each passage of a memory with several namespaces. It is
made when it is first asked, and continued as passages are appended. Knows no vector.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.search.local.growing import GrowingArray

PASSAGE = np.dtype([("row", "<i4"), ("namespace", "<i4"), ("length", "<i4")])
"""A passage: row of its engram, number of the namespace, and its number of tokens."""

Places = npt.NDArray[np.uint32]


class Part(NamedTuple):
    """The passages from `start` to before `stop`, by namespace."""

    start: int
    stop: int
    order: Places | None
    """The passages, ordered by namespace and then by number; None if all are of one namespace."""
    namespaces: npt.NDArray[np.int32]
    """The namespaces, in ascending order: shape (m,)."""
    begins: npt.NDArray[np.int64]
    """Where each begins in `order`, and the end: shape (m + 1,)."""

    def of(self, namespace: int) -> tuple[int, Places | None]:
        """Return the passages of a namespace, as a first one and an array; None for all passages of the part."""
        at = int(self.namespaces.searchsorted(namespace))
        if at == len(self.namespaces) or self.namespaces[at] != namespace:
            return self.start, NONE
        if self.order is None:
            return self.start, None
        return self.start, self.order[self.begins[at] : self.begins[at + 1]]


NONE: Places = np.empty(0, np.uint32)


class Directory:
    """The passages of an array by namespace. Safe to use from several threads."""

    def __init__(self, passages: GrowingArray) -> None:
        self._passages = passages
        self._parts: list[Part] = []
        self._lock = threading.Lock()

    def of(self, namespace: int, size: int) -> Iterator[tuple[int, int, Places | None]]:
        """Yield the passages of a namespace among the first `size`, in parts in ascending order.

        Each part: the first passage and the one after the last, and which of these are meant; None: all.
        """
        for part in self._upto(size):
            start, places = part.of(namespace)
            stop = min(part.stop, size)
            if places is not None and stop < part.stop:
                places = places[: places.searchsorted(stop)]
            if start < stop and (places is None or len(places)):
                yield start, stop, places

    def _upto(self, size: int) -> list[Part]:
        """Return the parts of at least the first `size` passages."""
        with self._lock:
            parts = self._parts
            known = parts[-1].stop if parts else 0
            if known < size:
                start, parts = known, list(parts)
                # Parts double in size, so that there are few and each passage is ordered a few times only.
                while parts and parts[-1].stop - parts[-1].start <= 2 * (size - start):
                    start = parts.pop().start
                parts.append(ordered(self._passages.view()["namespace"][start:size], start))
                self._parts = parts
            return parts


def ordered(namespaces: npt.NDArray[np.int32], start: int) -> Part:
    """Return the part of the passages from `start` on, at least one, which belong to these namespaces."""
    stop, low, high = start + len(namespaces), int(namespaces.min()), int(namespaces.max())
    if low == high:
        return Part(start, stop, None, np.array([low], np.int32), np.array([0, len(namespaces)]))
    # Numbers of 16 bits are sorted ten times as fast.
    keys = (namespaces - low).astype(np.uint16 if high - low < 1 << 16 else np.uint32)
    order = keys.argsort(kind="stable")
    sorted_keys = keys.take(order)
    begins = np.concatenate(([0], np.flatnonzero(sorted_keys[1:] != sorted_keys[:-1]) + 1, [len(keys)]))
    found = sorted_keys.take(begins[:-1]).astype(np.int64) + low
    return Part(start, stop, (order + start).astype(np.uint32), found.astype(np.int32), begins)
