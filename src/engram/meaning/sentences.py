"""The default encoder: Google's Universal Sentence Encoder, multilingual, version 3, of 16 languages.

Owns the choice of its data files and implementation, and the way from a text to pieces. The tokenizer is the package
`sentencepiece` with the model's own file. Nothing is loaded before the first text is encoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from engram import accel
from engram.meaning.base import Vectors, beginning
from engram.meaning.compiled import CompiledEncoder
from engram.meaning.plain import PlainEncoder
from engram.meaning.tuned import Tuned, read_tuned, tuned_fingerprint
from engram.meaning.weights import WIDTH, DamagedWeights, header_of, read_weights, verify_weights

DATA = Path(str(files("engram.meaning") / "data"))
WEIGHTS, TOKENIZER, TUNED = "sentences.safetensors", "sentences.model", "answering.safetensors"

MOST_CHARACTERS = 2_000
"""Characters of a text that are read: a passage has some 600."""
MOST_PIECES = 1_000
"""Pieces of a text that are read: one character can stand for eighteen letters."""
RECENT = 256
"""Vectors that are kept: what is asked becomes a turn soon after, and is encoded again as its passage."""
RECENT_TEXTS, RECENT_CHARACTERS = 4, 1_000
"""Texts of a call up to which their vectors are kept, and characters of a text."""
BEGIN, END = 1, 2
"""The pieces around each text."""


class Loaded(NamedTuple):
    """What is loaded for the first text."""

    tokenizer: Any
    encoder: PlainEncoder | CompiledEncoder
    compiled: bool
    """Which of the two it is."""
    tuned: Tuned | None
    recent: dict[str, Vectors]
    """Vectors of the texts of the last small calls, oldest first: shape (512,) each."""


class SentenceEncoder:
    """Encodes texts as 512 values. Safe to call from several threads."""

    dimensions = WIDTH

    def __init__(self, folder: Path = DATA, *, tuned: bool = True) -> None:
        """`tuned`: whether the last layers are those that Engram has tuned, or those of the model."""
        self._folder, self._tuned = folder, tuned
        self._loading = Lock()
        self._loaded: Loaded | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Identifies weights and tokenizer. Raises `DamagedWeights` if a file with weights is not complete."""
        fingerprint = str(self._metadata()["fingerprint"])
        return f"{fingerprint}-{tuned_fingerprint(self._folder / TUNED)}" if self._tuned else fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text: shape (len(texts), 512); all 0 for a text without any piece.

        Of a text the first `MOST_CHARACTERS` are read, up to `MOST_PIECES` pieces. Raises `DamagedWeights` if a data
        file is missing or damaged.
        """
        loaded = self._load()
        result, pieces = np.zeros((len(texts), WIDTH), np.float32), dict[int, list[int]]()
        for row, text in enumerate(texts):
            known = loaded.recent.get(text)
            if known is not None:
                result[row] = known
            elif of_text := pieces_of(loaded.tokenizer, text):
                pieces[row] = of_text
        if pieces:
            result[list(pieces)] = loaded.encoder.encode(list(pieces.values()))
            if len(texts) <= RECENT_TEXTS:
                self._keep({texts[row]: result[row].copy() for row in pieces}, loaded.recent)
        return result

    def _keep(self, vectors: dict[str, Vectors], recent: dict[str, Vectors]) -> None:
        with self._loading:
            recent.update({text: vector for text, vector in vectors.items() if len(text) <= RECENT_CHARACTERS})
            while len(recent) > RECENT:
                del recent[next(iter(recent))]

    def pieces(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces with those around it; [] for a text without any. Raises as `encode`."""
        return pieces_of(self._load().tokenizer, text)

    def towards_answers(self, vectors: Vectors) -> Vectors:
        """Return the vectors by which the answers to questions are looked for: shape (n, 512), of length 1 or 0.

        vectors: of the questions, as `encode` returns them. The model puts a question near to other questions; the map
        puts "What do I drive?" nearer to "picked up the van today". Raises as `encode`.
        """
        tuned = self._load().tuned
        if tuned is None:
            return vectors
        # einsum, not BLAS: BLAS starts threads, which costs more than such small products.
        turned = vectors + np.einsum("nr,rd->nd", np.einsum("nd,dr->nr", vectors, tuned.into), tuned.out) + tuned.shift
        turned /= np.maximum(np.sqrt(np.einsum("nd,nd->n", turned, turned)), np.float32(1e-9))[:, None]
        filled = np.einsum("nd,nd->n", vectors, vectors)[:, None] > 0
        return np.asarray(np.where(filled, turned, vectors), np.float32)

    def verify(self) -> None:
        """Read all data. Raises `DamagedWeights` if a file is missing, or is not as it was written."""
        verify_weights(self._folder / WEIGHTS)
        if self._tuned:
            read_tuned(self._folder / TUNED)
        self._open_tokenizer()

    def _load(self) -> Loaded:
        loaded = self._loaded
        # `accel.use` may have changed what is in use.
        if loaded is not None and loaded.compiled == accel.available:
            return loaded
        with self._loading:
            compiled = accel.available
            if self._loaded is None or self._loaded.compiled != compiled:
                weights = read_weights(self._folder / WEIGHTS)
                tuned = read_tuned(self._folder / TUNED) if self._tuned else None
                if tuned is not None:
                    weights = tuned.applied_to(weights)
                encoder = CompiledEncoder(weights) if compiled else PlainEncoder(weights)
                self._loaded = Loaded(self._open_tokenizer(), encoder, compiled, tuned, {})
            return self._loaded

    def _open_tokenizer(self) -> Any:
        # Imported here: it takes 15 ms, and a process that encodes nothing does not need it.
        from sentencepiece import SentencePieceProcessor

        path = self._folder / TOKENIZER
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedWeights(path, f"cannot be read ({error.strerror})") from error
        if f"{zlib.crc32(content):08x}" != self._metadata()["tokenizer"]:
            raise DamagedWeights(path, f"does not belong to {WEIGHTS}, or has changed since it was written")
        return SentencePieceProcessor(model_proto=content)

    def _metadata(self) -> dict[str, Any]:
        path = self._folder / WEIGHTS
        metadata: dict[str, Any] = header_of(path)[0]["__metadata__"]
        if {"fingerprint", "tokenizer"} - set(metadata):
            raise DamagedWeights(path, "has a header that this version cannot read")
        return metadata


@cache
def default_encoder() -> SentenceEncoder:
    """Return the encoder of this process: all memories share what it has loaded."""
    return SentenceEncoder()


def pieces_of(tokenizer: Any, text: str) -> list[int]:
    """Return the numbers of a text's first pieces, between `BEGIN` and `END`; [] for a text of white space."""
    pieces: list[int] = tokenizer.encode(beginning(text, MOST_CHARACTERS))
    return [BEGIN, *pieces[:MOST_PIECES], END] if pieces else []
