"""How often recall returns the turns that answer a question, and how well its score separates unanswerable questions.

Owns the protocol (docs/bench.md). Engram is used through `Memory.remember_many` and `Memory.recall`, with one namespace
per conversation, after the index holds every turn; the references rank each conversation completely.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from bench import metrics
from bench.datasets import Conversation, Question
from bench.figures import SHARE, Figure, Part, Table, compared
from bench.systems import Bench, EngramSystem, Hit, System

TURN_LIMIT = 50
SESSION_LIMIT = 200
"""Number of hits that are requested to rank their sessions."""
ALL = "all"


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
        session_of = {turn.key: turn.session for turn in conversation.turns}
        for question in conversation.questions:
            without_names = nameless(question, conversation)
            hits = system.ask(index, question.text, TURN_LIMIT)
            session_hits = system.ask(index, question.text, SESSION_LIMIT)
            results.append(
                QuestionResult(
                    question.kind,
                    values_of(question, [hit.key for hit in hits], [hit.key for hit in session_hits], session_of),
                    best_score(hits),
                    best_score(system.ask(other, question.text, 1)),
                    best_score(system.ask(index, without_names, 1)),
                    best_score(system.ask(other, without_names, 1)),
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


def nameless(question: Question, conversation: Conversation) -> str:
    """The question without the names of the conversation's speakers."""
    return " ".join(speaker_names(conversation).sub(" ", question.text).split())


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


def measure(name: str, title: str, conversations: Sequence[Conversation], bench: Bench) -> Part:
    """Measure Engram and its references; keys of figures begin with `name`, titles of tables with `title`."""
    bench.progress(f"{title}: remembering")
    with ExitStack() as closing:
        engram = EngramSystem(conversations, bench.folder)
        closing.callback(engram.close)
        asked = [text for c in conversations for q in c.questions for text in (q.text, nameless(q, c))]
        systems: list[System] = [
            engram,
            *bench.references.systems(conversations, asked, bench.folder, closing, bench.progress),
        ]
        results: dict[str, list[QuestionResult]] = {}
        for system in systems:
            bench.progress(f"{title}: asking {system.name}")
            results[system.name] = evaluate(system, conversations)
    return Part(name, figures(name, title, results), tables(title, results))


def figures(name: str, title: str, results: dict[str, list[QuestionResult]]) -> list[Figure]:
    """The figures that have a bar."""
    means = {system: by_kind(group)[ALL] for system, group in results.items()}
    separations = {system: separation(group) for system, group in results.items()}

    def figure(key: str, label: str, values: dict[str, float]) -> Figure:
        return compared(f"{name}-{key}", f"{title}, {label}", values, SHARE)

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
