"""The encoder contract: what recall and an index ask of a sentence encoder.

Owns the protocols `Encoder`, `AnsweringEncoder`, `LayeredEncoder` and `WeighedEncoder`. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Encodes texts as vectors. Safe to call from several threads."""

    @property
    def fingerprint(self) -> str:
        """Identifies the model. Vectors of encoders with different fingerprints must not be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text: shape (len(texts), dimensions); all 0 for a text without words.

        Of a long text only the beginning is read. Never raises for any text.
        """
        ...


@runtime_checkable
class AnsweringEncoder(Protocol):
    """What an encoder has, too, that looks for answers by other vectors than those of the questions."""

    def towards_answers(self, vectors: Vectors) -> Vectors:
        """Return the vectors by which the answers to questions are looked for: shape (n, dimensions), length 1 or 0.

        vectors: of the questions, as `Encoder.encode` returns them.
        """
        ...


@runtime_checkable
class LayeredEncoder(Protocol):
    """What an encoder has, too, that adds to the vectors of another one and has vectors of its own for questions."""

    @property
    def base(self) -> Encoder:
        """The other one: what is known of its vectors is asked of them."""
        ...

    def encode_questions(self, texts: Sequence[str], vectors: Vectors) -> Vectors:
        """Return the vectors by which the answers to questions are looked for: shape (len(texts), dimensions).

        vectors: of the questions, as `base` encodes them.
        """
        ...


@runtime_checkable
class WeighedEncoder(Protocol):
    """What an encoder has, too, whose cosines tell more, or less, than those of the default one."""

    @property
    def worth(self) -> float:
        """How much a cosine counts in a score, compared with one of the default encoder."""
        ...


def base_of(encoder: Encoder) -> Encoder:
    """Return `LayeredEncoder.base`, and an encoder without it as it is."""
    return encoder.base if isinstance(encoder, LayeredEncoder) else encoder


def answering(encoder: Encoder, texts: Sequence[str], vectors: Vectors) -> Vectors:
    """Return the vectors by which the answers to questions are looked for: shape (len(texts), dimensions).

    vectors: of the questions, as `base_of(encoder)` encodes them.
    """
    if isinstance(encoder, LayeredEncoder):
        return encoder.encode_questions(texts, vectors)
    return encoder.towards_answers(vectors) if isinstance(encoder, AnsweringEncoder) else vectors


def worth_of(encoder: object) -> float:
    """Return `WeighedEncoder.worth`; 1 for an encoder without it, and for none."""
    return encoder.worth if isinstance(encoder, WeighedEncoder) else 1.0


def beginning(text: str, most: int) -> str:
    """Return the first `most` characters of a text, with "?" for a lone surrogate: tokenizers refuse one."""
    first = text[:most]
    return first if first.isascii() else first.encode("utf-8", "replace").decode()
