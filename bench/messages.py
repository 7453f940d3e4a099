"""Which notes the proxy puts into messages: longer ones around a question, and ones that ask nothing of a memory.

Owns both protocols (docs/bench.md). The notes are those of `engram serve` for a large model, with its defaults. The
references for whole rankings choose no notes; recall of another checkout is the only reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from bench import metrics
from bench.datasets import Conversation
from bench.figures import SHARE, Figure, Part, Table, compared
from bench.lives import FIRST_HELD_OUT, Facts, Message, Wrapping
from bench.retrieval import TUNED, half
from bench.systems import Bench, EngramSystem

SAMPLE_KINDS = frozenset(["fact", "other", "now", "assistant"])
SAMPLE_STEP = 5
"""Every how many of a life's questions of `SAMPLE_KINDS` are put into wrappings."""
MEMORIES = 2
"""Number of lives of which each message that asks nothing is a message."""


class Asked(NamedTuple):
    """A question to the memory with this index, and the keys of the right turns."""

    memory: int
    question: str
    evidence: tuple[str, ...]


class Kept(NamedTuple):
    """How one wrapping did for one system."""

    wrapping: Wrapping
    alone: int
    """Questions of which the notes hold a right turn if the question is the whole message."""
    wrapped: int
    """Those of them of which the notes hold a right turn in the wrapping, too."""


def sample(memories: Sequence[Conversation], sheets: Sequence[Facts]) -> dict[str, list[Asked]]:
    """The questions that are put into wrappings, by language: of lives, and of facts that are not held out.

    memories: lives, and the memories of `sheets`.
    """
    asked: dict[str, list[Asked]] = {}
    for index, memory in enumerate(memories):
        fitting = [question for question in memory.questions if question.kind in SAMPLE_KINDS]
        of_life = [Asked(index, question.text, question.evidence) for question in fitting[::SAMPLE_STEP]]
        asked.setdefault(memory.language, []).extend(of_life)
    index_of = {memory.name: index for index, memory in enumerate(memories)}
    for sheet in sheets:
        index = index_of[sheet.memory.name]
        numbered = enumerate(sheet.asked[: FIRST_HELD_OUT - 1], 1)
        asked.setdefault(sheet.language, []).extend(Asked(index, text, (str(n),)) for n, text in numbered)
    return asked


def keep(system: EngramSystem, wrappings: Sequence[Wrapping], asked: dict[str, list[Asked]]) -> list[Kept]:
    """Ask each question alone and in every wrapping of its language."""
    alone = {
        language: [one for one in questions if finds(system, one, one.question)]
        for language, questions in asked.items()
        if any(wrapping.language == language for wrapping in wrappings)
    }
    return [
        Kept(
            wrapping,
            len(alone[wrapping.language]),
            sum(finds(system, one, wrapping.around(one.question)) for one in alone[wrapping.language]),
        )
        for wrapping in wrappings
    ]


def finds(system: EngramSystem, asked: Asked, message: str) -> bool:
    """Whether the notes of a message hold a right turn."""
    return not set(asked.evidence).isdisjoint(system.notes(asked.memory, message))


def share_kept(kept: Sequence[Kept]) -> float:
    """The share of the questions found alone that are found in the wrappings, too; NaN without such questions."""
    alone = sum(one.alone for one in kept)
    return sum(one.wrapped for one in kept) / alone if alone else float("nan")


def memories_of(message: Message, memories: Sequence[Conversation]) -> list[int]:
    """The memories of which a message is a message: the first lives in its language, else the facts in it."""
    same = [index for index, memory in enumerate(memories) if memory.language == message.language]
    return same[:MEMORIES]


def silent_shares(
    system: EngramSystem, messages: Sequence[Message], memories: Sequence[Conversation]
) -> list[tuple[Message, float]]:
    """Each message with the share of its memories of which it gets no notes."""
    return [
        (
            message,
            metrics.mean([float(not system.notes(index, message.text)) for index in memories_of(message, memories)]),
        )
        for message in messages
    ]


class Sets(NamedTuple):
    """What the figures about messages are measured with."""

    lives: Sequence[Conversation]
    """Lives that are not held out."""
    facts: Sequence[Facts]
    wrappings: Sequence[Wrapping]
    messages: Sequence[Message]


def measure(sets: Sets, bench: Bench) -> Part:
    """Measure both kinds of messages with Engram and, if it is given, with another checkout."""
    memories = [*sets.lives, *(sheet.memory for sheet in sets.facts)]
    asked = sample(memories, sets.facts)
    kept: dict[str, list[Kept]] = {}
    silent: dict[str, list[tuple[Message, float]]] = {}
    with ExitStack() as closing:
        bench.progress("Messages: remembering")
        engram = EngramSystem(memories, bench.folder)
        closing.callback(engram.close)
        systems = [engram]
        if bench.references.has_before:
            systems.append(bench.references.before(memories, bench.folder, closing, bench.progress))
        for system in systems:
            bench.progress(f"Messages: asking {system.name}")
            kept[system.name] = keep(system, sets.wrappings, asked)
            silent[system.name] = silent_shares(system, sets.messages, memories)
    figures = []
    for held_out, suffix in ((True, ""), (False, "-tuned")):
        around = {name: [one for one in given if one.wrapping.held_out == held_out] for name, given in kept.items()}
        nothing = {name: [one for one in given if one[0].held_out == held_out] for name, given in silent.items()}
        figures += [
            around_figure(
                f"messages-around{suffix}", f"A question in a longer message, {half(held_out)}, notes kept", around
            ),
            nothing_figure(
                f"messages-nothing{suffix}", f"Messages that ask nothing, {half(held_out)}, no notes", nothing
            ),
        ]
    tables = [table for name in kept for table in (around_table(name, kept[name]), nothing_table(name, silent[name]))]
    return Part("messages", figures, [alone_table(kept, asked), *tables])


def around_figure(key: str, name: str, kept: Mapping[str, Sequence[Kept]]) -> Figure:
    """The share of the questions found alone that are found in wrappings, too."""
    return compared(key, name, {system: share_kept(given) for system, given in kept.items()}, SHARE)


def nothing_figure(key: str, name: str, silent: Mapping[str, Sequence[tuple[Message, float]]]) -> Figure:
    """The share of the messages that ask nothing which get no notes."""
    shares = {system: metrics.mean([share for _, share in given]) for system, given in silent.items()}
    return compared(key, name, shares, SHARE)


def alone_table(kept: Mapping[str, Sequence[Kept]], asked: Mapping[str, Sequence[Asked]]) -> Table:
    """How many of the questions that are put into wrappings each system finds alone, by language."""
    columns = {one.wrapping.language: len(asked[one.wrapping.language]) for given in kept.values() for one in given}
    rows = [
        [system, *(str(next(one.alone for one in given if one.wrapping.language == language)) for language in columns)]
        for system, given in kept.items()
    ]
    titles = [f"{language} (of {count})" for language, count in columns.items()]
    note = "The other figures count only these questions: those that the notes answer if they are the whole message."
    return Table("Questions that are put into longer messages, found alone", ["", *titles], rows, note)


def around_table(system: str, kept: Sequence[Kept]) -> Table:
    """The share kept by each kind of wrapping that is not held out, in English and in other languages."""
    tuned = [one for one in kept if not one.wrapping.held_out]
    rows = []
    for kind in dict.fromkeys(one.wrapping.kind for one in tuned):
        of_kind = [one for one in tuned if one.wrapping.kind == kind]
        english = [one for one in of_kind if one.wrapping.language == "en"]
        others = [one for one in of_kind if one.wrapping.language != "en"]
        rows.append([kind, f"{len(of_kind):,}", SHARE.show(share_kept(english)), SHARE.show(share_kept(others))])
    columns = ["", "wrappings", "English", "other languages"]
    return Table(f"Questions in longer messages, {TUNED}, by kind, {system}", columns, rows)


def nothing_table(system: str, silent: Sequence[tuple[Message, float]]) -> Table:
    """The share without notes by each kind of message that is not held out, in English and in other languages."""
    tuned = [(message, share) for message, share in silent if not message.held_out]
    rows = []
    for kind in dict.fromkeys(message.kind for message, _ in tuned):
        of_kind = [(message.language, share) for message, share in tuned if message.kind == kind]
        english = metrics.mean([share for language, share in of_kind if language == "en"])
        others = metrics.mean([share for language, share in of_kind if language != "en"])
        rows.append([kind, f"{len(of_kind):,}", SHARE.show(english), SHARE.show(others)])
    columns = ["", "messages", "English", "other languages"]
    return Table(f"Messages that ask nothing, {TUNED}, by kind, {system}", columns, rows)
