"""Confidence: a score from 0 to 1 that means the same for short and long queries, small and large memories.

Owns the calibration and the floor under recall. Within one query it keeps the order of the ranking.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engram.recall.cue import Cue
from engram.recall.pool import Pool
from engram.recall.score import Scores, Statistics

FLOOR = 0.05
"""Hits under this are not given back."""


def confidence(cue: Cue, pool: Pool, statistics: Statistics, scores: Scores) -> npt.NDArray[np.float32]:
    """Each turn's score from 0 to 1: shape (n,)."""
    return np.asarray(1 / (1 + np.exp(-4 * (scores.total - 0.8))), np.float32)
