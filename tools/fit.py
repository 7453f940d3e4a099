"""Fit the weights of recall on some conversations and report on the others.

    python -m tools.fit --locomo locomo10.json            fit on each half from a cold start, report on the other half
    python -m tools.fit --locomo locomo10.json --all      fit on all of them, print the weights for recall/weights.py
    python -m tools.fit --locomo locomo10.json --only     do not fit: report the current weights

It ranks with the functions of the package. It looks up each question once and stores its features; other weights only
repeat the scoring. The loss is the cross-entropy of the evidence turns under a softmax over all scored turns. The fit
moves one weight at a time, in rounds of smaller steps. It also reports the chats of this repository, to which no weight
is fitted, because they must not get worse.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.datasets import Conversation, chats_path, read_chats, read_locomo
from engram.engram import draft
from engram.opening import open_analyzer
from engram.recall.candidates import DEFAULT_LIMITS
from engram.recall.features import Floats
from engram.recall.query import parse_query, speaker_names
from engram.recall.rank import Ranking, rank
from engram.recall.score import score, token_weights
from engram.recall.spelling import spelled
from engram.recall.weights import DEFAULT, Weights
from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.store.sqlite.store import SqliteStore

TEMPERATURE = 8.0
COLD = Weights(
    rarity_shift=0.1, rarity_power=1.0, name=0.5, saturation=0.9, length=0.4, near=0.5, least_similarity=0.3,
    near_power=1.0, total_power=1.0, next=0.1, next_but_one=0.1, previous=0.1, answered=0.1, previous_but_one=0.1,
    best_of_session=0.1, session=0.1, session_saturation=0.9, session_length=0.5, centroid_similarity=0.1, speaker=0.1,
    question=0.1, asks_when=0.1, date=0.2,
)  # fmt: skip
"""Start of a held-out fit: textbook BM25 and small values for the other weights. Not fitted to any data."""

ROUNDS = (0.6, 0.6, 0.3, 0.3, 0.15, 0.08)
"""Relative steps by which weights are moved, one for each round."""
NOT_RANKED = {
    "neighbour_coverage",
    "presence_floor",
    "time_mass",
    "calibration_slope",
    "calibration_bias",
    "typical_length",
    "typical_session",
}
"""Weights that do not change the order of hits, and weights that are units."""


@dataclass(frozen=True)
class Case:
    """One question with its scored turns."""

    group: int
    ranking: Ranking
    evidence: npt.NDArray[np.int64]
    """Indices of the evidence among the scored turns: shape (m,)."""
    evidence_count: int
    """Number of evidence turns, scored or not."""


def look_up(conversations: Sequence[Conversation], together: bool = False) -> list[Case]:
    """Look up every question in the namespace of its conversation, or in one with all conversations (`together`)."""
    analyzer = open_analyzer()
    store = SqliteStore(":memory:")
    index = LocalIndex(store, IndexFolder(None, analyzer.fingerprint, analyzer.token_type), analyzer)
    seqs: dict[tuple[str, str], int] = {}
    for conversation in conversations:
        space = "all" if together else conversation.name
        for turn in conversation.turns:
            session = f"{conversation.name} {turn.session}"
            engram = draft(
                turn.text, namespace=space, session=session, role=turn.role, speaker=turn.speaker or None, at=turn.at
            )
            store.append([engram])
            seqs[conversation.name, turn.key] = store.keys([engram.id])[engram.id].seq
    index.flush()
    reader, cases = index.reader(), []
    for group, conversation in enumerate(conversations):
        number = store.namespace_number("all" if together else conversation.name)
        assert number is not None
        for question in conversation.questions:
            names = speaker_names(analyzer, store.speakers(number))
            parsed = parse_query(question.text, analyzer, names, datetime.now(UTC))
            parsed = spelled(reader, number, parsed, analyzer, names)
            ranking = rank(reader, number, parsed, analyzer, DEFAULT_LIMITS.times(2))
            evidence = [seqs[conversation.name, key] for key in question.evidence]
            if ranking is not None:
                indices = np.flatnonzero(np.isin(ranking.seqs, evidence))
                cases.append(Case(group, ranking, indices, len(evidence)))
    index.close()
    store.close()
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


def fit(cases: Sequence[Case], weights: Weights) -> Weights:
    """Move one weight at a time while the loss falls, and return the result."""
    best = loss(cases, weights)
    names = [f.name for f in dataclasses.fields(Weights) if f.name not in NOT_RANKED]
    for step in ROUNDS:
        for name in names:
            value = getattr(weights, name)
            for factor in (1 + step, 1 / (1 + step)):
                moved = dataclasses.replace(weights, **{name: value * factor})
                moved_loss = loss(cases, moved)
                if moved_loss < best - 1e-5:
                    best, weights = moved_loss, moved
                    break
        print(f"  step {step:.0%}: loss {best:.4f}", flush=True)
    return weights


def report(label: str, groups: dict[str, Sequence[Case]], weights: Weights) -> None:
    """Print R@10 of each group of cases on one line."""
    figures = "  ".join(f"{name} {recall_at_10(cases, weights):.4f}" for name, cases in groups.items())
    print(f"{label}: R@10  {figures}", flush=True)


def main() -> None:
    """Read the options, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locomo", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="fit on every conversation")
    parser.add_argument("--only", action="store_true", help="do not fit")
    options = parser.parse_args()
    cases = look_up(read_locomo(options.locomo))
    chats = chats_path()
    others = {} if chats is None else {"own chats": look_up(read_chats(chats), together=True)}
    report("current weights", {"all": cases, **others}, DEFAULT)
    if options.only:
        return
    if options.all:
        weights = fit(cases, DEFAULT)
        report("fitted on all", {"all": cases, **others}, weights)
        for field in dataclasses.fields(Weights):
            print(f"    {field.name}: float = {getattr(weights, field.name):.4g}")
        return
    half = (max(case.group for case in cases) + 1) // 2
    halves = [[c for c in cases if (c.group < half) == first] for first in (True, False)]
    for fit_on, report_on in (halves, halves[::-1]):
        weights = fit(fit_on, COLD)
        report("fitted on one half", {"that half": fit_on, "the other half": report_on, **others}, weights)


if __name__ == "__main__":
    main()
