"""How often recall finds the right turn when it is asked in other words: lives, facts, BEAM and MemDaily.

Owns the protocols (docs/bench.md). Every question is asked of one conversation: of its own, which answers it unless the
question has no evidence; or of a foreign one, which cannot answer it. Of what is held out, only totals are reported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

from bench import metrics
from bench.datasets import Conversation, Question
from bench.figures import SHARE, Figure, Part, Table, compared
from bench.lives import FIRST_HELD_OUT, NONE, Facts
from bench.proposing import ScriptedModel
from bench.systems import Bench, EngramSystem, System
from engram.opening import open_encoder

LIMIT = 10
"""Number of turns that are requested."""
OWN, FOREIGN, UNLIKE = "its own", "another's", "an unlike"
"""Which memory a question is asked of. The last two are also the kinds of such questions."""
SUFFIXES = {FOREIGN: "", UNLIKE: "-unlike"}
"""How the keys of the figures about foreign memories end."""
SAME, OTHER = "same language", "another language"
"""The kinds of the questions about facts: asked in the language in which the fact is told, or in another one."""
OTHER_LANGUAGES = 3
"""Number of other languages in which each fact is asked for: those that follow in the list of languages."""
UNREAD = "Engram, nothing read"
"""The name of Engram that has not read what turns state."""
WORKING_BUDGET = 2_000
"""Tokens of a working memory."""
STANDING = {"preferences": "preference_following", "orders": "instruction_following"}
"""What BEAM's users always want, and the kinds of the questions that call for it."""
CONTEXTUAL = "minilm"
"""The encoder that reads words in their context, with which BEAM is measured once more."""
CONTEXTUAL_MISSING = "BEAM with the encoder minilm: this Engram has no such encoder"


class Ask(NamedTuple):
    """A question, asked of the conversation with this index."""

    conversation: int
    question: Question


class Answer(NamedTuple):
    """The first turns that a system brought for a question, and its best score (0 without turns)."""

    ask: Ask
    keys: tuple[str, ...]
    score: float

    @property
    def evidence(self) -> tuple[str, ...]:
        """The keys of the right turns."""
        return self.ask.question.evidence


Answers = Mapping[str, Sequence[Answer]]
"""The answers by the name of the system; Engram's are first."""


def own(conversations: Sequence[Conversation]) -> list[Ask]:
    """Every question, asked of its own conversation."""
    return [Ask(index, question) for index, one in enumerate(conversations) for question in one.questions]


def foreign(conversations: Sequence[Conversation]) -> list[Ask]:
    """Every question, asked of the next conversation that shares no text with its own.

    After the last conversation comes the first. The questions of a conversation that shares a text with every other
    one are left out.
    """
    texts = [{turn.text for turn in one.turns} for one in conversations]
    asks = []
    for index, one in enumerate(conversations):
        order = [*range(index + 1, len(conversations)), *range(index)]
        other = next((number for number in order if texts[index].isdisjoint(texts[number])), None)
        if other is not None:
            asks += [Ask(other, not_here(question, FOREIGN)) for question in one.questions]
    return asks


def not_here(question: Question, kind: str) -> Question:
    """A question for a memory that cannot answer it."""
    return replace(question, evidence=(), outdated=(), kind=kind)


def kind_of_memory(ask: Ask) -> str:
    """Which memory a question is asked of."""
    return ask.question.kind if ask.question.kind in SUFFIXES else OWN


def answers_of(system: System, asks: Sequence[Ask]) -> list[Answer]:
    """The answers of a system, in the order of `asks`."""
    answers = []
    for ask in asks:
        hits = system.ask(ask.conversation, ask.question.text, LIMIT, ask.question.now)
        answers.append(Answer(ask, tuple(hit.key for hit in hits), hits[0].score if hits else 0.0))
    return answers


def ask_everyone(title: str, conversations: Sequence[Conversation], asks: Sequence[Ask], bench: Bench) -> Answers:
    """The answers of Engram and of its references."""
    with ExitStack() as closing:
        bench.progress(f"{title}: remembering")
        engram = EngramSystem(conversations, bench.folder)
        closing.callback(engram.close)
        questions = [ask.question.text for ask in asks]
        others = bench.references.systems(conversations, questions, bench.folder, closing, bench.progress)
        answers = {}
        bench.progress(f"{title}: remembering, nothing read")
        unread = EngramSystem(conversations, bench.inside("unread").folder, name=UNREAD, reflecting=False)
        closing.callback(unread.close)
        for system in [engram, unread, *others]:
            bench.progress(f"{title}: asking {system.name}")
            answers[system.name] = answers_of(system, asks)
        return answers


def those(answers: Answers, condition: Callable[[Ask], bool]) -> Answers:
    """The answers to what meets the condition."""
    return {system: [answer for answer in given if condition(answer.ask)] for system, given in answers.items()}


def joined(one: Answers, other: Answers) -> Answers:
    """The answers in both; each holds the same systems."""
    return {system: [*given, *other[system]] for system, given in one.items()}


def grouped(answers: Answers, group_of: Callable[[Ask], str]) -> dict[str, Answers]:
    """The answers by the group of what was asked; each group holds every system."""
    groups: dict[str, dict[str, list[Answer]]] = {}
    for system, given in answers.items():
        for answer in given:
            groups.setdefault(group_of(answer.ask), {}).setdefault(system, []).append(answer)
    return dict(groups)


HELD_OUT, TUNED = "held out", "tuned on"


def half(held_out: bool) -> str:
    """The name of a half."""
    return HELD_OUT if held_out else TUNED


# Measures of the answers of one system.


def any_found(answers: Sequence[Answer], k: int) -> float:
    """The share of the questions with evidence of which a right turn is among the first `k`."""
    return metrics.mean([metrics.any_found(a.keys, a.evidence, k) for a in answers if a.evidence])


def share_found(answers: Sequence[Answer]) -> float:
    """The share of a question's right turns among the first ten, averaged over the questions with evidence."""
    return metrics.mean([metrics.share_found(a.keys, a.evidence, LIMIT) for a in answers if a.evidence])


def reciprocal_rank(answers: Sequence[Answer]) -> float:
    """1 / the rank of the first right turn among the first ten, averaged over the questions with evidence."""
    return metrics.mean([metrics.reciprocal_rank(a.keys, a.evidence) for a in answers if a.evidence])


def area(answers: Sequence[Answer]) -> float:
    """The probability that a question with evidence has a better best score than one without."""
    return metrics.area_under_curve(
        [a.score for a in answers if a.evidence], [a.score for a in answers if not a.evidence]
    )


def silent_without(answers: Sequence[Answer]) -> float:
    """The share of the questions without evidence that bring nothing, as they should."""
    return metrics.mean([float(not a.keys) for a in answers if not a.evidence])


def silent_with(answers: Sequence[Answer]) -> float:
    """The share of the questions with evidence that bring nothing: the cost of the floor."""
    return metrics.mean([float(not a.keys) for a in answers if a.evidence])


def current_first(answers: Sequence[Answer], k: int) -> float:
    """The share of the questions for which the first of the right and the outdated turns is right.

    It must be among the first `k`.
    """
    found = []
    for answer in answers:
        outdated = answer.ask.question.outdated
        first = next((key for key in answer.keys[:k] if key in answer.evidence or key in outdated), None)
        found.append(float(first is not None and first not in outdated))
    return metrics.mean(found)


def of_kind(answers: Answers, kind: str) -> Answers:
    """The answers to the questions of one kind."""
    return those(answers, lambda ask: ask.question.kind == kind)


def current(answer: Answer) -> tuple[str, ...]:
    """The right turns that are not outdated."""
    return tuple(key for key in answer.evidence if key not in answer.ask.question.outdated)


def newer_first(answers: Sequence[Answer]) -> float:
    """The share of the questions with outdated turns for which a right turn stands before all of those."""
    ranks = [
        (metrics.reciprocal_rank(a.keys, current(a)), metrics.reciprocal_rank(a.keys, a.ask.question.outdated))
        for a in answers
        if a.ask.question.outdated
    ]
    return metrics.mean([float(right > outdated) for right, outdated in ranks])


PROPOSED_TABLE = (
    "Lives, about now, with what a scripted model proposes",
    (
        "", "questions", "answered", "an outdated turn above", "the right turn below the first 3",
        "no right turn found", "replacements", "never shown together", "others, first 3",
    ),
)  # fmt: skip
PROPOSED_NOTE = (
    "Replacements: pairs of an outdated and a right turn that the questions name. Never shown together: an assistant"
    " said one of them, or it is not among the nearest. Others: questions of all other kinds that have a right turn."
)

MEASURES: dict[str, Callable[[Sequence[Answer]], float]] = {
    "first 3": lambda answers: any_found(answers, 3),
    "first 10": lambda answers: any_found(answers, LIMIT),
    "R@10": share_found,
    "MRR": reciprocal_rank,
    "AUC": area,
    "unanswerable that bring nothing": silent_without,
    "answerable that bring nothing": silent_with,
    "newer before older": newer_first,
}
NOTE = (
    "first k: a right turn is among them. R@10: the share of the right turns among the first ten. AUC: questions with"
    " a right turn against those without, by the best score. A dash: no question of that kind."
)


def table(title: str, groups: Mapping[str, Answers]) -> Table:
    """The measures of every system for each group of answers."""
    rows = [
        [group, system, f"{len(given):,}", *(SHARE.show(measure(given)) for measure in MEASURES.values())]
        for group, answers in groups.items()
        for system, given in answers.items()
    ]
    return Table(title, ["", "system", "questions", *MEASURES], rows, NOTE)


def kinds_table(title: str, answers: Answers) -> Table:
    """The measures of the first system for each kind of question that has evidence."""
    (system, given), *_ = answers.items()
    kinds = dict.fromkeys(answer.ask.question.kind for answer in given if answer.evidence)
    names = ("first 3", "first 10", "R@10", "MRR", "answerable that bring nothing")
    rows = []
    for kind in kinds:
        asked = [answer for answer in given if answer.ask.question.kind == kind]
        rows.append([kind, f"{len(asked):,}", *(SHARE.show(MEASURES[name](asked)) for name in names)])
    return Table(f"{title}, by kind, {system}", ["", "questions", *names], rows)


def figure(key: str, name: str, answers: Answers, measure: Callable[[Sequence[Answer]], float]) -> Figure:
    """A measure of the first system, with those of the others as references."""
    return compared(key, name, {system: measure(given) for system, given in answers.items()}, SHARE)


# The sets.


def lives(conversations: Sequence[Conversation], bench: Bench) -> Part:
    """People's years with an assistant. The half that may be tuned on has no bar, and its kinds are reported."""
    figures: list[Figure] = []
    groups: dict[str, Answers] = {}
    rows: list[list[str]] = []
    for held_out, key in ((True, "lives"), (False, "lives-tuned")):
        title = f"Lives, {half(held_out)}"
        people = [one for one in conversations if one.held_out == held_out]
        answers = ask_everyone(title, people, own(people) + foreign(people), bench.inside(key))
        of_own = those(answers, lambda ask: ask.question.kind != FOREIGN)
        answered = those(answers, lambda ask: ask.question.kind != NONE)
        figures += [
            figure(f"{key}-first-3", f"{title}, a right turn among the first 3", of_own, MEASURES["first 3"]),
            figure(f"{key}-first-10", f"{title}, a right turn among the first 10", of_own, MEASURES["first 10"]),
            figure(f"{key}-auc", f"{title}, answerable or not, by the best score (AUC)", of_own, area),
            figure(f"{key}-foreign-auc", f"{title}, own or another's memory, by the best score (AUC)", answered, area),
        ]
        for kind, name in (("now", "now"), ("then", "a past day")):
            label = f"{title}, about {name}: the value of the day in the first 3, nothing outdated above"
            figures.append(
                figure(f"{key}-{kind}", label, of_kind(answers, kind), lambda given: current_first(given, 3))
            )
        groups[half(held_out)] = of_own
        proposing, row = proposed(people, bench.inside(f"{key}-proposed"), key, title)
        figures += proposing
        rows.append([half(held_out), *row])
    tables = [
        table("Lives", groups),
        kinds_table(f"Lives, {TUNED}", groups[TUNED]),
        Table(*PROPOSED_TABLE, rows, PROPOSED_NOTE),
    ]
    return Part("lives", figures, tables)


def proposed(people: Sequence[Conversation], bench: Bench, key: str, title: str) -> tuple[list[Figure], list[str]]:
    """The figures about now and a past day with what a scripted model proposes, and what was lost by what."""
    bench.progress(f"{title}: remembering, with proposals of a scripted model")
    with ExitStack() as closing:
        engram = EngramSystem(people, bench.folder)
        closing.callback(engram.close)
        model = ScriptedModel(people)
        engram.propose(model)
        answers = {"Engram": answers_of(engram, own(people))}
    figures = [
        figure(
            f"{key}-{kind}-proposed",
            f"{title}, about {name}, with links that a model proposes that is right 9 times of 10",
            of_kind(answers, kind),
            lambda given: current_first(given, 3),
        )
        for kind, name in (("now", "now"), ("then", "a past day"))
    ]
    others = [answer for answer in answers["Engram"] if answer.ask.question.kind not in ("now", NONE)]
    return figures, [*lost(of_kind(answers, "now")["Engram"]), *linked(model), SHARE.show(any_found(others, 3))]


def lost(answers: Sequence[Answer]) -> list[str]:
    """The number of questions about now, those answered, and those that are not, by what keeps them from it."""
    found = [float(current_first([answer], 3)) for answer in answers]
    missed = [answer for answer, value in zip(answers, found, strict=True) if not value]
    above = sum(
        not current_first([answer], LIMIT) and bool(set(answer.keys) & set(answer.ask.question.outdated))
        for answer in missed
    )
    low = sum(bool(current_first([answer], LIMIT)) for answer in missed)
    return [str(len(answers)), str(int(sum(found))), str(above), str(low), str(len(missed) - above - low)]


def linked(model: ScriptedModel) -> list[str]:
    """The number of replacements that the questions know, and of those whose sentences no prompt showed together."""
    return [str(model.known), str(len(model.left))]


def facts_asked(facts: Sequence[Facts]) -> list[Ask]:
    """The question about each fact in its own language, and in the languages that follow."""
    asks = []
    for told, sheet in enumerate(facts):
        now = sheet.memory.turns[-1].at
        for step in range(OTHER_LANGUAGES + 1):
            asked = facts[(told + step) % len(facts)].asked
            kind = OTHER if step else SAME
            asks += [Ask(told, Question(text, (str(n),), kind, now)) for n, text in enumerate(asked, 1)]
    return asks


def facts(sheets: Sequence[Facts], bench: Bench) -> Part:
    """Facts asked for in other words, in the language in which they are told and in others."""
    answers = ask_everyone("Facts", [sheet.memory for sheet in sheets], facts_asked(sheets), bench)
    by_kind = grouped(answers, lambda ask: ask.question.kind)
    first_3 = MEASURES["first 3"]
    figures = [
        figure("facts-same-language", "Facts asked in other words, first 3", by_kind[SAME], first_3),
        figure("facts-other-language", "Facts asked in another language, first 3", by_kind[OTHER], first_3),
    ]
    groups = grouped(answers, lambda ask: f"{ask.question.kind}, {half(fact_held_out(ask))}")
    return Part("facts", figures, [table("Facts", groups), languages_table(sheets, groups[f"{SAME}, {TUNED}"])])


def fact_held_out(ask: Ask) -> bool:
    """Whether the fact is held out that the question asks for."""
    return int(ask.question.evidence[0]) >= FIRST_HELD_OUT


def languages_table(sheets: Sequence[Facts], answers: Answers) -> Table:
    """The share of the questions with a right turn among the first 3, by the language of the fact, for each system."""
    rows = [
        [language, *(SHARE.show(any_found(given, 3)) for given in of_language.values())]
        for language, of_language in grouped(answers, lambda ask: sheets[ask.conversation].language).items()
    ]
    return Table(f"Facts, {TUNED}, first 3, by language", ["", *answers], rows)


def beam(conversations: Sequence[Conversation], bench: Bench) -> Part:
    """BEAM: long chats with an assistant."""
    asks = own(conversations)
    answers = ask_everyone("BEAM", conversations, asks, bench)
    contextual, notes = float("nan"), [CONTEXTUAL_MISSING]
    if "name" in inspect.signature(open_encoder).parameters:
        bench.progress(f"BEAM: remembering with the encoder {CONTEXTUAL}")
        with ExitStack() as closing:
            system = EngramSystem(conversations, bench.inside(CONTEXTUAL).folder, encoder=CONTEXTUAL)
            closing.callback(system.close)
            contextual, notes = share_found(answers_of(system, asks)), []
    references = {name: share_found(given) for name, given in list(answers.items())[1:]}
    updates = those(answers, lambda ask: bool(ask.question.outdated))
    figures = [
        figure("beam-recall-10", "BEAM, R@10", answers, share_found),
        figure(
            "beam-updates",
            "BEAM, the updated statement in the first 10 and not below the old one",
            updates,
            lambda given: current_first(given, LIMIT),
        ),
        *standing(conversations, answers, bench),
        compared(
            "beam-recall-10-contextual", f"BEAM, R@10, encoder {CONTEXTUAL}", {"": contextual, **references}, SHARE
        ),
    ]
    return Part("beam", figures, [table("BEAM", {"all": answers}), kinds_table("BEAM", answers)], notes)


def standing(conversations: Sequence[Conversation], answers: Answers, bench: Bench) -> list[Figure]:
    """What BEAM's users always want: how often a turn that says it is in the working memory of a question.

    Beside it, how often one is among the first ten of a recall.
    """
    bench.progress("BEAM: working memories")
    figures = []
    with ExitStack() as closing:
        engram = EngramSystem(conversations, bench.inside("working").folder)
        closing.callback(engram.close)
        for name, kind in STANDING.items():
            asks = [ask for ask in own(conversations) if ask.question.kind == kind and ask.question.evidence]
            quoted = [
                engram.working(ask.conversation, ask.question.text, WORKING_BUDGET, ask.question.now) for ask in asks
            ]
            share = metrics.mean(
                [float(not set(keys).isdisjoint(a.question.evidence)) for a, keys in zip(asks, quoted, strict=True)]
            )
            found = of_kind(answers, kind).items()
            recalled = {f"{system}, first 10": any_found(given, LIMIT) for system, given in found}
            title = f"BEAM, standing {name} in {WORKING_BUDGET:,} tokens of working memory"
            figures.append(compared(f"beam-{name}", title, {"Engram": share, **recalled}, SHARE))
    return figures


def memdaily(conversations: Sequence[Conversation], unlike: Conversation | None, bench: Bench) -> Part:
    """MemDaily: people's days told in Chinese. Each question is asked of a foreign memory, too.

    unlike: a memory in Chinese that is worded otherwise, of which each question is asked as well. The chats of MemDaily
    are made from patterns, so another chat often holds something that would be right if the person were the same.
    """
    asks = own(conversations) + foreign(conversations)
    memories = list(conversations)
    if unlike is not None:
        asks += [Ask(len(memories), not_here(ask.question, UNLIKE)) for ask in own(conversations)]
        memories.append(unlike)
    groups = grouped(ask_everyone("MemDaily", memories, asks, bench), kind_of_memory)
    figures = [figure("memdaily-recall-10", "MemDaily, R@10", groups[OWN], share_found)]
    for kind in (FOREIGN, UNLIKE):
        if kind in groups:
            name = f"MemDaily, asked of {kind} memory, bring nothing"
            figures.append(figure(f"memdaily-rejected{SUFFIXES[kind]}", name, groups[kind], silent_without))
            both = joined(groups[OWN], groups[kind])
            name = f"MemDaily, own or {kind} memory, by the best score (AUC)"
            figures.append(figure(f"memdaily-auc{SUFFIXES[kind]}", name, both, area))
    return Part("memdaily", figures, [table("MemDaily", groups), kinds_table("MemDaily", groups[OWN])])
