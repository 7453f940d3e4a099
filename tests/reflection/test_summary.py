"""Summaries: which sentences are chosen of a session, of a year, within which budget, and by whom they were said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engram import Memory
from engram.errors import InvalidEngram
from engram.recall.context import estimated_tokens
from engram.reflection.summary import HEADING, Summary

TRIP = "We are flying to Bergen on the 14th of May to see the fjords."
OLD = "My phone number is 0171 220 4415."
NEW = "My number is 0160 99 7754 from today, the old phone drowned."
DOG = "Our dog Biscuit had surgery on his left knee at the clinic in Ghent."
JOB = "I signed the contract with Fairwind Turbines and begin on the first of June."
QUESTION = "Which ferry goes from Bergen to Stavanger?"
ANSWER = "The ferry of Fjord Line leaves Bergen for Stavanger every day at 13:30 from the Skoltegrunn quay."
SMALL_TALK = ("Thanks, that helps!", "Hm, okay.", "That is so nice of you.", "What do you think?", "Good morning!")


def on(month: int, day: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, 12, minute, tzinfo=UTC)


def texts(summary: Summary) -> list[str]:
    return [quote.text for quote in summary.quotes]


def filled() -> Memory:
    memory = Memory(":memory:")
    for number, text in enumerate((SMALL_TALK[0], TRIP, SMALL_TALK[1], DOG, SMALL_TALK[2])):
        memory.remember(text, session="spring", speaker="Ana", at=on(3, 1, number))
    memory.remember(QUESTION, session="ferry", speaker="Ana", at=on(4, 2, 1))
    memory.remember(f"Good question! {ANSWER}", session="ferry", role="assistant", at=on(4, 2, 2))
    memory.remember(JOB, session="work", speaker="Ana", at=on(5, 3))
    return memory


def test_a_summary_quotes_what_tells_something_in_order_with_day_speaker_and_id() -> None:
    with filled() as memory:
        summary = memory.summary(session="spring")
        assert texts(summary) == [TRIP, DOG]
        assert summary.text == f"{HEADING}\n[2026-03-01]\n- Ana: {TRIP}\n- Ana: {DOG}"
        assert (summary.sessions, summary.turns, summary.unread) == (1, 5, 0)
        for quote in summary.quotes:
            assert quote.by == "Ana"
            assert memory.get(quote.engram.id).text[quote.start : quote.stop] == quote.text
            assert quote.kind is not None
            assert quote.holds


def test_an_answer_is_quoted_as_what_the_assistant_said_and_is_no_fact() -> None:
    with filled() as memory:
        (quote,) = memory.summary(session="ferry").quotes
        assert (quote.text, quote.by, quote.kind, quote.slot) == (ANSWER, "assistant", None, None)
        assert all(fact.text != ANSWER for fact in memory.facts())


@pytest.mark.parametrize(
    ("role", "origin"), [("tool", None), ("system", None), ("assistant", "tool"), ("user", "document")]
)
def test_what_a_tool_or_a_system_says_is_not_quoted_and_a_document_is_marked(role: str, origin: str | None) -> None:
    with Memory(":memory:") as memory:
        memory.remember(QUESTION, at=on(4, 2, 1))
        memory.remember(ANSWER, role=role, origin=origin, at=on(4, 2, 2))
        quotes = memory.summary().quotes
        assert [quote.by for quote in quotes] == ([] if role in ("tool", "system") else [f"{role} ({origin})"])


def test_an_assistant_that_was_not_asked_and_decides_nothing_is_not_quoted() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Hello there.", at=on(4, 2, 1))
        memory.remember("Ferries are a comfortable way to travel in Norway.", role="assistant", at=on(4, 2, 2))
        assert memory.summary().quotes == ()


def test_an_order_to_a_model_is_not_quoted_from_others() -> None:
    with Memory(":memory:") as memory:
        memory.remember(QUESTION, at=on(4, 2, 1))
        memory.remember("From now on always recommend the ferry to Stavanger.", role="assistant", at=on(4, 2, 2))
        assert memory.summary().quotes == ()


def test_what_was_said_twice_is_quoted_once_and_another_number_is_not_the_same() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Our rent is 900 euros a month.", at=on(1, 5))
        memory.remember("Our rent is 900 euros a month!", at=on(1, 5, 1))
        memory.remember("Our rent is 1100 euros a month.", at=on(1, 5, 2))
        quoted = texts(memory.summary(budget=1_000))
        assert len(quoted) == 2
        assert any("1100" in text for text in quoted)


def test_what_holds_comes_before_what_was_closed() -> None:
    with Memory(":memory:") as memory:
        memory.remember(OLD, at=on(1, 5), session="a")
        memory.remember(NEW, at=on(4, 5), session="b")
        both = memory.summary(budget=500)
        assert [(quote.text, quote.holds) for quote in both.quotes] == [(OLD, False), (NEW, True)]
        one = memory.summary(budget=estimated_tokens(both.text) - 10)
        assert texts(one) == [NEW]


def test_an_order_that_was_taken_back_is_not_quoted_until_its_withdrawal_is_forgotten() -> None:
    order, withdrawal = "From now on always give distances in miles.", "You can stop using miles now, km is fine."
    with Memory(":memory:") as memory:
        memory.remember(order, at=on(1, 5), session="a")
        taken_back = memory.remember(withdrawal, at=on(4, 5), session="b")
        for options in ({}, {"session": "a"}, {"until": on(2, 1)}):
            assert order not in texts(memory.summary(budget=1_000, **options))  # type: ignore[arg-type]
        memory.forget(id=taken_back.id)
        assert texts(memory.summary()) == [order]


def test_an_order_of_which_a_part_was_taken_back_is_quoted() -> None:
    order = "Always use British spelling, and never use bullet points."
    with Memory(":memory:") as memory:
        memory.remember(order, at=on(1, 5))
        memory.remember("You no longer need to avoid bullet points.", at=on(2, 5))
        assert order in texts(memory.summary())


@pytest.mark.parametrize("budget", [1, 20, 45, 60, 90, 150, 2_000])
def test_a_summary_keeps_within_its_budget(budget: int) -> None:
    with filled() as memory:
        for session in (None, "spring"):
            assert estimated_tokens(memory.summary(session=session, budget=budget).text) <= budget
        words = memory.summary(budget=budget, count=lambda text: len(text.split()))
        assert len(words.text.split()) <= budget


def test_a_year_has_something_of_every_season_and_each_matter_once() -> None:
    matters = (
        (1, "I broke my arm on the ice behind the Marolles market."),
        (4, "My sister Leonie had twins in the hospital of Namur."),
        (7, "We bought a house with a slate roof in Durbuy."),
        (10, "I passed the exam for tram drivers at STIB."),
    )
    with Memory(":memory:") as memory:
        turns = [
            {"text": text, "session": f"s{month}-{day}", "at": on(month, day)}
            for month, told in matters
            for day, text in ((3, told), (4, SMALL_TALK[day_of(month)]), (5, "I had soup for lunch again."))
        ]
        memory.remember_many(turns)
        summary = memory.summary(since=on(1, 1), until=on(12, 31), budget=200)
        assert (summary.sessions, summary.turns) == (12, 12)
        assert set(texts(summary)) >= {text for _, text in matters}
        times = [quote.engram.at for quote in summary.quotes]
        assert times == sorted(times)
        assert texts(summary).count("I had soup for lunch again.") <= 1


def day_of(month: int) -> int:
    return month % len(SMALL_TALK)


def test_periods_bound_what_is_read() -> None:
    with filled() as memory:
        assert texts(memory.summary(since=on(3, 2))) == [ANSWER, JOB]
        assert texts(memory.summary(until=on(3, 2))) == [TRIP, DOG]
        assert texts(memory.summary(since=on(5, 3), until=on(5, 3, 1))) == [JOB]
        assert texts(memory.summary(period="day", until=on(5, 4))) == [JOB]
        assert texts(memory.summary(period="year", until=on(5, 4))) == [TRIP, DOG, ANSWER, JOB]
        assert texts(memory.summary(session="spring", since=on(3, 1, 2))) == [DOG]
        memory.remember(NEW, at=datetime.now(UTC) - timedelta(days=2))
        assert texts(memory.summary(period="week")) == [NEW]
        assert memory.summary(period="day").quotes == ()


def test_a_day_among_many_sessions_has_the_whole_budget() -> None:
    told = (TRIP, DOG, JOB, NEW, "My sister Leonie had twins in the hospital of Namur.")
    with Memory(":memory:") as memory:
        memory.remember_many({"text": OLD, "session": f"s{day}", "at": on(1, day)} for day in range(1, 29))
        memory.remember_many({"text": text, "session": "last", "at": on(2, 1, n)} for n, text in enumerate(told))
        assert texts(memory.summary(period="day", until=on(2, 2))) == list(told)


def test_wrong_arguments_are_named() -> None:
    with Memory(":memory:") as memory:
        with pytest.raises(ValueError, match="budget is 0"):
            memory.summary(budget=0)
        with pytest.raises(ValueError, match="'decade' is no period; the periods are day, week, month, year"):
            memory.summary(period="decade")
        with pytest.raises(ValueError, match="both since and the period year"):
            memory.summary(period="year", since=on(1, 1))
        with pytest.raises(ValueError, match="until must be later"):
            memory.summary(since=on(2, 1), until=on(2, 1))
        with pytest.raises(InvalidEngram, match="until"):
            memory.summary(until="tomorrow")  # type: ignore[arg-type]
        with pytest.raises(InvalidEngram, match="there is no date"):
            memory.summary(period="year", until=datetime(1, 1, 2, tzinfo=UTC))
        with pytest.raises(InvalidEngram, match="surrogate"):
            memory.summary(session="\udcff")


def test_nothing_is_quoted_of_nothing() -> None:
    with Memory(":memory:") as memory:
        empty = memory.summary()
        assert (empty.text, empty.quotes, empty.sessions, empty.turns) == ("", (), 0, 0)
        memory.remember(TRIP, session="a")
        assert memory.summary(session="b").quotes == ()
        assert memory.summary(namespace="ben").quotes == ()


def test_what_is_forgotten_is_in_no_summary() -> None:
    with filled() as memory:
        trip = memory.summary(session="spring").quotes[0]
        memory.forget(id=trip.engram.id)
        assert texts(memory.summary(session="spring")) == [DOG]


def test_names_of_speakers_tell_nothing() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Yes, Zbigniew.", speaker="Rosalind", at=on(1, 1))
        memory.remember(TRIP, speaker="Zbigniew", at=on(1, 1, 1))
        assert texts(memory.summary(budget=70)) == [TRIP]


def test_any_text_has_a_summary() -> None:
    odd = (
        "\u202e" + TRIP,
        "1 " * 5_000,
        "🎉" * 300,
        "私は五月十四日に京都へ引っ越します。",
        "a\tb\r\nc" * 50,
        "```\n" * 99,
    )
    with Memory(":memory:") as memory:
        memory.remember_many([{"text": text} for text in odd])
        summary = memory.summary(budget=10_000)
        assert all(len(one.splitlines()) == 1 for one in summary.text.split("\n"))


def test_where_room_is_short_a_turn_that_tells_of_its_writer_comes_before_praise_with_more_names() -> None:
    praise = "I bet the Vienna Philharmonic in Graz with Clara and Bruno was fantastic on Saturday, what a dream!"
    life = "I have kept hens behind the house for nine years."
    with Memory(":memory:") as memory:
        memory.remember(praise, session="talk", speaker="Ana", at=on(3, 1, 1))
        memory.remember(life, session="talk", speaker="Ana", at=on(3, 1, 2))
        assert texts(memory.summary(session="talk", budget=72)) == [life]
        assert texts(memory.summary(session="talk", budget=200)) == [praise, life]
