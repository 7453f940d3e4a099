"""The scan: which passages of a namespace have vectors near to that of a query.

Owns its two stages: all passages by the scanned signs, and the nearest of these by their codes. Exact up to
what codes lose; nothing is skipped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engram import accel
from engram.meaning.codes import Query
from engram.search.base import Floats, Ints
from engram.search.local.damage import damage_noticed
from engram.search.local.forward import ForwardIndex


class Near(NamedTuple):
    """Passages near to a query."""

    rows: Ints
    """Row of the engram of each: shape (m,)."""
    similarities: Floats
    complete: bool
    """Whether these are all passages of the namespace that have a vector."""


def nearest(forward: ForwardIndex, namespace: int, size: int, query: Query, most: int) -> Near:
    """Return about the `most` nearest of a namespace's passages among the first `size`, in any order.

    Raises `IndexDamaged` if the files do not contain the written data.
    """
    with damage_noticed():
        signs, passages = forward.vectors.signs.view()["bits"], forward.passages.view()
        scan = accel.in_use().nearest_signs
        found = [
            scan(signs, start, stop, places, query.signs, most)
            for start, stop, places in forward.directory.of(namespace, size)
        ]
        if not found:
            return Near(np.empty(0, np.int64), np.empty(0, np.float32), complete=True)
        places, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if len(places) > most:
            places = places[distances.argpartition(most - 1)[:most]]
        near = forward.vectors.coder.similarities(forward.vectors.take(places), query)
        # 0: without a vector.
        kept = near != 0
        return Near(passages["row"][places[kept]].astype(np.int64), near[kept], complete=len(places) < most)


def best_rows(rows: Ints, similarities: Floats) -> Ints:
    """Return `rows`, each once, by the greatest of its similarities, best first."""
    ordered = rows[(-similarities).argsort(kind="stable")]
    # A dict is faster than numpy's `unique` for some hundreds.
    return np.array(list(dict.fromkeys(ordered.tolist())), np.int64)
