"""Measures summaries: how much of what people noted as the events of a session is in the chosen sentences.

Usage: python -m tools.summaries --locomo FILE [--budget TOKENS ...]

LoCoMo names events of each session, written by people who saw how the conversation was made. The share of the telling
words of a session's events, speakers' names left out, that a text of so many tokens holds is printed for the summary,
for the first turns of the session, and for random sentences; then the same for whole conversations, which last for
months. A word counts as held if its stem is. LoCoMo is for measuring only; nothing is fitted to it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from engram import Engram, Memory
from engram.formats import locomo
from engram.formats.items import ImportedTurn, ImportSettings, SourceLocation
from engram.recall.context import estimated_tokens
from engram.reflection.choosing import telling_terms
from engram.reflection.sentences import statements_of

SEED = 20
"""Of the random sentences."""
DRAWS = 5
"""Times that random sentences are drawn."""
OF_SESSIONS, OF_CONVERSATIONS = (60, 120, 240), (500, 1_000, 2_000)
"""Budgets by default."""


class Case(NamedTuple):
    """A session, or a whole conversation, with the events that it tells."""

    namespace: str
    session: str | None
    wanted: frozenset[str]
    """Telling words of the events."""


def turns_of(sample: Mapping[str, Any], file: str) -> list[Engram]:
    """Return the turns of a sample."""
    items = locomo.read(sample, SourceLocation(file), ImportSettings(datetime.now(UTC)))
    return [item.engram for item in items if isinstance(item, ImportedTurn)]


def cases(sample: Mapping[str, Any]) -> Iterator[Case]:
    """Yield the sessions of a sample that have events, then the sample."""
    conversation, whole = sample["conversation"], set[str]()
    names = telling_terms(f"{conversation['speaker_a']} {conversation['speaker_b']}")
    for key, events in sample["event_summary"].items():
        told = [event for name, events_of in events.items() if name != "date" for event in events_of]
        wanted = telling_terms(" ".join(told)) - names
        session = key.removeprefix("events_")
        if wanted and conversation.get(session):
            whole |= wanted
            yield Case(sample["sample_id"], session, wanted)
    yield Case(sample["sample_id"], None, frozenset(whole))


def first_turns(texts: Sequence[str], budget: int) -> str:
    """Return the first texts that fit into a budget."""
    shown, left = list[str](), budget
    for text in texts:
        left -= estimated_tokens(text) + 1
        if left < 0:
            break
        shown.append(text)
    return "\n".join(shown)


def at_random(texts: Sequence[str], budget: int, draw: random.Random) -> str:
    """Return sentences of texts in a random order, as many as fit into a budget."""
    sentences = [text[slice(*span)] for text in texts for span in statements_of(text)]
    draw.shuffle(sentences)
    return first_turns(sentences, budget)


def held(case: Case, text: str) -> float:
    """Return the share of the wanted words that a text holds."""
    return len(case.wanted & telling_terms(text)) / len(case.wanted)


def measure(memory: Memory, case: Case, budget: int) -> list[float]:
    """Return the shares that are held by the summary, the first turns, random sentences and the whole text."""
    texts = [engram.text for engram in memory.engrams(namespace=case.namespace, session=case.session)]
    summary = memory.summary(namespace=case.namespace, session=case.session, budget=budget)
    draw = random.Random(SEED)
    chance = [held(case, at_random(texts, budget, draw)) for _ in range(DRAWS)]
    quotes = "\n".join(quote.text for quote in summary.quotes)
    return [
        held(case, quotes),
        held(case, first_turns(texts, budget)),
        sum(chance) / DRAWS,
        held(case, "\n".join(texts)),
    ]


def report(memory: Memory, name: str, found: Sequence[Case], budgets: Sequence[int]) -> None:
    """Print a row for each budget."""
    print(f"{name} ({len(found)})")
    print(f"{'tokens':>8}{'summary':>10}{'first':>10}{'random':>10}{'all':>10}")
    for budget in budgets:
        rows = [measure(memory, case, budget) for case in found]
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        print(f"{budget:>8}" + "".join(f"{mean:>10.3f}" for mean in means))


def main() -> None:
    """Run the measure."""
    parser = argparse.ArgumentParser(description="Measure summaries by the events that LoCoMo names.")
    parser.add_argument("--locomo", type=Path, required=True)
    parser.add_argument("--budget", type=int, nargs="*", help="tokens, instead of those by default")
    options = parser.parse_args()
    samples = json.loads(options.locomo.read_text("utf-8"))
    with Memory(":memory:") as memory:
        for sample in samples:
            memory.remember_many(turns_of(sample, str(options.locomo)))
        memory.reflect()
        every = [case for sample in samples for case in cases(sample)]
        sessions = [case for case in every if case.session is not None]
        whole = [case for case in every if case.session is None]
        report(memory, "sessions", sessions, options.budget or OF_SESSIONS)
        report(memory, "conversations", whole, options.budget or OF_CONVERSATIONS)


if __name__ == "__main__":
    main()
