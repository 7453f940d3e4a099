"""Codes of sentence vectors: what an index holds of a vector, and how near codes are to a query's vector.

Owns the quantisation. A code has two parts: `values`, small integers along a few directions, from which a cosine is
computed; and `signs`, one bit for each of some directions, which a scan of a whole namespace compares. Knows no encoder
and no index.
"""

from __future__ import annotations

import hashlib
import zlib
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Vectors

Values = npt.NDArray[np.int8]
Signs = npt.NDArray[np.uint64]

VALUES, SIGNS = 128, 256
"""Directions of the two parts of a code."""
SEED = 11
"""Seed of the rotation that is used where no projection is given."""


class Codes(NamedTuple):
    """The codes of n vectors."""

    values: Values
    """Shape (n, d); all 0 for an empty code, which stands for no vector."""
    signs: Signs
    """64 directions in each number: shape (n, b / 64)."""


class Coder:
    """Makes codes from the vectors of one encoder. Immutable; safe to use from several threads."""

    def __init__(
        self,
        dimensions: int,
        values: int = VALUES,
        signs: int = SIGNS,
        projection: Vectors | None = None,
        encoder: str = "",
    ) -> None:
        """Make codes of vectors with so many dimensions, of the encoder with the fingerprint `encoder`.

        values: directions that are stored as integers, a multiple of 4; 0: no codes. signs: directions that are stored
        as bits, a multiple of 64. projection: matrix from a vector to the directions of `values`, shape (dimensions,
        `values`); None: the first columns of a fixed rotation.
        """
        if values % 4 or signs % 64:
            raise ValueError(f"values is {values} and signs is {signs}; they must be multiples of 4 and of 64")
        if projection is not None and projection.shape != (dimensions, values):
            raise ValueError(f"the projection has the shape {projection.shape}, not {(dimensions, values)}")
        self.dimensions, self.values, self.signs = dimensions, values, signs
        self._projection = projection
        given = b"" if projection is None else np.ascontiguousarray(projection).tobytes()
        made_by = f"{encoder} {dimensions} {values} {signs} {zlib.crc32(given):08x} {SEED}"
        self.fingerprint = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        """Identifies encoder and quantisation: codes of coders with different fingerprints must not be compared."""

    @cached_property
    def _directions(self) -> Vectors:
        """The directions of `values`, then those of `signs`, as columns: shape (dimensions, values + signs)."""
        rotation = rotation_of(self.dimensions, max(self.values, self.signs))
        projection = rotation[:, : self.values] if self._projection is None else self._projection
        return np.concatenate((projection, rotation[:, : self.signs]), axis=1).astype(np.float32)

    def empty(self, count: int) -> Codes:
        """Return `count` empty codes."""
        return Codes(np.zeros((count, self.values), np.int8), np.zeros((count, self.signs // 64), np.uint64))

    def encode(self, vectors: Vectors) -> Codes:
        """Return the codes of n vectors, shape (n, dimensions); a vector of zeros gets an empty code."""
        if not len(vectors) or not self.values:
            return self.empty(len(vectors))
        products = np.asarray(vectors, np.float32) @ self._directions
        projected, signed = products[:, : self.values], products[:, self.values :]
        largest = np.abs(projected).max(axis=1, keepdims=True)
        values = np.rint(projected * (127 / np.maximum(largest, np.float32(1e-9)))).astype(np.int8)
        return Codes(values, packed(signed > 0))

    def query(self, vector: Vectors) -> tuple[Vectors, Signs]:
        """Return a query's vector as `similarities` takes it, shape (values,), and its signs, shape (signs / 64,)."""
        products = np.asarray(vector, np.float32) @ self._directions
        projected = products[: self.values]
        length = max(float(np.sqrt(np.square(projected).sum())), 1e-9)
        return projected / np.float32(length), packed(products[None, self.values :] > 0)[0]


NO_CODES = Coder(0, 0, 0)
"""The coder where there is no encoder: its codes hold nothing."""


def similarities(values: Values, query: Vectors) -> Vectors:
    """Return the cosine between each of n codes and a query, by `Coder.query`: shape (n,), -1 to 1; 0 if empty."""
    exact = values.astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", exact, exact))
    return np.asarray(exact @ query / np.maximum(lengths, np.float32(1)), np.float32)


def packed(flags: npt.NDArray[np.bool_]) -> Signs:
    """Return each row of `flags`, shape (n, b), as the bits of numbers, the first as the lowest: shape (n, b / 64)."""
    return np.packbits(flags, axis=1, bitorder="little").view("<u8")


@cache
def rotation_of(dimensions: int, columns: int) -> Vectors:
    """Return `columns` fixed random directions that are at right angles where there is room: shape (dimensions, c).

    A Hadamard matrix with random signs and in random order: exact, so that it is the same on every machine.
    """
    size = 1
    hadamard = np.ones((1, 1), np.int8)
    while size < max(dimensions, columns):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]]).astype(np.int8)
        size *= 2
    # Not numpy's generators, whose numbers may change between versions.
    keys = np.frombuffer(hashlib.shake_128(str(SEED).encode()).digest(8 * size), "<u4")
    flips = 1 - 2 * (keys[:size] & 1).astype(np.int8)
    order = keys[size:].argsort(kind="stable")[:columns]
    directions = (hadamard * flips[:, None])[:dimensions, order]
    return np.asarray(directions, np.float32) / np.float32(np.sqrt(size))
