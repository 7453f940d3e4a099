"""The codes of a build that is replaced, for the one that replaces it: what is encoded need not be encoded again.

Owns which engrams the two builds share. Compacting a memory leaves nearly all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engram.meaning.codes import Codes
from engram.search.base import GONE, IndexDamaged, Ints
from engram.search.local.build import Snapshot
from engram.search.local.forward import ForwardIndex, places_of

ROWS_AT_ONCE = 20_000
"""Engrams whose codes are copied in one step."""


def reused_codes(old: Snapshot, forward: ForwardIndex) -> Iterator[Codes]:
    """Yield codes of `old` for the passages of a forward index, which has no codes yet, from the first passage on.

    Ends where `old` has no codes for an engram, or is damaged.
    """
    if not old.coded or old.forward.vectors.coder.fingerprint != forward.vectors.coder.fingerprint:
        return
    last = int(old.forward.passages.view()["row"][old.coded - 1])
    keys = old.forward.keys(1, last)
    order = keys.argsort()
    for first in range(forward.first, forward.last + 1, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, forward.last + 1))
        wanted = forward.keys(int(rows[0]), int(rows[-1]))
        found = order.take(np.minimum(keys.searchsorted(wanted, sorter=order), len(keys) - 1))
        codes, complete = codes_of(old.forward, found + 1, forward.columns(rows)["passages"], keys[found] == wanted)
        yield codes
        if not complete:
            return


def codes_of(forward: ForwardIndex, rows: Ints, counts: Ints, known: npt.NDArray[np.bool_]) -> tuple[Codes, bool]:
    """Return the codes of the first of `rows` that are known, and whether these are all rows.

    counts: how many passages each must have.
    """
    columns = forward.columns(rows)
    usable = known & (columns["length"] != GONE) & (columns["passages"] == counts)
    number = len(rows) if usable.all() else int(usable.argmin())
    try:
        return forward.vectors.take(places_of(columns[:number])), number == len(rows)
    except IndexDamaged:
        return np.empty((0, forward.vectors.coder.width), np.uint8), False
