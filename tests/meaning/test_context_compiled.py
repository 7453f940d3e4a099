"""The compiled contextual part gives the vectors of numpy's, in each form that this processor runs.

The weights are random, so that no data file is read.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engram import accel
from engram.accel import compiled
from engram.meaning import context_compiled, context_plain
from engram.meaning.context_compiled import CompiledContext
from engram.meaning.context_plain import PlainContext
from engram.meaning.context_weights import MATRICES, STATE, VECTORS, ContextWeights
from engram.meaning.weights import WIDTH, Floats, Layer
from engram.meaning.wordpiece import MOST_PIECES
from engram.opening import load_kernel
from engram.search.base import ROW

pytestmark = pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")

PIECES = 500
FORMS = (2, 1, 0)


def random_layer(rng: np.random.Generator, inputs: int, outputs: int) -> Layer:
    integers = rng.normal(0, 40, (inputs, outputs)).clip(-127, 127).round().astype(np.int8)
    packed = np.ascontiguousarray(integers.reshape(inputs // 4, 4, outputs).transpose(0, 2, 1))
    scales = rng.uniform(0.5, 1.5, outputs) / (40 * np.sqrt(inputs))
    return Layer(packed, integers.sum(axis=0, dtype=np.float32)[None], scales.astype(np.float32))


def random_vector(rng: np.random.Generator, name: str, length: int) -> Floats:
    return rng.normal(1 if name.endswith(".gain") else 0, 0.1, length).astype(np.float32)


@pytest.fixture(scope="module")
def weights() -> ContextWeights:
    load_kernel(ROW)
    rng = np.random.default_rng(11)
    return ContextWeights(
        words=rng.integers(-127, 128, (PIECES, STATE)).astype(np.int8),
        steps=rng.uniform(0.0005, 0.001, PIECES).astype(np.float32),
        places=rng.normal(0, 0.02, (MOST_PIECES, STATE)).astype(np.float32),
        layers={name: random_layer(rng, *shape) for name, shape in MATRICES.items()},
        vectors={name: random_vector(rng, name, length) for name, length in VECTORS.items()},
        gain=0.5,
    )


def random_texts(seed: int, lengths: Sequence[int]) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, PIECES, length).tolist() for length in lengths]


@pytest.mark.parametrize("limit", FORMS)
@pytest.mark.parametrize(
    "lengths", [[1], [2], [3], [5, 1, 4], [16], [17, 15], [95, 1, 1], [97, 2], [1] * 100, [40, 60, 7, 128, 2]], ids=str
)
def test_the_compiled_form_gives_the_vectors_of_numpy(
    weights: ContextWeights, limit: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 14 bits, a sum that differs in the last bit and so rounds to another integer changes little."""
    round_twice(monkeypatch, "qkv o up down out")
    texts = random_texts(len(lengths), lengths)
    vectors, expected = CompiledContext(weights, limit).encode(texts), PlainContext(weights).encode(texts)
    assert vectors.shape == (len(texts), WIDTH)
    assert np.abs(vectors - expected).max() < 2e-4


@pytest.mark.parametrize("names", ["", "qkv", "o", "up", "down", "out"])
def test_inputs_are_rounded_once_or_twice_as_in_numpy(
    weights: ContextWeights, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = random_texts(2, [12, 30, 2, 70])
    round_twice(monkeypatch, names)
    expected = PlainContext(weights).encode(texts)
    forms = [CompiledContext(weights, limit).encode(texts) for limit in FORMS]
    assert (forms[0] * expected).sum(axis=1).min() > 0.998
    assert np.array_equal(forms[0], forms[1])
    assert np.array_equal(forms[0], forms[2])


def round_twice(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    for module in (context_plain, context_compiled):
        monkeypatch.setattr(module, "TWICE", frozenset(names.split()))


def test_every_form_gives_the_same_vectors_to_the_last_bit(weights: ContextWeights) -> None:
    texts = random_texts(7, [*range(1, 40), 77, MOST_PIECES])
    forms = [CompiledContext(weights, limit).encode(texts) for limit in FORMS]
    assert np.array_equal(forms[0], forms[1])
    assert np.array_equal(forms[0], forms[2])


def test_the_vectors_have_length_1_and_depend_on_order(weights: ContextWeights) -> None:
    vectors = CompiledContext(weights).encode([[1, 2, 3], [3, 2, 1]])
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2


def test_no_text_changes_the_vector_of_another(weights: ContextWeights) -> None:
    texts = random_texts(5, [*range(1, 70, 3), MOST_PIECES, 2, 90, 5])
    encoder = CompiledContext(weights)
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.array_equal(together, alone)
    assert np.array_equal(encoder.encode(texts[::-1]), together[::-1])


def test_calls_at_the_same_time_give_the_same_vectors(weights: ContextWeights) -> None:
    texts = random_texts(6, [20] * 20)
    encoder = CompiledContext(weights)
    expected = encoder.encode(texts)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(encoder.encode, [texts] * 12):
            assert np.array_equal(vectors, expected)


def test_no_texts_have_no_vectors(weights: ContextWeights) -> None:
    assert CompiledContext(weights).encode([]).shape == (0, WIDTH)


def test_texts_without_pieces_or_with_too_many_are_refused(weights: ContextWeights) -> None:
    encoder = CompiledContext(weights)
    for lengths in ([0], [3, 0], [MOST_PIECES + 1]):
        with pytest.raises(ValueError, match=f"each must have 1 to {MOST_PIECES}"):
            encoder.encode(random_texts(1, lengths))


def test_numbers_of_no_piece_are_refused(weights: ContextWeights) -> None:
    for piece in (PIECES, -1, 2**40):
        with pytest.raises(IndexError, match="are not among the 500 of the vocabulary"):
            CompiledContext(weights).encode([[1, piece]])


def test_arrays_that_do_not_fit_are_refused() -> None:
    load_kernel(ROW)
    starts, pieces = np.array([0, 2]), np.zeros(3, np.int32)
    with pytest.raises(ValueError, match="3 pieces and 3 steps do not fit 2 pieces"):
        compiled.encode_context(compiled.Context(), starts, pieces, np.zeros(3, np.float32), WIDTH)


def test_a_matrix_of_another_type_is_refused(weights: ContextWeights) -> None:
    wrong = ContextWeights(
        weights.words, weights.steps, weights.places.astype(np.float64), weights.layers, weights.vectors, 1
    )
    with pytest.raises(ValueError, match="it must hold float32"):
        CompiledContext(wrong)
