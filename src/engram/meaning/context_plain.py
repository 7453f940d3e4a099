"""The forward pass of the contextual part of the sentence encoder in numpy: the reference for the compiled one.

Owns the arithmetic of a small BERT (Devlin et al., NAACL 2019) whose matrices hold small integers. Knows no tokenizer.
Inputs of matrices are rounded to 7 bits, with a scale for each row, or twice, to 14 bits, where 7 lose too much:
products of such integers are exact in float32, so that no text changes the result of another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from engram.meaning.bert import erf
from engram.meaning.context_weights import HEADS, LAYERS, STATE, ContextWeights
from engram.meaning.plain import normed, rounded, unpacked
from engram.meaning.weights import WIDTH, Floats

TOGETHER = 128
"""Pieces of the texts that are computed together, unless one text has more."""
TWICE = frozenset({"out"})
"""Matrices whose inputs are rounded twice, by their names without the number of the layer."""


class PlainContext:
    """Encodes lists of pieces. Safe to call from several threads."""

    def __init__(self, weights: ContextWeights) -> None:
        self._weights = weights
        self._matrices = {name: unpacked(layer) for name, layer in weights.layers.items()}

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return a vector of length 1 for each list of piece numbers: shape (len(texts), WIDTH).

        A list has 1 to `wordpiece.MOST_PIECES` pieces, with those for its begin and its end.
        """
        result = np.empty((len(texts), WIDTH), np.float32)
        for part in together(texts):
            result[part] = self._encode(texts[part])
        return result

    def _encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        parts = [slice(*bounds) for bounds in pairwise(accumulate(map(len, texts), initial=0))]
        states = self._begin(texts)
        for layer in range(LAYERS):
            attended = self._dense(f"o{layer}", self._attention(f"qkv{layer}", states, parts))
            states = self._norm(f"attended{layer}", attended + states)
            inner = self._dense(f"up{layer}", states)
            inner *= (1 + erf(inner * np.float32(2**-0.5))) / 2
            states = self._norm(f"changed{layer}", self._dense(f"down{layer}", inner) + states)
        vectors = self._dense("out", np.stack([states[part].mean(axis=0) for part in parts]))
        return np.asarray(vectors / np.sqrt(np.square(vectors).sum(axis=1, keepdims=True)))

    def _begin(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Return the states of all pieces before the first layer: shape (pieces, STATE)."""
        pieces = np.concatenate([np.asarray(text, np.int64) for text in texts])
        places = np.concatenate([np.arange(len(text)) for text in texts])
        words = self._weights.words[pieces] * self._weights.steps[pieces, None]
        return self._norm("begin", words + self._weights.places[places])

    def _attention(self, name: str, states: Floats, parts: Sequence[slice]) -> Floats:
        """Return what each piece reads of those of its text: shape (pieces, STATE)."""
        width = STATE // HEADS
        query, key, value = self._dense(name, states).reshape(len(states), 3, HEADS, width).transpose(1, 2, 0, 3)
        result = np.empty_like(states)
        for part in parts:
            scores = query[:, part] @ key[:, part].transpose(0, 2, 1) * np.float32(width**-0.5)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            result[part] = (shares @ value[:, part]).transpose(1, 0, 2).reshape(-1, STATE)
        return result

    def _dense(self, name: str, rows: Floats) -> Floats:
        """Return the product of rows and a layer, plus the bias."""
        matrix = self._matrices[name]
        coarse, scale = rounded(rows)
        product = scale * (coarse @ matrix)
        if name.rstrip("0123456789") in TWICE:
            fine, small = rounded(rows - coarse * scale)
            product += small * (fine @ matrix)
        return np.asarray(product * self._weights.layers[name].scales + self._weights.vectors[f"{name}.bias"])

    def _norm(self, name: str, rows: Floats) -> Floats:
        vectors = self._weights.vectors
        return normed(rows, vectors[f"{name}.gain"], vectors[f"{name}.shift"])


def together(texts: Sequence[Sequence[int]]) -> Iterator[slice]:
    """Part texts into those that are computed together: up to `TOGETHER` pieces, a longer text alone."""
    first = total = 0
    for number, text in enumerate(texts):
        if number > first and total + len(text) > TOGETHER:
            yield slice(first, number)
            first, total = number, 0
        total += len(text)
    if first < len(texts):
        yield slice(first, len(texts))
