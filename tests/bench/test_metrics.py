"""The measures, compared with values that are computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import metrics

RANKED = ["c", "a", "x", "b", "y"]


@pytest.mark.parametrize(
    ("k", "share", "any_", "all_"), [(1, 0, 0, 0), (2, 1 / 3, 1, 0), (4, 2 / 3, 1, 0), (99, 2 / 3, 1, 0)]
)
def test_share_any_and_all_found_at_k(k, share, any_, all_):
    relevant = ["a", "b", "never"]
    assert metrics.share_found(RANKED, relevant, k) == pytest.approx(share)
    assert metrics.any_found(RANKED, relevant, k) == any_
    assert metrics.all_found(RANKED, relevant, k) == all_


def test_all_found_when_all_evidence_is_ranked():
    assert metrics.all_found(RANKED, ["a", "b"], 4) == 1
    assert metrics.all_found(RANKED, ["a", "b"], 3) == 0


def test_evidence_named_twice_counts_once():
    assert metrics.share_found(RANKED, ["a", "a", "b"], 2) == 0.5


def test_reciprocal_rank_uses_the_first_hit():
    assert metrics.reciprocal_rank(RANKED, ["b", "x"]) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(RANKED, ["never"]) == 0
    assert metrics.reciprocal_rank([], ["a"]) == 0


def test_distinct_keeps_first_places():
    assert metrics.distinct(["s2", "s1", "s2", "s3", "s1"]) == ["s2", "s1", "s3"]


def test_area_under_curve_of_a_small_example():
    # Of the six pairs (positive, negative): won 4, equal 1, lost 1.
    assert metrics.area_under_curve([0.9, 0.5, 0.3], [0.5, 0.1]) == pytest.approx((2 + 1.5 + 1) / 6)


def test_area_under_curve_of_separated_equal_and_missing_scores():
    assert metrics.area_under_curve([2, 3], [0, 1]) == 1
    assert metrics.area_under_curve([0, 1], [2, 3]) == 0
    assert metrics.area_under_curve([0.0] * 5, [0.0] * 7) == 0.5
    assert math.isnan(metrics.area_under_curve([], [1]))


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_area_under_curve_counts_pairs(positive, negative):
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert metrics.area_under_curve(positive, negative) == pytest.approx(np.mean(pairs))


def test_mean_median_and_percentile_of_values_and_of_none():
    assert metrics.mean([1, 2, 6]) == 3
    assert metrics.median([9, 1, 2]) == 2
    assert metrics.percentile([0, 10], 95) == pytest.approx(9.5)
    assert math.isnan(metrics.mean([]))
    assert math.isnan(metrics.median([]))
