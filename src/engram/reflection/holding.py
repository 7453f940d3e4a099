"""Holding: the order of the first hits by what they state, and for a question about now by what holds.

Reads what the hits state from the derived data; owns when a question is about now. What a statement is worth to a
question is `reflection.stating`, which of two holds is `reflection.replacing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.codes import Coder, Codes
from engram.meaning.sentences import SentenceEncoder
from engram.recall.message import Part
from engram.recall.recaller import FIRST
from engram.recall.result import Hit
from engram.reflection.database import DerivedDatabase, Meaning, Statement, Stored
from engram.reflection.labels import Asked, Labels, asked_of, labels_of, unpacked
from engram.reflection.profile import Known
from engram.reflection.replacing import Said, order_of
from engram.reflection.stating import STATES, Nearest, gains
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


class Sentence(NamedTuple):
    """The sentence of a turn that is nearest to a question."""

    statement: Statement
    near: float
    """Cosine of the sentence and the question."""
    vector: Vectors
    """Shape (dimensions,)."""
    labels: Labels
    """Of n = 1 sentence."""
    text: str
    """Of the sentence, and of those of its turn that are about as near."""
    fits: float
    """Probability that the sentence and the question are of the same slot."""

    @property
    def nearest(self) -> Nearest:
        """What its hit gains by."""
        return Nearest(self.near, self.fits, float(self.labels.lasting[0]))


class Stated(NamedTuple):
    """A hit with what it states."""

    hit: Hit
    sentence: Sentence | None
    """None if it states nothing, or was not read yet."""
    read: bool
    """Whether a statement of a turn as late as this one was read; of later turns there may be none."""


class HoldingOrder:
    """Puts what holds before what held. Safe to use from several threads."""

    def __init__(self, database: DerivedDatabase, encoder: SentenceEncoder, shared: bool) -> None:
        """`encoder`: the one of the derived data. shared: whether the vectors of a message's parts are its own."""
        self._database, self._encoder, self._shared = database, encoder, shared
        self._coder = Coder(encoder.dimensions, encoder=encoder.fingerprint)

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit], complete: bool) -> list[Hit]:
        """Return the hits for a part of a message with what holds before what held; see `recall.recaller.Holding`.

        complete: whether all turns were read.
        """
        if len(hits) < 2:
            return list(hits)
        asked, stated = self.stated(part, namespace, hits[:FIRST])
        first = worth_first(stated, complete)
        result = [*(each.hit for each in first), *hits[FIRST:]]
        if asked.own[0] >= OF_ASKER and asked.then[0] <= FOR_BEFORE:
            said = [
                said_of(rank, each.hit, each.sentence) for rank, each in enumerate(first) if each.sentence is not None
            ]
            order = order_of(asked, said, LEAST)
            for place, index in zip([each.rank for each in said], order, strict=True):
                result[place] = first[said[index].rank].hit
        return raised(result)

    def vector_of(self, text: str) -> Vectors:
        """Return the vector of a text, as it is compared with the statements of `known`: shape (dimensions,)."""
        return np.asarray(self._coder.decode(self._coder.encode(self._encoder.encode([text])))[0], np.float32)

    def labels_of(self, texts: Sequence[str]) -> Labels:
        """Return what some texts say."""
        return labels_of(self._encoder.encode(texts))

    def known(self, stored: Sequence[Stored], meanings: Sequence[Meaning]) -> list[Known]:
        """Return statements with their vectors and kinds."""
        if not stored:
            return []
        vectors = self._coder.decode(self._codes(meanings))
        kinds = unpacked([meaning.labels for meaning in meanings]).kinds
        return [Known(each, vectors[row], kinds[row]) for row, each in enumerate(stored)]

    def _codes(self, meanings: Sequence[Meaning]) -> Codes:
        return np.frombuffer(b"".join(each.code for each in meanings), np.uint8).reshape(len(meanings), -1)

    def stated(self, part: Part, namespace: int, hits: Sequence[Hit]) -> tuple[Asked, list[Stated]]:
        """Return what a part of a message asks for, and the hits with what each states that is nearest to it."""
        known = self._shared and part.meaning is not None
        meaning = part.meaning[None] if known and part.meaning is not None else self._encoder.encode([part.text])
        towards = part.vector if known and part.vector is not None else self._encoder.towards_answers(meaning)[0]
        asked = asked_of(meaning)
        return asked, self._nearest(asked, towards, namespace, hits)

    def _nearest(self, asked: Asked, towards: Vectors, namespace: int, hits: Sequence[Hit]) -> list[Stated]:
        rows, last = self._database.meanings(namespace, [hit.seq for hit in hits])
        if not rows:
            return [Stated(hit, None, hit.seq <= last) for hit in hits]
        codes = self._codes([meaning for _, meaning in rows])
        near = self._coder.similarities(codes, self._coder.query(towards))
        of_turn: dict[int, list[int]] = {}
        for row, (statement, _) in enumerate(rows):
            of_turn.setdefault(statement.seq, []).append(row)
        best = {seq: max(of_it, key=lambda row: float(near[row])) for seq, of_it in of_turn.items()}
        chosen = list(best.values())
        vectors, labels = self._coder.decode(codes[chosen]), unpacked([rows[row][1].labels for row in chosen])
        place_of = {seq: place for place, seq in enumerate(best)}
        stated = []
        for hit in hits:
            place = place_of.get(hit.seq)
            if place is None:
                stated.append(Stated(hit, None, hit.seq <= last))
                continue
            nearest = float(near[chosen[place]])
            beside = [rows[row][0] for row in of_turn[hit.seq] if near[row] >= nearest - BESIDE]
            sentence = Sentence(
                rows[chosen[place]][0], nearest, vectors[place],
                Labels(*(part[place : place + 1] for part in labels)),
                " ".join(hit.engram.text[each.start : each.stop] for each in beside),
                float(asked.slots[0, 1:] @ labels.slots[place, 1:]),
            )  # fmt: skip
            stated.append(Stated(hit, sentence, True))
        return stated


def worth_first(stated: Sequence[Stated], complete: bool) -> list[Stated]:
    """Return hits in the order of their values with what their sentences add, which `why` then shows.

    complete: whether all turns were read.
    """
    sentences = [each.sentence and each.sentence.nearest for each in stated]
    gained = gains(sentences, [complete or each.read for each in stated])
    worth = [
        each._replace(hit=replace(each.hit, why={**each.hit.why, STATES: gain})) if gain else each
        for each, gain in zip(stated, gained.tolist(), strict=True)
    ]
    return sorted(worth, key=lambda each: -sum(each.hit.why.values()))


def said_of(rank: int, hit: Hit, sentence: Sentence) -> Said:
    """Return a hit as `replacing` reads it."""
    statement, labels = sentence.statement, sentence.labels
    return Said(
        hit.seq, hit.engram.session, statement.at / DAY, rank, sum(hit.why.values()), sentence.near, sentence.vector,
        labels.slots[0], labels.effects[0], float(labels.own[0]), float(labels.lasting[0]),
        statement.stop - statement.start, values_of(sentence.text),
    )  # fmt: skip


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
