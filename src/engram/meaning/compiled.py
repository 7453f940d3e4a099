"""The forward pass of the sentence encoder in C: what `engram.meaning.plain` does, by the kernel of `engram.accel`.

Owns how the weights cross to C. Use it only if `engram.accel.available`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate, chain

import numpy as np

from engram.accel import compiled
from engram.meaning.weights import MATRICES, VECTORS, WIDTH, Floats, Weights


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
        tables = (weights.narrow, weights.middle, weights.wide)
        self._model = compiled.Sentences(
            *(compiled.address(table, np.uint8) for table in tables),
            *(len(weights.narrow), len(weights.middle)),
            ctypes.addressof(self._layers),
            *(compiled.address(weights.vectors[name], np.float32) for name in VECTORS),
        )

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return a vector of length 1 for each list of piece numbers; none may be empty: shape (len(texts), WIDTH)."""
        starts = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
        pieces = np.fromiter(chain.from_iterable(texts), np.int64, int(starts[-1]))
        weights = self._weights
        step, offset = weights.step[pieces].astype(np.float32), weights.offset[pieces].astype(np.float32)
        return compiled.encode(self._model, starts, weights.place[pieces], step, offset, WIDTH, self._limit)
