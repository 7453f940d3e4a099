"""How often recall returns the turns that answer a question, and how well its score separates unanswerable questions.

Owns the protocol (docs/bench.md). Engram is used through `Memory.remember_many` and `Memory.recall`, with one namespace
per conversation, after the index holds every turn; the references rank each conversation completely.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from bench import metrics
from bench.datasets import Conversation, Question
from bench.figures import SHARE, Figure, Part, Progress, Reference, Table, silent
from bench.rankers import MINILM_MISSING, MiniLM, Ranker, bm25, fused, minilm_installed
from engram.memory import Memory

TURN_LIMIT = 50
SESSION_LIMIT = 200
"""Number of hits that are requested to rank their sessions."""
KEY = "dia_id"
"""The metadata field of an engram that holds the key of its turn."""
ALL = "all"


class Hit(NamedTuple):
    """The key of a turn, and its score."""

    key: str
    score: float


class System(Protocol):
    """A system that answers questions about one of its conversations."""

    name: str

    def ask(self, conversation: int, question: str, limit: int) -> list[Hit]:
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

    def ask(self, conversation: int, question: str, limit: int) -> list[Hit]:
        """The hits of `recall`."""
        hits = self._memory.recall(question, namespace=self._names[conversation], limit=limit)
        return [Hit(str(hit.engram.metadata[KEY]), hit.score) for hit in hits]

    def close(self) -> None:
        """Close the memory."""
        self._memory.close()


class Ranked:
    """A reference: a ranker with the turns of each conversation."""

    def __init__(
        self, name: str, ranker: Ranker, conversations: Sequence[Conversation], with_speaker: bool = False
    ) -> None:
        """`with_speaker`: put the speaker's name in front of the text that is ranked."""
        self.name = name
        self._keys = [[turn.key for turn in conversation.turns] for conversation in conversations]
        self._scorers = [
            ranker([f"{turn.speaker}: {turn.text}" if with_speaker else turn.text for turn in conversation.turns])
            for conversation in conversations
        ]

    def ask(self, conversation: int, question: str, limit: int) -> list[Hit]:
        """The turns with the highest scores above 0; equal scores in the order of the turns."""
        scores = self._scorers[conversation](question)
        best = np.argsort(-scores, kind="stable")[:limit]
        keys = self._keys[conversation]
        return [Hit(keys[row], float(scores[row])) for row in best if scores[row] > 0]


class QuestionResult(NamedTuple):
    """The results of one question for one system."""

    kind: str
    values: dict[str, float]
    """The measures of `values_of`."""
    score: float | None
    """The best score in the question's conversation; None if there were no hits."""
    other_score: float | None
    """The best score in another conversation, which cannot answer the question."""
    score_nameless: float | None
    """As `score`, with the speakers' names removed from the question."""
    other_score_nameless: float | None
    """As `other_score`, with the speakers' names removed from the question."""


TURN_PLACES = (5, 10, 20, 50)
SESSION_PLACES = (5, 10)
SESSION_MEASURES: dict[str, Callable[[Sequence[str], Sequence[str], int], float]] = {
    "any": metrics.any_found,
    "share": metrics.share_found,
    "all": metrics.all_found,
}


def evaluate(system: System, conversations: Sequence[Conversation]) -> list[QuestionResult]:
    """Ask every question about its conversation and about the next one."""
    results = []
    for index, conversation in enumerate(conversations):
        other = (index + 1) % len(conversations)
        names = speaker_names(conversation)
        session_of = {turn.key: turn.session for turn in conversation.turns}
        for question in conversation.questions:
            nameless = " ".join(names.sub(" ", question.text).split())
            hits = system.ask(index, question.text, TURN_LIMIT)
            session_hits = system.ask(index, question.text, SESSION_LIMIT)
            results.append(
                QuestionResult(
                    question.kind,
                    values_of(question, [hit.key for hit in hits], [hit.key for hit in session_hits], session_of),
                    best_score(hits),
                    best_score(system.ask(other, question.text, 1)),
                    best_score(system.ask(index, nameless, 1)),
                    best_score(system.ask(other, nameless, 1)),
                )
            )
    return results


def values_of(
    question: Question, turns: Sequence[str], session_turns: Sequence[str], session_of: dict[str, str]
) -> dict[str, float]:
    """The measures of one question: of its ranked turns, and of its sessions by their first turn in `session_turns`."""
    values = {f"R@{k}": metrics.share_found(turns, question.evidence, k) for k in TURN_PLACES}
    values["MRR"] = metrics.reciprocal_rank(turns, question.evidence)
    sessions = metrics.distinct([session_of[key] for key in session_turns])
    relevant = metrics.distinct([session_of[key] for key in question.evidence])
    for name, measure in SESSION_MEASURES.items():
        values |= {f"{name}@{k}": measure(sessions, relevant, k) for k in SESSION_PLACES}
    return values


def speaker_names(conversation: Conversation) -> re.Pattern[str]:
    """A pattern that matches the names of a conversation's speakers, with or without a possessive ending."""
    names = "|".join(map(re.escape, conversation.speakers()))
    return re.compile(rf"\b(?:{names})\b(?:['\u2019]s)?", re.IGNORECASE)


def best_score(hits: Sequence[Hit]) -> float | None:
    """The score of the first hit; None if there are no hits."""
    return hits[0].score if hits else None


class Separation(NamedTuple):
    """How well the best score separates questions that can be answered from those that cannot."""

    auc: float
    auc_nameless: float
    silent_unanswerable: float
    """The share of unanswerable questions without hits."""
    silent_answerable: float
    """The share of answerable questions without hits: the cost of the floor."""


def separation(results: Sequence[QuestionResult]) -> Separation:
    """The separation over all questions; a question without hits has score 0."""
    return Separation(
        metrics.area_under_curve([r.score or 0.0 for r in results], [r.other_score or 0.0 for r in results]),
        metrics.area_under_curve(
            [r.score_nameless or 0.0 for r in results], [r.other_score_nameless or 0.0 for r in results]
        ),
        metrics.mean([float(r.other_score is None) for r in results]),
        metrics.mean([float(r.score is None) for r in results]),
    )


def by_kind(results: Sequence[QuestionResult]) -> dict[str, dict[str, float]]:
    """The mean of each measure, over all questions and over those of each kind; `questions` is their number."""
    kinds = {ALL: list(results)}
    for result in results:
        kinds.setdefault(result.kind, []).append(result)
    means = {}
    for kind, group in kinds.items():
        means[kind] = {name: metrics.mean([r.values[name] for r in group]) for name in group[0].values}
        means[kind]["questions"] = float(len(group))
    return means


def references(conversations: Sequence[Conversation], progress: Progress) -> tuple[list[Ranked], list[str]]:
    """The systems that Engram is compared with, and notes on those that are not installed."""
    classic, strong = bm25(1.5, 0.75), bm25(0.9, 0.4)
    ranked = [
        Ranked("BM25 (k1 1.5, b 0.75)", classic, conversations),
        Ranked("BM25 (k1 0.9, b 0.4), speaker in the text", strong, conversations, with_speaker=True),
    ]
    if not minilm_installed():
        return ranked, [f"dense MiniLM, and its fusion with BM25: {MINILM_MISSING}"]
    progress("running MiniLM over every turn and question")
    model = MiniLM()
    ranked.append(Ranked("dense MiniLM, one vector a turn", model.ranker, conversations))
    ranked.append(Ranked("BM25 + dense MiniLM, rank fusion", fused(classic, model.ranker), conversations))
    return ranked, []


def measure(
    name: str, title: str, conversations: Sequence[Conversation], folder: Path, progress: Progress = silent
) -> Part:
    """Measure Engram and its references; keys of figures begin with `name`, titles of tables with `title`."""
    progress(f"{title}: remembering")
    engram = EngramSystem(conversations, folder)
    others, notes = references(conversations, progress)
    results: dict[str, list[QuestionResult]] = {}
    systems: list[System] = [engram, *others]
    for system in systems:
        progress(f"{title}: asking {system.name}")
        results[system.name] = evaluate(system, conversations)
    engram.close()
    return Part(name, figures(name, title, results), tables(title, results), notes)


def figures(name: str, title: str, results: dict[str, list[QuestionResult]]) -> list[Figure]:
    """The figures that have a bar."""
    means = {system: by_kind(group)[ALL] for system, group in results.items()}
    separations = {system: separation(group) for system, group in results.items()}
    first, *others = results

    def figure(key: str, label: str, values: dict[str, float]) -> Figure:
        compared = [Reference(other, values[other], SHARE) for other in others]
        return Figure(f"{name}-{key}", f"{title}, {label}", values[first], SHARE, compared)

    def mean(measure: str) -> dict[str, float]:
        return {system: value[measure] for system, value in means.items()}

    return [
        figure("turn-recall-10", "turn-level R@10, all questions", mean("R@10")),
        figure("session-any-10", "session-level R@10, any evidence session", mean("any@10")),
        figure("session-share-10", "session-level R@10, the share of all", mean("share@10")),
        figure(
            "auc",
            "answerable or not, by the best score (AUC)",
            {system: value.auc for system, value in separations.items()},
        ),
    ]


def tables(title: str, results: dict[str, list[QuestionResult]]) -> list[Table]:
    """The tables of all measures."""
    means = {system: by_kind(group) for system, group in results.items()}
    first = next(iter(results))
    turn = [f"R@{k}" for k in TURN_PLACES] + ["MRR"]
    session = [f"{name}@{k}" for name in SESSION_MEASURES for k in SESSION_PLACES]
    count = len(results[first])
    separations = {system: separation(group) for system, group in results.items()}
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
            [[system, *map(SHARE.show, value)] for system, value in separations.items()],
            "Each question is asked of its own conversation and of the next one, which cannot answer it.",
        ),
    ]
