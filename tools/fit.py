"""Fit the weights of recall on all sets together, and report what a set loses that is left out of the fit.

    python -m tools.fit --locomo FILE --beam FILE --memdaily FILE              fit on all, print the weights
    python -m tools.fit --locomo FILE --beam FILE --memdaily FILE --leave-out  leave out one set at a time, report on it
    python -m tools.fit --locomo FILE --beam FILE --memdaily FILE --only       do not fit: report the current weights

With --current the fit begins with the current weights instead of round ones, of which it then keeps more.

It ranks with the functions of the package. It looks up each question once and stores its features; other weights only
repeat the scoring. The loss is the cross-entropy of the evidence turns under a softmax over all scored turns, the mean
of the sets' means. The fit moves one weight at a time, in rounds of smaller steps, and a move away from where it began
costs a little. The sets are those that are given, the repository's own chats, the lives and the facts that are not held
out. Of LoCoMo, every fourth question is used in the fit.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.datasets import Conversation, Question, chats_path, read_chats, read_locomo, read_transcripts
from bench.lives import Facts, read_facts, read_lives
from engram.engram import draft
from engram.meaning.asking import leaning
from engram.meaning.base import answering, base_of, worth_of
from engram.opening import open_analyzer, open_encoder, open_index_folder
from engram.recall.candidates import DEFAULT_LIMITS
from engram.recall.features import Floats
from engram.recall.query import parse_query, speaker_names
from engram.recall.rank import Ranking, rank
from engram.recall.score import score, token_weights
from engram.recall.weights import DEFAULT, Weights
from engram.search.local.index import LocalIndex
from engram.store.sqlite.store import SqliteStore

TEMPERATURE = 8.0
START = Weights(
    rarity_shift=0.1, rarity_power=1.0, name=0.5, saturation=0.5, length=0.5, near=0.5, least_similarity=0.3,
    near_power=1.0, total_power=1.0, next=0.05, next_but_one=0.05, previous=0.05, answered=0.1, previous_but_one=0.05,
    replied=0.1, best_of_session=0.2, session=0.2, session_saturation=0.9, session_length=0.5, words=0.5, meaning=1.0,
    meaning_next=0.2, meaning_previous=0.2, meaning_of_session=0.1, speaker=0.2, role=0.2, assistant=0.2, replies=0.2,
    question=0.1, asks_when=0.1, date=0.4,
)  # fmt: skip
"""Start of a fit: round values, not fitted to any data."""

ROUNDS = (0.5, 0.25, 0.12)
"""Relative steps by which weights are moved, one for each round."""
STAY = 2e-3
"""Cost of a weight that is e times what it was at the start, or 1/e of it."""
NOT_RANKED = {
    "neighbour_coverage",
    "presence_floor",
    "time_mass",
    "sure_of_score",
    "sure_of_words",
    "sure_of_no_words",
    "sure_of_centroids",
    "sure_of_meaning",
    "sure_of_nothing",
    "asks",
    "informative",
    "telling",
    "typical_length",
    "typical_session",
    "repeat",
    "monologue",
}
"""Weights that do not change the order of hits, and weights that are units or reasoned."""
FURTHER_LIVES = Path(__file__).parent / "data" / "lives"
"""Lives that the benchmark does not report on; most of their questions are about what changes."""
FITTED_SHARE = {"LoCoMo": 4}
"""Of these sets, one question in so many is used in the fit."""


COUNTS = {"LoCoMo": 2}
"""Sets that count more than once: LoCoMo has more questions than all others together."""


@dataclass(frozen=True)
class Case:
    """One question with its scored turns."""

    ranking: Ranking
    evidence: npt.NDArray[np.int64]
    """Indices of the evidence among the scored turns: shape (m,)."""
    evidence_count: int
    """Number of evidence turns, scored or not."""


class Memories:
    """The turns of some conversations, indexed, with a namespace for each."""

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        self._analyzer, self._encoder = open_analyzer(), open_encoder()
        self._store = SqliteStore(":memory:")
        folder = open_index_folder(None, self._analyzer, None, self._encoder)
        self._index = LocalIndex(self._store, folder, self._analyzer, self._encoder)
        self.seqs: dict[tuple[str, str], int] = {}
        """The seq of each turn, by its conversation and key."""
        for conversation in conversations:
            for turn in conversation.turns:
                engram = draft(
                    turn.text,
                    namespace=conversation.name,
                    session=turn.session,
                    role=turn.role,
                    speaker=turn.speaker or None,
                    at=turn.at,
                )
                self._store.append([engram])
                self.seqs[conversation.name, turn.key] = self._store.keys([engram.id])[engram.id].seq
        self._index.flush()
        self._reader = self._index.reader()

    def close(self) -> None:
        """Close the index and the store."""
        self._index.close()
        self._store.close()

    def ranking(self, namespace: str, question: Question) -> Ranking | None:
        """Return how a question ranks the turns of a conversation; None if it asks for a time alone or finds none."""
        number = self._store.namespace_number(namespace)
        assert number is not None
        names = speaker_names(self._analyzer, self._store.speakers(number))
        known = base_of(self._encoder)
        vectors = known.encode([question.text])
        asked = leaning(vectors, known.fingerprint)
        replies = None if asked is None else float(asked.replies[0])
        vectors = answering(self._encoder, [question.text], vectors)
        now = question.now or datetime.now(UTC)
        worth = worth_of(self._encoder)
        parsed = parse_query(question.text, self._analyzer, names, now, vectors[0], replies=replies, worth=worth)
        if parsed.time_alone:
            return None
        return rank(self._reader, number, parsed, self._analyzer, DEFAULT_LIMITS.times(2))


def look_up(conversations: Sequence[Conversation]) -> list[Case]:
    """Look up every question that has evidence in the namespace of its conversation."""
    memories, cases = Memories(conversations), []
    for conversation in conversations:
        for question in conversation.questions:
            ranking = memories.ranking(conversation.name, question) if question.evidence else None
            if ranking is not None:
                evidence = [memories.seqs[conversation.name, key] for key in question.evidence]
                cases.append(Case(ranking, np.flatnonzero(np.isin(ranking.seqs, evidence)), len(evidence)))
    memories.close()
    return cases


def totals(case: Case, weights: Weights) -> Floats:
    """Return the scores by which the turns of a case are ranked: shape (turns,)."""
    r = case.ranking
    weight = token_weights(r.query, r.engrams, r.frequencies, weights)
    return score(r.query, r.features, weight, weights).total


def loss(cases: Sequence[Case], weights: Weights) -> float:
    """Return the mean cross-entropy of the evidence among the scored turns, in nats."""
    values = []
    for case in cases:
        if len(case.evidence):
            scaled = totals(case, weights).astype(np.float64) * TEMPERATURE
            scaled -= scaled.max()
            values.append(np.log(np.exp(scaled).sum()) - scaled[case.evidence].mean())
    return float(np.mean(values))


def recall_at_10(cases: Sequence[Case], weights: Weights) -> float:
    """Return the mean share of the evidence among the first ten turns."""
    shares = []
    for case in cases:
        first = np.argsort(-totals(case, weights), kind="stable")[:10]
        shares.append(np.isin(case.evidence, first).sum() / case.evidence_count)
    return float(np.mean(shares))


def cost(sets: dict[str, Sequence[Case]], weights: Weights, start: Weights) -> float:
    """Return the mean of the sets' losses, and what the distance from the start costs."""
    losses = [(COUNTS.get(name, 1), loss(cases, weights)) for name, cases in sets.items()]
    mean = sum(count * one for count, one in losses) / sum(count for count, _ in losses)
    distance = 0.0
    for field in dataclasses.fields(Weights):
        value, began = getattr(weights, field.name), getattr(start, field.name)
        if field.name not in NOT_RANKED and began:
            distance += math.log(max(abs(value / began), 1e-3)) ** 2
    return mean + STAY * distance


def fit(sets: dict[str, Sequence[Case]], start: Weights) -> Weights:
    """Move one weight at a time while the cost falls, and return the result."""
    fitted_on = {name: cases[:: FITTED_SHARE.get(name, 1)] for name, cases in sets.items()}
    weights, best = start, cost(fitted_on, start, start)
    names = [f.name for f in dataclasses.fields(Weights) if f.name not in NOT_RANKED]
    for step in ROUNDS:
        for name in names:
            value = getattr(weights, name)
            for factor in (1 + step, 1 / (1 + step)):
                moved = dataclasses.replace(weights, **{name: value * factor})
                moved_cost = cost(fitted_on, moved, start)
                if moved_cost < best - 1e-5:
                    best, weights = moved_cost, moved
                    break
        print(f"  step {step:.0%}: cost {best:.4f}", flush=True)
    return weights


def report(label: str, sets: dict[str, Sequence[Case]], weights: Weights) -> None:
    """Print R@10 of each set on one line."""
    figures = "  ".join(f"{name} {recall_at_10(cases, weights):.4f}" for name, cases in sets.items())
    print(f"{label}: R@10  {figures}", flush=True)


def tuned_on(facts: Facts) -> Conversation:
    """Return the memory of a person's facts with the questions about the first half of them, which may be fitted to."""
    asked = facts.asked[: len(facts.asked) // 2]
    questions = tuple(Question(text, (str(number),), facts.language) for number, text in enumerate(asked, 1))
    return dataclasses.replace(facts.memory, questions=questions)


def read_sets(options: argparse.Namespace) -> dict[str, Sequence[Case]]:
    """Look up the questions of all sets."""
    sets: dict[str, Sequence[Case]] = {
        "LoCoMo": look_up(read_locomo(options.locomo)),
        "BEAM": look_up(read_transcripts(options.beam)),
        "MemDaily": look_up(read_transcripts(options.memdaily)),
        "lives": look_up([life for life in read_lives() if not life.held_out]),
        "further lives": look_up(read_lives(FURTHER_LIVES)),
        "facts": look_up([tuned_on(facts) for facts in read_facts()]),
    }
    chats = chats_path()
    return sets if chats is None else {**sets, "chats": look_up(read_chats(chats))}


def main() -> None:
    """Read the options, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("locomo", "beam", "memdaily"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--leave-out", action="store_true", help="leave out one set at a time")
    parser.add_argument("--only", action="store_true", help="do not fit")
    parser.add_argument("--current", action="store_true", help="begin the fit with the current weights")
    options = parser.parse_args()
    start = DEFAULT if options.current else START
    sets = read_sets(options)
    report("current weights", sets, DEFAULT)
    if options.only:
        return
    if options.leave_out:
        for name in sets:
            weights = fit({other: cases for other, cases in sets.items() if other != name}, start)
            report(f"fitted without {name}", sets, weights)
        return
    weights = fit(sets, start)
    report("fitted on all", sets, weights)
    for field in dataclasses.fields(Weights):
        print(f"    {field.name}: float = {getattr(weights, field.name):.4g}")


if __name__ == "__main__":
    main()
