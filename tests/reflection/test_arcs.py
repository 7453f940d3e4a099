"""Arcs: a trip, a renovation, a quarrel and a character, over a real memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram import Memory
from engram.errors import InvalidEngram, NotFound
from engram.reflection.arcs import ArcView
from engram.reflection.surfaces import id_of, key_of_id

SAID = (
    (1, "trip-1", "user", "I want to take the night train to Lisbon with Mara in May."),
    (1, "trip-1", "assistant", "The night train to Lisbon leaves at ten."),
    (2, "kitchen-1", "user", "I began the kitchen renovation today."),
    (3, "quarrel-1", "user", "At the office Viktor took my desk. He did not even ask."),
    (4, "trip-2", "user", "Mara wants to bring her dog Biscuit to Lisbon. She has a basket for him."),
    (5, "kitchen-2", "user", "The plumber for the kitchen renovation never came."),
    (6, "trip-3", "user", "Packing list for Lisbon:\n- [ ] passports\n- [ ] dog papers\n- [x] tickets"),
    (7, "quarrel-2", "user", "Today Viktor said sorry, and I said nothing."),
    (8, "trip-4", "user", "All done:\n- [x] dog papers"),
    (9, "kitchen-3", "user", "The kitchen renovation is half done."),
    (10, "trip-5", "user", "We will fly to Lisbon instead. Does Lisbon have a tram to the beach?"),
)
STORY = (
    (
        1,
        "story-1",
        "user",
        "Once there lived a ferryman, and his name was Corvo. He kept the silver lantern under his bed.",
    ),
    (2, "story-2", "assistant", "In the morning Corvo carried the silver lantern to Heron Lock.\n\nIt rained."),
    (3, "story-3", "assistant", "The keeper, whose name was Wenna, saw Corvo. He gave her the silver lantern."),
    (4, "story-4", "user", "Then Corvo went home. “Always bow to me,” said Wenna."),
)


def fill(memory: Memory, said: tuple[tuple[int, str, str, str], ...] = SAID, namespace: str = "ana") -> None:
    for number, (day, session, role, text) in enumerate(said):
        at = datetime(2026, 3, day, 12, number, tzinfo=UTC)
        memory.remember(text, namespace=namespace, session=session, role=role, at=at)


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as memory:
        fill(memory)
        yield memory


def texts(view: ArcView) -> list[str]:
    return [quote.text for quote in view.quotes]


def ends(view: ArcView) -> list[tuple[str, str]]:
    return [(end.kind, end.quote.text) for end in view.open_ends]


def test_what_comes_back_is_an_arc_with_words_of_the_turns_as_its_title(memory: Memory) -> None:
    arcs = {arc.id: arc for arc in memory.arcs(namespace="ana")}
    trip = arcs["lisbon"]
    assert (trip.title, trip.turns, trip.sessions) == ("Lisbon", 5, 4)
    assert (trip.first.day, trip.last.day) == (1, 10)
    assert arcs["renovation"].title == "kitchen renovation"
    assert (arcs["viktor"].turns, arcs["viktor"].sessions) == (2, 2)
    assert memory.arcs(namespace="ana")[0].id == "lisbon"
    assert len(memory.arcs(namespace="ana", limit=1)) == 1


def test_an_arc_has_its_turns_in_order_with_who_said_them(memory: Memory) -> None:
    view = memory.arc("lisbon", namespace="ana")
    assert texts(view)[:3] == [SAID[0][3], SAID[1][3], SAID[4][3]]
    assert [quote.engram.role for quote in view.quotes[:2]] == ["user", "assistant"]
    assert [thing.name for thing in view.things] == ["Lisbon", "Mara"]
    assert [quote.text for quote in view.things[1].latest] == [SAID[4][3], SAID[0][3]]


def test_a_sentence_that_goes_on_with_a_pronoun_belongs_to_the_one_before(memory: Memory) -> None:
    assert texts(memory.arc("viktor", namespace="ana")) == [SAID[3][3], SAID[7][3]]


def test_only_ends_that_are_surely_open_are_open(memory: Memory) -> None:
    open_ends = ends(memory.arc("lisbon", namespace="ana"))
    assert ("task", "passports") in open_ends
    assert ("question", "Does Lisbon have a tram to the beach?") in open_ends
    # It was ticked in a turn that does not name the city.
    assert "dog papers" not in [text for _, text in open_ends]
    # An answer closes a question, whatever it says.
    memory.remember("Yes.", namespace="ana", session="trip-5", role="assistant", at=datetime(2026, 3, 11, tzinfo=UTC))
    assert "question" not in [kind for kind, _ in ends(memory.arc("lisbon", namespace="ana"))]
    before = memory.arc("lisbon", namespace="ana", at=datetime(2026, 3, 7, tzinfo=UTC))
    assert ("task", "dog papers") in ends(before)


def test_an_arc_that_grows_keeps_its_id(memory: Memory) -> None:
    before = {arc.id for arc in memory.arcs(namespace="ana")}
    for day in range(11, 28):
        text = f"On day {day} we talked of Lisbon." if day % 2 else "More dust: the kitchen renovation goes on."
        memory.remember(text, namespace="ana", session=f"more-{day}", at=datetime(2026, 3, day, tzinfo=UTC))
    view = memory.arc("lisbon", namespace="ana")
    assert (view.arc.id, view.arc.turns) == ("lisbon", 14)
    after = {arc.id for arc in memory.arcs(namespace="ana")}
    assert before <= after


def test_any_form_of_a_name_finds_its_arc(memory: Memory) -> None:
    for name in ("Lisbon", "LISBON", "lisbon's", "  lisbon "):
        assert memory.arc(name, namespace="ana").arc.turns == 5
    assert memory.arc("kitchen renovation", namespace="ana").arc.turns == 3
    assert memory.arc("kitchen-renovation", namespace="ana").arc.turns == 3


def test_an_arc_is_told_as_it_was_at_a_time(memory: Memory) -> None:
    at = datetime(2026, 3, 4, 23, tzinfo=UTC)
    assert memory.arc("lisbon", namespace="ana", at=at).arc.last.day == 4
    assert "renovation" not in [arc.id for arc in memory.arcs(namespace="ana", at=at)]
    with pytest.raises(NotFound):
        memory.arc("lisbon", namespace="ana", at=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_forgotten_turn_leaves_no_trace(memory: Memory) -> None:
    memory.arcs(namespace="ana")
    memory.forget(session="trip-2", namespace="ana")
    view = memory.arc("lisbon", namespace="ana")
    assert SAID[4][3] not in texts(view)
    assert view.arc.turns == 4
    assert "Biscuit" not in str(view)
    with pytest.raises(NotFound):
        memory.arc("biscuit", namespace="ana")
    memory.forget(namespace="ana")
    assert list(memory.arcs(namespace="ana")) == []


def test_an_arc_goes_on_without_its_expired_turns() -> None:
    days = (40, 20, 15, 10)
    now = datetime.now(UTC)
    with Memory(":memory:") as memory:
        for day in days:
            text = f"The crew of Oskar repaired Heron Lock on day {day}."
            memory.remember(text, session=f"s{day}", at=now - timedelta(days=day))
        assert [(arc.id, arc.turns, arc.sessions) for arc in memory.arcs()] == [("heron-lock", 4, 4)]
        memory.set_policy(None, expire_after=timedelta(days=30))
        for _ in range(2):
            (arc,) = memory.arcs()
            assert (arc.id, arc.turns, arc.sessions, arc.first) == ("heron-lock", 3, 3, now - timedelta(days=20))
            view = memory.arc("Heron Lock")
            assert (view.arc.turns, view.left_out, len(view.quotes)) == (3, 0, 3)
            assert "day 40" not in memory.working("Where is Heron Lock?").text
            memory.compact()
        memory.set_policy(None, expire_after=timedelta(days=1))
        assert list(memory.arcs()) == []
        with pytest.raises(NotFound):
            memory.arc("Heron Lock")


def test_a_message_that_names_nothing_gets_the_last_session_that_is_not_expired() -> None:
    now = datetime.now(UTC)
    with Memory(":memory:") as memory:
        memory.remember("The ferry to Heron Lock leaves at nine.", session="new", at=now - timedelta(days=1))
        for number in range(30):
            memory.remember(f"Imported: Wenna has {number} lamps.", session="old", at=now - timedelta(days=90))
        memory.set_policy(None, expire_after=timedelta(days=30))
        found = memory.working("And what then?", shares={"arcs": 0.9}, budget=1_000)
        assert "The ferry to Heron Lock leaves at nine." in found.text
        assert "Wenna" not in found.text


def test_a_namespace_is_a_wall(memory: Memory) -> None:
    assert list(memory.arcs(namespace="ben")) == []
    memory.remember("Lisbon is far.", namespace="ben")
    with pytest.raises(NotFound, match="'viktor' in the namespace 'ben'"):
        memory.arc("viktor", namespace="ben")
    assert memory.arc("lisbon", namespace="ben").arc.turns == 1


def test_bad_input_is_named(memory: Memory) -> None:
    for id in ("", "-", "?", "\x00", "nobody-here", "../../etc", "x" * 10_000):
        with pytest.raises(NotFound):
            memory.arc(id, namespace="ana")
    with pytest.raises(ValueError, match="limit is 0"):
        memory.arcs(namespace="ana", limit=0)
    with pytest.raises(ValueError, match="limit is -1"):
        memory.arc("lisbon", namespace="ana", limit=-1)
    with pytest.raises(InvalidEngram):
        memory.arc("\ud800", namespace="ana")
    with pytest.raises(InvalidEngram):
        memory.arcs(namespace="ana", at="yesterday")  # type: ignore[arg-type]


def test_only_the_last_turns_are_read_and_the_others_are_counted(memory: Memory) -> None:
    view = memory.arc("lisbon", namespace="ana", limit=2)
    assert (view.arc.turns, view.left_out, view.quotes[0].at.day) == (5, 3, 6)


def test_arcs_are_the_same_after_the_memory_was_opened_again(tmp_path: Path) -> None:
    with Memory(tmp_path / "a.db") as memory:
        fill(memory)
        arcs = list(memory.arcs(namespace="ana"))
    with Memory(tmp_path / "a.db", read_only=True) as memory:
        assert list(memory.arcs(namespace="ana")) == arcs


def test_statements_that_were_replaced_are_not_the_last_word() -> None:
    with Memory(":memory:") as memory:
        old, new = "I work as a baker at Nordbrot in Kiel.", "I work as a nurse now, and no more at Nordbrot."
        for day, text in ((1, old), (2, "At Nordbrot they sing in the morning."), (9, new)):
            memory.remember(text, session=f"s{day}", at=datetime(2026, 3, day, tzinfo=UTC))
        closed = {fact.text for fact in memory.facts() for fact in fact.history}
        latest = {quote.text for thing in memory.arc("nordbrot").things[:1] for quote in thing.latest}
        assert latest.isdisjoint(closed)
        assert new in latest


@pytest.mark.parametrize(
    ("said", "id"),
    [
        (
            ("Wir fahren mit Jonas nach Bregenz.", "In Bregenz hat es geregnet.", "Das Hotel in Bregenz war zu."),
            "bregenz",
        ),
        (("Мы едем в Калугу.", "Вчера в Калуге шёл дождь.", "Билеты до Калуги дорогие."), "калугу"),
        (("On part pour Annecy.", "La tente est à Annecy.", "Le lac à Annecy est froid."), "annecy"),
        (("昨日「青空食堂」に行った。", "「青空食堂」は休みだった。", "また「青空食堂」に行きたい。"), "青空食堂"),
        (("Geldik, evimiz Bozcaada.", "Deniz kıyısı Bozcaada.", "Yine geldik, burası Bozcaada."), "bozcaada"),
    ],
)
def test_arcs_in_other_languages(said: tuple[str, ...], id: str) -> None:
    with Memory(":memory:") as memory:
        for day, text in enumerate(said, 1):
            memory.remember(text, session=f"s{day}", at=datetime(2026, 3, day, tzinfo=UTC))
        assert id in [arc.id for arc in memory.arcs()]
        assert memory.arc(id).arc.turns == 3


def test_of_a_long_turn_with_many_quotes_each_is_read_with_its_own_sentences() -> None:
    parts = [f"Did Oskar paint Heron Lock {number}? We had soup with Mara. " for number in range(600)]
    with Memory(":memory:") as memory:
        memory.remember("".join(parts).strip(), at=datetime(2026, 3, 1, tzinfo=UTC))
        view = memory.arc("Heron Lock")
        assert [quote.text for quote in view.quotes] == [part.partition("? ")[0] + "?" for part in parts]
        assert [end.quote for end in view.open_ends] == list(view.quotes)
        assert [thing.name for thing in view.things] == ["Heron Lock"]


def test_of_many_tasks_the_last_hundred_are_shown() -> None:
    with Memory(":memory:") as memory:
        lines = [f"- [ ] paint the gate {number}" for number in range(130)]
        memory.remember("\n".join(["Heron Lock:", *lines]), session="a", at=datetime(2026, 3, 1, tzinfo=UTC))
        memory.remember("Heron Lock:\n- [x] paint the gate 129", session="b", at=datetime(2026, 3, 2, tzinfo=UTC))
        tasks = [end.quote.text for end in memory.arc("Heron Lock").open_ends if end.kind == "task"]
        assert tasks == [f"paint the gate {number}" for number in range(29, 129)]


def test_ids_are_words_with_hyphens() -> None:
    assert id_of("Heron Lock") == "heron-lock"
    assert id_of("Saint-Orrin’s") == "saint-orrin's"
    assert key_of_id("heron-lock") == key_of_id("Heron Lock") == "heron lock"


def working(memory: Memory, query: str, **more: object) -> str:
    parts = memory.working(query, namespace="ana", **more).parts  # type: ignore[arg-type]
    return next((part.text for part in parts if part.name == "arcs"), "")


def test_working_memory_has_the_state_of_what_a_message_names() -> None:
    with Memory(":memory:") as memory:
        fill(memory, STORY)
        text = working(memory, "Where is the silver lantern?")
        assert "- assistant: The keeper, whose name was Wenna, saw Corvo. He gave her the silver lantern." in text
        assert text.index("[2026-03-01]") < text.index("[2026-03-03]")
        assert "[2026-03-03]" not in working(
            memory, "Where is the silver lantern?", at=datetime(2026, 3, 2, 23, tzinfo=UTC)
        )
        assert working(memory, "Where is the silver lantern?", shares={"recalled": 1.0}) == ""


def test_working_memory_without_a_name_has_what_the_last_session_names() -> None:
    with Memory(":memory:") as memory:
        fill(memory, STORY)
        assert "Then Corvo went home." in working(memory, "And then?")


def test_working_memory_stays_within_its_budget_and_prefers_the_latest() -> None:
    with Memory(":memory:") as memory:
        for day in range(1, 29):
            text = f"Note {day}. On that day the ferryman took number {day} to the mill with Corvo and came back late."
            memory.remember(text, namespace="ana", session=f"s{day}", at=datetime(2026, 3, day, tzinfo=UTC))
        for budget in (1, 30, 100, 300):
            found = memory.working("Where is Corvo?", namespace="ana", budget=budget)
            assert found.tokens <= budget
        text = working(memory, "Where is Corvo?", budget=300)
        assert "number 28" in text
        assert "number 1 " not in text


def test_a_passage_that_is_quoted_already_is_not_recalled_again() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Corvo keeps the lantern at Heron Lock.", namespace="ana")
        memory.flush()
        assert memory.working("Where does Corvo keep the lantern?", namespace="ana").text.count("Heron Lock") == 1


def test_what_a_character_wants_is_no_wish_of_the_user() -> None:
    with Memory(":memory:") as memory:
        fill(memory, STORY)
        memory.remember("“From now on always answer me in French,” said Wenna to the ferryman.", namespace="ana")
        assert memory.profile(namespace="ana").standing == ()
        memory.remember("From now on always answer me in French.", namespace="ana")
        assert [fact.text for fact in memory.profile(namespace="ana").standing] == [
            "From now on always answer me in French."
        ]


def test_what_an_assistant_tells_is_marked_and_no_fact() -> None:
    with Memory(":memory:") as memory:
        fill(memory, STORY)
        roles = [quote.engram.role for quote in memory.arc("corvo", namespace="ana").quotes]
        assert roles == ["user", "assistant", "assistant", "user"]
        assert all(fact.engram.role == "user" for fact in memory.facts(namespace="ana"))
