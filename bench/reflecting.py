"""Reflection: how many turns a second are read, what it costs when nothing is new, and what recall costs with it.

Owns the protocol (docs/bench.md). Reads the lives and our own chats, whose turns are as long as those of people who
talk with an assistant. Recall is asked the questions of the lives of a memory whose turns were read, and of one whose
turns were not.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.datasets import Conversation
from bench.figures import MILLISECONDS, PER_SECOND, TIMES, Figure, Part, Progress, Reference
from bench.generate import turns
from bench.metrics import median, percentile
from bench.systems import items
from engram.memory import Memory

ROUNDS = 5
"""New memories that are read."""
AGAIN = 200
"""Calls of `reflect` with nothing new."""
ASKED = 5
"""How often each question is asked of each of the two memories; the first time is not counted."""
GENERATED = 5_000
"""Turns of 30 tokens."""


Items = Sequence[Mapping[str, Any]]
"""Turns, with the fields of `Memory.remember_many`."""


def measure(conversations: Sequence[Conversation], folder: Path, seed: int, progress: Progress) -> Part:
    """Time reflection over some conversations, and recall of their questions with it and without."""
    given = [
        {**item, "at": datetime.fromisoformat(item["at"])}
        for one in conversations
        for item in items(one.name, one.turns)
    ]
    words = sum(len(item["text"].split()) for item in given)
    seconds = [read_all(given, folder / f"read-{number + 1}", progress) for number in range(ROUNDS)]
    generated = read_all([turn._asdict() for turn in turns(GENERATED, seed)], folder / "generated", progress)
    name = f"reflect, {len(given):,} turns of {words / len(given):.0f} words on average, median of {ROUNDS} memories"
    references = [
        Reference("words a second", words / median(seconds), PER_SECOND),
        Reference(f"{GENERATED:,} generated turns of 30 tokens", GENERATED / generated, PER_SECOND),
    ]
    rate = Figure("reflect-per-second", name, len(given) / median(seconds), PER_SECOND, references)
    return Part("reflect", [rate, *with_and_without(conversations, given, folder, progress)])


def read_all(given: Items, folder: Path, progress: Progress) -> float:
    """The seconds in which a new memory reads all of its turns, which are indexed already."""
    progress(f"reflect: {folder.name}")
    with filled(given, folder) as memory:
        started = time.perf_counter()
        read = memory.reflect()
        seconds = time.perf_counter() - started
    if read != len(given):
        raise RuntimeError(f"{read} of {len(given)} turns were read")
    return seconds


@contextmanager
def filled(given: Items, folder: Path) -> Iterator[Memory]:
    """A new memory with turns, all of them indexed; deleted afterwards."""
    folder.mkdir(parents=True)
    with Memory(folder / "memory.db") as memory:
        memory.remember_many(given)
        memory.flush()
        yield memory
    shutil.rmtree(folder)


def with_and_without(
    conversations: Sequence[Conversation], given: Items, folder: Path, progress: Progress
) -> Iterable[Figure]:
    """The figures of a memory that was read: `reflect` with nothing new, and recall, against one that was not read."""
    with filled(given, folder / "with") as read, filled(given, folder / "without") as unread:
        read.reflect()
        again = [timed(read.reflect) for _ in range(AGAIN)]
        took: dict[Memory, list[float]] = {read: [], unread: []}
        questions = [(one.name, question) for one in conversations for question in one.questions]
        for number in range(ASKED):
            progress(f"reflect: recall, round {number + 1} of {ASKED}")
            # All of one memory first: the encoder keeps the last questions, so that the second to ask would gain.
            for memory, milliseconds in took.items():
                for name, question in questions:
                    elapsed = timed(partial(memory.recall, question.text, namespace=name, now=question.now))
                    if number:
                        milliseconds.append(elapsed)
    yield Figure("reflect-again", f"reflect with nothing new, median of {AGAIN}", median(again), MILLISECONDS)
    p95, p95_without = percentile(took[read], 95), percentile(took[unread], 95)
    references = [
        Reference("with it", p95, MILLISECONDS),
        Reference("without", p95_without, MILLISECONDS),
        Reference("medians", median(took[read]) / median(took[unread]), TIMES),
    ]
    name = f"recall with all that was read, p95 of {len(took[read]):,}, relative to that of a memory that was not read"
    yield Figure("recall-reflected", name, p95 / p95_without, TIMES, references)


def timed(work: Callable[[], object]) -> float:
    """The milliseconds that a call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
