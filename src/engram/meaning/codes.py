"""Codes of sentence vectors: what an index holds of a vector, and how near codes are to a query's vector.

Owns the quantisation: a vector is rotated, and of each of its values two bits are kept, the sign and whether it is
large. From a code of 128 bytes, cosines are computed to about 0.015. A part of the signs is what a scan of a whole
namespace compares. Knows no encoder and no index.

The first bytes of a code are the signs, those that are scanned first; the others say which values are large.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.meaning.base import Vectors

Codes = npt.NDArray[np.uint8]
"""Codes of n vectors: shape (n, `Coder.width`). All 0 for an empty code, which stands for no vector."""
Signs = npt.NDArray[np.uint64]

DIRECTIONS, SCANNED = 512, 256
"""Values of a rotated vector that are kept at most, and how many of their signs are scanned."""
SEED = "engram 1"
"""Seed of the rotation."""

LARGE = 0.9816
"""Share of a vector's typical value (the root of their mean square) from which on a value is large."""
LEVELS = (0.4528, 1.5104)
"""What small and large values are taken as: the best levels for values with a normal distribution (Max, 1960)."""
KEPT = 0.9396
"""Cosine between a vector and its code, about."""


class Query(NamedTuple):
    """A query's vector, as codes are compared with it."""

    values: Vectors
    """Rotated, of length 1: shape (directions,)."""
    signs: Signs
    """Those that are scanned, 64 in each number: shape (scanned / 64,)."""


class Coder:
    """Makes codes from the vectors of one encoder. Immutable; safe to use from several threads."""

    def __init__(
        self, dimensions: int, directions: int = DIRECTIONS, scanned: int = SCANNED, encoder: str = ""
    ) -> None:
        """Make codes of vectors with so many dimensions, of the encoder with the fingerprint `encoder`.

        directions: values that are kept at most, a multiple of 64. Fewer are kept of a vector that has fewer.
        scanned: signs that are scanned, a multiple of 64.
        """
        if directions % 64 or scanned % 64:
            raise ValueError(f"{directions} directions and {scanned} scanned ones; they must be multiples of 64")
        self.dimensions = dimensions
        self.directions = min(directions, size_of_rotation(dimensions)) if dimensions else 0
        self.scanned = min(scanned, self.directions)
        self.width = self.directions // 4
        """Bytes of a code."""
        made_by = f"{encoder} {dimensions} {self.directions} {self.scanned} {SEED}"
        self.fingerprint = hashlib.sha256(made_by.encode()).hexdigest()[:16]
        """Identifies encoder and quantisation: codes of coders with different fingerprints must not be compared."""

    def encode(self, vectors: Vectors) -> Codes:
        """Return the codes of n vectors, shape (n, dimensions); a vector of zeros gets an empty code."""
        if not len(vectors) or not self.width:
            return np.zeros((len(vectors), self.width), np.uint8)
        values = rotated(vectors, self.directions)
        typical = np.sqrt(np.square(values).mean(axis=1, keepdims=True))
        bits = np.concatenate((values > 0, np.abs(values) > LARGE * typical), axis=1)
        return np.packbits(bits, axis=1, bitorder="little")

    def decode(self, codes: Codes) -> Vectors:
        """Return vectors of n codes, shape (n, directions): the product of two is about the cosine of what was encoded.

        They are rotated, so they cannot be compared with vectors of the encoder.
        """
        bits = np.unpackbits(codes, axis=1, bitorder="little")
        signs, large = np.split(bits, 2, axis=1)
        values = np.where(large, LEVELS[1], LEVELS[0]) * np.where(signs, 1, -1)
        return np.asarray(values / (KEPT * np.sqrt(np.square(values).sum(axis=1, keepdims=True))), np.float32)

    def query(self, vector: Vectors) -> Query:
        """Return a query's vector, shape (dimensions,), as it is compared with codes."""
        # One recall needs it several times.
        return rotated_query(vector.astype(np.float32).tobytes(), self.directions, self.scanned)

    def similarities(self, codes: Codes, query: Query) -> Vectors:
        """Return the cosine between each of n codes and a query: shape (n,), -1 to 1; 0 for an empty code."""
        if not self.width or not len(codes):
            return np.zeros(len(codes), np.float32)
        cosines = accel.in_use().compare_codes(np.ascontiguousarray(codes), query.values, *LEVELS)
        cosines *= np.float32(1 / KEPT)
        return np.clip(cosines, np.float32(-1), np.float32(1), out=cosines)


NO_CODES = Coder(0)
"""The coder where there is no encoder: its codes hold nothing."""


@lru_cache(16)
def rotated_query(vector: bytes, directions: int, scanned: int) -> Query:
    """Return a query's vector, as float32, along so many directions, and the signs of the first of them."""
    (values,) = rotated(np.frombuffer(vector, np.float32)[None], directions)
    length = max(float(np.sqrt(np.square(values).sum())), 1e-9)
    return Query(values / np.float32(length), np.packbits(values[:scanned] > 0, bitorder="little").view("<u8"))


def size_of_rotation(dimensions: int) -> int:
    """Return the least power of two that is `dimensions` at least, and 64 at least."""
    return 1 << max(6, (dimensions - 1).bit_length())


def rotated(vectors: Vectors, directions: int) -> Vectors:
    """Return n vectors, shape (n, dimensions), along fixed random directions: shape (n, directions).

    The directions are at right angles if there is room. They are columns of a Hadamard matrix with random signs. That
    is the Kronecker product of two small ones, so that no product is large enough for numpy to start threads for it.
    """
    n, dimensions = vectors.shape
    size = size_of_rotation(max(dimensions, directions))
    flips, order = random_choices(size)
    values = np.zeros((n, size), np.float32)
    values[:, :dimensions] = vectors * flips[:dimensions]
    left = hadamard(1 << (size.bit_length() // 2))
    right = hadamard(size // len(left))
    products = left @ (values.reshape(n, len(left), len(right)) @ right)
    return products.reshape(n, size).take(order[:directions], axis=1) * np.float32(1 / np.sqrt(size))


@cache
def hadamard(size: int) -> Vectors:
    """Return the Hadamard matrix of Sylvester: shape (size, size); `size` is a power of two."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@cache
def random_choices(size: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Return a random sign for each of `size` values, and a random order of them: the same ones always."""
    # Not numpy's generators, whose numbers may change between versions.
    keys = np.frombuffer(hashlib.shake_128(SEED.encode()).digest(8 * size), "<u4")
    signs = 1 - 2 * (keys[:size] & 1).astype(np.float32)
    return signs, keys[size:].argsort(kind="stable")
