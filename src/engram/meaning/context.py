"""What English words mean in their context: a small transformer, tuned so that questions meet their answers.

Owns which texts it reads and the choice of its implementation. The tokenizer is `wordpiece`, the data is
`context_weights`. Nothing is loaded before the first text is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from engram import accel
from engram.meaning.base import beginning
from engram.meaning.context_compiled import CompiledContext
from engram.meaning.context_plain import PlainContext
from engram.meaning.context_weights import (
    ContextWeights,
    context_fingerprint,
    read_context,
    read_vocabulary,
    verify_context,
)
from engram.meaning.contextual import Added, ContextualEncoder
from engram.meaning.sentences import DATA, default_encoder
from engram.meaning.wordpiece import MOST_CHARACTERS, WordPiece


class Loaded(NamedTuple):
    """What is loaded for the first text."""

    tokenizer: WordPiece
    weights: ContextWeights
    encoder: PlainContext | CompiledContext
    compiled: bool
    """Which of the two it is."""


class EnglishContext:
    """Adds to the vectors of English texts. Safe to call from several threads."""

    def __init__(self, folder: Path = DATA) -> None:
        self._folder = folder
        self._loading = Lock()
        self._loaded: Loaded | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Identifies weights and vocabulary. Raises `DamagedWeights` if the file with weights is not complete."""
        return context_fingerprint(self._folder)

    def added(self, texts: Sequence[str]) -> Added:
        """Return what is to be added to the vectors of the English ones among some texts.

        Raises `DamagedWeights` if a data file is missing or damaged.
        """
        loaded = self._load()
        rows, pieces = list[int](), list[list[int]]()
        for row, text in enumerate(texts):
            read = beginning(text, MOST_CHARACTERS)
            of_text = loaded.tokenizer.pieces(read)
            if of_text and loaded.tokenizer.is_english(read, of_text):
                rows.append(row)
                pieces.append(of_text)
        if not rows:
            return Added([], np.empty((0, 0), np.float32))
        return Added(rows, loaded.encoder.encode(pieces) * loaded.weights.gain)

    def verify(self) -> None:
        """Read all data. Raises `DamagedWeights` if a file is missing, or is not as it was written."""
        verify_context(self._folder)
        read_vocabulary(self._folder)

    def _load(self) -> Loaded:
        loaded = self._loaded
        # `accel.use` may have changed what is in use.
        if loaded is not None and loaded.compiled == accel.available:
            return loaded
        with self._loading:
            compiled = accel.available
            if self._loaded is None or self._loaded.compiled != compiled:
                weights = read_context(self._folder)
                encoder = CompiledContext(weights) if compiled else PlainContext(weights)
                self._loaded = Loaded(WordPiece(read_vocabulary(self._folder)), weights, encoder, compiled)
            return self._loaded


@cache
def contextual_encoder() -> ContextualEncoder:
    """Return the encoder of this process: all memories share what it has loaded."""
    return ContextualEncoder(default_encoder(), EnglishContext())
