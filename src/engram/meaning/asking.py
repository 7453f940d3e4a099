"""Asking: whether a message calls for what a memory of a person could hold, by its vector.

Owns the classifier: a plane in the space of one encoder. `tools/asking.py` fits it on messages written for that, in the
languages of the encoder. "What did I call my boat?" is on one side, "What is a sloop?" and "thanks!" on the other.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Vectors


@cache
def _plane() -> tuple[str, npt.NDArray[np.float32], float]:
    """Return the encoder's fingerprint, the normal of the plane, and its offset."""
    with np.load(str(files("engram.meaning") / "data" / "asking.npz")) as arrays:
        return str(arrays["encoder"]), arrays["normal"], float(arrays["offset"])


def leaning(vectors: Vectors, encoder: str) -> npt.NDArray[np.float64]:
    """Return the log odds that each message calls for memory: shape (n,); infinite for an encoder that is not known.

    vectors: shape (n, dimensions). encoder: fingerprint of the encoder that made them.
    """
    known, normal, offset = _plane()
    if encoder != known:
        return np.full(len(vectors), np.inf)
    return np.asarray(np.einsum("nd,d->n", vectors, normal) + offset, np.float64)
