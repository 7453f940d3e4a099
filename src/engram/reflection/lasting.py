"""Lasting: which turns of a conversation tell something of their writer that is worth knowing later.

Owns the numbers of a turn that are weighed, and the weights, which `tools/lasting.py` fits on invented chats. The
labels of a turn's sentences say how much of it tells a fact, an event, a plan and so on; the rest is how much it says,
whether it asks, and whether it answers. Knows no store: a caller passes the turns of one session.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Encoder
from engram.meaning.network import Floats
from engram.parts import in_parts
from engram.recall.message import is_marked
from engram.reflection.labels import KINDS, Labels, labels_of
from engram.reflection.sentences import statements_of
from engram.text.base import QUESTION_MARKS
from engram.text.passages import size

LASTS = 0.25
"""Probability from which a turn counts as lasting: one that is missed costs three that are kept for nothing."""
TELLING = 4
"""How many of `KINDS` tell something: fact, event, plan and preference."""
NUMBERS = (
    "words", "sentences", "asks", "ends asking", "after asking", "after an end asking", *KINDS, "own", "own telling",
)  # fmt: skip
"""What is weighed of a turn: the logarithm of its words, its sentences, whether it holds and ends with a question mark,
whether the turn before it does, and the roots of the words of each kind, of those that the writer says of themselves,
and of those of them that tell something."""
AT_ONCE = 256
"""Sentences that are encoded at once."""
_NOTE = re.compile(r"\s*\[[^\]]*\]\s*")
"""A sentence that is a note of a program, such as what a shared picture shows."""


class Weights(NamedTuple):
    """How a turn's numbers become a probability."""

    weights: Floats
    """Of each of `NUMBERS`: shape (n,)."""
    offset: float
    labels: str
    """`labels.made_by` of the labels that the weights were fitted with; a test compares it."""


@cache
def weights() -> Weights:
    """Return the weights of the package."""
    with np.load(str(files("engram.reflection") / "data" / "lasting.npz")) as arrays:
        return Weights(arrays["weights"].astype(np.float32), float(arrays["offset"]), str(arrays["labels"]))


class Told(NamedTuple):
    """The sentences of some turns, and what they say."""

    turns: npt.NDArray[np.int64]
    """Of each its turn, counted from 0: shape (s,)."""
    words: Floats
    """Of each about how many words it has: shape (s,)."""
    labels: Labels


def lasting_of(texts: Sequence[str], told: Told) -> Floats:
    """Return the probabilities that the turns of a session last: shape (n,).

    texts: of all its turns, in their order. told: their sentences, at least those that may last. A turn without any
    has a probability of nearly 0.
    """
    fitted = weights()
    values = numbers_of(texts, told) @ fitted.weights + np.float32(fitted.offset)
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def told_in(texts: Sequence[str], encoder: Encoder) -> Told:
    """Return all sentences of the turns of a session. encoder: the one that the labels were fitted for."""
    found = [(turn, sentence) for turn, text in enumerate(texts) for sentence in sentences_of(text)]
    parts = [encoder.encode([sentence for _, sentence in part]) for part in in_parts(found, AT_ONCE)]
    vectors = np.concatenate(parts) if parts else np.zeros((0, encoder.dimensions), np.float32)
    words = np.array([size(sentence) for _, sentence in found], np.float32)
    return Told(np.array([turn for turn, _ in found], np.int64), words, labels_of(vectors))


def numbers_of(texts: Sequence[str], told: Told) -> Floats:
    """Return `NUMBERS` of the turns of a session: shape (n, numbers). One without a sentence in `told` has no words."""
    n, labels = len(texts), told.labels
    tells = labels.own * labels.kinds[:, :TELLING].sum(axis=1)
    shares = np.concatenate([labels.kinds, np.stack([labels.own, tells], axis=1)], axis=1)
    sums = [np.bincount(told.turns, column * told.words, n) for column in shares.T]
    counted = [np.zeros(0)] * n
    for turn in set(told.turns.tolist()):
        counted[turn] = np.array([size(sentence) for sentence in sentences_of(texts[turn])])
    words, many = [np.log1p(each.sum()) for each in counted], [len(each) for each in counted]
    asks = np.array([any(mark in text for mark in QUESTION_MARKS) for text in texts], np.float32)
    ends = np.array([is_marked(text) for text in texts], np.float32)
    columns = [words, many, asks, ends, after(asks), after(ends), *np.sqrt(sums)]
    return np.array(columns, np.float32).reshape(len(NUMBERS), n).T


def after(values: Floats) -> Floats:
    """Return of each turn the value of the one before it; 0 of the first."""
    return np.concatenate([np.zeros(1, np.float32), values])[: len(values)]


def sentences_of(text: str) -> Iterator[str]:
    """Yield the sentences of a turn that its writer says, without notes of a program."""
    for start, stop in statements_of(text):
        if not _NOTE.fullmatch(text, start, stop):
            yield text[start:stop]
