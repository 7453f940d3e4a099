"""The reference rankers, compared with values that are computed by hand."""

import math

import numpy as np
import pytest

from bench import rankers

TEXTS = ["the dog barks", "a dog and another dog", "rain in the north", ""]


def test_bm25_of_a_small_example():
    scores = rankers.bm25(1.5, 0.75)(TEXTS)("Dogs?")
    rarity = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    norms = [1.5 * (0.25 + 0.75 * length / 3) for length in (3, 5)]
    assert scores[0] == pytest.approx(rarity * 2.5 / (1 + norms[0]))
    assert scores[1] == pytest.approx(rarity * 2 * 2.5 / (2 + norms[1]))
    assert scores[2] == scores[3] == 0


def test_bm25_of_unknown_words_is_zero():
    assert not rankers.bm25(0.9, 0.4)(TEXTS)("zebra quartz").any()


def test_ranks_keep_the_order_of_equal_scores():
    assert rankers.ranks(np.array([0.0, 2.0, 0.0, 3.0])).tolist() == [3, 2, 4, 1]


def test_a_text_without_a_score_adds_nothing_to_a_fusion():
    assert rankers.reciprocal(np.array([0.0, 2.0, -1.0])).tolist() == [0, 1 / 61, 0]


def letters(texts):
    """The share of each text's signs that are an a, a b, a c or another one, as vectors of length 1."""
    counts = np.array([[text.count(letter) for letter in "abc"] + [1e-3] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_dense_encodes_each_text_once_and_ranks_by_cosines():
    batches = []

    def encode(texts):
        batches.append(list(texts))
        return letters(texts)

    dense = rankers.Dense(encode)
    dense.prepare(["b", "aab", "b"])
    scorer = dense.ranker(["b", "aab", "c"])
    scores = scorer("b")
    assert scores == pytest.approx([1, 1 / math.sqrt(5), 0], abs=1e-3)
    assert sorted(text for batch in batches for text in batch) == ["aab", "b", "c"]


def test_the_score_of_a_text_is_that_of_its_best_passage():
    long = "a " * 400 + "\n\n" + "b " * 400
    scores = rankers.Dense(letters).passage_ranker([long, "ab"])("b")
    assert scores == pytest.approx([1, 1 / math.sqrt(2)], abs=1e-2)


def test_fused_adds_reciprocal_ranks():
    def by(values):
        return lambda texts: lambda question: np.array(values)

    scores = rankers.fused(by([3.0, 2.0, 1.0]), by([1.0, 3.0, 2.0]))(["x", "y", "z"])("?")
    assert scores == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
