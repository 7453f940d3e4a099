"""Holding: the order of the hits for a question about what holds now.

Owns when a question is one, and reads what the hits state from the derived data. Which of two statements holds is
`reflection.replacing`. Turns whose statements were not derived yet, and those of an assistant, keep their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.codes import Coder, Codes
from engram.meaning.sentences import SentenceEncoder
from engram.recall.message import Part
from engram.recall.recaller import FIRST
from engram.recall.result import Hit
from engram.reflection.database import DerivedDatabase, Meaning, Stored
from engram.reflection.labels import asked_of, unpacked
from engram.reflection.profile import Known
from engram.reflection.replacing import Said, order_of
from engram.reflection.values import values_of

LEAST = 0.35
"""Probability from which a later statement comes before an earlier one."""
BESIDE = 0.2
"""How much farther from the question than the nearest sentence of a turn its others may be whose numbers count."""
OF_ASKER, FOR_BEFORE = 0.5, 0.5
"""Probability from which a question is one about who asks it, and one for what held before."""
DAY = 86_400_000_000
"""Microseconds."""
HOLDS = "holds"
"""The part of a hit's value that it has for saying what holds now."""


class HoldingOrder:
    """Puts what holds before what held. Safe to use from several threads."""

    def __init__(self, database: DerivedDatabase, encoder: SentenceEncoder, shared: bool) -> None:
        """`encoder`: the one of the derived data. shared: whether the vectors of a message's parts are its own."""
        self._database, self._encoder, self._shared = database, encoder, shared
        self._coder = Coder(encoder.dimensions, encoder=encoder.fingerprint)

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits for a part of a message with what holds before what held; see `recall.recaller.Holding`."""
        result = list(hits)
        if len(hits) < 2:
            return result
        known = self._shared and part.meaning is not None
        meaning = part.meaning[None] if known and part.meaning is not None else self._encoder.encode([part.text])
        asked = asked_of(meaning)
        if asked.own[0] < OF_ASKER or asked.then[0] > FOR_BEFORE:
            return result
        towards = part.vector if known and part.vector is not None else self._encoder.towards_answers(meaning)[0]
        said = self._said(towards, namespace, hits[:FIRST])
        order = order_of(asked, said, LEAST)
        places = [each.rank for each in said]
        for place, index in zip(places, order, strict=True):
            result[place] = hits[said[index].rank]
        return raised(result)

    def vector_of(self, text: str) -> Vectors:
        """Return the vector of a text, as it is compared with the statements of `known`: shape (dimensions,)."""
        return np.asarray(self._coder.decode(self._coder.encode(self._encoder.encode([text])))[0], np.float32)

    def known(self, stored: Sequence[Stored], meanings: Sequence[Meaning]) -> list[Known]:
        """Return statements with their vectors and kinds."""
        if not stored:
            return []
        vectors = self._coder.decode(self._codes(meanings))
        kinds = unpacked([meaning.labels for meaning in meanings]).kinds
        return [Known(each, vectors[row], kinds[row]) for row, each in enumerate(stored)]

    def _codes(self, meanings: Sequence[Meaning]) -> Codes:
        return np.frombuffer(b"".join(each.code for each in meanings), np.uint8).reshape(len(meanings), -1)

    def _said(self, towards: Vectors, namespace: int, hits: Sequence[Hit]) -> list[Said]:
        """Return what the hits state that is nearest to the question; nothing of those that state nothing."""
        rows = self._database.meanings(namespace, [hit.seq for hit in hits])
        if not rows:
            return []
        codes = self._codes([meaning for _, meaning in rows])
        near = self._coder.similarities(codes, self._coder.query(towards))
        best: dict[int, int] = {}
        for row, (statement, _) in enumerate(rows):
            if statement.seq not in best or near[row] > near[best[statement.seq]]:
                best[statement.seq] = row
        chosen = [(rank, hit, best[hit.seq]) for rank, hit in enumerate(hits) if hit.seq in best]
        vectors = self._coder.decode(codes[[row for _, _, row in chosen]])
        labels = unpacked([rows[row][1].labels for _, _, row in chosen])
        said = []
        lasting = labels.lasting
        for index, (rank, hit, row) in enumerate(chosen):
            statement = rows[row][0]
            spans = [
                (other.start, other.stop)
                for each, (other, _) in enumerate(rows)
                if other.seq == hit.seq and near[each] >= near[row] - BESIDE
            ]
            text = " ".join(hit.engram.text[start:stop] for start, stop in spans)
            said.append(
                Said(
                    hit.seq, hit.engram.session, statement.at / DAY, rank, sum(hit.why.values()),
                    float(near[row]), vectors[index], labels.slots[index], labels.effects[index],
                    float(labels.own[index]), float(lasting[index]), statement.stop - statement.start, values_of(text),
                )
            )  # fmt: skip
        return said


def raised(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits of which each that was put before a better one has its value and score, which `why` then shows."""
    result = list(hits)
    value, score = -np.inf, 0.0
    for index in range(len(result) - 1, -1, -1):
        hit = result[index]
        own = sum(hit.why.values())
        if own < value:
            result[index] = replace(hit, score=max(hit.score, score), why={**hit.why, HOLDS: value - own})
        value, score = max(value, own), max(score, hit.score)
    return result
