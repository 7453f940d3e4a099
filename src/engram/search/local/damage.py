"""Distinguishes a damaged index from a bug in this program: translates errors into `IndexDamaged`."""

from __future__ import annotations

from types import TracebackType

from engram.search.base import IndexDamaged

ERRORS = (ValueError, OSError, IndexError, TypeError, OverflowError, MemoryError, RecursionError)
"""What reading a damaged index raises."""


class DamageNoticed:
    """The context that `damage_noticed` returns. It has no state. A generator would cost four times as much."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and (isinstance(error, ERRORS) or is_panic(error)):
            raise IndexDamaged(f"the index cannot be read: {error}") from error


NOTICED = DamageNoticed()


def damage_noticed() -> DamageNoticed:
    """Convert the errors of reading a damaged index to `IndexDamaged`. Must enclose only reads of the index."""
    return NOTICED


def is_panic(error: BaseException) -> bool:
    """Return whether `error` is a panic in a library that is written in Rust.

    Tantivy panics on some damage. PyO3 raises a panic as a class that is no Exception and has no public name.
    """
    return type(error).__name__ == "PanicException"
