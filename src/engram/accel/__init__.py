"""Gathering and matching, in C where the kernel is compiled and in numpy elsewhere.

Owns the choice between the two, for every call at the moment of the call, and says why the kernel is not used. Both do
the same: `plain` is the reference and `compiled` is tested against it. Knows arrays only, no weight and no memory.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from engram.accel import compiled, plain
from engram.accel.compiled import FOLDER, gathered
from engram.accel.library import MEND, Unusable, difference, layout_of_dtype
from engram.accel.plain import CHANGED, UNFIT, Array, Floats, Ints, Language, Links, Matches

__all__ = [
    "CHANGED",
    "FOLDER",
    "UNFIT",
    "Language",
    "available",
    "best_in_sessions",
    "expect_rows",
    "find_neighbours",
    "gathered",
    "match_tokens",
    "status",
]

available: bool = False
"""Whether the kernel is used. `gathered` must be called only if it is."""
status: str = ""
"""Whether the kernel is used, and if not, why and what command mends it: one line for people."""
_reported: bool = False
"""Whether the log says already that the kernel is not used."""


def start() -> None:
    """Load the kernel and set `available` and `status`. A kernel that does not fit is reported in the log at once."""
    global available, status, _reported
    _reported = False
    try:
        available = compiled.start(FOLDER)
        status = "compiled" if available else f"in numpy, slower: the kernel is not compiled; with a C compiler, {MEND}"
    except Unusable as error:
        disable(str(error))


def disable(reason: str) -> None:
    """Stop using the kernel, and log why."""
    global available, status
    available = False
    status = f"in numpy, slower: {FOLDER / 'kernel.so'} is not used: {reason}; with a C compiler, {MEND}"
    report_once()


def report_once() -> None:
    """Log, once in a process, that recall runs without the kernel: installers hide what the build printed about it."""
    global _reported
    if not _reported:
        _reported = True
        logging.getLogger("engram").warning("recall runs %s", status)


def expect_rows(dtype: np.dtype[Any]) -> None:
    """Stop using the kernel unless it reads rows of this dtype: the same fields, by name, offset and size."""
    if available and (wrong := difference(layout_of_dtype(dtype), compiled.kernel().row)):
        disable(f"a row has changed: {wrong}")


def match_tokens(
    columns: Array, tokens: Array, lengths: Ints, ids: Sequence[int], has_near: Sequence[bool], language: Language
) -> Matches:
    """Match the tokens of a query in some turns: see `plain.match_tokens`."""
    if available:
        return compiled.match_tokens(columns, tokens, lengths, ids, has_near, language)
    report_once()
    return plain.match_tokens(columns, tokens, lengths, ids, has_near, language)


def find_neighbours(rows: Ints, columns: Array, longest_pause: int) -> Links:
    """Link turns with their neighbours and sessions: see `plain.find_neighbours`."""
    if available:
        return compiled.find_neighbours(rows, columns, longest_pause)
    return plain.find_neighbours(rows, columns, longest_pause)


def best_in_sessions(values: Floats, by_session: Ints, starts: Ints) -> Floats:
    """Return the greatest value of each session: see `plain.best_in_sessions`."""
    if available:
        return compiled.best_in_sessions(values, by_session, starts)
    return plain.best_in_sessions(values, by_session, starts)


start()
