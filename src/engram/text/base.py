"""The analyzer contract: what recall and an index ask of a text's analysis.

Owns the protocol `Analyzer`, `Analysis` and the marks of a text. Knows no language and no table: `text.analyzer` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from engram.accel import Language
from engram.text.dates.period import Period

SIMILARITY_STEP = 1 / 255
"""Cosines are stored as bytes: similarity = byte * SIMILARITY_STEP."""

UNKNOWN_PROBABILITY = 1e-6
"""Share of all words assumed for one that is in no table; lower than that of any word in one."""

QUESTION_MARKS = "?\uff1f\u061f\u037e"
"""Signs that end a question, in any script."""

CENTROID_DIMENSIONS = 32
"""Principal components of the table's vectors that centroids use; 64 and 256 rank no better."""

# Marks of a text.
QUESTION = 1
"""It ends in a question."""
ASKS = 2
"""It contains a question."""
TIME = 4
"""It names a time: in English, or with a year, a date or an hour in digits."""


class Analysis(NamedTuple):
    """An analysed text."""

    terms: list[str]
    """Its stems, in the order of its words, and behind them its joined forms: "rx77q" for the words rx, 77, q."""
    ids: list[int]
    """Their token ids, in the same order."""
    marks: int
    """QUESTION, ASKS and TIME, as bits."""
    forms: Sequence[tuple[int, int, bool]] = ()
    """For each joined form, in the order of the last terms: the first of the terms that it stands for, the one after,
    and whether the text writes them in one word that is a code, so that one of them means nothing alone."""


class Analyzer(Protocol):
    """Analyses text. Safe to call from several threads.

    A *token id* is the number of a term, 0 or more. Two terms may share a number if neither has near terms.
    """

    @property
    def fingerprint(self) -> str:
        """Identifies the analysis. An index that was built with another fingerprint is rebuilt."""
        ...

    @property
    def token_type(self) -> npt.DTypeLike:
        """The dtype of token ids in an index: uint16 or uint32."""
        ...

    @property
    def language(self) -> Language:
        """The similarities and vectors of tokens, as `engram.accel` reads them."""
        ...

    def analyse(self, text: str) -> Analysis:
        """Return the terms, token ids and marks of `text`."""
        ...

    def periods(self, query: str, now: datetime) -> list[Period]:
        """Return the times that `query`, asked at `now`, means, in their order in it. Never raises for any text."""
        ...

    def tells_of(self, text: str, at: datetime, asked: Sequence[Period]) -> bool:
        """Return whether a text that was said at `at`, aware, names one of `asked`: "yesterday", "on Saturday"."""
        ...

    def asks_time_alone(self, query: str, periods: Sequence[Period], now: datetime) -> bool:
        """Return whether `query`, asked at `now`, asks for `periods`, the times that it means, and for nothing else."""
        ...

    def probabilities(self, ids: Sequence[int], terms: Sequence[str] = ()) -> npt.NDArray[np.float64]:
        """Return how common each token is in plain language, as a share of all words: shape (len(ids),).

        terms: the term of each token, by which languages that have no table are known.
        """
        ...

    def token_id(self, term: str) -> int:
        """Return the token id of a term."""
        ...

    def knows(self, term: str) -> bool:
        """Return whether a term is a word of a language that the analyzer knows."""
        ...

    def has_near(self, id: int) -> bool:
        """Return whether near words of a token count."""
        ...

    def near_terms(self, id: int, least: float, most: int) -> list[str]:
        """Return up to `most` terms whose similarity to a token is at least `least` (0 to 1), the nearest first."""
        ...

    def centroids(self, texts: Sequence[Sequence[int]]) -> npt.NDArray[np.int8]:
        """Return the direction of each text's centroid in steps of 1/127; `texts` as token ids.

        Shape (len(texts), CENTROID_DIMENSIONS); all 0 for a text in which no word has a vector.
        """
        ...
