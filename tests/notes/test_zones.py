"""The reader's time zone: names, the machine's zone, and the day that notes show."""

from __future__ import annotations

import pickle
import sys
import time
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from engram.engram import draft, in_zone
from engram.errors import EngramError, InvalidEngram
from engram.memory import Memory
from engram.notes.injection import wording_for
from engram.notes.listing import shown_note
from engram.notes.zones import MACHINE, local, recall_in_zone, with_zone, zone_named
from engram.text.dates.period import FIRST, LAST
from engram.times import parse_time

EVENING = datetime(2026, 7, 4, 23, 30, tzinfo=UTC)
"""A moment that is the next day east of Greenwich."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the machine's zone for one test."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def test_a_zone_is_found_by_its_iana_name() -> None:
    assert zone_named("Asia/Kolkata") == ZoneInfo("Asia/Kolkata")
    assert zone_named("UTC") is UTC


@pytest.mark.parametrize(
    "name",
    ["", "Atlantis/Capital", "Europe", "/etc/passwd", "../zone", "Asia/Tokyo\0", "a" * 5000, "+02:00", "zone.tab"],
)
def test_a_name_that_is_no_zone_is_refused_in_words(name: str) -> None:
    with pytest.raises(InvalidEngram, match="is no time zone; give an IANA name such as Europe/Oslo") as error:
        zone_named(name)
    assert len(str(error.value)) < 250


def test_a_machine_without_time_zones_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=[])
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(EngramError, match="pip install tzdata") as error:
            zone_named("Europe/Rome")
        assert not isinstance(error.value, InvalidEngram)
        assert zone_named("UTC") is UTC
    finally:
        zoneinfo.reset_tzpath()


def test_the_machines_zone_follows_summer_time(machine: Callable[[str], None]) -> None:
    machine("America/New_York")
    for month, hours in ((1, -5), (7, -4)):
        moment = datetime(2026, month, 15, 12, tzinfo=UTC)
        assert local(moment, MACHINE).utcoffset() == timedelta(hours=hours)
        assert local(moment, MACHINE) == moment
        assert datetime(2026, month, 15, 12, tzinfo=MACHINE).astimezone(UTC).hour == 12 - hours


def test_the_machines_zone_survives_a_pickle(machine: Callable[[str], None]) -> None:
    machine("Asia/Tokyo")
    copied = pickle.loads(pickle.dumps(MACHINE))
    assert EVENING.astimezone(copied).day == 5


@pytest.mark.parametrize("zone", [MACHINE, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Midway")])
@pytest.mark.parametrize("end", [FIRST, LAST])
def test_a_time_at_an_end_of_the_calendar_can_be_shown(end: datetime, zone: ZoneInfo) -> None:
    assert local(end, zone).year == end.year


def test_only_a_time_without_a_zone_gets_the_readers() -> None:
    zone, own = ZoneInfo("Europe/Athens"), timezone(timedelta(hours=-3))
    assert with_zone(parse_time("at", "2026-07-04T09:00"), zone) == datetime(2026, 7, 4, 6, tzinfo=UTC)
    assert with_zone(datetime(2026, 7, 4, 9, tzinfo=own), zone) == datetime(2026, 7, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(("name", "day"), [("Asia/Seoul", "2026-07-05"), ("America/Denver", "2026-07-04")])
def test_notes_show_the_day_of_the_reader(name: str, day: str) -> None:
    wording = wording_for(embedded=False, budget=500, notes=5, least_score=0.1)
    text, _ = wording.render([draft("The fireworks were loud.", at=EVENING)], "fireworks", ZoneInfo(name))
    assert f"[{day}]" in text


def test_an_engram_given_with_another_offset_shows_the_day_of_the_reader() -> None:
    engram = draft("We landed.", at=datetime(2026, 7, 5, 8, 30, tzinfo=timezone(timedelta(hours=9))))
    assert engram.at == EVENING
    assert in_zone(engram, ZoneInfo("America/Bogota")).at.isoformat() == "2026-07-04T18:30:00-05:00"
    assert shown_note(engram, zone=ZoneInfo("Asia/Seoul")).at == "2026-07-05T08:30:00+09:00"


def test_yesterday_is_a_day_in_the_zone_of_now_and_context_shows_that_zone(memory: Memory) -> None:
    early = memory.remember("The piano lesson went well.", at=datetime(2026, 7, 3, 10, tzinfo=UTC), session="a")
    late = memory.remember("The piano lesson went fine.", at=datetime(2026, 7, 4, 20, tzinfo=UTC), session="b")
    now = datetime(2026, 7, 5, 4, tzinfo=UTC)

    def best(moment: datetime) -> str:
        return memory.recall("How was the piano lesson yesterday?", now=moment)[0].engram.id

    assert best(now) == late.id
    zone = ZoneInfo("America/Los_Angeles")
    assert best(now.astimezone(zone)) == early.id
    hits = recall_in_zone(memory.recall("piano lesson", now=now), ZoneInfo("Pacific/Auckland"))
    assert "[2026-07-03]" in hits.context()
    assert "[2026-07-05]" in hits.context()
