"""Coherence in a long story: whether what a memory puts into the prompt holds the state of the story at that point.

Owns the protocol (docs/bench.md). Each reader gets the story session by session, and after each session the questions
on the state at its end; so it never knows what comes later. Of the story that is held out, only totals are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench import metrics
from bench.datasets import Turn
from bench.figures import SHARE, Part, Table, compared
from bench.rankers import bm25
from bench.retrieval import TUNED, half
from bench.stories.prose import sentences
from bench.stories.telling import Evidence, Story, StoryQuestion
from bench.systems import BEFORE, Bench, items, open_recaller
from engram.recall.context import estimated_tokens
from engram.text.passages import passages

BUDGET = 2_000
"""Tokens that a reader may put into the prompt, as `estimated_tokens` counts them."""
LIMIT = 30
"""Number of turns that are recalled; fewer fit into the budget."""
AGES = {"up to 2 sessions ago": 2, "3 to 10 sessions ago": 10, "longer ago": 1_000}
"""How long ago the evidence was told, in sessions at most."""

Pack = Callable[[Any, str, StoryQuestion], list[str]]
"""Returns what a memory, a `Recaller` with a namespace, puts into the prompt for a question, the most relevant text
first. The texts have at most `BUDGET` tokens together."""


def recalled(memory: Any, namespace: str, question: StoryQuestion) -> list[str]:
    """The passages of the hits of `Memory.recall`, as notes show them."""
    return list(memory.passages(namespace, question.text, LIMIT, BUDGET, question.asked_at.isoformat()))


def in_working_memory(memory: Any, namespace: str, question: StoryQuestion) -> list[str]:
    """The parts of `Memory.working`."""
    _, texts = memory.working(namespace, question.text, BUDGET, question.asked_at.isoformat())
    return list(texts)


PACKS: Mapping[str, Pack] = {"Engram": in_working_memory, "Engram, recall alone": recalled}
"""The ways in which Engram fills the budget, by the names in the report; the first one has the bar."""


class Reader(Protocol):
    """What reads a story and is asked about it."""

    name: str

    def read(self, turns: Sequence[Turn]) -> None:
        """Read the turns of the next session."""
        ...

    def shown(self, question: StoryQuestion) -> list[str]:
        """The texts that it puts into the prompt for a question, the most relevant one first."""
        ...


class EngramReader:
    """Engram with its defaults, one namespace for the story."""

    def __init__(self, name: str, pack: Pack, folder: Path, python: str | None = None) -> None:
        """folder: an empty folder for the memory. python: of another checkout, whose Engram is asked."""
        self.name = name
        self._pack = pack
        self._memory = open_recaller(folder, python)

    def read(self, turns: Sequence[Turn]) -> None:
        """Remember the turns, and wait until they are indexed."""
        self._memory.remember(items("story", turns))
        self._memory.flush()

    def shown(self, question: StoryQuestion) -> list[str]:
        """What the pack returns."""
        return self._pack(self._memory, "story", question)

    def close(self) -> None:
        """Close the memory."""
        self._memory.close()


class Bm25Reader:
    """BM25 over the turns or over their passages, with which the budget is filled."""

    def __init__(self, name: str, parts_of: Callable[[str], list[str]]) -> None:
        """parts_of: parts a turn into the texts that are ranked."""
        self.name = name
        self._parts_of = parts_of
        self._texts: list[str] = []

    def read(self, turns: Sequence[Turn]) -> None:
        """Rank anew all texts so far."""
        self._texts += [part for turn in turns for part in self._parts_of(turn.text)]
        self._scores = bm25(1.5, 0.75)(self._texts)

    def shown(self, question: StoryQuestion) -> list[str]:
        """The texts with the highest scores that fit."""
        scores = self._scores(question.text)
        return within_budget(self._texts[row] for row in np.argsort(-scores, kind="stable") if scores[row] > 0)


class Window:
    """The end of the story, as a sliding window holds it."""

    name = "the last 2,000 tokens"

    def __init__(self) -> None:
        self._end: list[str] = []

    def read(self, turns: Sequence[Turn]) -> None:
        """Keep the last sentences that fit."""
        latest = [sentence for turn in reversed(turns) for sentence in reversed(sentences(turn.text))]
        told = [*latest, *self._end]
        used = accumulate(tokens_of(sentence) for sentence in told)
        self._end = [sentence for sentence, tokens in zip(told, used, strict=True) if tokens <= BUDGET]

    def shown(self, question: StoryQuestion) -> list[str]:
        """The window, the last sentence first."""
        return self._end


class FullText:
    """The whole story so far in the window, whatever it costs."""

    name = "the full text"

    def __init__(self) -> None:
        self._texts: list[str] = []

    def read(self, turns: Sequence[Turn]) -> None:
        """Keep the turns."""
        self._texts = [*(turn.text for turn in reversed(turns)), *self._texts]

    def shown(self, question: StoryQuestion) -> list[str]:
        """All turns, the last one first."""
        return self._texts


def within_budget(texts: Iterable[str]) -> list[str]:
    """The first texts that fit into the budget; one that does not fit is left out, and the next one may fit."""
    chosen, left = [], BUDGET
    for text in texts:
        tokens = tokens_of(text)
        if tokens <= left:
            chosen.append(text)
            left -= tokens
    return chosen


@cache
def tokens_of(text: str) -> int:
    """The tokens of a text, estimated as for notes."""
    return estimated_tokens(text)


def passages_of(text: str) -> list[str]:
    """The passages of a text."""
    return [text[start:end].strip() for start, end in passages(text)]


class Result(NamedTuple):
    """How one question did for one reader."""

    question: StoryQuestion
    coherent: bool
    """Whether all sentences that tell the current value are in the prompt."""
    newer_first: bool | None
    """Whether they stand before those of every outdated value; None if nothing is outdated."""
    tokens: int
    """Tokens of the texts in the prompt."""


def ask(reader: Reader, story: Story) -> list[Result]:
    """Let a reader read the story, and ask it after each session."""
    results = []
    for number, session in enumerate(story.sessions, 1):
        reader.read(session)
        asked = [question for question in story.questions if question.point == number]
        results += [result(story, question, reader.shown(question)) for question in asked]
    return results


def result(story: Story, question: StoryQuestion, shown: Sequence[str]) -> Result:
    """How a question does with these texts in the prompt, the most relevant one first."""
    texts = [plain(text) for text in shown]
    place = place_of(story, question.evidence, texts)
    outdated = [place_of(story, evidence, texts) for evidence in question.outdated]
    newer_first = all(place < other for other in outdated) if outdated else None
    return Result(question, place < len(texts), newer_first, sum(map(tokens_of, shown)))


def place_of(story: Story, evidence: Evidence, texts: Sequence[str]) -> int:
    """The index of the text with which the last sentence of the evidence is there; `len(texts)` if one is missing."""
    return max(
        next((index for index, text in enumerate(texts) if plain(sentence) in text), len(texts))
        for sentence in sentences(story.text_of(evidence))
    )


@cache
def plain(text: str) -> str:
    """A text with one space for all white space in a row."""
    return re.sub(r"\s+", " ", text).strip()


# Measures of the results of one reader.


def coherence(results: Sequence[Result]) -> float:
    """The share of the questions whose evidence is in the prompt."""
    return metrics.mean([float(one.coherent) for one in results])


def newer_before_older(results: Sequence[Result]) -> float:
    """The share of the questions with outdated values whose evidence stands before all evidence of those."""
    return metrics.mean([float(one.newer_first) for one in results if one.newer_first is not None])


def mean_tokens(results: Sequence[Result]) -> float:
    """The mean number of tokens in the prompt."""
    return metrics.mean([float(one.tokens) for one in results])


Results = Mapping[str, Sequence[Result]]
"""The results by the name of the reader; Engram's are first."""


def measure(stories: Sequence[Story], bench: Bench, packs: Mapping[str, Pack] = PACKS) -> Part:
    """Measure Engram's ways to fill the budget and the references. The story that is held out has the bar."""
    part = Part("story")
    rows: list[list[str]] = []
    for story in sorted(stories, key=lambda story: not story.held_out):
        key = "story" if story.held_out else "story-tuned"
        title = f"Story, {half(story.held_out)}"
        results = read_by_everyone(title, story, bench.inside(key), packs)
        for name, label, value in (
            ("coherence", "the state within 2,000 tokens", coherence),
            ("newer-first", "newer before older", newer_before_older),
        ):
            values = {reader: value(given) for reader, given in results.items()}
            part.figures.append(compared(f"{key}-{name}", f"{title}, {label}", values, SHARE))
        rows += half_rows(half(story.held_out), results)
        if not story.held_out:
            part.tables.append(groups_table(story, results))
    part.tables.insert(0, Table("Story", HALVES_COLUMNS, rows, NOTE))
    return part


def read_by_everyone(title: str, story: Story, bench: Bench, packs: Mapping[str, Pack]) -> Results:
    """The results of Engram, once for each pack, and of the references."""
    results = {}
    with ExitStack() as closing:
        for reader in readers(bench, packs, closing):
            bench.progress(f"{title}: {reader.name}")
            results[reader.name] = ask(reader, story)
    return results


def readers(bench: Bench, packs: Mapping[str, Pack], closing: ExitStack) -> list[Reader]:
    """Engram with each pack, then the references."""
    memories = [
        EngramReader(name, pack, bench.inside(f"engram-{number}").folder)
        for number, (name, pack) in enumerate(packs.items())
    ]
    references: list[Reader] = []
    if bench.references.wanted:
        references += [Bm25Reader("BM25, whole turns", lambda text: [text]), Bm25Reader("BM25, passages", passages_of)]
        references += [Window(), FullText()]
    if bench.references.has_before:
        memories.append(EngramReader(BEFORE, recalled, bench.inside("before").folder, bench.references.checkout))
    for memory in memories:
        closing.callback(memory.close)
    return [*memories, *references]


HALVES_COLUMNS = ["", "system", "questions", "state in the prompt", "newer before older", "tokens, mean"]
NOTE = (
    "The texts that a system puts into the prompt for a question on the state at the end of a session, within"
    f" {BUDGET:,} tokens (the full text needs more). State in the prompt: every sentence that tells the current value"
    " is there. Newer before older: it stands in an earlier text than what tells any outdated value; the last tokens"
    " and the full text begin with their end."
)


def half_rows(name: str, results: Results) -> list[list[str]]:
    """The totals of each reader for one story."""
    return [
        [name, reader, f"{len(given):,}", *measures(given), f"{mean_tokens(given):,.0f}"]
        for reader, given in results.items()
    ]


def measures(results: Sequence[Result]) -> list[str]:
    """The two shares as text."""
    return [SHARE.show(coherence(results)), SHARE.show(newer_before_older(results))]


def groups_table(story: Story, results: Results) -> Table:
    """The first reader's results by aspect, by the age of the evidence, and by the name in the question."""
    (reader, given), *_ = results.items()
    groups: dict[str, list[Result]] = {}
    for one in given:
        for group in groups_of(story, one.question):
            groups.setdefault(group, []).append(one)
    rows = [[group, f"{len(of_group):,}", *measures(of_group)] for group, of_group in groups.items()]
    return Table(f"Story, {TUNED}, by group, {reader}", ["", *HALVES_COLUMNS[2:5]], sorted(rows))


def groups_of(story: Story, question: StoryQuestion) -> list[str]:
    """The groups of a question."""
    age = question.point - int(question.evidence.key.partition(":")[0])
    told_as = story.text_of(question.evidence).casefold()
    groups = [f"asked for: {question.aspect}", next(f"told {name}" for name, most in AGES.items() if age <= most)]
    return groups if question.subject.casefold() in told_as else [*groups, "asked by another name"]
