"""Codes of vectors: how much of the cosines they keep."""

from __future__ import annotations

import numpy as np
import pytest

from engram.meaning.codes import Coder, packed, rotation_of, similarities


def unit_vectors(seed: int, n: int, dimensions: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_all_directions_keep_the_cosines() -> None:
    vectors, coder = unit_vectors(1, 50, 64), Coder(64, 64, 64)
    query, _ = coder.query(vectors[0])
    assert np.abs(similarities(coder.encode(vectors).values, query) - vectors @ vectors[0]).max() < 0.02


def test_fewer_directions_keep_what_is_near_and_what_is_far() -> None:
    vectors = unit_vectors(2, 200, 512)
    vectors[:20] = vectors[0] + 0.6 * unit_vectors(3, 20, 512)
    coder = Coder(512)
    codes = coder.encode(vectors)
    query, signs = coder.query(vectors[0])
    near = similarities(codes.values, query)
    assert near[:20].min() > near[20:].max()
    differing = np.array([[int(a ^ b).bit_count() for a, b in zip(row, signs, strict=True)] for row in codes.signs])
    assert differing.sum(axis=1)[:20].max() < differing.sum(axis=1)[20:].min()


def test_projection_chooses_the_directions() -> None:
    projection = np.eye(16, 8, dtype=np.float32)
    coder = Coder(16, 8, 64, projection)
    vector = np.zeros((1, 16), np.float32)
    vector[0, :9] = [0, -0.5, 0, 0, 1, 0, 0, 0, 3]
    assert coder.encode(vector).values.tolist() == [[0, -64, 0, 0, 127, 0, 0, 0]]


def test_vector_of_zeros_has_an_empty_code() -> None:
    coder = Coder(32, 16, 64)
    codes = coder.encode(np.zeros((3, 32), np.float32))
    assert not codes.values.any()
    assert codes.values.tolist() == coder.empty(3).values.tolist()
    assert similarities(codes.values, coder.query(np.ones(32, np.float32))[0]).tolist() == [0, 0, 0]
    assert coder.encode(np.empty((0, 32), np.float32)).values.shape == (0, 16)


def test_codes_of_other_encoders_sizes_and_projections_are_told_apart() -> None:
    coders = [
        Coder(64, 32, 64),
        Coder(64, 32, 128),
        Coder(64, 64, 64),
        Coder(64, 32, 64, encoder="other"),
        Coder(64, 32, 64, np.eye(64, 32, dtype=np.float32)),
    ]
    assert len({coder.fingerprint for coder in coders}) == len(coders)
    assert Coder(64, 32, 64).fingerprint == coders[0].fingerprint


@pytest.mark.parametrize(("dimensions", "columns"), [(512, 256), (384, 256), (96, 128), (1, 64), (64, 64)])
def test_rotation_keeps_lengths_where_there_is_room(dimensions: int, columns: int) -> None:
    rotation = rotation_of(dimensions, columns)
    assert rotation.shape == (dimensions, columns)
    if columns >= dimensions:
        size = 1 << (max(dimensions, columns) - 1).bit_length()
        assert np.allclose(rotation @ rotation.T, np.eye(dimensions) * columns / size, atol=0.5)
    if dimensions == 512:
        assert np.allclose(rotation.T @ rotation, np.eye(columns), atol=1e-5)


def test_rotation_is_the_same_everywhere() -> None:
    assert np.sign(rotation_of(8, 4)).astype(int).tolist() == ROTATION


ROTATION = [
    [1, 1, 1, 1],
    [-1, 1, -1, -1],
    [-1, 1, 1, 1],
    [-1, -1, 1, 1],
    [1, 1, -1, 1],
    [1, -1, -1, 1],
    [1, -1, 1, -1],
    [1, 1, 1, -1],
]


def test_flags_are_packed_in_order() -> None:
    flags = np.zeros((2, 128), np.bool_)
    flags[0, [0, 65]] = flags[1, 63] = True
    assert packed(flags).tolist() == [[1, 2], [1 << 63, 0]]


@pytest.mark.parametrize(("values", "signs"), [(6, 64), (8, 32)])
def test_sizes_that_do_not_fit_words_are_refused(values: int, signs: int) -> None:
    with pytest.raises(ValueError, match="multiples"):
        Coder(16, values, signs)


def test_projection_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Coder(16, 8, 64, np.eye(8, dtype=np.float32))
