"""Fit what a hit gains by its sentence that is nearest to the question, `reflection.stating`.

    python -m tools.stating --locomo FILE --beam FILE --memdaily FILE

Recalls every question of the sets of `tools.fit` in a memory whose turns were read, and fits the weights of the first
ten hits' sentences beside their values: the loss is the cross-entropy of the evidence under a softmax over the hits,
the mean of the sets' means. Prints the weights, and for each set the share of the questions with evidence among the
first three before, fitted on all sets, and fitted on all others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.datasets import Conversation, chats_path, read_chats, read_locomo, read_transcripts
from bench.lives import read_facts, read_lives
from engram.engram import Engram, draft
from engram.meaning.sentences import default_encoder
from engram.opening import open_analyzer, open_search
from engram.recall.message import Part
from engram.recall.recaller import FIRST, Recaller
from engram.recall.result import Hit
from engram.reflection.database import DerivedDatabase
from engram.reflection.holding import HoldingOrder
from engram.reflection.reflector import Reflector
from engram.reflection.stating import NOTHING
from engram.store.base import Filter
from engram.store.sqlite.connections import IN_MEMORY
from engram.store.sqlite.store import SqliteStore
from tools.adam import Adam
from tools.fit import tuned_on

Floats = npt.NDArray[np.float64]

STEPS, RATE, DECAY = 300, 0.1, 0.01
"""Steps of a fit, their size, and how much a weight costs."""


class Case(NamedTuple):
    """The first hits for a question."""

    numbers: Floats
    """Of each its value, the numbers of its sentence, and whether it has none: shape (n, 5)."""
    right: npt.NDArray[np.bool_]
    """Whether it is evidence: shape (n,)."""


class Recorder:
    """Keeps the first hits as recall finds them, with what they state; see `engram.recall.recaller.Holding`."""

    def __init__(self, holding: HoldingOrder) -> None:
        self._holding = holding
        self.seen: list[tuple[str, list[float]]] = []
        """The id of each hit, and its numbers."""

    def catch_up(self) -> None:
        """Do nothing: all turns were read."""

    def ordered(self, part: Part, namespace: int, hits: Sequence[Hit], admits: Callable[[Engram], bool]) -> list[Hit]:
        """Return the hits as they are."""
        first = hits[:FIRST]
        for each in self._holding.stated(*self._holding.near(part, namespace, first), first):
            sentence = each.sentence
            numbers = NOTHING if sentence is None else sentence.nearest
            self.seen.append((each.hit.engram.id, [sum(each.hit.why.values()), *numbers, float(sentence is None)]))
        return list(hits)


def cases_of(conversations: Sequence[Conversation]) -> list[Case]:
    """Return the first hits for every question with evidence in one part."""
    encoder, analyzer, cases = default_encoder(), open_analyzer(), list[Case]()
    with closing(SqliteStore(IN_MEMORY)) as store, closing(DerivedDatabase(IN_MEMORY, "fit")) as database:
        ids = dict[str, tuple[str, str]]()
        for conversation in conversations:
            for turn in conversation.turns:
                engram = draft(
                    turn.text, namespace=conversation.name, session=turn.session, role=turn.role,
                    speaker=turn.speaker or None, at=turn.at,
                )  # fmt: skip
                store.append([engram])
                ids[engram.id] = conversation.name, turn.key
        Reflector(store, database, encoder).reflect()
        search = open_search(store, analyzer, encoder)
        search.flush(600)
        recaller = Recaller(store, search, analyzer, encoder)
        for conversation in conversations:
            for question in conversation.questions:
                recorder = Recorder(HoldingOrder(database, encoder, shared=True))
                recaller.recall(
                    question.text, conversation.name, Filter(conversation.name), FIRST,
                    question.now or datetime.now(UTC), holding=recorder,
                )  # fmt: skip
                right = np.array([ids[id][1] in question.evidence for id, _ in recorder.seen], bool)
                if 0 < len(right) <= FIRST and right.any():
                    cases.append(Case(np.array([numbers for _, numbers in recorder.seen]), right))
        search.close()
    return cases


def fitted(sets: Mapping[str, Sequence[Case]]) -> Floats:
    """Return the weights of a hit's numbers that fit some sets best: shape (5,)."""
    weights = np.array([4.0, 0.0, 0.0, 0.0, 0.0])
    adam = Adam([weights], decay=0)
    for _ in range(STEPS):
        slope = DECAY * weights
        for cases in sets.values():
            slope = slope - sum(slope_of(case, weights) for case in cases) / (len(cases) * len(sets))
        adam.step([slope], RATE)
    return weights


def slope_of(case: Case, weights: Floats) -> Floats:
    """Return how fast the logarithm of the probability of the evidence grows with each weight: shape (5,)."""
    scores = case.numbers @ weights
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    right = shares * case.right
    return np.asarray(case.numbers.T @ (right / right.sum() - shares))


def among_first(cases: Sequence[Case], weights: Floats) -> float:
    """Return the share of the cases with evidence among the first three."""
    orders = [np.argsort(-(case.numbers @ weights), kind="stable")[:3] for case in cases]
    return float(np.mean([case.right[order].any() for case, order in zip(cases, orders, strict=True)]))


def main() -> None:
    """Read the options, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("locomo", "beam", "memdaily"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    sets = {
        "LoCoMo": cases_of(read_locomo(options.locomo)),
        "BEAM": cases_of(read_transcripts(options.beam)),
        "MemDaily": cases_of(read_transcripts(options.memdaily)),
        "lives": cases_of([life for life in read_lives() if not life.held_out]),
        "facts": cases_of([tuned_on(facts) for facts in read_facts()]),
    }
    if chats := chats_path():
        sets["chats"] = cases_of(read_chats(chats))
    weights = fitted(sets)
    names = ("value", *NOTHING._fields, "silent")
    print({name: round(weight, 3) for name, weight in zip(names, weights / weights[0], strict=True)})
    before = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    for name, cases in sets.items():
        others = fitted({other: given for other, given in sets.items() if other != name})
        figures = [among_first(cases, each) for each in (before, weights, others)]
        print(name, len(cases), *(f"{figure:.3f}" for figure in figures))


if __name__ == "__main__":
    main()
