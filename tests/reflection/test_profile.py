"""Profile and working memory: what is quoted, in which order, within which budget, and what never gets in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram import Memory
from engram.recall.context import estimated_tokens
from engram.reflection import profile

ORDER = "From now on always give me prices including tax."
WISH = "I prefer trains to planes, whenever there is a choice."
PHONE = "My phone number is 0171 220 4415."
NEW_PHONE = "My number is 0160 99 7754 from today, the old phone drowned."
TRIP = "We are flying to Bergen on the 14th to see the fjords."


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def filled() -> Memory:
    memory = Memory(":memory:")
    memory.remember(ORDER, at=on(1, 5), session="a")
    memory.remember(PHONE, at=on(1, 5), session="a")
    memory.remember(WISH, at=on(2, 5), session="b")
    for day in range(1, 6):
        memory.remember("Thanks, that helps!", at=on(3, day), session=f"c{day}")
    memory.remember(NEW_PHONE, at=on(4, 5), session="d")
    memory.remember(TRIP, at=on(5, 5), session="e")
    memory.flush()
    return memory


def test_a_profile_quotes_standing_wishes_what_fills_slots_and_the_last_sessions() -> None:
    with filled() as memory:
        profile = memory.profile()
        assert [fact.text for fact in profile.standing] == [ORDER, WISH]
        assert [fact.text for fact in profile.who if fact.slot == "phone"] == [NEW_PHONE]
        assert TRIP in [fact.text for fact in profile.now]
        assert profile.unread == 0
        for fact in (*profile.standing, *profile.who, *profile.now):
            assert fact.text in memory.get(fact.engram.id).text
            assert f"- [{fact.since.date()}] {fact.text}" in profile.text


def test_a_profile_of_a_past_day_holds_what_held_then() -> None:
    with filled() as memory:
        profile = memory.profile(at=on(3, 1))
        assert [fact.text for fact in profile.who if fact.slot == "phone"] == [PHONE]
        assert NEW_PHONE not in profile.text
        assert memory.profile(at=on(1, 1)).text == ""


@pytest.mark.parametrize("budget", [1, 20, 60, 120, 2_000])
def test_a_profile_and_a_working_memory_keep_within_their_budgets(budget: int) -> None:
    with filled() as memory:
        assert estimated_tokens(memory.profile(budget=budget).text) <= budget
        working = memory.working("What does the ticket to Bergen cost?", budget=budget)
        assert estimated_tokens(working.text) <= working.tokens <= budget


@pytest.mark.parametrize("origin", ["import", "agent", "document", "tool"])
def test_an_order_that_the_user_did_not_type_is_no_standing_wish(origin: str) -> None:
    with Memory(":memory:") as memory:
        memory.remember(ORDER, origin=origin)
        memory.remember(ORDER, role="assistant")
        assert memory.profile().standing == ()
        assert all(part.name != "standing" for part in memory.working("What does it cost?").parts)


def test_a_working_memory_holds_orders_that_no_question_resembles_and_the_passages_that_answer() -> None:
    with filled() as memory:
        working = memory.working("Which number do you have for me?")
        parts = {part.name: part for part in working.parts}
        assert list(parts) == ["standing", "profile", "arcs", "recalled"]
        assert ORDER in parts["standing"].text
        assert NEW_PHONE in parts["recalled"].text
        for part in working.parts:
            assert part.tokens == estimated_tokens(part.text)
            assert all(memory.get(id).text for id in part.engrams)


def test_shares_decide_what_a_working_memory_holds() -> None:
    with filled() as memory:
        names = [part.name for part in memory.working("Which number?", shares={"standing": 0.5}).parts]
        assert names == ["standing"]
        names = [part.name for part in memory.working("Which number do I have?", shares={"recalled": 1}).parts]
        assert names == ["recalled"]


@pytest.mark.parametrize(
    "shares", [{"arc": 0.1}, {"standing": 0.7, "recalled": 0.7}, {"standing": -0.1}, {"standing": float("nan")}]
)
def test_wrong_shares_are_named(shares: dict[str, float]) -> None:
    with Memory(":memory:") as memory, pytest.raises(ValueError, match="share|part"):
        memory.working("Which number?", shares=shares)


@pytest.mark.parametrize("budget", [0, -5])
def test_a_budget_must_be_positive(budget: int) -> None:
    with Memory(":memory:") as memory:
        with pytest.raises(ValueError, match="budget"):
            memory.profile(budget=budget)
        with pytest.raises(ValueError, match="budget"):
            memory.working("Which number?", budget=budget)


def test_what_is_forgotten_is_in_neither() -> None:
    with filled() as memory:
        (order, wish) = memory.profile().standing
        memory.forget(id=order.engram.id)
        assert [fact.text for fact in memory.profile().standing] == [wish.text]
        assert ORDER not in memory.working("What does the ticket cost?").text


def test_namespaces_are_apart() -> None:
    with filled() as memory:
        assert memory.profile(namespace="ben").text == ""
        assert memory.working("Which number?", namespace="ben").text == ""


def test_what_was_said_twice_is_quoted_once() -> None:
    with Memory(":memory:") as memory:
        memory.remember(ORDER, at=on(1, 5))
        memory.remember("From now on, always give me prices including tax!", at=on(2, 5))
        (order,) = memory.profile().standing
        assert order.since == on(2, 5)


def test_a_profile_reads_new_turns_first_unless_they_are_too_many() -> None:
    with Memory(":memory:") as memory:
        memory.remember(ORDER)
        memory.remember(WISH)
        unread = memory.profile(catch_up=1)
        assert (unread.text, unread.unread) == ("", 2)
        read = memory.profile(catch_up=2)
        assert [fact.text for fact in read.standing] == [ORDER, WISH]
        assert read.unread == 0


def test_orders_are_not_crowded_out_by_what_has_no_word_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "MOST", 3)
    matters = "recipes, invoices, train tickets, poems, football, the garden, horses, Latin grammar".split(", ")
    with Memory(":memory:") as memory:
        memory.remember(ORDER, at=on(1, 5))
        memory.remember_many({"text": f"You should address me formally on {each}.", "at": on(2, 5)} for each in matters)
        assert [fact.text for fact in memory.profile().standing] == [ORDER]
        assert ORDER in memory.working("What does the ticket to Bergen cost?").text
