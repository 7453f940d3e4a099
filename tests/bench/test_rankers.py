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


def test_fused_adds_reciprocal_ranks():
    def by(values):
        return lambda texts: lambda question: np.array(values)

    scores = rankers.fused(by([3.0, 2.0, 1.0]), by([1.0, 3.0, 2.0]))(["x", "y", "z"])("?")
    assert scores == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
