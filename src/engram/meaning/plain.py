"""The forward pass of the sentence encoder in numpy: the reference for the compiled one.

Owns the arithmetic: Google's Universal Sentence Encoder, multilingual, version 3 (an averaging network over pieces and
their n-grams). Knows no tokenizer. Inputs of matrices are rounded to 7 bits, with a scale for each row, as the compiled
form needs: products of such integers are exact in float32. Sums of floats keep the order of the compiled form, because
a difference in the last bit can round to another integer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engram.meaning.weights import BRANCH, BRANCHES, HIDDEN, WIDTH, Array, Floats, Layer, Weights

EPSILON = np.float32(1e-12)
"""Added to the variance in each layer norm, as in the model."""
LEVELS = np.float32(63)
"""Inputs of matrices are rounded to integers from -63 to 63: two products of them and of int8 fit into int16."""


LANES = 16
"""Sums that the compiled form adds up beside each other."""


class PlainEncoder:
    """Encodes lists of pieces. Safe to call from several threads."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._matrices = {name: unpacked(layer) for name, layer in weights.layers.items()}

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return a vector of length 1 for each list of piece numbers; none may be empty: shape (len(texts), WIDTH)."""
        result = np.empty((len(texts), WIDTH), np.float32)
        for row, pieces in enumerate(texts):
            result[row] = self._head(self.features(np.asarray(pieces, np.int64)), len(pieces))
        return result

    def features(self, pieces: Array) -> Floats:
        """Return the sum of what the last layers read of each piece: shape (FEATURES,)."""
        weights, vectors = self._weights, self._weights.vectors
        integers = rows_of(weights, pieces)
        step, offset = (array[pieces].astype(np.float32)[:, None] for array in (weights.step, weights.offset))
        values = offset + step * integers
        layer = weights.layers["project"]
        projected = (step * (integers @ self._matrices["project"]) + offset * layer.sums) * layer.scales
        projected += vectors["project.bias"]
        features = [values]
        for branch, (n, before) in enumerate(BRANCHES):
            part = slice(branch * BRANCH, (branch + 1) * BRANCH)
            states = normed(projected[:, part], vectors["project.gain"][part], vectors["project.shift"][part])
            states = self._ngrams(f"first{n}", states, n, before, vectors["first.bias"][part])
            features.append(self._ngrams(f"second{n}", states, n, before, vectors["second.bias"][part]))
        whole = normed(np.concatenate(features, axis=1), vectors["gain"], vectors["shift"])
        return np.asarray(whole.sum(axis=0), np.float32)

    def _ngrams(self, name: str, states: Floats, n: int, before: int, bias: Floats) -> Floats:
        """Add to each state what the layer gives for the n-gram around it: shape (pieces, BRANCH)."""
        count, matrix, scales = len(states), self._matrices[name], self._weights.layers[name].scales
        integers, scale = rounded(states)
        total = np.zeros_like(states)
        for k in range(n):
            # The k-th piece of the n-gram of piece i is i + k - before, if there is one.
            first, last = max(0, before - k), min(count, count + before - k)
            if first < last:
                inside = slice(first + k - before, last + k - before)
                block = matrix[k * BRANCH : (k + 1) * BRANCH]
                total[first:last] += scale[inside] * (integers[inside] @ block)
        return np.asarray(np.maximum(total * scales + bias, 0) + states)

    def _head(self, features: Floats, pieces: int) -> Floats:
        joined = self._dense("join", features) + pieces * self._weights.vectors["join.bias"]
        entered = self._dense("enter", joined / np.sqrt(np.float32(pieces)))
        middle = np.maximum(self._dense("inner", np.maximum(entered[:HIDDEN], 0)) + entered[HIDDEN:], 0)
        left = self._dense("leave", middle)
        result = np.tanh(left[WIDTH:] + self._dense("last", np.maximum(left[:WIDTH], 0)))
        return np.asarray(result / max(np.sqrt(row_sums(np.square(result)[None])[0, 0]), np.float32(1e-6)), np.float32)

    def _dense(self, name: str, values: Floats) -> Floats:
        """Return the product of one row and a layer. The row is rounded twice, to 14 bits in all."""
        coarse, scale = rounded(values[None])
        fine, small = rounded(values[None] - coarse * scale)
        both = np.concatenate([coarse, fine]) @ self._matrices[name]
        return np.asarray((both[0] * scale[0] + both[1] * small[0]) * self._weights.layers[name].scales)


def rows_of(weights: Weights, pieces: Array) -> Floats:
    """Return the integers of pieces, 0 to 31, as floats: shape (len(pieces), WIDTH)."""
    place, first = weights.place[pieces], 0
    result = np.empty((len(pieces), WIDTH), np.float32)
    for table, values in (
        (weights.narrow, narrow_values),
        (weights.middle, middle_values),
        (weights.wide, wide_values),
    ):
        inside = (place >= first) & (place < first + len(table))
        result[inside] = values(table[place[inside] - first])
        first += len(table)
    return result


def narrow_values(rows: Array) -> Array:
    """Return the integers of rows of 3 bits a value: shape (len(rows), WIDTH)."""
    low, high = rows[:, : WIDTH // 4], rows[:, WIDTH // 4 :]
    return np.asarray(np.concatenate([low >> 2 * k & 3 for k in range(4)], axis=1) | top_bits(high) << 2)


def middle_values(rows: Array) -> Array:
    """Return the integers of rows of 4 bits a value: shape (len(rows), WIDTH)."""
    return np.concatenate([rows & 15, rows >> 4], axis=1)


def wide_values(rows: Array) -> Array:
    """Return the integers of rows of 5 bits a value: shape (len(rows), WIDTH)."""
    return np.asarray(middle_values(rows[:, : WIDTH // 2]) | top_bits(rows[:, WIDTH // 2 :]) << 4)


def top_bits(rows: Array) -> Array:
    """Return the bits of rows of one bit a value: shape (len(rows), WIDTH)."""
    return np.concatenate([rows >> k & 1 for k in range(8)], axis=1)


def rounded(rows: Floats) -> tuple[Floats, Floats]:
    """Return rows as integers from -63 to 63, and the size of a step in each: shapes of `rows`, and (len(rows), 1)."""
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.float32(1e-20)) / LEVELS
    return np.rint(rows / scale), scale


def normed(rows: Floats, gain: Floats, shift: Floats) -> Floats:
    """Return rows with mean 0 and variance 1, times `gain` plus `shift`."""
    centred = rows - row_sums(rows) / np.float32(rows.shape[1])
    inverse = 1 / np.sqrt(row_sums(centred * centred) / np.float32(rows.shape[1]) + EPSILON)
    return np.asarray(centred * inverse * gain + shift)


def row_sums(rows: Floats) -> Floats:
    """Return the sum of each row, in the order in which the compiled form adds: shape (len(rows), 1)."""
    sums = np.ascontiguousarray(rows).reshape(len(rows), -1, LANES).sum(axis=1)
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return np.asarray(sums)


def unpacked(layer: Layer) -> Floats:
    """Return the weights of a layer as floats: shape (inputs, outputs)."""
    fours, outputs, _ = layer.packed.shape
    return layer.packed.transpose(0, 2, 1).reshape(fours * 4, outputs).astype(np.float32)
