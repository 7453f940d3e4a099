"""The contextual part of the sentence encoder in numpy: its vectors, and what damaged files give."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engram.meaning import bert
from engram.meaning.bert import MiniLM
from engram.meaning.context_plain import TOGETHER, PlainContext, together
from engram.meaning.context_weights import (
    APART,
    LAYERS,
    MATRICES,
    VECTORS,
    VOCABULARY,
    WEIGHTS,
    ContextWeights,
    context_fingerprint,
    metadata_of,
    read_context,
    read_vocabulary,
    verify_context,
)
from engram.meaning.plain import unpacked
from engram.meaning.sentences import DATA
from engram.meaning.weights import WIDTH, DamagedWeights, Floats, read_arrays
from engram.meaning.wordpiece import MOST_PIECES, WordPiece
from tools.sentence_weights import write_arrays

TOLD = [
    "We got the keys to the houseboat on Friday, it leaks less than feared.",
    "Knut now leaves for the quarry at five, six days a week.",
    "Stopped the statins, they gave me cramps.",
    "Our eldest starts with the violin in autumn.",
    "Somebody stole my bike in front of the market, so I take the metro.",
]
ASKED = [
    "Where do I live these days?",
    "What hours does he work?",
    "Which medicine did I give up?",
    "Which instrument does our daughter learn?",
    "How do I get around town now?",
]
"""What each statement answers, in other words."""


@cache
def tokenizer() -> WordPiece:
    return WordPiece(read_vocabulary(DATA))


@cache
def weights() -> ContextWeights:
    return read_context(DATA)


@cache
def plain() -> PlainContext:
    return PlainContext(weights())


def pieces_of(texts: Sequence[str]) -> list[list[int]]:
    return [tokenizer().pieces(text) for text in texts]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data files."""
    for name in (WEIGHTS, VOCABULARY):
        shutil.copy(DATA / name, tmp_path / name)
    return tmp_path


# Vectors.


class InFloats(MiniLM):
    """The forward pass of all-MiniLM-L6-v2, with the weights of the contextual part as floats."""

    def __init__(self, of: ContextWeights) -> None:
        names = {"o": "attention.output.dense", "up": "intermediate.dense", "down": "output.dense"}
        norms = {"attended": "attention.output.LayerNorm", "changed": "output.LayerNorm"}
        embeddings = {"word": of.words * of.steps[:, None], "position": of.places, "token_type": np.zeros((2, 384))}
        tables = {
            f"embeddings.{name}_embeddings.weight": np.asarray(table, np.float32) for name, table in embeddings.items()
        }
        self._weights = tables | norm_of(of, "begin", "embeddings.LayerNorm")
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}."
            matrix, bias = dense_of(of, f"qkv{layer}")
            for number, name in enumerate(("query", "key", "value")):
                part = slice(384 * number, 384 * (number + 1))
                self._weights[f"{prefix}attention.self.{name}.weight"] = matrix[part]
                self._weights[f"{prefix}attention.self.{name}.bias"] = bias[part]
            for name, full in names.items():
                self._weights[f"{prefix}{full}.weight"], self._weights[f"{prefix}{full}.bias"] = dense_of(
                    of, f"{name}{layer}"
                )
            for name, full in norms.items():
                self._weights |= norm_of(of, f"{name}{layer}", prefix + full)


def dense_of(of: ContextWeights, name: str) -> tuple[Floats, Floats]:
    """The matrix and the bias of a layer, as the model's file holds them."""
    layer = of.layers[name]
    return (unpacked(layer) * layer.scales).T, of.vectors[f"{name}.bias"]


def norm_of(of: ContextWeights, name: str, full: str) -> dict[str, Floats]:
    return {f"{full}.weight": of.vectors[f"{name}.gain"], f"{full}.bias": of.vectors[f"{name}.shift"]}


def test_vectors_are_near_to_those_of_the_forward_pass_of_minilm_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bert, "LAYERS", LAYERS)
    texts = pieces_of([*TOLD, *ASKED, "long " * 200, "?"])
    means = np.stack([states.mean(axis=0) for states in InFloats(weights()).last_layer(texts)])
    matrix, bias = dense_of(weights(), "out")
    expected = means @ matrix.T + bias
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosines = (plain().encode(texts) * expected).sum(axis=1)
    assert cosines.min() > 0.96
    assert cosines.mean() > 0.99


def test_a_vector_has_length_1_and_the_width_of_the_encoder() -> None:
    vectors = plain().encode(pieces_of([*TOLD, "a", "word " * 300, "中文", "\x01!"]))
    assert vectors.shape == (len(TOLD) + 4, WIDTH)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert plain().encode([]).shape == (0, WIDTH)


def test_a_text_has_the_same_vector_whatever_stands_beside_it() -> None:
    texts = pieces_of([*TOLD, *ASKED, "word " * 300, "x"])
    alone = np.concatenate([plain().encode([text]) for text in texts])
    assert np.allclose(plain().encode(texts), alone, atol=2e-3)
    assert np.allclose(plain().encode(texts[::-1])[::-1], alone, atol=2e-3)


def test_the_order_of_words_makes_a_difference() -> None:
    one, other = plain().encode(pieces_of(["Ana sold the boat to Ben.", "Ben sold the boat to Ana."]))
    assert one @ other < 0.999


def test_a_question_is_nearer_to_what_answers_it_than_to_other_statements() -> None:
    cosines = plain().encode(pieces_of(ASKED)) @ plain().encode(pieces_of(TOLD)).T
    assert cosines.diagonal().mean() > cosines[~np.eye(len(TOLD), dtype=np.bool_)].mean() + 0.1


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([TOGETHER], [1]),
        ([30, 30, 30, 30, 30], [4, 1]),
        ([1, TOGETHER, 1, 1], [1, 1, 2]),
        ([64, 64, 64], [2, 1]),
    ],
)
def test_texts_are_computed_together_up_to_a_number_of_pieces(lengths: list[int], expected: list[int]) -> None:
    texts = [[1] * length for length in lengths]
    parts = [texts[part] for part in together(texts)]
    assert [len(part) for part in parts] == expected
    assert [text for part in parts for text in part] == texts


# Files.


def arrays_in(folder: Path) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in read_arrays(folder / WEIGHTS, APART).items()}


def rewrite(folder: Path, arrays: dict[str, np.ndarray], **more: str) -> None:
    """Write other arrays with the metadata that belongs to them."""
    known = {name: metadata_of(DATA)[name] for name in ("rows", "vocabulary")}
    write_arrays(folder / WEIGHTS, arrays, "context", b"", known | more, APART)


def test_the_arrays_have_the_shapes_that_are_stated() -> None:
    of = weights()
    assert of.words.shape == (len(read_vocabulary(DATA)), 384)
    assert of.places.shape == (MOST_PIECES, 384)
    assert 0.1 < of.gain < 10
    assert set(of.layers) == set(MATRICES)
    assert set(of.vectors) == set(VECTORS)
    for layer in of.layers.values():
        assert np.array_equal(layer.sums[0], unpacked(layer).sum(axis=0))
    verify_context(DATA)


def test_the_files_stay_small() -> None:
    assert (DATA / WEIGHTS).stat().st_size + (DATA / VOCABULARY).stat().st_size < 23_000_000


def test_a_fingerprint_names_weights_and_vocabulary(folder: Path) -> None:
    before = context_fingerprint(folder)
    assert before == context_fingerprint(DATA)
    assert before.startswith("context-")
    arrays = arrays_in(folder)
    arrays["words"][5, 5] += 1
    rewrite(folder, arrays)
    assert context_fingerprint(folder) != before


@pytest.mark.parametrize("name", [WEIGHTS, VOCABULARY])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DamagedWeights, match=f"{name} is missing; install Engram again"):
        verify_context(folder)


@pytest.mark.parametrize("name", [WEIGHTS, VOCABULARY])
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DamagedWeights, match=f"{name} cannot be read"):
        verify_context(folder)


@pytest.mark.parametrize("size", [0, 5, 1_000, 1_000_000])
def test_a_file_that_is_cut_short_is_named(folder: Path, size: int) -> None:
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(DamagedWeights, match=f"{WEIGHTS}.*install Engram again"):
        read_context(folder)


def test_a_changed_layer_is_found_at_once_and_a_changed_row_when_all_is_verified(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    read_context(folder)
    with pytest.raises(DamagedWeights, match="has changed since it was written"):
        verify_context(folder)
    content[len(content) // 5] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(DamagedWeights, match="has changed since it was written"):
        read_context(folder)


@pytest.mark.parametrize("change", [b"", b"another\n", b"\xff"])
def test_a_vocabulary_of_other_weights_is_refused(folder: Path, change: bytes) -> None:
    content = (folder / VOCABULARY).read_bytes()
    (folder / VOCABULARY).write_bytes(content + change if change else content[:-1])
    with pytest.raises(DamagedWeights, match=f"{VOCABULARY} does not belong to {WEIGHTS}"):
        read_vocabulary(folder)


@pytest.mark.parametrize(
    "name", ["words", "steps", "places", "qkv0", "o1.sums", "up2.scales", "down0.bias", "begin.gain"]
)
def test_an_array_of_another_shape_is_named(folder: Path, name: str) -> None:
    arrays = arrays_in(folder)
    arrays[name] = np.ascontiguousarray(arrays[name][..., :-1])
    rewrite(folder, arrays)
    with pytest.raises(DamagedWeights, match=r"holds [a-z0-9.]+ in another shape than this version reads"):
        read_context(folder)


@pytest.mark.parametrize("name", ["words", "gain", "o1", "o1.bias", "out.scales", "changed0.shift"])
def test_a_missing_array_is_named(folder: Path, name: str) -> None:
    arrays = arrays_in(folder)
    del arrays[name]
    rewrite(folder, arrays)
    with pytest.raises(DamagedWeights, match=f"is not what this version reads .*{name}"):
        read_context(folder)


def test_a_vocabulary_without_a_special_piece_and_one_of_another_length_are_named(folder: Path) -> None:
    for pieces, problem in (("[CLS]\n[UNK]\n", r"does not hold \[SEP\]"), ("[CLS]\n[SEP]\n[UNK]\n", "pieces, and")):
        (folder / VOCABULARY).write_text(pieces)
        rewrite(folder, arrays_in(DATA), vocabulary=f"{zlib.crc32(pieces.encode()):08x}")
        with pytest.raises(DamagedWeights, match=problem):
            verify_context(folder)
