"""Summarizing: chooses the sentences of a summary, session by session, then by months, then of the whole period.

Owns which sentences may be chosen and what each is worth. Of users they are the statements of the derived data, whose
vectors are there already. What somebody else says may be chosen only where it answers a question of the user, or
decides something, and is never a fact of the user's. Keeps nothing, and reads one session at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram.engram import ORIGINS, ROLES, Engram
from engram.meaning.base import Vectors
from engram.meaning.codes import Coder
from engram.meaning.sentences import SentenceEncoder
from engram.parts import in_parts
from engram.recall.context import CountTokens
from engram.recall.message import is_marked
from engram.reflection.chains import Chains
from engram.reflection.choosing import Candidate, chosen, telling, telling_terms
from engram.reflection.database import AT_ONCE, DerivedDatabase, Meaning, Statement, Stored
from engram.reflection.labels import KINDS, labels_of, unpacked
from engram.reflection.lasting import Told, lasting_of
from engram.reflection.reading import TRUSTED, USER, tells_only
from engram.reflection.sentences import statements_of
from engram.reflection.slots import SLOTS
from engram.reflection.summary import HEADING, Bounds, Quote, Summary, day_of, line, within
from engram.reflection.values import values_of
from engram.store.base import Filter, LoggedStore
from engram.text.base import QUESTION_MARKS
from engram.text.passages import Span, size
from engram.times import microseconds

LEAST = 0.2
"""Worth from which a sentence may be chosen."""
OF_SLOT = 0.3
"""Added for a sentence that surely fills a slot or ends its value."""
CLOSED, ASKING, OF_OTHERS = 0.6, 0.3, 0.6
"""Factors for a statement that was closed, for a question, and for what somebody else said."""
PASSING = 0.5
"""Factor for a sentence of a turn that surely does not last; it is 1 for one that surely does."""
TELLING, ALONE = 2.0, 0.25
"""Telling words from which a sentence tells enough by itself, and the factor for one without any."""
DECISIONS = (KINDS.index("event"), KINDS.index("plan"))
SURE = 0.5
"""Probability of `DECISIONS` from which a sentence of somebody else decides something, and the least that is taken for
the probability that an answer lasts."""
NEW = 0.25
"""What a telling word counts in an answer that is not in the question."""
ANSWERS = 1.0
"""Telling words from which a sentence may be an answer."""
MOST_ANSWERS = 24
"""Sentences of others in one session that are looked at, those that tell most."""
OF_SESSION, OF_MONTH = 120, 200
"""Tokens, at least, of the choice from a session and from a month, where more of these follow."""
SPARE = 2
"""Times the budget that the choices of one level fill together, unless their least is more."""
NOT_QUOTED = ("system", "tool")
"""Roles of which nothing is quoted."""


class Sentence(NamedTuple):
    """A sentence that may be quoted, and how it is compared with others."""

    quote: Quote
    candidate: Candidate

    def of(self, group: str | int) -> Sentence:
        """Return the sentence as a part of another group."""
        return self._replace(candidate=self.candidate._replace(group=group))

    def times(self, factor: float) -> Sentence:
        """Return the sentence with its worth multiplied."""
        return self._replace(candidate=self.candidate._replace(worth=self.candidate.worth * factor))


class Session(NamedTuple):
    """The turns of a session in a period, in the order in which they were remembered."""

    engrams: list[Engram]
    seqs: list[int]


class Weighing(NamedTuple):
    """What the sentences of one namespace are weighed by."""

    closed: frozenset[tuple[int, int]]
    """The statements that hold no longer, by the seq of their turn and their start."""
    withdrawn: frozenset[tuple[int, int]]
    """The orders and preferences that were withdrawn, likewise. A prompt with one would give the order again."""
    names: frozenset[str]
    """Stems of the speakers' names, which tell nothing."""
    count: CountTokens

    def sentence(self, quote: Quote, vector: Vectors, worth: float) -> Sentence | None:
        """Return a sentence that may be chosen; None if it is not worth it."""
        text = quote.text
        terms = telling_terms(text) - self.names
        worth *= ALONE + (1 - ALONE) * min(1.0, sum(map(telling, terms)) / TELLING)
        if is_marked(text):
            worth *= ASKING
        if worth < LEAST:
            return None
        day = day_of(quote)
        tokens, of_day = self.count(line(quote)) + 1, self.count(day) + 1
        return Sentence(quote, Candidate(vector, worth, terms, values_of(text), tokens, day, of_day, quote.seq))


class Summarizer:
    """Makes the summaries of one memory. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, encoder: SentenceEncoder) -> None:
        """`encoder`: the one of the derived data."""
        self._store, self._database, self._encoder = store, database, encoder
        self._coder = Coder(encoder.dimensions, encoder=encoder.fingerprint)

    def summary(
        self,
        namespace: str,
        session: str | None,
        period: Bounds,
        budget: int,
        count: CountTokens,
        unread: int,
        chains_of: Callable[[int], Chains],
    ) -> Summary:
        """Return the summary of a session, or of all sessions of a namespace, in a period; see `Memory.summary`.

        chains_of: returns the statements of a namespace, by its number, with what closed and what withdrew what.
        """
        number = self._store.namespace_number(namespace)
        names = [name for name, _ in self._store.sessions(namespace)] if session is None else [session]
        if number is None or not names:
            return Summary((), 0, 0, unread)
        chains = chains_of(number)
        stored = chains.statements()
        weighing = self._weighing(number, chains, stored, count)
        room = budget - count(HEADING)
        many = 1 if session is not None else sessions_in(stored, period)
        share = room if many < 2 else min(room, max(OF_SESSION, SPARE * room // many))
        parts, turns = list[list[Sentence]](), 0
        for name in names:
            read = self._turns(namespace, name, period)
            if read.engrams:
                turns += len(read.engrams)
                parts.append(best_of(self._sentences(number, read, weighing), share))
        ranked = parts[0] if len(parts) == 1 else combined(parts, room)
        quotes = within([each.quote for each in ranked], budget, count)
        return Summary(tuple(quotes), len(parts), turns, unread)

    def _weighing(self, number: int, chains: Chains, stored: Sequence[Stored], count: CountTokens) -> Weighing:
        last = max((each.statement.at for each in stored), default=0)
        holding = {each.number for each in chains.holding(last, lasting=False)}
        closed = frozenset((each.statement.seq, each.statement.start) for each in stored if each.number not in holding)
        withdrawn = frozenset(
            (each.statement.seq, each.statement.start) for each in stored if each.number in chains.withdrawn
        )
        return Weighing(closed, withdrawn, telling_terms(" ".join(self._store.speakers(number))), count)

    def _turns(self, namespace: str, session: str, period: Bounds) -> Session:
        where = Filter(namespace, session, period.until, period.since)
        engrams, seqs = list[Engram](), list[int]()
        for part in in_parts(list(self._store.engrams(where)), AT_ONCE):
            keys = self._store.keys([engram.id for engram in part])
            # One that was forgotten meanwhile has no key.
            kept = [engram for engram in part if engram.id in keys]
            engrams += kept
            seqs += [keys[engram.id].seq for engram in kept]
        return Session(engrams, seqs)

    def _sentences(self, number: int, session: Session, weighing: Weighing) -> list[Sentence]:
        """Return the sentences of a session that may be chosen."""
        told = [row for seqs in in_parts(session.seqs, AT_ONCE) for row in self._database.meanings(number, seqs)[0]]
        by_seq = dict(zip(session.seqs, session.engrams, strict=True))
        found = [*self._of_users(told, by_seq, weighing), *self._of_others(session, weighing)]
        return [each for each in found if each is not None]

    def _of_users(
        self, told: Sequence[tuple[Statement, Meaning]], by_seq: Mapping[int, Engram], weighing: Weighing
    ) -> Iterator[Sentence | None]:
        """Yield what users state."""
        if not told:
            return
        codes = np.frombuffer(b"".join(meaning.code for _, meaning in told), np.uint8).reshape(len(told), -1)
        vectors, labels = self._coder.decode(codes), unpacked([meaning.labels for _, meaning in told])
        turn_of = {seq: turn for turn, seq in enumerate(by_seq)}
        turns = np.array([turn_of[s.seq] for s, _ in told], np.int64)
        words = np.array([size(by_seq[s.seq].text[s.start : s.stop]) for s, _ in told], np.float32)
        lasting = lasting_of([engram.text for engram in by_seq.values()], Told(turns, words, labels))
        for row, (s, _) in enumerate(told):
            if (s.seq, s.start) in weighing.withdrawn:
                continue
            holds, slot = (s.seq, s.start) not in weighing.closed, SLOTS[s.slot] if s.slot else None
            worth = float(labels.lasting[row]) + (OF_SLOT * s.sure if slot else 0.0)
            quote = Quote(by_seq[s.seq], s.seq, s.start, s.stop, KINDS[s.kind], slot, holds)
            found = weighing.sentence(quote, vectors[row], worth * (1 if holds else CLOSED))
            yield found and found.times(PASSING + (1 - PASSING) * float(lasting[turn_of[s.seq]]))

    def _of_others(self, session: Session, weighing: Weighing) -> Iterator[Sentence | None]:
        """Yield what others answered or decided, of each turn the sentence that tells most."""
        found = sorted(answers(session), key=lambda one: -one.tells)[:MOST_ANSWERS]
        if not found:
            return
        texts = [one.engram.text[slice(*one.span)] for one in found]
        encoded = self._encoder.encode(texts)
        labels = labels_of(encoded)
        harmless, decides = tells_only(labels, texts), labels.kinds[:, list(DECISIONS)].sum(axis=1) >= SURE
        vectors = self._coder.decode(self._coder.encode(encoded))
        for row, one in enumerate(found):
            if harmless[row] and (one.answers or decides[row]):
                quote = Quote(one.engram, one.seq, *one.span, None, None, holds=True)
                yield weighing.sentence(quote, vectors[row], OF_OTHERS * max(float(labels.lasting[row]), SURE))


class Answer(NamedTuple):
    """The sentence of a turn of somebody else than the user that tells most."""

    engram: Engram
    seq: int
    span: Span
    tells: float
    answers: bool
    """Whether the user's turn before it asks something."""


def answers(session: Session) -> Iterator[Answer]:
    """Yield the best sentence of each turn that directly follows a turn of a user and is of somebody else."""
    for before, engram, seq in zip(session.engrams, session.engrams[1:], session.seqs[1:], strict=False):
        if not is_users(before) or is_users(engram) or engram.role in NOT_QUOTED:
            continue
        asked = telling_terms(before.text)
        values = [(tells(engram.text[slice(*span)], asked), -span[0], span) for span in statements_of(engram.text)]
        best = max(values, default=None)
        if best is not None and best[0] >= ANSWERS:
            asks = any(mark in before.text for mark in QUESTION_MARKS)
            yield Answer(engram, seq, best[2], best[0], asks)


def sessions_in(stored: Sequence[Stored], period: Bounds) -> int:
    """Return the number of sessions with statements in a period."""
    begin = None if period.since is None else microseconds(period.since)
    end = None if period.until is None else microseconds(period.until)
    return len({s.session for _, s in stored if (begin is None or s.at >= begin) and (end is None or s.at < end)})


def is_users(engram: Engram) -> bool:
    """Return whether an engram is what a user said, as the reflector counts it."""
    return ROLES.index(engram.role) == USER and ORIGINS.index(engram.origin) <= TRUSTED


def tells(text: str, asked: frozenset[str]) -> float:
    """Return how much a sentence tells of what was asked, and that is new; 0 for a question."""
    if is_marked(text):
        return 0.0
    terms = telling_terms(text)
    return sum(map(telling, terms & asked)) + NEW * sum(map(telling, terms - asked))


def best_of(sentences: Sequence[Sentence], budget: int) -> list[Sentence]:
    """Return the sentences that are chosen within a budget of tokens, the best first."""
    return [sentences[index] for index in chosen([each.candidate for each in sentences], budget)]


def combined(parts: Sequence[Sequence[Sentence]], budget: int) -> list[Sentence]:
    """Return what is chosen from the choices of several sessions: first of each month, then of these."""
    months: dict[str, list[Sentence]] = {}
    for number, part in enumerate(parts):
        for each in part:
            months.setdefault(f"{each.quote.engram.at:%Y-%m}", []).append(each.of(number))
    if len(months) == 1:
        return best_of(next(iter(months.values())), budget)
    share = min(budget, max(OF_MONTH, SPARE * budget // max(1, len(months))))
    return best_of([each.of(month) for month, part in months.items() for each in best_of(part, share)], budget)
