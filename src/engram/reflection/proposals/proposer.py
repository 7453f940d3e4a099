"""The proposer: asks a model about the sessions that were finished, and stores what may be kept of its replies.

Owns which session is asked about, what its prompt shows, and what happens to a session whose call failed. One call a
session; a session is asked about again only if it has new statements. Every reply is stored in one durable commit with
its cost, so that a run that was broken off goes on. Does not know what proposals are used for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from engram.engram import Engram
from engram.errors import ModelUnavailable
from engram.meaning.codes import Coder
from engram.models.answering import Limits, NotAnswered, answer_of
from engram.models.base import Message, Model
from engram.recall.context import estimated_tokens
from engram.reflection.database import DerivedDatabase, Stored
from engram.reflection.proposals import ledger, tables
from engram.reflection.proposals.asking import FREE, Asking
from engram.reflection.proposals.ledger import ACCEPTED, BUDGET, DAY, DROPPED, FAILED, Call, Refused
from engram.reflection.proposals.prompt import SCHEMA, SYSTEM, Offered, entry, prompt_of
from engram.reflection.proposals.reading import Reading, ReplyRefused, read_reply
from engram.reflection.proposals.tables import DueSession
from engram.store.base import LoggedStore

logger = logging.getLogger("engram")

MOST_PROMPT, MOST_REPLY = 6_000, 1_500
"""Tokens of a prompt and of a reply, at most; less with a smaller context."""
MOST_BYTES = 256 << 10
"""Bytes of a response."""
SESSION_SHARE = 0.6
"""Part of the room for sentences that the new ones of the session may use; earlier ones fill the rest."""
MOST_EARLIER = 60
"""Earlier sentences that are shown: those nearest to one of the session."""
LATEST = 20_000
"""Earlier statements of a namespace, the latest ones, among which these are."""
FIRST_PAUSE, LONGEST_PAUSE = 60.0, DAY
"""Seconds that a session waits after a failed call; twice as long after each further one."""
LOOKS = 200
"""Due sessions that one search for one that is quiet looks at."""
FOR_NOTHING = (0, 0, 0.0)
"""What a call costs that no model has seen."""
UNAVAILABLE, BAD_REPLY = "unavailable", "reply of another form"
"""Reasons of failures."""


class Question(NamedTuple):
    """What a model is asked about one session."""

    due: DueSession
    sentences: Sequence[Offered]
    through: int
    """Seq of the last turn that the prompt shows."""
    messages: Sequence[Message]


class Outcome(NamedTuple):
    """What a call came to."""

    reading: Reading | None
    """None: it failed."""
    reason: str
    """Why it failed; "" if it did not."""


class Asked(NamedTuple):
    """What a run of calls came to."""

    sessions: int
    """Sessions about which the model answered."""
    failed: int
    """Calls that failed."""
    accepted: int
    dropped: int
    over_budget: bool
    """Whether the run ended because the budget of the day is used up."""


class Proposer:
    """Asks models about the sessions of one store. Safe to use from several threads, which take turns."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, coder: Coder) -> None:
        """`coder`: that of the meanings of the derived data."""
        self._store, self._database, self._coder = store, database, coder
        self._lock = threading.Lock()

    def propose(self, model: Model, asking: Asking, seconds: float | None = None) -> Asked:
        """Ask about every session that is due, for at most about `seconds`, and about one at least.

        A call that was begun is finished.

        Stops at the first call for which the model cannot be reached, and where the budget of the day ends. Raises an
        `EngramError` if the derived data cannot be read or written, nothing for a model that fails.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        sessions = failed = accepted = dropped = 0
        with self._lock:
            while (question := self._next(model, asking)) is not None:
                call = self._reserved(question, model, asking)
                if isinstance(call, Refused):
                    if call.over_budget:
                        return Asked(sessions, failed, accepted, dropped, over_budget=True)
                    continue
                outcome = self._ask(question, call, model, asking)
                if outcome.reading is not None:
                    sessions += 1
                    accepted += sum(outcome.reading.accepted.values())
                    dropped += sum(outcome.reading.dropped.values())
                failed += outcome.reading is None
                if outcome.reason == UNAVAILABLE or (deadline is not None and time.monotonic() >= deadline):
                    break
        return Asked(sessions, failed, accepted, dropped, over_budget=False)

    # Which session.

    def _next(self, model: Model, asking: Asking) -> Question | None:
        """Return what to ask next; None if no session is due. Sessions that need no call are dealt with."""
        for _ in range(LOOKS):
            now = time.time()
            with self._database.reading() as db:
                found = tables.due_sessions(db, now, 1)
            if not found:
                return None
            due = found[0]
            until = self._quiet_at(due, asking.quiet)
            if until is not None and until > now:
                with self._database.writing() as db:
                    tables.wait(db, due, until)
                continue
            question = None if until is None else self._question(due, model)
            if question is not None:
                return question
            with self._database.writing() as db:
                tables.asked(db, due, due.newest)
        return None

    def _quiet_at(self, due: DueSession, quiet: float) -> float | None:
        """Return when a session will have been quiet for so long, in seconds since 1970; None if nothing is left."""
        turns = {each.statement.seq for each in self._database.of_session(due.namespace, due.session)}
        found = self._store.by_seq(due.namespace, sorted(turns)[-1:]) or self._store.by_seq(
            due.namespace, sorted(turns)
        )
        if not found:
            return None
        engram = found[max(found)]
        last = self._store.session_seqs(engram.namespace, engram.session, 1)
        latest = self._store.by_seq(due.namespace, last).get(last[-1], engram) if last else engram
        # A clock that was set back must not hold a session up forever.
        return min(latest.recorded_at, datetime.now(UTC)).timestamp() + quiet

    # What it is asked.

    def _question(self, due: DueSession, model: Model) -> Question | None:
        """Return what to ask about a session; None if it has no new statement whose turn is still there."""
        room = room_of(model)
        stored = self._database.of_session(due.namespace, due.session)
        new = [each for each in stored if each.statement.seq > due.asked]
        engrams = self._store.by_seq(due.namespace, sorted({each.statement.seq for each in new}))
        shown, left = list[tuple[Stored, Engram]](), int(room * SESSION_SHARE)
        for each in new:
            if (engram := engrams.get(each.statement.seq)) is None:
                continue
            left -= tokens_of(each, engram)
            # The rest of a turn that began within the room is left out, so that every call gets on.
            if left < 0 and shown and each.statement.seq != shown[-1][0].statement.seq:
                break
            if left >= 0 or not shown:
                shown.append((each, engram))
        if not shown:
            return None
        earlier = self._earlier(due, [each for each, _ in shown], int(room * (1 - SESSION_SHARE)) + max(0, left))
        sentences = [
            Offered(number, each.statement, engram, number > len(earlier))
            for number, (each, engram) in enumerate([*earlier, *shown], 1)
        ]
        last = shown[-1][0].statement.seq
        rest = [each.statement.seq for each in new if each.statement.seq > last and each.statement.seq in engrams]
        return Question(due, sentences, last if rest else max(last, due.newest), prompt_of(sentences))

    def _earlier(self, due: DueSession, shown: Sequence[Stored], room: int) -> list[tuple[Stored, Engram]]:
        """Return statements of the same persons that are nearest to those of the session, in the order of time."""
        speakers, new = {each.statement.speaker for each in shown}, {each.number for each in shown}
        before = max((each.statement.at, each.statement.seq) for each in shown)
        known = [
            each
            for each in self._database.statements(due.namespace)[-LATEST:]
            if each.number not in new
            and each.statement.speaker in speakers
            and (each.statement.at, each.statement.seq) < before
        ]
        meanings = self._database.meaning_of([each.number for each in (*known, *shown)])
        known = [each for each in known if each.number in meanings]
        asked = [each for each in shown if each.number in meanings]
        if not known or not asked:
            return []
        vectors = [
            self._coder.decode(np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1))
            for codes in ([meanings[each.number].code for each in group] for group in (known, asked))
        ]
        near = (vectors[0] @ vectors[1].T).max(axis=1)
        nearest = [known[row] for row in np.argsort(-near, kind="stable")[:MOST_EARLIER].tolist()]
        engrams = self._store.by_seq(due.namespace, sorted({each.statement.seq for each in nearest}))
        chosen = []
        for each in nearest:
            engram = engrams.get(each.statement.seq)
            if engram is not None and (tokens := tokens_of(each, engram)) <= room:
                room -= tokens
                chosen.append((each, engram))
        return sorted(chosen, key=lambda pair: (pair[0].statement.at, pair[0].statement.seq, pair[0].statement.start))

    # The call.

    def _reserved(self, question: Question, model: Model, asking: Asking) -> Call | Refused:
        asked = sum(max(model.count_tokens(m.content), estimated_tokens(m.content)) for m in question.messages)
        with self._database.writing_durably() as db:
            most = (asked, reply_tokens(model))
            call = ledger.reserve(db, question.due, model.name, most, asking, time.time())
            if isinstance(call, Refused):
                if call.over_budget:
                    ledger.count(db, FAILED, {BUDGET: 1})
                else:
                    # Another process asks about it at this moment, or has done so.
                    tables.wait(db, question.due, time.time() + asking.seconds)
            return call

    def _ask(self, question: Question, call: Call, model: Model, asking: Asking) -> Outcome:
        limits = Limits(reply_tokens(model), asking.seconds, MOST_BYTES)
        try:
            answer = answer_of(model, question.messages, SCHEMA, limits)
        except ModelUnavailable as error:
            logger.warning("the model %s gave no proposals: %s", model.name, error)
            return self._failed(question, call, UNAVAILABLE, FOR_NOTHING if isinstance(error, NotAnswered) else None)
        cost = answer.tokens_in, answer.tokens_out, (asking.prices or FREE).of(answer.tokens_in, answer.tokens_out)
        try:
            reading = read_reply(answer.text, question.sentences, model.name)
        except ReplyRefused as error:
            logger.warning("the model %s gave no proposals: %s", model.name, error)
            return self._failed(question, call, BAD_REPLY, cost)
        with self._database.writing_durably() as db:
            tables.insert(db, self._still_there(question, reading).proposals)
            tables.asked(db, question.due, question.through)
            ledger.settle(db, call, *cost)
            ledger.count(db, ACCEPTED, reading.accepted)
            ledger.count(db, DROPPED, reading.dropped)
        return Outcome(reading, "")

    def _still_there(self, question: Question, reading: Reading) -> Reading:
        """Return a reading without what is of turns that were forgotten during the call."""
        number, seqs = question.due.namespace, sorted({each.statement.seq for each in question.sentences})
        there = self._store.by_seq(number, seqs)
        slots, links, titles = reading.proposals
        kept = tables.Proposals(
            [each for each in slots if each.seq in there],
            [each for each in links if each.older_seq in there and each.newer_seq in there],
            [each for each in titles if each.seq in there],
        )
        return reading._replace(proposals=kept)

    def _failed(
        self, question: Question, call: Call, reason: str, cost: tuple[int, int, float] | None = None
    ) -> Outcome:
        """Note that a call failed. cost: None if it is not known; then it counts as what was reserved."""
        pause = min(FIRST_PAUSE * 2.0 ** min(question.due.failures, 20), LONGEST_PAUSE)
        with self._database.writing_durably() as db:
            tables.failed(db, question.due, time.time() + pause)
            ledger.count(db, FAILED, {reason: 1})
            if cost is None:
                ledger.settle_as_reserved(db, call)
            else:
                ledger.settle(db, call, *cost)
        return Outcome(None, reason)


def reply_tokens(model: Model) -> int:
    """Return the most tokens of a reply: a quarter of a small context."""
    return min(MOST_REPLY, model.context // 4)


def room_of(model: Model) -> int:
    """Return the tokens that the sentences of a prompt may have."""
    return max(0, min(MOST_PROMPT, model.context - reply_tokens(model)) - estimated_tokens(SYSTEM) - 64)


def tokens_of(stored: Stored, engram: Engram) -> int:
    """Return the most tokens that a sentence has in a prompt."""
    return estimated_tokens(str(entry(Offered(10_000, stored.statement, engram, of_session=True)))) + 1
