"""`engram summary`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.reflection.summary import HEADING

TRIP = "We are flying to Bergen on the 14th of May to see the fjords."
JOB = "I signed the contract with Fairwind Turbines and begin on the first of June."


@pytest.fixture
def told(path: Path) -> None:
    """Two sessions, shortly before midnight in UTC."""
    with Memory(path) as memory:
        for month, text in ((3, TRIP), (5, JOB)):
            at = datetime(2026, month, 5, 23, 30, tzinfo=UTC)
            memory.remember(text, namespace="ana", session=f"s{month}", at=at, speaker="Ana")


def test_a_session_and_a_period_are_printed(run, told):
    ran = run("summary", "-n", "ana", "--session", "s3")
    assert (ran.code, ran.out, ran.err) == (0, f"{HEADING}\n[2026-03-05]\n- Ana: {TRIP}\n", "")
    assert "[2026-03-06]" in run("summary", "-n", "ana", "--timezone", "Europe/Oslo").out
    year = run("summary", "-n", "ana", "--period", "year", "--until", "2026-12-31").out
    assert TRIP in year
    assert JOB in year
    late = run("summary", "-n", "ana", "--since", "2026-05-06", "--timezone", "Europe/Oslo").out
    assert (JOB in late, TRIP in late) == (True, False)


def test_a_summary_as_json(run, told):
    value = run("summary", "-n", "ana", "--json").json
    assert set(value) == {"text", "quotes", "sessions", "turns", "unread"}
    first, second = value["quotes"]
    assert (first["text"], first["by"], first["at"], first["session"]) == (
        TRIP,
        "Ana",
        "2026-03-05T23:30:00+00:00",
        "s3",
    )
    assert (second["text"], second["span"], second["holds"]) == (JOB, [0, len(JOB)], True)
    assert (value["sessions"], value["turns"], value["unread"]) == (2, 2, 0)


def test_nothing_is_a_remark(run, told):
    ran = run("summary", "-n", "ana", "--session", "none")
    assert (ran.code, ran.out) == (0, "")
    assert "nothing that tells something was said there" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "0"), "0 is too small"),
        (("--period", "decade"), "'decade' is no period"),
        (("--period", "week", "--since", "2026-01-01"), "both since and the period week"),
        (("--since", "2026-02-01", "--until", "2026-01-01"), "until must be later"),
        (("--since", "soon"), "soon"),
        (("--session", "\udcff"), "lone surrogate"),
    ],
)
def test_wrong_options_are_refused(run, told, arguments: tuple[str, ...], message: str):
    ran = run("summary", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_control_characters_are_escaped(run, path: Path):
    with Memory(path) as memory:
        memory.remember("We moved to Lisbon\x1b[2J last week, near the river.")
    out = run("summary").out
    assert "Lisbon" in out
    assert "\x1b" not in out
