"""Stating: how much more a hit is worth to a question by its sentence that is nearest to it.

Owns the weights, which `tools/stating.py` fits on all sets. Recall ranks passages, of which the answer may be one
sentence of several. The first hits get what their sentence adds: how near it is, whether it speaks of the attribute
that is asked for, and whether it is of a kind that lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram.meaning.network import Floats

NEAR, FITS, LASTS, SILENT = 0.467, 0.282, 0.088, -0.011
"""What a hit's value gains by each number of its sentence; and by having none that may state something."""
STATES = "states"
"""The part of a hit's value that it has for what its sentence says."""


class Nearest(NamedTuple):
    """What a hit's sentence that is nearest to the question says."""

    near: float
    """Cosine of the sentence and the question."""
    fits: float
    """Probability that both are of the same slot."""
    lasting: float
    """Probability that it is of a kind that lasts."""


NOTHING = Nearest(0.0, 0.0, 0.0)


def gains(sentences: Sequence[Nearest | None], read: Sequence[bool]) -> Floats:
    """Return what n hits gain: shape (n,).

    sentences: None for a hit that states nothing. read: whether its turn was read; one that was not gains as much as
    the others on average, so that it is not put behind for that.
    """
    numbers = np.array([each or NOTHING for each in sentences], np.float32).reshape(-1, len(NOTHING))
    silent = np.array([each is None for each in sentences])
    worth = numbers @ np.array([NEAR, FITS, LASTS], np.float32) + SILENT * silent
    known = np.array(read, bool)
    worth[~known] = worth[known].mean() if known.any() else 0.0
    return np.asarray(worth, np.float32)
