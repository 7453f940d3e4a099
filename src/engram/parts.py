"""Parts: long sequences, a bounded number of items at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_parts(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield items in parts of at most `most`, in their order; none for no items."""
    for start in range(0, len(items), most):
        yield items[start : start + most]
