"""Codes of vectors: how much of the cosines they keep."""

from __future__ import annotations

import numpy as np
import pytest

import engram.opening  # noqa: F401  It loads the kernel.
from engram.meaning.codes import NO_CODES, Coder, rotated


def unit_vectors(seed: int, n: int, dimensions: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def crowd(dimensions: int) -> np.ndarray:
    """200 unit vectors; the first 20 are near to the first one, and less and less so."""
    vectors = unit_vectors(2, 200, dimensions)
    weights = np.linspace(0, 2, 20)[:, None].astype(np.float32)
    vectors[:20] = vectors[0] + weights * unit_vectors(3, 20, dimensions)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize(("dimensions", "error"), [(512, 0.02), (384, 0.025), (1_024, 0.06), (64, 0.08)])
def test_cosines_are_kept(dimensions: int, error: float) -> None:
    vectors, coder = crowd(dimensions), Coder(dimensions)
    for query in vectors[:5]:
        found = coder.similarities(coder.encode(vectors), coder.query(query))
        assert found.dtype == np.float32
        assert np.sqrt(np.square(found - vectors @ query).mean()) < error


def test_scanned_signs_are_nearer_where_the_vector_is() -> None:
    vectors, coder = crowd(512), Coder(512)
    signs = coder.encode(vectors)[:, :32].view("<u8")
    query = coder.query(vectors[0])
    distances = np.array([sum(int(a ^ b).bit_count() for a, b in zip(row, query.signs, strict=True)) for row in signs])
    assert distances[0] == 0
    assert distances[:8].max() < distances[20:].min()


def test_length_of_a_vector_does_not_matter() -> None:
    vectors, coder = unit_vectors(1, 5, 512), Coder(512)
    assert np.array_equal(coder.encode(vectors), coder.encode(vectors * np.float32(4)))
    one, other = (coder.query(vector) for vector in (vectors[0], vectors[0] * np.float32(4)))
    assert np.allclose(one.values, other.values, atol=1e-6)


def test_vector_of_zeros_has_an_empty_code() -> None:
    coder = Coder(32, 64, 64)
    codes = coder.encode(np.zeros((3, 32), np.float32))
    assert (codes.shape, codes.any()) == ((3, coder.width), False)
    assert coder.similarities(codes, coder.query(np.ones(32, np.float32))).tolist() == [0, 0, 0]
    assert coder.encode(np.empty((0, 32), np.float32)).shape == (0, coder.width)
    assert coder.similarities(codes[:0], coder.query(np.ones(32, np.float32))).shape == (0,)


def test_size_of_a_code_is_two_bits_for_each_value() -> None:
    assert (Coder(512).width, Coder(384).width, Coder(1_024).width, Coder(64).width, NO_CODES.width) == (
        *(128, 128, 128),
        *(16, 0),
    )


def test_codes_of_other_encoders_and_sizes_are_told_apart() -> None:
    coders = [Coder(512), Coder(511), Coder(512, 256), Coder(512, 512, 128), Coder(512, encoder="other")]
    assert len({coder.fingerprint for coder in coders}) == len(coders)
    assert Coder(512).fingerprint == coders[0].fingerprint


@pytest.mark.parametrize(("dimensions", "directions"), [(512, 512), (512, 256), (384, 512), (96, 128), (1, 64)])
def test_rotation_keeps_lengths_where_there_is_room(dimensions: int, directions: int) -> None:
    rotation = rotated(np.eye(dimensions, dtype=np.float32), directions)
    assert rotation.shape == (dimensions, directions)
    if directions >= dimensions:
        assert np.allclose(rotation @ rotation.T, np.eye(dimensions), atol=1e-5)
    else:
        assert np.allclose(rotation.T @ rotation, np.eye(directions), atol=1e-5)
    vectors = unit_vectors(4, 3, dimensions)
    assert np.allclose(rotated(vectors, directions), vectors @ rotation, atol=1e-5)


def test_rotation_is_the_same_everywhere() -> None:
    assert np.sign(rotated(np.eye(8, dtype=np.float32), 4)).astype(int).tolist() == ROTATION


ROTATION = [
    [-1, -1, -1, -1],
    [-1, 1, 1, -1],
    [1, -1, -1, -1],
    [-1, -1, -1, 1],
    [-1, -1, -1, 1],
    [1, -1, -1, -1],
    [1, -1, -1, 1],
    [1, 1, 1, 1],
]


@pytest.mark.parametrize(("directions", "scanned"), [(500, 64), (512, 32)])
def test_sizes_that_do_not_fit_words_are_refused(directions: int, scanned: int) -> None:
    with pytest.raises(ValueError, match="multiples"):
        Coder(512, directions, scanned)
