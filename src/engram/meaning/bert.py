"""The sentence encoder all-MiniLM-L6-v2 in numpy: computes the last layer from the numbers of pieces.

Owns the forward pass of BERT (Devlin et al., NAACL 2019) and the reading of a safetensors file. Does not know
tokenizers, padding or training. Differs from PyTorch's result by at most 2e-6 on values up to 1.4.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Bounds = Sequence[tuple[int, int]]
"""Where the pieces of each text begin and end."""

LAYERS = 6
HEADS = 12
EPSILON = np.float32(1e-12)
"""Added to the variance in each layer norm, as in the model's configuration."""
ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""Coefficients of `erf`, highest power first."""


def read_safetensors(path: Path) -> dict[str, Matrix]:
    """Return the 32-bit float tensors of a safetensors file by name, mapped into memory, not copied.

    The file is the length of its header (8 bytes, little-endian), the header (JSON), and the tensors' bytes.
    """
    content = np.memmap(path, np.uint8, mode="r")
    begin = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(bytes(content[8:begin]))
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = content[begin + start : begin + end].view("<f4").reshape(entry["shape"])
    return tensors


def erf(x: Matrix) -> Matrix:
    """Return the error function, within 1.5e-7: Abramowitz and Stegun, formula 7.1.26."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    series = np.zeros_like(t)
    for coefficient in ERF:
        series = (series + np.float32(coefficient)) * t
    return np.asarray(np.copysign(1 - series * np.exp(-x * x), x))


class MiniLM:
    """The encoder with its weights, which it reads from a safetensors file."""

    def __init__(self, path: Path) -> None:
        self._weights = read_safetensors(path)

    @property
    def width(self) -> int:
        """Return the dimensions of the vector of a piece."""
        return int(self._weights["embeddings.word_embeddings.weight"].shape[1])

    @property
    def norms(self) -> bytes:
        """Return the weights of all layer norms, which differ in any other training."""
        return b"".join(array.tobytes() for name, array in sorted(self._weights.items()) if "LayerNorm" in name)

    def last_layer(self, texts: Sequence[Sequence[int]]) -> list[Matrix]:
        """Return the last layer of each list of piece numbers, of which none is empty: shapes (pieces, width).

        A text has 512 pieces at most, with those for its begin and its end. No text changes the result of another one.
        """
        weights = self._weights
        pieces = np.fromiter(chain.from_iterable(texts), np.int64)
        places = np.concatenate([np.arange(len(text)) for text in texts])
        bounds = list(pairwise(accumulate(map(len, texts), initial=0)))
        states = (
            weights["embeddings.word_embeddings.weight"][pieces]
            + weights["embeddings.position_embeddings.weight"][places]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        states = self._norm("embeddings.LayerNorm", states)
        for number in range(LAYERS):
            states = self._layer(f"encoder.layer.{number}.", states, bounds)
        return [states[begin:end] for begin, end in bounds]

    def _layer(self, layer: str, states: Matrix, bounds: Bounds) -> Matrix:
        attended = self._dense(layer + "attention.output.dense", self._attention(layer, states, bounds))
        states = self._norm(layer + "attention.output.LayerNorm", attended + states)
        inner = self._dense(layer + "intermediate.dense", states)
        inner *= (1 + erf(inner * np.float32(2**-0.5))) / 2
        return self._norm(layer + "output.LayerNorm", self._dense(layer + "output.dense", inner) + states)

    def _attention(self, layer: str, states: Matrix, bounds: Bounds) -> Matrix:
        width = states.shape[1]
        query, key, value = (
            self._dense(f"{layer}attention.self.{name}", states).reshape(len(states), HEADS, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        result = np.empty_like(states)
        for begin, end in bounds:
            part = slice(begin, end)
            scores = query[:, part] @ key[:, part].transpose(0, 2, 1) / np.float32((width // HEADS) ** 0.5)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            result[part] = (shares @ value[:, part]).transpose(1, 0, 2).reshape(end - begin, width)
        return result

    def _dense(self, name: str, states: Matrix) -> Matrix:
        return np.asarray(states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _norm(self, name: str, states: Matrix) -> Matrix:
        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
        return np.asarray(centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])
