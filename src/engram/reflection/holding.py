"""Holding: the order of the first hits by what they state, and for a question about now by what holds.

Reads what the hits state from the derived data; owns when a question is about now. What a statement is worth to a
question is `reflection.stating`, which of two holds is `reflection.replacing`, and what a model proposed to close a hit
is `reflection.links`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engram.meaning.base import Vectors
from engram.meaning.codes import Coder, Codes
from engram.meaning.sentences import SentenceEncoder
from engram.recall.message import Part
from engram.recall.recaller import FIRST
from engram.recall.result import Hit
from engram.reflection.chains import Turns
from engram.reflection.database import DerivedDatabase, Meaning, Statement, Stored
from engram.reflection.labels import Asked, Labels, asked_of, labels_of, unpacked
from engram.reflection.links import Closers, raised, replaced
from engram.reflection.profile import Known
from engram.reflection.proposals.tables import ProposedLink
from engram.reflection.replacing import Said, order_of
from engram.reflection.stating import STATES, Nearest, gains
from engram.reflection.values import values_of
from engram.text.passages import Span

LEAST = 0.35
"""Probability from which a later statement comes before an earlier one."""
BESIDE = 0.2
"""How much farther from the question than the nearest sentence of a turn its others may be whose numbers count."""
FARTHEST = 0.1
"""How much farther from the question than the nearest statement of all hits one may be that gives its place to what
closed it."""
OF_ASKER, FOR_BEFORE = 0.5, 0.5
"""Probability from which a question is one about who asks it, and one for what held before."""
SURELY_FOR_BEFORE = 0.9
"""Probability of the latter from which also what a model proposed does not count."""
DAY = 86_400_000_000
"""Microseconds."""


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

    def ordered(
        self, part: Part, namespace: int, hits: Sequence[Hit], turns: Turns, complete: Callable[[], bool]
    ) -> list[Hit]:
        """Return the hits for a part of a message with what holds before what held; see `recall.recaller.Holding`.

        turns: gives the turns that may be hits. complete: returns whether all turns were read.
        """
        if not hits:
            return []
        asked, near = self.near(part, namespace, hits[:FIRST])
        if len(hits) < 2 and not near.links:
            return list(hits)
        first = worth_first(self.stated(asked, near, hits[:FIRST]), complete)
        result = [*(each.hit for each in first), *hits[FIRST:]]
        if asked.own[0] >= OF_ASKER and asked.then[0] <= FOR_BEFORE:
            said = [
                said_of(rank, each.hit, each.sentence) for rank, each in enumerate(first) if each.sentence is not None
            ]
            order = order_of(asked, said, LEAST)
            for place, index in zip([each.rank for each in said], order, strict=True):
                result[place] = first[said[index].rank].hit
        result = raised(result)
        if not near.links or asked.then[0] > SURELY_FOR_BEFORE:
            return result
        closers = Closers(self._database, namespace, near.links)
        closed = {seq: newer for seq, starts in near.starts().items() if (newer := closers.of(seq, starts))}
        return replaced(result, closed, turns)

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
        codes = np.frombuffer(b"".join(each.code for each in meanings), np.uint8)
        return codes.reshape(len(meanings), self._coder.width)

    def near(self, part: Part, namespace: int, hits: Sequence[Hit]) -> tuple[Asked, Near]:
        """Return what a part of a message asks for, and how near the statements of hits are to it."""
        known = self._shared and part.meaning is not None
        meaning = part.meaning[None] if known and part.meaning is not None else self._encoder.encode([part.text])
        towards = part.vector if known and part.vector is not None else self._encoder.towards_answers(meaning)[0]
        rows, last, links = self._database.meanings(namespace, [hit.seq for hit in hits])
        codes = self._codes([meaning for _, meaning in rows])
        cosines = self._coder.similarities(codes, self._coder.query(towards))
        return asked_of(meaning), Near(rows, codes, cosines, last, links)

    def stated(self, asked: Asked, near: Near, hits: Sequence[Hit]) -> list[Stated]:
        """Return hits with what each states that is nearest to a question."""
        best, spans = near.best(), near.said()
        chosen = [best[hit.seq] for hit in hits if hit.seq in best]
        if not chosen:
            return [Stated(hit, None, hit.seq <= near.last) for hit in hits]
        vectors, labels = self._coder.decode(near.codes[chosen]), unpacked([near.rows[row][1].labels for row in chosen])
        stated, places = list[Stated](), iter(range(len(chosen)))
        for hit in hits:
            if hit.seq not in best:
                stated.append(Stated(hit, None, hit.seq <= near.last))
                continue
            place, row = next(places), best[hit.seq]
            sentence = Sentence(
                near.rows[row][0], float(near.cosines[row]), vectors[place],
                Labels(*(part[place : place + 1] for part in labels)),
                " ".join(hit.engram.text[start:stop] for start, stop in spans[hit.seq]),
                float(asked.slots[0, 1:] @ labels.slots[place, 1:]),
            )  # fmt: skip
            stated.append(Stated(hit, sentence, True))
        return stated


class Near(NamedTuple):
    """The n statements of some turns, and how near they are to a question."""

    rows: Sequence[tuple[Statement, Meaning]]
    codes: Codes
    """Of their vectors: shape (n, width)."""
    cosines: Vectors
    """Shape (n,)."""
    last: int
    """The seq of the last turn of the namespace of which there is a statement; -1 if there is none."""
    links: Sequence[ProposedLink] = ()
    """What models proposed to close a sentence of these turns."""

    def best(self) -> dict[int, int]:
        """Return for each turn, by its seq, the position of its nearest statement."""
        best: dict[int, int] = {}
        for row, (statement, _) in enumerate(self.rows):
            if statement.seq not in best or self.cosines[row] > self.cosines[best[statement.seq]]:
                best[statement.seq] = row
        return best

    def said(self) -> dict[int, list[Span]]:
        """Return for each turn, by its seq, where its statements stand that are about as near as its nearest one."""
        best, spans = self.best(), dict[int, list[Span]]()
        for row, (statement, _) in enumerate(self.rows):
            if self.cosines[row] >= self.cosines[best[statement.seq]] - BESIDE:
                spans.setdefault(statement.seq, []).append((statement.start, statement.stop))
        return spans

    def starts(self) -> dict[int, list[int]]:
        """Return for each turn, by its seq, where the statements of `said` begin, the nearest first.

        Those that are much farther than the nearest statement of all turns are left out: they speak of something else.
        """
        least = float(self.cosines.max(initial=-1.0)) - FARTHEST
        near = {
            (s.seq, s.start): -cosine
            for (s, _), cosine in zip(self.rows, self.cosines.tolist(), strict=True)
            if cosine >= least
        }
        return {
            seq: sorted((start for start, _ in spans if (seq, start) in near), key=lambda start: near[seq, start])
            for seq, spans in self.said().items()
        }


def worth_first(stated: Sequence[Stated], complete: Callable[[], bool]) -> list[Stated]:
    """Return hits in the order of their values with what their sentences add, which `why` then shows.

    Each place keeps its score: how sure it is that the memory answers does not depend on the order. complete: returns
    whether all turns were read; it is only called if one of these may be unread.
    """
    sentences = [each.sentence and each.sentence.nearest for each in stated]
    known = [each.read for each in stated]
    gained = gains(sentences, known if all(known) or not complete() else [True] * len(known))
    whys = [
        {**each.hit.why, STATES: gain} if gain else each.hit.why
        for each, gain in zip(stated, gained.tolist(), strict=True)
    ]
    worth = [-sum(why.values()) for why in whys]
    # Built by hand: `replace` takes several times as long.
    result = list[Stated]()
    for place, index in enumerate(sorted(range(len(stated)), key=worth.__getitem__)):
        (hit, sentence, read), score = stated[index], stated[place].hit.score
        result.append(Stated(Hit(hit.engram, score, whys[index], hit.seq, hit.passage), sentence, read))
    return result


def said_of(rank: int, hit: Hit, sentence: Sentence) -> Said:
    """Return a hit as `replacing` reads it."""
    statement, labels = sentence.statement, sentence.labels
    # Without what its sentence adds: the network was fitted to values of passages.
    value = sum(part for name, part in hit.why.items() if name != STATES)
    return Said(
        hit.seq, hit.engram.session, statement.at / DAY, rank, value, sentence.near, sentence.vector,
        labels.slots[0], labels.effects[0], float(labels.own[0]), float(labels.lasting[0]),
        statement.stop - statement.start, values_of(sentence.text),
    )  # fmt: skip
