"""Asking: what a message asks for, by its vector: whether for what a memory holds, and for whose words.

Owns two classifiers, networks with one hidden layer over the vectors of one encoder. `tools/asking.py` fits them on
messages written for that, in the languages of the encoder. The first tells "What did I call my boat?" from "What is a
sloop?" and "thanks!", the second "What did you tell me to cook?" from "What did I tell you about the landlord?".
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Vectors
from engram.meaning.network import Network

Odds = npt.NDArray[np.float64]


class Leaning(NamedTuple):
    """What n messages ask for."""

    memory: Odds
    """Log odds that each calls for what a memory of a person could hold: shape (n,)."""
    replies: Odds
    """Log odds that each asks for what the assistant said: shape (n,)."""


@cache
def networks() -> tuple[str, dict[str, Network]]:
    """Return the fingerprint of their encoder, and the networks by their name in `Leaning`."""
    with np.load(str(files("engram.meaning") / "data" / "asking.npz")) as arrays:
        found = {name: Network(*(arrays[f"{name}.{part}"] for part in Network._fields)) for name in Leaning._fields}
        return str(arrays["encoder"]), found


def leaning(vectors: Vectors, encoder: str) -> Leaning | None:
    """Return what messages ask for; None for an encoder that is not known.

    vectors: shape (n, dimensions). encoder: fingerprint of the encoder that made them.
    """
    known, found = networks()
    if encoder != known:
        return None
    return Leaning(**{name: network.outputs(vectors).astype(np.float64) for name, network in found.items()})
