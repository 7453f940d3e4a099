"""Measures of ranked lists, scores and times: pure functions.

Owns the definitions of the measures; does not know where lists, scores and times come from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np


def share_found(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of `relevant` that is among the first `k` of `ranked` (recall at k). `relevant` is not empty."""
    distinct_relevant = set(relevant)
    return len(distinct_relevant.intersection(ranked[:k])) / len(distinct_relevant)


def any_found(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """1.0 if one of `relevant` is among the first `k` of `ranked`, else 0.0."""
    return float(not set(relevant).isdisjoint(ranked[:k]))


def all_found(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """1.0 if every one of `relevant` is among the first `k` of `ranked`, else 0.0."""
    return float(set(relevant) <= set(ranked[:k]))


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """1 / the rank (from 1) of the first of `relevant` in `ranked`; 0.0 if `ranked` holds none of them."""
    keys = set(relevant)
    return next((1 / rank for rank, key in enumerate(ranked, 1) if key in keys), 0.0)


def distinct(keys: Sequence[str]) -> list[str]:
    """`keys` in their order without duplicates; each stays at its first position."""
    return list(dict.fromkeys(keys))


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The probability that one of `positive` scores higher than one of `negative`; equal scores count half.

    This is the area under the ROC curve (Mann and Whitney's U). NaN if either is empty.
    """
    if not positive or not negative:
        return float("nan")
    ordered = np.sort(np.asarray(negative, dtype=np.float64))
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).mean() / 2 / len(ordered))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; NaN if there are no values."""
    return sum(values) / len(values) if values else float("nan")


def median(values: Sequence[float]) -> float:
    """The median; NaN if there are no values."""
    return percentile(values, 50)


def percentile(values: Sequence[float], share: float) -> float:
    """The percentile: `share` percent of the values lie below it. Interpolated; NaN if there are no values."""
    return float(np.percentile(values, share)) if values else float("nan")
