"""Distinguishes a damaged index from a bug in this program: translates errors into `IndexDamaged`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engram.search.base import IndexDamaged


@contextmanager
def damage_noticed() -> Iterator[None]:
    """Convert the errors of reading a damaged index to `IndexDamaged`. Must enclose only reads of the index."""
    try:
        yield
    except (ValueError, OSError, IndexError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise IndexDamaged(f"the index cannot be read: {error}") from error
    except BaseException as error:
        # Tantivy panics on some damage. PyO3 raises a panic as a class that is no Exception and has no public name.
        if is_panic(error):
            raise IndexDamaged(f"the index cannot be read: {error}") from error
        raise


def is_panic(error: BaseException) -> bool:
    """Return whether `error` is a panic in a library that is written in Rust."""
    return type(error).__name__ == "PanicException"
