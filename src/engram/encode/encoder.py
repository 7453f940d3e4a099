"""Text to what is indexed and scored: terms for the inverted index, token ids for late interaction.

Owns the numbering of tokens: a stem of the table has its place in it; any other word shares one of the numbers above
(a hash of its stem), so every word can be matched exactly and the table's words by nearness, too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import Stemmer

from engram.encode.table import SIMILARITY_STEP, Table
from engram.encode.words import words

CACHE_SIZE = 200_000
"""Words remembered with their stem; past that the cache starts anew."""

ROW_CACHE_BYTES = 16 << 20
"""Memory for rows of similarities (64 KiB each with the English table)."""

UNKNOWN_PROBABILITY = 1e-6
"""The share of a word that the table does not hold: rarer than any that it holds."""

QUESTION = 1
"""Mark of a text that ends in a question."""

ASKS = re.compile(r"[?\uff1f\u061f\u037e](?:[\s\"'\u201d\u2019)*]|[\U0001f000-\U0001faff]){0,8}$")

# A stemmer is chosen by script alone: words of other languages in Latin script are stemmed as English ones are, the
# same way when written and when asked.
STEMMERS = (
    (re.compile("[\u0400-\u04ff]"), "russian"),
    (re.compile("[\u0370-\u03ff]"), "greek"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
    (re.compile("[\u0900-\u097f]"), "hindi"),
    (re.compile("[\u0b80-\u0bff]"), "tamil"),
    (re.compile("[\u0530-\u058f]"), "armenian"),
)


class Analysis(NamedTuple):
    """A text as the index takes it."""

    terms: list[str]
    """Its stems in order."""
    ids: list[int]
    """Their token ids."""
    marks: int
    """QUESTION, or 0."""


class Encoder:
    """Texts to terms and token ids over one table. Safe to call from several threads."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.fingerprint = table.fingerprint
        """An index made with another fingerprint is made again."""
        size = len(table.stems)
        self.token_type: npt.DTypeLike = np.uint16 if size <= 1 << 15 else np.uint32
        self.tokens = 1 << 16 if size <= 1 << 15 else size + (1 << 20)
        """Token ids run from 0 to tokens - 1; those from len(table.stems) on are hashes."""
        self._numbers = {stem: number for number, stem in enumerate(table.stems)}
        self._known: dict[str, tuple[str, int]] = {}
        self._rows: dict[int, npt.NDArray[np.uint8]] = {}

    def analyse(self, text: str) -> Analysis:
        """The terms and token ids of `text`, in its words' order."""
        known = self._known
        terms, ids = [], []
        for word in words(text):
            found = known.get(word)
            if found is None:
                found = self._learn(word)
            terms.append(found[0])
            ids.append(found[1])
        return Analysis(terms, ids, QUESTION if ASKS.search(text[-64:]) else 0)

    def _learn(self, word: str) -> tuple[str, int]:
        stem = stem_of(word)
        number = self._numbers.get(stem)
        if number is None:
            size = len(self.table.stems)
            number = size + zlib.crc32(stem.encode()) % (self.tokens - size)
        if len(self._known) >= CACHE_SIZE:
            self._known = {}
        self._known[word] = (stem, number)
        return stem, number

    def probabilities(self, ids: Sequence[int]) -> npt.NDArray[np.float64]:
        """How common each token is in plain language, as a share of all words: shape (len(ids),)."""
        size = len(self.table.stems)
        shares = [float(self.table.probability[i]) if i < size else UNKNOWN_PROBABILITY for i in ids]
        return np.array(shares, dtype=np.float64)

    def similarities(self, ids: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
        """For each id, how near every token is to it, in steps of 1/255: each of shape (tokens,); itself 255.

        What is not among the near stems of the table is 0.
        """
        return [self._row(i) for i in ids]

    def _row(self, id: int) -> npt.NDArray[np.uint8]:
        row = self._rows.get(id)
        if row is None:
            row = np.zeros(self.tokens, np.uint8)
            if id < len(self.table.stems):
                row[self.table.near[id]] = self.table.similarity[id]
            row[id] = 255
            if len(self._rows) * self.tokens >= ROW_CACHE_BYTES:
                self._rows = {}
            self._rows[id] = row
        return row

    def near_terms(self, id: int, least: float, most: int) -> list[str]:
        """Up to `most` terms whose similarity to a token is at least `least` (0 to 1), the nearest first."""
        if id >= len(self.table.stems):
            return []
        near, similarity = self.table.near[id, :most], self.table.similarity[id, :most]
        stems = self.table.stems
        return [stems[n] for n, s in zip(near, similarity, strict=True) if s * SIMILARITY_STEP >= least and n != id]


def stem_of(word: str) -> str:
    """The stem of a folded word, by the Snowball stemmer of its script; itself where there is none."""
    if word.isascii():
        return stem("english", word)
    for script, language in STEMMERS:
        if script.match(word):
            return stem(language, word)
    return stem("english", word) if word[0] < "\u0250" else word


def stem(language: str, word: str) -> str:
    """The Snowball stem of `word`; a stemmer has a state, so each call has its own."""
    result: str = Stemmer.Stemmer(language, 0).stemWord(word)
    return result or word

