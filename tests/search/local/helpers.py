"""Entries for tests of the index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engram.search.local.forward import Entry
from engram.text.base import CENTROID_DIMENSIONS, Analysis

CENTROID = np.ones(CENTROID_DIMENSIONS, np.int8)


def entry(seq: int, session: int = 1, ids: Sequence[int] = (1, 2), namespace: int = 1) -> Entry:
    """An entry whose terms are "t1" for the token 1, and so on."""
    terms = [f"t{i}" for i in ids]
    return Entry(
        seq, namespace, session, 0, 0, "turn", seq * 1_000, 0, Analysis(terms, list(ids), 0), (len(ids),), CENTROID
    )
