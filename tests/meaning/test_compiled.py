"""The compiled forward pass gives the vectors of numpy's, in each form that this processor runs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engram import accel
from engram.accel import compiled
from engram.meaning.compiled import CACHES, SETS, WAYS, CompiledEncoder
from engram.meaning.plain import PlainEncoder
from engram.meaning.sentences import DATA, WEIGHTS, SentenceEncoder
from engram.meaning.weights import WIDTH, Weights, read_weights
from engram.opening import load_kernel
from engram.search.base import ROW
from tests.meaning.test_sentences import SENTENCES

pytestmark = pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")


@pytest.fixture(scope="module")
def weights() -> Weights:
    load_kernel(ROW)
    return read_weights(DATA / WEIGHTS)


def random_texts(seed: int, lengths: list[int]) -> list[list[int]]:
    """Lists of pieces from all three tables of rows."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 128_010, length).tolist() for length in lengths]


@pytest.mark.parametrize("limit", [2, 1, 0])
@pytest.mark.parametrize(
    "lengths", [[1], [2], [3], [5, 1, 4], [96], [95, 1, 1], [97], [1] * 100, [40, 60, 7, 300, 2]], ids=str
)
def test_the_compiled_form_gives_the_vectors_of_numpy(weights: Weights, limit: int, lengths: list[int]) -> None:
    texts = random_texts(len(lengths), lengths)
    expected = PlainEncoder(weights).encode(texts)
    vectors = CompiledEncoder(weights, limit).encode(texts)
    assert vectors.shape == (len(texts), WIDTH)
    assert np.abs(vectors - expected).max() < 1e-6


def test_every_form_gives_the_same_vectors_to_the_last_bit(weights: Weights) -> None:
    texts = random_texts(7, list(range(1, 60)))
    forms = [CompiledEncoder(weights, limit).encode(texts) for limit in (2, 1, 0)]
    assert np.array_equal(forms[0], forms[1])
    assert np.array_equal(forms[0], forms[2])


def test_what_is_kept_of_pieces_changes_no_vector(weights: Weights) -> None:
    frequent = random_texts(3, [40] * 30)
    rare = random_texts(4, [40] * (3 * SETS * WAYS // 40))
    expected = [CompiledEncoder(weights).encode([text])[0] for text in frequent]
    encoder = CompiledEncoder(weights)
    for texts in (frequent, rare, [[7] * 100, *frequent], frequent):
        vectors = encoder.encode(texts)
    assert np.array_equal(vectors, expected)


def test_calls_at_the_same_time_give_the_same_vectors(weights: Weights) -> None:
    texts = random_texts(5, [25] * 60)
    encoder = CompiledEncoder(weights)
    expected = CompiledEncoder(weights).encode(texts)
    with ThreadPoolExecutor(CACHES + 2) as pool:
        for vectors in pool.map(encoder.encode, [texts] * 24):
            assert np.array_equal(vectors, expected)


def test_no_texts_have_no_vectors(weights: Weights) -> None:
    assert CompiledEncoder(weights).encode([]).shape == (0, WIDTH)


def test_numbers_of_no_piece_are_refused(weights: Weights) -> None:
    for piece in (128_010, -128_011):
        with pytest.raises(IndexError):
            CompiledEncoder(weights).encode([[1, piece]])


def test_arrays_that_do_not_fit_are_refused(weights: Weights) -> None:
    starts, place = np.array([0, 2]), np.zeros(3, np.int32)
    with pytest.raises(ValueError, match="3 places, 3 steps and 3 offsets do not fit 2 pieces"):
        compiled.encode(compiled.Sentences(), starts, place, np.zeros(3, np.float32), np.zeros(3, np.float32), WIDTH)


def test_without_the_kernel_the_vectors_are_the_same() -> None:
    texts = [text for texts in SENTENCES.values() for text in texts]
    load_kernel(ROW)
    with_kernel = SentenceEncoder().encode(texts)
    try:
        load_kernel(ROW, DATA)
        assert not accel.available
        without = SentenceEncoder().encode(texts)
    finally:
        load_kernel(ROW)
    assert np.abs(with_kernel - without).max() < 1e-6
