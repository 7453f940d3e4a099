"""Matching, linking and scanning in numpy: the reference for kernel.c, and what runs where it is not compiled.

Owns how the tokens of a query are matched in turns, and how turns are linked with neighbours and sessions. Pure
functions over arrays, an `accel.Implementation`; knows no weight and no index. Small arrays are gathered with `take`:
indexing takes three to ten times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engram.accel import Array, Bits, Codes, Floats, Ints, Language, Links, Matches, Places

SCANNED_AT_ONCE = 1 << 16
"""Passages whose signs are compared in one step."""
COUNTS = None if hasattr(np, "bitwise_count") else np.array([n.bit_count() for n in range(1 << 16)], np.uint8)
"""The number of bits that are set in each number of 16 bits, where numpy does not count them (before 2.0)."""


def match_tokens(
    columns: Array, tokens: Array, lengths: Ints, ids: Sequence[int], has_near: Sequence[bool], language: Language
) -> Matches:
    """Match the q distinct tokens `ids` of a query in n turns: see `accel.Implementation`.

    Late interaction over static vectors, as in ColBERT (Khattab and Zaharia, 2020), by look-up instead of a product.
    """
    q, n = len(ids), len(columns)
    products = np.einsum("nd,d->n", columns["centroid"].astype(np.float32), centroid_of(ids, language))
    cosines = np.maximum(products * np.float32(1 / 127), np.float32(0))
    slots, similarity = query_table(ids, has_near, language, int(tokens.max(initial=0)) + 1)
    slot_of_token = slots.take(tokens)
    hits = slot_of_token.nonzero()[0]
    turn_of = np.arange(n).repeat(lengths).take(hits)
    slot_of = slot_of_token.take(hits).astype(np.int64)
    exact = (slot_of <= q).nonzero()[0]
    counts = np.bincount((slot_of.take(exact) - 1) * n + turn_of.take(exact), minlength=q * n).astype(np.float32)
    nearness = np.zeros((n, q), np.uint8)
    if len(hits):
        starts = changes(turn_of).nonzero()[0]
        nearness[turn_of.take(starts)] = np.maximum.reduceat(similarity.take(slot_of, axis=0), starts, axis=0)
    return Matches(counts.reshape(q, n), np.ascontiguousarray(nearness.T), cosines)


def query_table(
    ids: Sequence[int], has_near: Sequence[bool], language: Language, tokens: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return a slot for every token that is one of `ids` or near one, and the similarities of each slot.

    The first: the slot of each token id below `tokens` or more, 0 for all others; `ids` have the slots 1 to q. The
    second: cosine of each slot's token to each other token of `ids`, in steps of 1/255: shape (slots, q).
    """
    q = len(ids)
    near = [(index, id) for index, id in enumerate(ids) if has_near[index]]
    wanted = np.concatenate((np.array(ids, np.int64), *(language.near[id] for _, id in near)))
    slots = np.zeros(max(tokens, int(wanted.max(initial=0)) + 1), np.uint16)
    # A token that occurs twice in `wanted` gets its last slot, so the slots of `ids` are written again.
    slots[wanted] = np.arange(1, len(wanted) + 1)
    slots[wanted[:q]] = np.arange(1, q + 1)
    similarity = np.zeros((len(wanted) + 1, q), np.uint8)
    for index, id in near:
        similarity[slots.take(language.near[id]), index] = language.similarity[id]
        similarity[index + 1, index] = 0
    return slots, similarity


def centroid_of(ids: Sequence[int], language: Language) -> Floats:
    """Return the direction of the centroid of some tokens, of length 1, or all 0 if none has a vector: shape (d,)."""
    total = language.vectors.take(np.minimum(ids, len(language.vectors) - 1), axis=0).sum(axis=0)
    return np.asarray(total / max(math.sqrt(float(np.square(total).sum())), 1e-9), np.float32)


def find_neighbours(rows: Ints, columns: Array, longest_pause: int) -> Links:
    """Link n turns, at least one, with their neighbours and sessions: see `accel.Implementation`."""
    n = len(rows)
    around, same_speaker = np.full((4, n), -1, np.int64), np.zeros((2, n), np.bool_)
    previous, following = indices_of(columns["previous"].astype(np.int64), rows), around[2]
    has = (previous >= 0).nonzero()[0]
    before, at = previous.take(has), columns["at"].copy()
    paused = np.abs(at.take(has) - at.take(before)) > longest_pause
    if paused.any():
        previous[has[paused]] = -1
        has, before = has[~paused], before[~paused]
    # From `previous` alone: where index and tail meet, a turn's `next` may be unknown.
    following[before] = has
    who = columns["speaker"].astype(np.int64) << 8 | columns["role"]
    same_speaker[0, has] = who.take(has) == who.take(before)
    same_speaker[1, before] = same_speaker[0, has]
    around[0] = previous
    around[1, has] = previous.take(before)
    around[3, before] = following.take(has)
    numbers = columns["session"].astype(np.int64)
    by_session = numbers.argsort(kind="stable")
    ordered = numbers.take(by_session)
    new = changes(ordered)
    starts = new.nonzero()[0]
    session = np.empty(n, np.int64)
    session[by_session] = new.cumsum() - 1
    return Links(around, same_speaker, by_session, starts, session, ordered.take(starts))


def best_in_sessions(values: Floats, by_session: Ints, starts: Ints) -> Floats:
    """Return the greatest value of each of s sessions, shape (q, s): see `accel.Implementation`."""
    return np.asarray(np.maximum.reduceat(values.take(by_session, axis=1), starts, axis=1))


def nearest_signs(
    signs: Bits, start: int, stop: int, places: Places | None, query: Bits, limit: int
) -> tuple[Ints, Ints]:
    """Return the passages whose signs differ least from a query's: see `accel.Implementation`."""
    found, distances = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for begin in range(start, stop, SCANNED_AT_ONCE) if places is None else range(0, len(places), SCANNED_AT_ONCE):
        end = begin + SCANNED_AT_ONCE
        some = np.arange(begin, min(end, stop)) if places is None else places[begin:end].astype(np.int64)
        compared = signs[begin : min(end, stop)] if places is None else signs.take(some, axis=0)
        different = bit_counts(compared ^ query)
        kept = different.argsort(kind="stable")[:limit]
        found.append(some.take(kept))
        distances.append(different.take(kept))
    candidates, differences = np.concatenate(found), np.concatenate(distances)
    best = differences.argsort(kind="stable")[:limit]
    return candidates.take(best), differences.take(best)


def compare_codes(codes: Codes, query: Floats, small: float, large: float) -> Floats:
    """Return the cosines between codes and a query: see `accel.Implementation`."""
    bits = np.unpackbits(codes, axis=1, bitorder="little")
    positive, is_large = np.split(bits.astype(np.float32), 2, axis=1)
    values = (2 * positive - 1) * (is_large * np.float32(large - small) + np.float32(small))
    cosines = values @ query / np.sqrt(np.einsum("nd,nd->n", values, values))
    return np.asarray(np.where(codes.any(axis=1), cosines, 0), np.float32)


def bit_counts(numbers: Bits) -> Ints:
    """Return the number of bits that are set in each row: shape (n,)."""
    if COUNTS is None:
        return np.asarray(np.bitwise_count(numbers).sum(axis=1, dtype=np.int64))
    return np.asarray(COUNTS.take(np.ascontiguousarray(numbers).view(np.uint16)).sum(axis=1, dtype=np.int64))


def changes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return which of sorted `values` differ from the one before; the first counts as different: shape of `values`."""
    result = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=result[1:])
    return result


def indices_of(wanted: Ints, rows: Ints) -> Ints:
    """Return the index of each wanted row in the sorted `rows`, at least one; -1 if it is not there."""
    indices = np.minimum(rows.searchsorted(wanted), len(rows) - 1)
    indices[rows.take(indices) != wanted] = -1
    return indices
