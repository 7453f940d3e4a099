"""Queries that ask for a time alone: "What did we do last Tuesday?"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.recall.result import Hit

NOW = datetime(2025, 9, 18, 15, tzinfo=UTC)  # a Thursday

DAYS = {
    "2024-02-29": ["user: The frost broke the pump of the fountain."],
    "2024-09-18": ["user: Signed up for the pottery course in the old mill."],
    "2024-12-25": ["user: Grandma gave Lena her accordion."],
    "2025-05-03": ["user: Planted forty strawberry runners behind the shed."],
    "2025-08-04": ["user: Two plumbers replaced the boiler.", "assistant: Keep the invoice for the guarantee."],
    "2025-09-01": ["user: Lena started school, she cried at the gate."],
    "2025-09-08": ["user: The landlord wants the cellar emptied by the end of October."],
    "2025-09-13": ["user: We hiked to the chapel above the lake."],
    "2025-09-16": [
        "assistant: How did the evening with Marta go, and which of the recipes that we collected did you try?",
        "user: Which pot is best for broth?",
        "assistant: A tall narrow one, since less of it evaporates while bones and vegetables simmer for hours.",
        "user: ok, thanks",
        "user: Marta came over and we cooked ramen.",
        "user: Marta came over and we cooked ramen.",
    ],
    "2025-09-17": ["user: Repotted the lemon tree on the balcony.", "assistant: Lemon trees like a deep pot."],
    "2025-09-18": ["user: The bicycle got a new chain."],
}
"""By day, what was said on it, each with its role."""

FILLERS = [
    "We did the weekly report on Tuesday, what a day.",
    "Did anything happen on the 3rd? I do not know what we did last week.",
    "What did you say about the month of May and the year 2023?",
    "yesterday today tomorrow last night",
    "Sie haben gestern nichts gemacht.",
]
"""Texts of a time that no question asks for. They hold the words of the questions."""


def tell(memory: Memory) -> None:
    start = datetime(2024, 5, 6, 9, tzinfo=UTC)
    for number in range(200):
        at = start + timedelta(hours=7 * number % 240, minutes=number)
        memory.remember(FILLERS[number % len(FILLERS)], session=f"f{number % 9}", at=at)
    # Not in the order of time, as imports bring it.
    for day in sorted(DAYS, key=lambda day: day[::-1]):
        for minute, line in enumerate(DAYS[day]):
            role, text = line.split(": ", 1)
            at = datetime.fromisoformat(f"{day}T12:00:00+00:00") + timedelta(minutes=minute)
            memory.remember(text, session=day, role=role, at=at)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    with Memory(tmp_path_factory.mktemp("times") / "memory.db") as opened:
        tell(opened)
        yield opened


def days(hits: list[Hit]) -> list[str]:
    """The days of hits, each once, in order of time."""
    return sorted({hit.engram.at.date().isoformat() for hit in hits})


HELD = [
    ("What did we do yesterday?", "2025-09-17"),
    ("yesterday?", "2025-09-17"),
    ("And the day before yesterday?", "2025-09-16"),
    ("What happened today?", "2025-09-18"),
    ("Can you tell me what happened last Tuesday?", "2025-09-16"),
    ("What did I do last Saturday?", "2025-09-13"),
    ("What was on Monday, 8 September?", "2025-09-08"),
    ("What did we talk about last week?", "2025-09-08 2025-09-13"),
    ("what did i do this week", "2025-09-16 2025-09-17 2025-09-18"),
    ("Give me a summary of last weekend, please.", "2025-09-13"),
    ("What did we discuss on 4 August?", "2025-08-04"),
    ("What did I tell you on August 4th?", "2025-08-04"),
    ("Anything from 2025-08-04?", "2025-08-04"),
    ("What happened on 4/8/2025?", "2025-08-04"),
    ("Please recap August.", "2025-08-04"),
    ("What happened in May?", "2025-05-03"),
    ("What went on last December?", "2024-12-25"),
    ("What did we do on Christmas day?", "2024-12-25"),
    ("What did we do last Christmas?", "2024-12-25"),
    ("What did I say on 29 February 2024?", "2024-02-29"),
    ("List everything from February 2024.", "2024-02-29"),
    ("What happened between 10 and 14 September 2025?", "2025-09-13"),
    ("What did we do from 7 to 9 September?", "2025-09-08"),
    ("10 days ago?", "2025-09-08"),
    ("What did I do two days ago?", "2025-09-16"),
    ("What did I do in the last 3 days?", "2025-09-16 2025-09-17 2025-09-18"),
    ("What have I been up to since Tuesday?", "2025-09-16 2025-09-17 2025-09-18"),
    ("What happened this month?", "2025-09-01 2025-09-08 2025-09-13 2025-09-16 2025-09-17 2025-09-18"),
    ("What did we do in the five days after 24 December 2024?", "2024-12-25"),
    ("Hello! What did we do on 1 September?", "2025-09-01"),
    ("What did I do on the 8th?", "2025-09-08"),
    ("What happened the Tuesday before last?", ""),
    ("What happened last week on Monday?", "2025-09-08"),
    ("What did we do in the first week of August?", "2025-08-04"),
    ("What happened in early May?", "2025-05-03"),
    ("What did we talk about this time last year?", "2024-09-18"),
    ("What did I tell you in Q2?", "2025-05-03"),
    ("So what was the week before last like?", "2025-09-01"),
]
"""Questions for times, and the days of their hits."""

EMPTY = [
    "What did we do on 2025-08-12?",
    "What did I do last Friday?",
    "What happened on Sunday?",
    "What did we discuss on 3 August?",
    "What did I do on 17 September 2024?",
    "What happened in July?",
    "What did we do in March 2025?",
    "Anything from 2019?",
    "What did we do on Sunday, 20 April 2025?",
    "What did we do between 20 and 30 August 2025?",
    "What happened five days before 4 August 2025?",
    "What did we talk about 3 days ago?",
    "What did I do last New Year's Eve?",
    "What did we do in the summer of 2023?",
    "What happened on the 24th?",
    "What happened in the last week of August?",
    "What did we do in late May?",
    "What did I do the night before last?",
]
"""Questions for times of which nothing is held."""


SPOKEN = {
    "German": [("Was haben wir gestern gemacht?", 17), ("Was war letzten Samstag los?", 13), ("am 4. August?", 804)],
    "Spanish": [("¿Qué hicimos ayer?", 17), ("¿Qué pasó el sábado pasado?", 13), ("¿Y el 4 de agosto?", 804)],
    "French": [("Qu'a-t-on fait hier ?", 17), ("Et samedi dernier ?", 13), ("Que s'est-il passé le 4 août ?", 804)],
    "Italian": [("Cosa abbiamo fatto ieri?", 17), ("E sabato scorso?", 13), ("Cosa è successo il 4 agosto?", 804)],
    "Dutch": [("Wat deden we gisteren?", 17), ("En afgelopen zaterdag?", 13), ("Wat was er op 4 augustus?", 804)],
    "Polish": [("Co robiliśmy wczoraj?", 17), ("A w zeszłą sobotę?", 13), ("Co się działo 4 sierpnia?", 804)],
    "Portuguese": [("O que fizemos ontem?", 17), ("E no sábado passado?", 13), ("E em 4 de agosto?", 804)],
    "Turkish": [("Dün ne yaptık?", 17), ("Geçen cumartesi ne yaptık?", 13), ("4 Ağustos'ta ne oldu?", 804)],
    "Russian": [("Что мы делали вчера?", 17), ("А в прошлую субботу?", 13), ("Что было 4 августа?", 804)],
    "Arabic": [("ماذا فعلنا أمس؟", 17), ("ماذا حدث يوم السبت الماضي؟", 13), ("ماذا حدث في 4 أغسطس؟", 804)],
    "Thai": [("เมื่อวานเราทำอะไร", 17), ("วันเสาร์ที่แล้วเราทำอะไร", 13), ("วันที่ 4 สิงหาคมเกิดอะไรขึ้น", 804)],
    "Chinese": [("昨天我们做了什么？", 17), ("上周六发生了什么？", 13), ("8月4日我们聊了什么？", 804)],
    "Chinese, traditional": [("昨天我們做了什麼？", 17), ("上週六發生了什麼？", 13), ("八月四日我們聊了什麼？", 804)],
    "Japanese": [("昨日は何をしましたか？", 17), ("先週の土曜日に何をした？", 13), ("8月4日に何がありましたか？", 804)],
    "Korean": [("어제 뭐 했어?", 17), ("지난주 토요일에 뭐 했어?", 13), ("8월 4일에 무슨 일이 있었어?", 804)],
}
"""Questions in other languages, each with the day of September, or the month and day, that it asks for."""

SILENT = [
    "Was haben wir vor sechs Tagen gemacht? Am 3. August?",
    "¿Qué hicimos en julio?",
    "Qu'a-t-on fait le 12 août ?",
    "Cosa abbiamo fatto venerdì scorso?",
    "Wat deden we vijf dagen voor 4 augustus?",
    "Co robiliśmy w marcu 2025?",
    "O que fizemos em julho?",
    "Temmuz ayında ne yaptık?",
    "Что мы делали в прошлую пятницу?",
    "ماذا فعلنا في يوليو؟",
    "เดือนกรกฎาคมเราทำอะไร",
    "上周五我们做了什么？",
    "上週五我們做了什麼？",
    "先週の金曜日に何をしましたか？",
    "7월에 뭐 했어?",
]
"""Questions in other languages for times of which nothing is held."""


@pytest.mark.parametrize("language", SPOKEN)
def test_question_for_a_time_is_understood_in_other_languages(memory: Memory, language: str) -> None:
    for question, number in SPOKEN[language]:
        month, date = divmod(number, 100)
        hits = memory.recall(question, limit=50, now=NOW)
        assert days(list(hits)) == [f"2025-{month or 9:02}-{date:02}"], question


@pytest.mark.parametrize("question", SILENT)
def test_question_in_other_languages_for_a_time_of_which_nothing_is_held_finds_nothing(
    memory: Memory, question: str
) -> None:
    assert [hit.engram.text for hit in memory.recall(question, now=NOW)] == []


@pytest.mark.parametrize(("question", "expected"), HELD)
def test_question_for_a_time_finds_what_was_said_then_and_nothing_else(
    memory: Memory, question: str, expected: str
) -> None:
    hits = memory.recall(question, limit=50, now=NOW)
    assert days(list(hits)) == expected.split()
    for hit in hits:
        assert hit.score > 0.15


@pytest.mark.parametrize("question", EMPTY)
def test_question_for_a_time_of_which_nothing_is_held_finds_nothing(memory: Memory, question: str) -> None:
    assert [hit.engram.text for hit in memory.recall(question, now=NOW)] == []


def test_most_telling_come_first(memory: Memory) -> None:
    hits = memory.recall("What happened last Tuesday?", limit=50, now=NOW)
    texts = [hit.engram.text for hit in hits]
    said = [line.split(": ", 1)[1] for line in DAYS["2025-09-16"]]
    dinner, pot, answer, thanks = said[4], said[1], said[2], said[3]
    assert texts[0] == dinner
    assert texts.index(answer) < texts.index(pot) < texts.index(thanks)
    # What was said before comes after all that is new.
    assert texts[-1] == dinner
    assert sorted((hit.score for hit in hits), reverse=True) == [hit.score for hit in hits]


def test_other_words_keep_a_time_from_being_all_that_is_asked(memory: Memory) -> None:
    hits = memory.recall("Where did we hike last weekend?", now=NOW)
    assert hits[0].engram.text == "We hiked to the chapel above the lake."
    hits = memory.recall("Who replaced the boiler last week?", now=NOW)
    assert hits[0].engram.text == "Two plumbers replaced the boiler."


def test_days_are_those_of_the_zone_of_now(memory: Memory) -> None:
    zone = timezone(timedelta(hours=13))  # what was said at noon in UTC was said at 1 o'clock of the next day
    hits = memory.recall("What did I do on 5 August?", now=NOW.astimezone(zone))
    assert days(list(hits)) == ["2025-08-04"]
    assert not memory.recall("What did I do on 4 August?", now=NOW.astimezone(zone))


def test_a_night_is_told_at_breakfast(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        breakfast = NOW.replace(hour=8)
        memory.remember("We saw the northern lights from the roof.", at=breakfast)
        memory.remember("The bakery was closed.", at=NOW.replace(hour=14))
        hits = memory.recall("What happened last night?", now=NOW)
        assert [hit.engram.text for hit in hits] == ["We saw the northern lights from the roof."]
        memory.remember("A storm is coming.", at=breakfast - timedelta(hours=10))
        hits = memory.recall("What happened last night?", now=NOW)
        assert [hit.engram.text for hit in hits] == ["A storm is coming."]
        assert not memory.recall("What happened yesterday?", now=NOW.replace(hour=15) - timedelta(days=3))


@pytest.mark.parametrize(
    "told",
    [
        "On Saturday the choir sang in the old lime kiln.",
        "Am Samstag hat der Chor im alten Kalkofen gesungen.",
        "El sábado pasado el coro cantó en el horno de cal.",
        "W zeszłą sobotę chór śpiewał w starym wapienniku.",
        "先週の土曜日、合唱団が古い石灰窯で歌った。",
        "上周六合唱团在旧石灰窑里唱歌了。",
        "В субботу хор пел в старой печи.",
    ],
)
def test_what_was_told_of_a_day_later_is_found_in_any_language(tmp_path: Path, told: str) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        monday = datetime(2025, 9, 15, 12, tzinfo=UTC)
        memory.remember(told, at=monday)
        memory.remember("The gas bill is paid.", at=monday + timedelta(hours=1))
        assert [hit.engram.text for hit in memory.recall("What happened on 13 September?", now=NOW)] == [told]
        assert not memory.recall("What happened on 12 September?", now=NOW)


def test_what_was_planned_for_a_day_is_found_if_nothing_was_said_on_it(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The regatta is on the 20th n I have no boat.", at=datetime(2025, 6, 8, 12, tzinfo=UTC))
        memory.remember("20 oars are on order.", at=datetime(2025, 6, 9, 12, tzinfo=UTC))
        memory.remember("The regatta was unreal, we came in fourth.", at=datetime(2025, 6, 22, 12, tzinfo=UTC))
        hits = memory.recall("What did I do on the night of June 20?", now=NOW)
        assert [hit.engram.text for hit in hits] == ["The regatta is on the 20th n I have no boat."]


def test_a_day_of_last_year_is_that_day_and_not_the_whole_year(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The boiler was serviced.", at=datetime(2024, 11, 12, 12, tzinfo=UTC))
        memory.remember("On Christmas Eve a pigeon sat on the table.", at=datetime(2025, 1, 6, 12, tzinfo=UTC))
        hits = memory.recall("How was 24 December for us last year?", now=NOW)
        assert [hit.engram.text for hit in hits] == ["On Christmas Eve a pigeon sat on the table."]


def test_days_without_a_year_are_those_of_the_latest_year_that_holds_any(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        for year in (2019, 2021):
            memory.remember(f"The ferry was late in {year}.", at=datetime(year, 3, 9, 12, tzinfo=UTC))
        memory.remember("Nothing of note.", at=datetime(2025, 3, 10, 12, tzinfo=UTC))
        hits = memory.recall("What happened on 9 March?", now=NOW)
        assert [hit.engram.at.year for hit in hits] == [2021]


def test_filters_hold_for_times_too(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        at = datetime(2025, 9, 17, 8, tzinfo=UTC)
        for number in range(400):
            memory.remember(f"The gauge showed {number} bar in the {number}th test.", session="log", at=at)
        memory.remember("The gauge is broken.", session="talk", kind="fact", at=at + timedelta(hours=4))
        memory.remember("The gauge is new.", session="talk", at=at - timedelta(days=4))
        question = "What happened yesterday?"
        assert len(memory.recall(question, limit=400, now=NOW)) > 100
        for where in ({"session": "talk"}, {"kinds": ["fact"]}, {"after": at + timedelta(hours=1)}):
            hits = memory.recall(question, now=NOW, **where)  # type: ignore[arg-type]
            assert [hit.engram.text for hit in hits] == ["The gauge is broken."]
        assert not memory.recall(question, now=NOW, before=at - timedelta(days=1))


def test_times_keep_to_the_namespace(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The kiln cracked.", namespace="ana", at=NOW - timedelta(days=1))
        assert len(memory.recall("What happened yesterday?", namespace="ana", now=NOW)) == 1
        memory.remember("Unrelated.", namespace="bo", at=NOW - timedelta(days=9))
        assert not memory.recall("What happened yesterday?", namespace="bo", now=NOW)


def test_times_are_found_in_the_index_and_in_the_tail(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        for number in range(300):
            memory.remember(f"Entry {number} of the log.", at=NOW - timedelta(days=20 + number))
        memory.remember("The kiln cracked in the first firing.", at=NOW - timedelta(days=1))
        memory.flush()
        memory.remember("The second kiln cracked, too.", at=NOW - timedelta(days=1))
        hits = memory.recall("What happened yesterday?", now=NOW)
        assert {hit.engram.text for hit in hits} == {
            "The kiln cracked in the first firing.",
            "The second kiln cracked, too.",
        }
        memory.forget(id=hits[0].engram.id)
        assert len(memory.recall("What happened yesterday?", now=NOW)) == 1


def test_explanation_names_the_time(memory: Memory) -> None:
    hits = memory.recall("What happened on 4 August 2025?", now=NOW)
    explained = memory.explain("What happened on 5 May 2025?", hits[0].engram.id)
    assert explained.place is None
    assert "time" in explained.reason


def test_time_alone_needs_a_time_that_has_begun(memory: Memory) -> None:
    for question in ("What do we do tomorrow?", "What happens next week?"):
        assert not set(days(list(memory.recall(question, now=NOW)))) & {"2025-09-18"}


def test_courtesy_asks_for_no_time(memory: Memory) -> None:
    assert not [hit for hit in memory.recall("Hello, how are you today?", now=NOW) if hit.why["time"] > 0.5]
