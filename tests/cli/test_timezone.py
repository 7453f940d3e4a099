"""--timezone: the zone in which commands show and read days."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engram.memory import Memory

from .conftest import Ran

Run = Callable[..., Ran]
AT = "2026-08-20T22:45:00Z"
"""The 21st in Helsinki, the 20th in Chicago."""


@pytest.fixture
def told(run: Run) -> None:
    assert run("remember", "The cello is at the repair shop.", "--at", AT).code == 0


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("zone", "shown"), [("Europe/Helsinki", "2026-08-21 01:45"), ("America/Chicago", "2026-08-20 17:45")]
)
def test_commands_show_times_in_the_zone(run: Run, zone: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown in run("memories", "--timezone", zone).out
    assert shown in run("recall", "Where is the cello?", "--timezone", zone).out
    assert shown[:10] in run("recall", "Where is the cello?", "--context", "200", "--timezone", zone).out
    monkeypatch.setenv("ENGRAM_TIMEZONE", zone)
    assert shown in run("memories").out
    assert run("memories", "--json").lines[0]["at"].startswith("2026-08-20T22:45:00")


@pytest.mark.usefixtures("told")
def test_a_question_for_a_day_alone_means_the_day_of_the_zone(run: Run) -> None:
    question = "What did I say on 21 August 2026?"
    assert "cello" in run("recall", question, "--timezone", "Europe/Helsinki").out
    assert "cello" not in run("recall", question, "--timezone", "America/Chicago").out
    id = run("memories", "--json").lines[0]["id"]
    assert run("why", question, id, "--timezone", "Europe/Helsinki", "--json").lines[0]["place"] == 1
    assert run("why", question, id, "--timezone", "America/Chicago", "--json").lines[0]["place"] is None


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("command", ["memories", "export"])
def test_a_time_without_a_zone_is_read_in_the_zone(run: Run, command: str) -> None:
    def found(zone: str) -> bool:
        file = ["-"] if command == "export" else ["--json"]
        return "cello" in run(command, *file, "--after", "2026-08-21", "--timezone", zone).out

    assert found("Europe/Helsinki")
    assert not found("America/Chicago")


@pytest.mark.usefixtures("told")
def test_forget_reads_the_times_that_memories_shows(run: Run) -> None:
    before = ("--before", "2026-08-21 01:00", "--yes")
    assert run("forget", *before, "--timezone", "Europe/Helsinki").out.startswith("forgot 0")
    assert run("forget", *before, "--timezone", "UTC").out.startswith("forgot 1")


def test_remember_stores_the_moment_in_utc(run: Run, path: Path) -> None:
    assert run("remember", "Tea at four.", "--at", "2026-08-20 16:00", "--timezone", "Asia/Kolkata").code == 0
    with Memory(path) as memory:
        (engram,) = memory.engrams()
    assert engram.at.isoformat() == "2026-08-20T10:30:00+00:00"


@pytest.mark.parametrize(
    ("zone", "shown"), [("Europe/Helsinki", "2026-08-21 01:45"), ("America/Chicago", "2026-08-20 17:45")]
)
def test_what_is_in_quarantine_is_shown_in_the_zone(run: Run, path: Path, zone: str, shown: str) -> None:
    with Memory(path, detector=lambda _: "held") as memory:
        memory.remember("The cello is out of tune.", at=datetime.fromisoformat(AT), role="tool")
    assert f"held: {shown}" in run("quarantine", "--timezone", zone).out
    assert run("quarantine", "--json", "--timezone", zone).lines[0]["at"].startswith("2026-08-20T22:45:00")


@pytest.mark.parametrize("hours", [14, -12])
def test_keys_are_shown_in_the_zone(run: Run, hours: int) -> None:
    id = run("keys", "create", "--admin", "--json").json["id"]
    assert run("keys", "revoke", id).code == 0
    row = run("keys", "list", "--json").lines[0]
    # The sign of these names is that of POSIX: hours west of Greenwich.
    shown = run("keys", "list", "--timezone", f"Etc/GMT{-hours:+d}").out
    for moment in (row["created"], row["revoked"]):
        assert f"{datetime.fromisoformat(moment) + timedelta(hours=hours):%Y-%m-%d %H:%M}" in shown


@pytest.mark.parametrize("command", ["memories", "quarantine", "serve", "mcp", "chat"])
def test_an_unknown_zone_is_a_usage_error_in_words(run: Run, command: str) -> None:
    ran = run(command, "--timezone", "Middle/Earth")
    assert ran.code == 2
    assert "'Middle/Earth' is no time zone; give an IANA name such as Europe/Oslo" in ran.err
