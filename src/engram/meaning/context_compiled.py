"""The forward pass of the contextual part in C: what `engram.meaning.context_plain` does, by the kernel of `accel`.

Owns how the weights cross to C: matrices are copied once, so that what the kernel reads at a time lies together. Use it
only if `engram.accel.available`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate, chain

import numpy as np
import numpy.typing as npt

from engram.accel import compiled
from engram.meaning.context_plain import TWICE
from engram.meaning.context_weights import LAYERS, ContextWeights
from engram.meaning.weights import WIDTH, Floats, Layer
from engram.meaning.wordpiece import MOST_PIECES

TILE = 64
"""Outputs of a matrix that the kernel computes together."""
KINDS = ("qkv", "o", "up", "down")
"""The matrices of a layer, in the order of context.c."""
ALIGNED = 64
"""Bytes of a line of the processor's cache: a row of a tile begins at one."""


class CompiledContext:
    """Encodes lists of pieces. Safe to call from several threads."""

    def __init__(self, weights: ContextWeights, limit: int = 2) -> None:
        """`limit`: 2, or less to leave out the fastest forms of the product."""
        self._weights, self._limit = weights, limit
        names = [f"{kind}{layer}" for layer in range(LAYERS) for kind in KINDS] + ["out"]
        self._tiles = [tiles_of(weights.layers[name]) for name in names]
        self._matrices = (compiled.ContextMatrix * len(names))()
        for row, (name, tiles) in enumerate(zip(names, self._tiles, strict=True)):
            layer = weights.layers[name]
            self._matrices[row] = compiled.ContextMatrix(
                *(compiled.address(tiles, np.int8), compiled.address(layer.sums, np.float32)),
                compiled.address(layer.scales, np.float32),
                compiled.address(weights.vectors[f"{name}.bias"], np.float32),
                2 if name.rstrip("0123456789") in TWICE else 1,
            )
        norms = ["begin", *(f"{place}{layer}" for layer in range(LAYERS) for place in ("attended", "changed"))]
        self._gains, self._shifts = (
            np.stack([weights.vectors[f"{name}.{part}"] for name in norms]) for part in ("gain", "shift")
        )
        self._model = compiled.Context(
            *(LAYERS, compiled.address(weights.words, np.int8), compiled.address(weights.places, np.float32)),
            ctypes.addressof(self._matrices),
            *(compiled.address(self._gains, np.float32), compiled.address(self._shifts, np.float32)),
        )

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return a vector of length 1 for each list of piece numbers: shape (len(texts), WIDTH).

        A list has 1 to `wordpiece.MOST_PIECES` pieces, with those for its begin and its end. Raises ValueError if one
        has more or none, IndexError if a number is not that of a piece.
        """
        lengths = [len(text) for text in texts]
        if lengths and not 1 <= min(lengths) <= max(lengths) <= MOST_PIECES:
            raise ValueError(f"texts have {min(lengths)} to {max(lengths)} pieces; each must have 1 to {MOST_PIECES}")
        starts = np.fromiter(accumulate(lengths, initial=0), np.int64, len(texts) + 1)
        pieces = np.fromiter(chain.from_iterable(texts), np.int64, int(starts[-1]))
        count = len(self._weights.words)
        if len(pieces) and not 0 <= pieces.min() <= pieces.max() < count:
            raise IndexError(f"pieces {pieces.min()} to {pieces.max()} are not among the {count:,} of the vocabulary")
        steps = self._weights.steps[pieces]
        return compiled.encode_context(self._model, starts, pieces.astype(np.int32), steps, WIDTH, self._limit)


def tiles_of(layer: Layer) -> npt.NDArray[np.int8]:
    """Return the weights of a layer in tiles of outputs, aligned: shape (outputs / TILE, inputs / 4, TILE, 4)."""
    fours, outputs, _ = layer.packed.shape
    memory = np.empty(layer.packed.size + ALIGNED, np.int8)
    begin = -memory.ctypes.data % ALIGNED
    tiles = memory[begin : begin + layer.packed.size].reshape(outputs // TILE, fours, TILE, 4)
    tiles[:] = layer.packed.reshape(fours, outputs // TILE, TILE, 4).transpose(1, 0, 2, 3)
    return tiles
