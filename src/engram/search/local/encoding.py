"""From the texts of engrams to the codes of their passages.

Owns the encoder of an index: it is loaded when the first text is encoded, and given up when it fails. Knows no file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from engram.meaning.base import Encoder
from engram.meaning.codes import Coder, Codes
from engram.text.passages import passages

log = logging.getLogger("engram")


class PassageEncoder:
    """Encodes passages as codes. Safe to use from several threads."""

    def __init__(self, encoder: Encoder, coder: Coder) -> None:
        self.coder = coder
        self.used = False
        """Whether a text was encoded, so that the encoder is loaded."""
        self.trouble: str | None = None
        """Why nothing is encoded any more in this process; None if all is well."""
        self._encoder = encoder

    def encode(self, texts: Sequence[str], counts: Sequence[int]) -> list[Codes] | None:
        """Return the codes of each text's passages, of which it has as many as `counts` says; None after a failure.

        The passages of a text that does not have so many get empty codes.
        """
        parts: list[str] = []
        for text, count in zip(texts, counts, strict=True):
            found = parted(text)
            parts += found if len(found) == count else [""] * count
        try:
            vectors = self._encoder.encode(parts)
            if vectors.shape != (len(parts), self.coder.dimensions):
                raise ValueError(f"vectors of the shape {vectors.shape} for {len(parts)} passages")
        # An encoder is a library with files of its own: whatever it raises, recall goes on by words.
        except Exception as error:  # noqa: BLE001
            self.give_up(f"passages cannot be encoded: {type(error).__name__}: {error}")
            return None
        self.used = True
        return np.split(self.coder.encode(vectors), np.cumsum(counts)[:-1]) if len(counts) else []

    def give_up(self, why: str) -> None:
        """Encode nothing any more in this process."""
        self.trouble = why
        log.warning("%s; recall continues by words", why)


def parted(text: str) -> list[str]:
    """Return the passages of a text, at least one; together they are the text."""
    spans = passages(text)
    return [text] if len(spans) == 1 else [text[start:end] for start, end in spans]
