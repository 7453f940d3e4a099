"""A small encoder for tests: texts are near to each other if they name the same things, in whatever words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.codes import Coder

DIMENSIONS = 96

SAME = {
    "boat": "harbour boats boat ferry trawler trawlers cutter ship ships vessels quay port",
    "kettle": "kettle kitchen teapot boil boils tea",
    "money": "invoice invoices bill bills pay paid owe owes cost",
    "dog": "dog dogs puppy hound spaniel",
    "report": "report committee parking minutes",
}
"""Words of the same meaning, by that meaning."""
MEANING = {word: meaning for meaning, words in SAME.items() for word in words.split()}


class ConceptEncoder:
    """An `Encoder`. Every meaning and every other word has a random direction; that of a word counts little."""

    def __init__(self, fingerprint: str = "concepts 1", seed: int = 0) -> None:
        self.fingerprint = fingerprint
        self.dimensions = DIMENSIONS
        self.encoded: list[str] = []
        """All texts that were encoded, in order."""
        self.failure: Exception | None = None
        """What `encode` raises."""
        self._seed = seed
        self._directions: dict[str, Vectors] = {}

    @property
    def coder(self) -> Coder:
        """A coder for the vectors."""
        return Coder(DIMENSIONS, encoder=self.fingerprint)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, of length 1, or 0 without words."""
        if self.failure is not None:
            raise self.failure
        self.encoded += texts
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), DIMENSIONS)

    def _vector(self, text: str) -> Vectors:
        total = np.zeros(DIMENSIONS, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            meaning = MEANING.get(word)
            total += self._direction(word) * np.float32(0.1) if meaning is None else self._direction(meaning)
        return total / np.float32(max(float(np.linalg.norm(total)), 1e-9))

    def _direction(self, word: str) -> Vectors:
        known = self._directions.get(word)
        if known is None:
            number = int.from_bytes(word.encode(), "little")
            direction = np.random.default_rng([self._seed, number]).normal(size=DIMENSIONS)
            known = self._directions[word] = (direction / np.linalg.norm(direction)).astype(np.float32)
        return known
