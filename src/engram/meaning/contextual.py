"""The default encoder, and a small transformer that reads the words of English texts in their context.

Owns how the vectors of the two are added. What a text means in any of 16 languages is `sentences`; `Context` adds to
the vectors of those texts that it can read. Vectors with and without it are of one space: they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.sentences import SentenceEncoder


class Added(NamedTuple):
    """What is added to the vectors of some texts."""

    rows: Sequence[int]
    """Of the texts that are read, in rising order."""
    vectors: Vectors
    """For each of these rows, the gain included: shape (len(rows), dimensions)."""


class Context(Protocol):
    """Reads the words of texts in their context. Safe to call from several threads."""

    @property
    def fingerprint(self) -> str:
        """Identifies the model."""
        ...

    def added(self, texts: Sequence[str]) -> Added:
        """Return what is to be added to the vectors of those texts that can be read."""
        ...

    def verify(self) -> None:
        """Read all data. Raises `DamagedWeights` if a file is missing, or is not as it was written."""
        ...


class ContextualEncoder:
    """Encodes texts as `base` does, and English ones with their words in context. Safe to call from several threads."""

    def __init__(self, base: SentenceEncoder, context: Context) -> None:
        self.base, self._context = base, context

    @property
    def dimensions(self) -> int:
        """Return the length of a vector."""
        return self.base.dimensions

    @property
    def fingerprint(self) -> str:
        """Identifies both models. Raises as that of `base`."""
        return f"{self.base.fingerprint}-{self._context.fingerprint}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text; all 0 for a text without any piece. Raises as that of `base`."""
        return self._joined(texts, self.base.encode(texts))

    def encode_questions(self, texts: Sequence[str], vectors: Vectors) -> Vectors:
        """Return the vectors by which the answers to questions are looked for; as `encode`.

        vectors: of the questions, as `base` encodes them.
        """
        return self._joined(texts, self.base.towards_answers(vectors))

    def verify(self) -> None:
        """Read all data. Raises `DamagedWeights` if a file is missing, or is not as it was written."""
        self.base.verify()
        self._context.verify()

    def _joined(self, texts: Sequence[str], vectors: Vectors) -> Vectors:
        rows, added = self._context.added(texts)
        if not rows:
            return vectors
        result = vectors.copy()
        joined = vectors[list(rows)] + added
        result[list(rows)] = joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), np.float32(1e-9))
        return result
