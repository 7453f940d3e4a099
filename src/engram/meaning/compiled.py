"""The forward pass of the sentence encoder in C: what `engram.meaning.plain` does, by the kernel of `engram.accel`.

Owns how the weights cross to C, and the memory in which C keeps what a piece gives by itself: six tenths of the
arithmetic, and eight tenths of the pieces of a text are among the last five hundred. Use it only if
`engram.accel.available`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate, chain

import numpy as np

from engram.accel import compiled
from engram.meaning.weights import BRANCH, BRANCHES, MATRICES, VECTORS, WIDTH, Floats, Weights

CACHES = 2
"""Calls that keep what they compute at the same time; further ones compute all. Memory is used as it is filled."""
SETS, WAYS = 128, 4
"""Pieces that a cache holds: WAYS of each set. Each takes 13 KB."""
ROW = sum(1 + n for n, _ in BRANCHES) * BRANCH
"""Values of a piece: its states in each branch, and what it adds at each place of an n-gram."""


class Cache:
    """The memory of a cache of `sentences.h`."""

    def __init__(self) -> None:
        self._busy, self._batches = np.zeros(1, np.int32), np.zeros(1, np.int64)
        self._held, self._used = np.zeros((SETS, WAYS), np.int32), np.zeros((SETS, WAYS), np.int64)
        self._rows = np.empty((SETS, WAYS, ROW), np.float32)

    def crossing(self) -> compiled.SentenceCache:
        """Return the struct; it is valid as long as this object lives."""
        return compiled.SentenceCache(
            *(SETS, compiled.address(self._busy, np.int32), compiled.address(self._held, np.int32)),
            *(compiled.address(self._used, np.int64), compiled.address(self._batches, np.int64)),
            compiled.address(self._rows, np.float32),
        )


class CompiledEncoder:
    """Encodes lists of pieces. Safe to call from several threads."""

    def __init__(self, weights: Weights, limit: int = 2) -> None:
        """`limit`: 2, or less to leave out the fastest forms of the product."""
        self._weights, self._limit = weights, limit
        layers = [weights.layers[name] for name in MATRICES]
        self._layers = (compiled.LayerOfSentences * len(layers))()
        for row, layer in enumerate(layers):
            self._layers[row] = compiled.LayerOfSentences(
                compiled.address(layer.packed, np.int8),
                compiled.address(layer.sums, np.float32),
                compiled.address(layer.scales, np.float32),
            )
        self._caches = [Cache() for _ in range(CACHES)]
        self._cache_structs = (compiled.SentenceCache * CACHES)(*(cache.crossing() for cache in self._caches))
        tables = (weights.narrow, weights.middle, weights.wide)
        self._model = compiled.Sentences(
            *(compiled.address(table, np.uint8) for table in tables),
            *(len(weights.narrow), len(weights.middle)),
            ctypes.addressof(self._layers),
            *(compiled.address(weights.vectors[name], np.float32) for name in VECTORS),
            *(ctypes.addressof(self._cache_structs), CACHES),
        )

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return a vector of length 1 for each list of piece numbers; none may be empty: shape (len(texts), WIDTH)."""
        starts = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
        pieces = np.fromiter(chain.from_iterable(texts), np.int64, int(starts[-1]))
        weights = self._weights
        step, offset = weights.step[pieces].astype(np.float32), weights.offset[pieces].astype(np.float32)
        return compiled.encode(self._model, starts, weights.place[pieces], step, offset, WIDTH, self._limit)
