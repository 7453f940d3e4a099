"""The analyzer with a table of word vectors: text to terms for the inverted index, and to token ids.

Owns the numbering of tokens. A stem of the table has its index there as id. Any other word gets one of the ids above,
by a hash of its stem, so every word can be matched exactly, and the words of the table by similarity too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import Stemmer

from engram.accel import Language
from engram.text.base import (
    ASKS,
    CENTROID_DIMENSIONS,
    QUESTION,
    QUESTION_MARKS,
    SIMILARITY_STEP,
    TIME,
    UNKNOWN_PROBABILITY,
    Analysis,
)
from engram.text.common import common_words, share_of
from engram.text.dates.alone import asks_time_alone
from engram.text.dates.parse import periods
from engram.text.dates.period import Period
from engram.text.dates.told import tells_of
from engram.text.exact import read, read_compound
from engram.text.vectors import VectorTable
from engram.times import MONTHS, SEASONS, WEEKDAYS

ANALYSIS = 3
"""Number of the way in which terms are made; it grows with every change of them, so that an index is built again."""

CACHE_SIZE = 200_000
"""Entries of a cache (words with their stems, near terms); a full cache is emptied."""

COMPOUNDS_CACHED = 20_000
"""Codes, numbers and the like whose parts are cached."""

TOO_COMMON = 0.007
"""Share among all words above which a word's near words do not count: "what", "do", "my"."""

COMMON_SHARE = 1e-3
"""Share at which a word counts half in a centroid: the a in a / (a + p) of SIF (Arora et al. 2017)."""

ASKS_LAST = re.compile(rf"[{QUESTION_MARKS}](?:[\s\"'\u201d\u2019)*]|[\U0001f000-\U0001faff]){{0,8}}$")
ASKS_ANYWHERE = re.compile(f"[{QUESTION_MARKS}]")
DIGITS = re.compile(r"[0-9]{4}|[0-9]:[0-9]{2}|[0-9][/.-][0-9]{1,2}[/.-][0-9]|\u6708|\u5e74|\u6628|\u4eca")
TIME_WORDS = frozenset(
    """
    yesterday today tomorrow tonight last next ago week weekend month year day date morning evening night
    recently since
    """.split()
).union(MONTHS, WEEKDAYS, SEASONS)

# The script alone chooses the stemmer. Words of other languages in Latin script are stemmed as English: the same way in
# stored text and in queries.
STEMMERS = (
    (re.compile("[\u0400-\u04ff]"), "russian"),
    (re.compile("[\u0370-\u03ff]"), "greek"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
    (re.compile("[\u0900-\u097f]"), "hindi"),
    (re.compile("[\u0b80-\u0bff]"), "tamil"),
    (re.compile("[\u0530-\u058f]"), "armenian"),
)


class TableAnalyzer:
    """An `Analyzer` with one table."""

    def __init__(self, table: VectorTable) -> None:
        self.table = table
        self.fingerprint = f"{table.fingerprint}-{ANALYSIS}"
        """An index that was built with another fingerprint is rebuilt."""
        size = len(table.stems)
        self.token_type: npt.DTypeLike = np.uint16 if size <= 1 << 15 else np.uint32
        self.tokens = 1 << 16 if size <= 1 << 15 else size + (1 << 20)
        """Token ids are 0 to tokens - 1; those from len(table.stems) are hashes."""
        self._time_stems = frozenset(map(stem_of, TIME_WORDS))
        self.vectors = self._weighted_vectors()
        """What each stem adds to a centroid, and a last row of zeros for every other token: see `Language`."""
        self.language = Language(table.near, table.similarity, self.vectors)
        """The table's arrays as `engram.accel` takes them."""
        self._numbers = {stem: number for number, stem in enumerate(table.stems)}
        self._known: dict[str, tuple[str, int]] = {}
        self._read_compound = lru_cache(COMPOUNDS_CACHED)(partial(read_compound, known=self._in_table))
        self._near_terms: dict[tuple[int, float, int], list[str]] = {}

    def analyse(self, text: str) -> Analysis:
        """Return the terms, token ids and marks of `text`."""
        reading = read(text, self._read_compound)
        cache, text_words, forms = self._known, reading.words, list[tuple[int, int, bool]]()
        if reading.forms:
            text_words = [*text_words, *(form.word for form in reading.forms)]
            forms = [(form.first, form.last, form.is_code) for form in reading.forms]
        pairs = [cache.get(word) for word in text_words]
        if None in pairs:
            pairs = [pair or self._learn(word) for word, pair in zip(text_words, pairs, strict=True)]
        terms = [pair[0] for pair in pairs if pair is not None]
        ids = [pair[1] for pair in pairs if pair is not None]
        marks = 0
        if ASKS_ANYWHERE.search(text):
            marks = ASKS | (QUESTION if ASKS_LAST.search(text[-64:]) else 0)
        if not self._time_stems.isdisjoint(terms) or DIGITS.search(text):
            marks |= TIME
        return Analysis(terms, ids, marks, forms)

    def _in_table(self, word: str) -> bool:
        return stem_of(word) in self._numbers

    def _learn(self, word: str) -> tuple[str, int]:
        stem = stem_of(word)
        number = self.token_id(stem)
        if len(self._known) >= CACHE_SIZE:
            self._known = {}
        self._known[word] = (stem, number)
        return stem, number

    def token_id(self, term: str) -> int:
        """Return the token id of a stem: its number in the table, or the number of a hash."""
        number = self._numbers.get(term)
        if number is None:
            size = len(self.table.stems)
            number = size + zlib.crc32(term.encode()) % (self.tokens - size)
        return number

    def knows(self, term: str) -> bool:
        """Return whether a stem is one of the table, or of a word that is not rare in its language."""
        return term in self._numbers or term in common_words()

    def periods(self, query: str, now: datetime) -> list[Period]:
        """Return the times that `query` means: dates in digits, and those that its words name in fifteen languages."""
        return periods(query, now)

    def tells_of(self, text: str, at: datetime, asked: Sequence[Period]) -> bool:
        """Return whether a text that was said at `at`, aware, names one of `asked`: "yesterday", "on Saturday"."""
        return tells_of(text, at, asked)

    def asks_time_alone(self, query: str, periods: Sequence[Period], now: datetime) -> bool:
        """Return whether `query`, asked at `now`, asks for `periods`, the times that it means, and for nothing else."""
        return asks_time_alone(query, periods, now)

    def probabilities(self, ids: Sequence[int], terms: Sequence[str] = ()) -> npt.NDArray[np.float64]:
        """Return how common each token is in plain language, as a share of all words: shape (len(ids),).

        terms: the stem of each token, which tells how common it is in other languages than the table's.
        """
        size = len(self.table.stems)
        shares = np.array(
            [float(self.table.probability[i]) if i < size else UNKNOWN_PROBABILITY for i in ids], dtype=np.float64
        )
        if terms:
            np.maximum(shares, list(map(share_of, terms)), out=shares)
        return shares

    def has_near(self, id: int) -> bool:
        """Return whether near words of a token count: not if it is too common, and not if it is not in the table."""
        return id < len(self.table.stems) and bool(self.table.probability[id] < TOO_COMMON)

    # Centroids: the sum of a text's vectors, weighted by how rare the words are.

    def _weighted_vectors(self) -> npt.NDArray[np.float32]:
        """Return each stem's vector times its weight in a centroid: shape (stems + 1, CENTROID_DIMENSIONS)."""
        vectors = self.table.vectors.astype(np.float32)
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)
        weights = COMMON_SHARE / (COMMON_SHARE + self.table.probability) / lengths
        kept = min(vectors.shape[1], CENTROID_DIMENSIONS)
        padded = np.zeros((len(vectors) + 1, CENTROID_DIMENSIONS), np.float32)
        padded[:-1, :kept] = vectors[:, :kept] * weights[:, None]
        return padded

    def centroids(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.int8]:
        """Return the direction of each text's centroid in steps of 1/127; `texts` as token ids.

        Shape (len(texts), CENTROID_DIMENSIONS); all 0 for a text in which no word has a vector.
        """
        result = np.zeros((len(texts), CENTROID_DIMENSIONS), np.int8)
        for start in range(0, len(texts), 256):
            part = texts[start : start + 256]
            filled = [index for index, ids in enumerate(part) if ids]
            if not filled:
                continue
            ids = np.concatenate([np.asarray(part[index]) for index in filled])
            starts = np.cumsum([0] + [len(part[index]) for index in filled[:-1]])
            sums = np.add.reduceat(self.vectors[np.minimum(ids, len(self.vectors) - 1)], starts)
            lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
            result[start + np.array(filled)] = np.round(127 * sums / lengths)
        return result

    def near_terms(self, id: int, least: float, most: int) -> list[str]:
        """Return up to `most` terms whose similarity to a token is at least `least` (0 to 1), the nearest first."""
        key = (id, least, most)
        known = self._near_terms.get(key)
        if known is None:
            if len(self._near_terms) >= CACHE_SIZE:
                self._near_terms = {}
            known = self._near_terms[key] = self._find_near_terms(id, least, most)
        return known

    def _find_near_terms(self, id: int, least: float, most: int) -> list[str]:
        if id >= len(self.table.stems):
            return []
        near, similarity = self.table.near[id, :most], self.table.similarity[id, :most]
        stems = self.table.stems
        return [stems[n] for n, s in zip(near, similarity, strict=True) if s * SIMILARITY_STEP >= least and n != id]


def stem_of(word: str) -> str:
    """Return the stem of a folded word, by the Snowball stemmer of its script; the word itself if there is none."""
    if word.isascii():
        return stem("english", word)
    for script, language in STEMMERS:
        if script.match(word):
            return stem(language, word)
    return stem("english", word) if word[0] < "\u0250" else word


def stem(language: str, word: str) -> str:
    """Return the Snowball stem of `word`. Each call makes a stemmer, because a stemmer has state."""
    result: str = Stemmer.Stemmer(language, 0).stemWord(word)
    return result or word
