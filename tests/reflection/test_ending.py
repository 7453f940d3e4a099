"""Ending: what is over is not shown as who somebody is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram import Memory


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


PAIRS = [
    ("I have been prescribed metoprolol, 25 mg each morning.", "The doctor has stopped the metoprolol."),
    ("Ich nehme jetzt Metoprolol 25 mg, morgens.", "Metoprolol ist abgesetzt, ich vertrage es nicht."),
    ("Je prends du metoprolol, 25 mg chaque matin.", "J'ai arrêté le metoprolol, je ne le supporte pas."),
    ("我从小弹琵琶,每周六去老师家上课。", "我不弹琵琶了。"),
]


@pytest.mark.parametrize(("told", "end"), PAIRS)
def test_what_a_later_statement_ends_is_not_in_a_profile_until_that_is_forgotten(told: str, end: str) -> None:
    with Memory(":memory:") as memory:
        memory.remember(told, at=on(1, 5), session="a")
        ended = memory.remember(end, at=on(3, 5), session="b")
        assert told not in [fact.text for fact in memory.profile().who]
        assert told in [fact.text for fact in memory.profile(at=on(2, 1)).who]
        memory.forget(id=ended.id)
        assert told in [fact.text for fact in memory.profile().who]


@pytest.mark.parametrize(
    "other",
    [
        "My sister has stopped taking metoprolol.",
        "I gave up the oboe.",
        "I have stopped smoking.",
        "The doctor has stopped the lisinopril.",
    ],
)
def test_what_ends_something_else_or_for_somebody_else_leaves_it(other: str) -> None:
    with Memory(":memory:") as memory:
        memory.remember(told := PAIRS[0][0], at=on(1, 5))
        memory.remember(other, at=on(3, 5))
        assert told in [fact.text for fact in memory.profile().who]
