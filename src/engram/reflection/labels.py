"""Labels: what kind of thing a sentence says, and what it is about, by its vector.

Owns networks over the vectors of one encoder, each with one hidden layer and several outputs. `tools/labels.py` fits
them on sentences written for that, in the languages of the encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.network import Floats, Network
from engram.reflection.slots import SLOTS

KINDS = (
    "fact", "event", "plan", "preference", "order", "request", "question", "reaction", "mood", "general",
)  # fmt: skip
"""What a sentence says. The first five last; an order is a standing one, a request is for once."""
LASTING = 5
"""How many of `KINDS` last."""

EFFECTS = ("tells", "ends", "mentions")
"""What a sentence does to its slot: tells a value, ends it with nothing after, or only speaks of it."""


SAYS = (len(KINDS), len(SLOTS), len(EFFECTS), 2)
"""Outputs of the network of sentences, by head: kind, slot, effect, and whether the writer speaks of themselves."""
ASKS = (len(SLOTS), 2, 2)
"""Outputs of the network of questions: slot, whether of the asker, and whether for what held before."""


def softmax(outputs: Floats) -> Floats:
    """Return the shares of some outputs: shape (n, o)."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


class Labels(NamedTuple):
    """What n sentences say, as probabilities."""

    kinds: Floats
    """Of each of `KINDS`: shape (n, kinds)."""
    slots: Floats
    """Of each of `slots.SLOTS`: shape (n, slots)."""
    effects: Floats
    """Of each of `EFFECTS`: shape (n, effects)."""
    own: Floats
    """That the writer speaks of themselves: shape (n,)."""

    @property
    def lasting(self) -> Floats:
        """That they are of a kind that lasts: shape (n,)."""
        return np.asarray(self.kinds[:, :LASTING].sum(axis=1), np.float32)


class Asked(NamedTuple):
    """What n questions ask for, as probabilities."""

    slots: Floats
    """Of each of `slots.SLOTS`: shape (n, slots)."""
    own: Floats
    """That it is asked of the asker: shape (n,)."""
    then: Floats
    """That it is asked for what held before: shape (n,)."""


@cache
def networks() -> tuple[str, Network, Network]:
    """Return the fingerprint of their encoder, and the networks of sentences and of questions."""
    with np.load(str(files("engram.reflection") / "data" / "labels.npz")) as arrays:
        says, asks = (
            Network(*(arrays[f"{name}.{part}"].astype(np.float32) for part in Network._fields))
            for name in ("says", "asks")
        )
        return str(arrays["encoder"]), says, asks


@cache
def made_by() -> str:
    """Return a text that identifies the labels: another one for other networks, kinds or slots."""
    encoder, says, asks = networks()
    digest = hashlib.sha256(repr((encoder, KINDS, SLOTS, EFFECTS)).encode())
    for network in (says, asks):
        for array in network:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def parted(outputs: Floats, sizes: tuple[int, ...]) -> list[Floats]:
    """Return the shares of each head, of the outputs of all heads end to end: shapes (n, size)."""
    ends = np.cumsum(sizes)[:-1].tolist()
    return [softmax(part) for part in np.split(outputs, ends, axis=1)]


def labels_of(vectors: Vectors) -> Labels:
    """Return what sentences say. vectors: of the encoder that `networks` names, shape (n, dimensions)."""
    return labels_from(networks()[1], vectors)


def asked_of(vectors: Vectors) -> Asked:
    """Return what questions ask for. vectors: of the encoder that `networks` names, shape (n, dimensions)."""
    return asked_from(networks()[2], vectors)


def packed(labels: Labels) -> list[bytes]:
    """Return the probabilities of n sentences in 255ths, as `unpacked` reads them."""
    parts = (labels.kinds, labels.slots, labels.effects, labels.own[:, None])
    return [row.tobytes() for row in np.rint(np.concatenate(parts, axis=1) * 255).astype(np.uint8)]


def unpacked(rows: Sequence[bytes]) -> Labels:
    """Return what `packed` was given for n sentences, to a 255th."""
    shares = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1).astype(np.float32) / np.float32(255)
    kinds, slots, effects, own = np.split(shares, np.cumsum(SAYS[:-1]).tolist(), axis=1)
    return Labels(kinds, slots, effects, own[:, 0])


def labels_from(network: Network, vectors: Vectors) -> Labels:
    """Return what sentences say, by a network of sentences."""
    kinds, slots, effects, own = parted(network.outputs(vectors), SAYS)
    return Labels(kinds, slots, effects, own[:, 1])


def asked_from(network: Network, vectors: Vectors) -> Asked:
    """Return what questions ask for, by a network of questions."""
    slots, own, then = parted(network.outputs(vectors), ASKS)
    return Asked(slots, own[:, 1], then[:, 1])
