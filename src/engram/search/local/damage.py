"""What a damaged index is, and how it is told from a mistake of ours.

Owns the one error that has the index made again, and the translation of what reading noise raises into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engram.search.base import IndexDamaged


@contextmanager
def damage_noticed() -> Iterator[None]:
    """Whatever reading a damaged index raises, as `IndexDamaged`; to be held around nothing else."""
    try:
        yield
    except (ValueError, OSError, IndexError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise IndexDamaged(f"the index cannot be read: {error}") from error
    except BaseException as error:
        # Tantivy panics on some noise; what PyO3 makes of it is no Exception and has no public name.
        if is_panic(error):
            raise IndexDamaged(f"the index cannot be read: {error}") from error
        raise


def is_panic(error: BaseException) -> bool:
    """Whether `error` is a panic in a library written in Rust."""
    return type(error).__name__ == "PanicException"
