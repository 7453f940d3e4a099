"""How often recall returns the turns that answer a question, and whether its score shows when none does.

Owns the protocol (docs/bench.md). Engram answers through `Memory.remember_many` and `Memory.recall`, one namespace a
conversation, after its index holds everything; the references rank each conversation whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from bench import metrics
from bench.datasets import Conversation, Question
from bench.figures import SHARE, Figure, Part, Reference, Table, Tell, silent
from bench.rankers import MINILM_MISSING, MiniLM, Ranker, bm25, fused, minilm_installed
from engram.memory import Memory

TURN_LIMIT = 50
SESSION_LIMIT = 200
"""Hits requested to judge the order of their sessions."""
KEY = "dia_id"
"""The metadata field of an engram that holds the key of its turn."""
ALL = "all"


class Found(NamedTuple):
    """One hit: the key of a turn, and its score."""

    key: str
    score: float


class System(Protocol):
    """A system that answers questions about one of its conversations."""

    name: str

    def ask(self, conversation: int, question: str, limit: int) -> list[Found]:
        """At most `limit` turns of the conversation with this index, best first."""
        ...


class EngramSystem:
    """Engram with its defaults."""

    name = "Engram"

    def __init__(self, conversations: Sequence[Conversation], folder: Path) -> None:
        """Remember everything in a new memory in `folder`, and wait until it is indexed."""
        self._names = [conversation.name for conversation in conversations]
        self._memory = Memory(folder / "quality.db")
        for conversation in conversations:
            self._memory.remember_many(
                {
                    "text": turn.text,
                    "namespace": conversation.name,
                    "session": turn.session,
                    "speaker": turn.speaker,
                    "role": turn.role,
                    "at": turn.at,
                    "metadata": {KEY: turn.key},
                }
                for turn in conversation.turns
            )
        self._memory.flush()

    def ask(self, conversation: int, question: str, limit: int) -> list[Found]:
        """The hits of `recall`."""
        hits = self._memory.recall(question, namespace=self._names[conversation], limit=limit)
        return [Found(str(hit.engram.metadata[KEY]), hit.score) for hit in hits]

    def close(self) -> None:
        """Close the memory."""
        self._memory.close()


class Ranked:
    """A reference: a ranker with the turns of each conversation."""

    def __init__(self, name: str, ranker: Ranker, conversations: Sequence[Conversation], named: bool = False) -> None:
        """`named`: put the speaker's name in front of the text that is ranked."""
        self.name = name
        self._keys = [[turn.key for turn in conversation.turns] for conversation in conversations]
        self._scorers = [
            ranker([f"{turn.speaker}: {turn.text}" if named else turn.text for turn in conversation.turns])
            for conversation in conversations
        ]

    def ask(self, conversation: int, question: str, limit: int) -> list[Found]:
        """The turns with the highest scores above 0; equal scores in the order of the turns."""
        scores = self._scorers[conversation](question)
        best = np.argsort(-scores, kind="stable")[:limit]
        keys = self._keys[conversation]
        return [Found(keys[place], float(scores[place])) for place in best if scores[place] > 0]


class Judged(NamedTuple):
    """The results of one question for one system."""

    kind: str
    values: dict[str, float]
    """The measures of `values_of`."""
    own: float | None
    """The best score in the question's conversation; None if there were no hits."""
    other: float | None
    """The best score in another conversation, which cannot answer the question."""
    own_nameless: float | None
    """The same two, with the speakers' names removed from the question."""
    other_nameless: float | None


TURN_PLACES = (5, 10, 20, 50)
SESSION_PLACES = (5, 10)
SESSION_MEASURES: dict[str, Callable[[Sequence[str], Sequence[str], int], float]] = {
    "any": metrics.any_found,
    "share": metrics.share_found,
    "all": metrics.all_found,
}


def judge(system: System, conversations: Sequence[Conversation]) -> list[Judged]:
    """Ask every question about its conversation and about the next one."""
    judged = []
    for place, conversation in enumerate(conversations):
        other = (place + 1) % len(conversations)
        names = speaker_names(conversation)
        session_of = {turn.key: turn.session for turn in conversation.turns}
        for question in conversation.questions:
            nameless = " ".join(names.sub(" ", question.text).split())
            found = system.ask(place, question.text, TURN_LIMIT)
            long = system.ask(place, question.text, SESSION_LIMIT)
            judged.append(
                Judged(
                    question.kind,
                    values_of(question, [f.key for f in found], [f.key for f in long], session_of),
                    best(found),
                    best(system.ask(other, question.text, 1)),
                    best(system.ask(place, nameless, 1)),
                    best(system.ask(other, nameless, 1)),
                )
            )
    return judged


def values_of(
    question: Question, turns: Sequence[str], long: Sequence[str], session_of: dict[str, str]
) -> dict[str, float]:
    """The measures of one question's ranked turns, and of the sessions in the order of a longer list of turns."""
    values = {f"R@{k}": metrics.share_found(turns, question.evidence, k) for k in TURN_PLACES}
    values["MRR"] = metrics.reciprocal_rank(turns, question.evidence)
    sessions = metrics.distinct([session_of[key] for key in long])
    wanted = metrics.distinct([session_of[key] for key in question.evidence])
    for name, measure in SESSION_MEASURES.items():
        values |= {f"{name}@{k}": measure(sessions, wanted, k) for k in SESSION_PLACES}
    return values


def speaker_names(conversation: Conversation) -> re.Pattern[str]:
    """Matches the names of a conversation's speakers, with a possessive ending."""
    names = "|".join(map(re.escape, conversation.speakers()))
    return re.compile(rf"\b(?:{names})\b(?:['\u2019]s)?", re.IGNORECASE)


def best(found: Sequence[Found]) -> float | None:
    """The first hit's score."""
    return found[0].score if found else None


class Separation(NamedTuple):
    """How well the best score separates questions that can be answered from those that cannot."""

    auc: float
    auc_nameless: float
    silent_other: float
    """The share of unanswerable questions without hits."""
    silent_own: float
    """The share of answerable questions without hits: the cost of the floor."""


def separation(judged: Sequence[Judged]) -> Separation:
    """Over all questions; a question without hits counts as score 0."""
    return Separation(
        metrics.area_under_curve([j.own or 0.0 for j in judged], [j.other or 0.0 for j in judged]),
        metrics.area_under_curve([j.own_nameless or 0.0 for j in judged], [j.other_nameless or 0.0 for j in judged]),
        metrics.mean([float(j.other is None) for j in judged]),
        metrics.mean([float(j.own is None) for j in judged]),
    )


def by_kind(judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """The mean of each measure, over all questions and over those of each kind; `questions` is how many."""
    kinds = {ALL: list(judged)}
    for j in judged:
        kinds.setdefault(j.kind, []).append(j)
    means = {}
    for kind, some in kinds.items():
        means[kind] = {name: metrics.mean([j.values[name] for j in some]) for name in some[0].values}
        means[kind]["questions"] = float(len(some))
    return means


def references(conversations: Sequence[Conversation], tell: Tell) -> tuple[list[Ranked], list[str]]:
    """The systems that Engram is compared with, and notes on those that are not installed."""
    classic, strong = bm25(1.5, 0.75), bm25(0.9, 0.4)
    ranked = [
        Ranked("BM25 (k1 1.5, b 0.75)", classic, conversations),
        Ranked("BM25 (k1 0.9, b 0.4), speaker in the text", strong, conversations, named=True),
    ]
    if not minilm_installed():
        return ranked, [f"dense MiniLM, and its fusion with BM25: {MINILM_MISSING}"]
    tell("running MiniLM over every turn and question")
    model = MiniLM()
    ranked.append(Ranked("dense MiniLM, one vector a turn", model.ranker, conversations))
    ranked.append(Ranked("BM25 + dense MiniLM, rank fusion", fused(classic, model.ranker), conversations))
    return ranked, []


def measure(name: str, title: str, conversations: Sequence[Conversation], folder: Path, tell: Tell = silent) -> Part:
    """Measure Engram and its references; keys of figures begin with `name`, titles of tables with `title`."""
    tell(f"{title}: remembering")
    engram = EngramSystem(conversations, folder)
    others, notes = references(conversations, tell)
    judged: dict[str, list[Judged]] = {}
    systems: list[System] = [engram, *others]
    for system in systems:
        tell(f"{title}: asking {system.name}")
        judged[system.name] = judge(system, conversations)
    engram.close()
    return Part(name, figures(name, title, judged), tables(title, judged), notes)


def figures(name: str, title: str, judged: dict[str, list[Judged]]) -> list[Figure]:
    """The figures that have a bar."""
    means = {system: by_kind(some)[ALL] for system, some in judged.items()}
    told = {system: separation(some) for system, some in judged.items()}
    first, *others = judged

    def figure(key: str, label: str, values: dict[str, float]) -> Figure:
        compared = [Reference(other, values[other], SHARE) for other in others]
        return Figure(f"{name}-{key}", f"{title}, {label}", values[first], SHARE, compared)

    def mean(measure: str) -> dict[str, float]:
        return {system: value[measure] for system, value in means.items()}

    return [
        figure("turn-recall-10", "turn-level R@10, all questions", mean("R@10")),
        figure("session-any-10", "session-level R@10, any evidence session", mean("any@10")),
        figure("session-share-10", "session-level R@10, the share of all", mean("share@10")),
        figure("auc", "answerable or not, by the best score (AUC)", {s: t.auc for s, t in told.items()}),
    ]


def tables(title: str, judged: dict[str, list[Judged]]) -> list[Table]:
    """All tables."""
    means = {system: by_kind(some) for system, some in judged.items()}
    first = next(iter(judged))
    turn = [f"R@{k}" for k in TURN_PLACES] + ["MRR"]
    session = [f"{name}@{k}" for name in SESSION_MEASURES for k in SESSION_PLACES]
    count = len(judged[first])
    told = {system: separation(some) for system, some in judged.items()}
    return [
        Table(
            f"{title}: turns, all {count:,} questions",
            ["", *turn],
            [[system, *(SHARE.show(m[ALL][x]) for x in turn)] for system, m in means.items()],
            "R@k: the share of a question's evidence turns among the first k, averaged over questions.",
        ),
        Table(
            f"{title}: turns, by category, {first}",
            ["", "questions", *turn],
            [[kind, f"{m['questions']:,.0f}", *(SHARE.show(m[x]) for x in turn)] for kind, m in means[first].items()],
        ),
        Table(
            f"{title}: sessions, all {count:,} questions",
            ["", *session],
            [[system, *(SHARE.show(m[ALL][x]) for x in session)] for system, m in means.items()],
            f"Sessions in the order in which they first come in a list of {SESSION_LIMIT} turns: any evidence session"
            " among the first k, the share of them, all of them.",
        ),
        Table(
            f"{title}: answerable or not",
            ["", "AUC", "AUC, names removed", "unanswerable that bring nothing", "answerable that bring nothing"],
            [[system, *map(SHARE.show, t)] for system, t in told.items()],
            "Each question is asked of its own conversation and of the next one, which cannot answer it.",
        ),
    ]
