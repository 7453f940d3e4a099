"""From turns to scores by the kernel, where it is available: what `pool`, `score` and `confidence` do in numpy.

Owns what of a cue and of the weights the kernel is told. Knows no arithmetic.
"""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.recall.confidence import HEAD
from engram.recall.dates.parse import closeness
from engram.recall.features import LONGEST_PAUSE, Features, Floats, Neighbours
from engram.recall.query import ParsedQuery
from engram.recall.score import PARTS, Scores, Weight, near_worth
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import Ints, Turns
from engram.text.analyzer import Analyzer


def prepared(weights: Weights) -> tuple[npt.NDArray[np.float64], Floats]:
    """Weights as the kernel takes them: all fields in their order, and `near_worth`."""
    return np.array(astuple(weights), np.float64), near_worth(weights)


PREPARED = prepared(DEFAULT)


class Compiled:
    """The scoring of some turns for a cue, as `ranking.InNumpy` does it."""

    def __init__(self, turns: Turns, cue: ParsedQuery, encoder: Analyzer) -> None:
        table, has_near = encoder.table, encoder.has_near
        language = accel.Language(table.near, table.similarity, encoder.vectors)
        self._cue = cue
        self._work = accel.Work(
            (turns.rows, turns.columns, turns.tokens, turns.lengths),
            cue.ids,
            [has_near(id) for id in cue.ids],
            language,
            LONGEST_PAUSE,
        )
        self.pool = Features(turns, self._work.counts, self._work.nearness, self._work.likeness)
        self.beside = Neighbours(*self._work.beside)

    def scored(self, session_tokens: Ints, weight: Weight, weights: Weights = DEFAULT) -> tuple[Scores, Floats]:
        """The scores, and the confidence."""
        cue, at = self._cue, self.pool.turns.columns["at"]
        when = closeness(at, list(cue.periods)) if cue.periods else np.zeros(len(at), np.float32)
        parts, total, matched, sure = self._work.scored(
            session_tokens,
            when,
            weight,
            cue.names,
            cue.asked or cue.roles,
            *(PREPARED if weights is DEFAULT else prepared(weights)),
            by_speaker=bool(cue.asked),
            asks_when=cue.asks_when,
            asks_time=bool(cue.periods),
            head=HEAD,
        )
        return Scores(total, dict(zip(PARTS, parts, strict=True)), matched, when), sure
