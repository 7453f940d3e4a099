"""Parts: long sequences, a bounded number of items at a time, by other threads where they may help."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_parts(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield items in parts of at most `most`, in their order; none for no items."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


def ahead(pool: Executor, function: Callable[[T], R], items: Sequence[T], most: int) -> Iterator[tuple[T, R]]:
    """Yield items with what a function returns for them, in their order; a pool computes up to `most` at once.

    Raises what the function raises, at the item.
    """
    left, computing = iter(items), deque[tuple[T, Future[R]]]()
    while True:
        computing.extend((item, pool.submit(function, item)) for item in islice(left, most - len(computing)))
        if not computing:
            return
        item, future = computing.popleft()
        yield item, future.result()
