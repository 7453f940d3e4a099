"""Copies: turns that say the same words in the same role, such as a question that was asked many times.

Owns how copies are recognised, and how many of them may take places from other turns. Knows no score and no query.
"""

from __future__ import annotations

import numpy as np

from engram.search.base import Array, Ints, SearchReader, Turns

MOST = 3
"""Copies of a text, the latest ones, that may take places from other turns: a diary repeats itself, too."""


def may_hold_copies(columns: Array) -> bool:
    """Return whether most of some turns (dtype ROW) look like copies: `few_copies` then finds those that are."""
    alike = np.ascontiguousarray(columns["centroid"]).view(np.dtype((np.void, columns["centroid"].shape[1])))
    return 2 * len(np.unique(alike)) <= len(columns)


def few_copies(reader: SearchReader, rows: Ints) -> Ints:
    """Return `rows`, in their order, without the copies of a text but its latest `MOST`."""
    turns = reader.take(np.sort(rows))
    return np.asarray(rows[np.isin(rows, turns.rows[~surplus(turns, np.arange(len(turns.rows))[::-1])])])


def surplus(turns: Turns, order: Ints, most: int = MOST) -> Array:
    """Return which turns have `most` copies before them in `order`, which holds indices: shape (n,), bool."""
    found = np.zeros(len(turns.rows), np.bool_)
    ends, seen = turns.lengths.cumsum(), dict[tuple[int, int, bytes], int]()
    for index in order.tolist():
        row, end = turns.columns[index], int(ends[index])
        text = turns.tokens[end - int(turns.lengths[index]) : end].tobytes()
        key = (int(row["role"]), int(row["speaker"]), text)
        seen[key] = seen.get(key, 0) + 1
        found[index] = seen[key] > most
    return found


def copies_last(order: Ints, turns: Turns, words: Array, around: Array) -> Ints:
    """Return `order`, best first, with the surplus copies of a text at its end.

    words, around: how well each turn, and the turns around it, match the query, shape (n,). A turn that matches by the
    turns around it, such as "yes", is an answer of its own each time. Copies match equally well.
    """
    values = words.take(order)
    by_words = values > np.maximum(around.take(order), 0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    suspects = order[by_words & (counts > MOST)[inverse]]
    if not len(suspects):
        return order
    last = surplus(turns, suspects)[order]
    return np.concatenate((order[~last], order[last]))
