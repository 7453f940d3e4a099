"""Withdrawing: orders that a later statement takes back, what then stands in their place, and how it is undone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engram import Memory
from engram.reflection.withdrawing import withdraws


def on(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def standing(memory: Memory, at: datetime | None = None) -> list[str]:
    return [fact.text for fact in memory.profile(at=at).standing]


PAIRS = [
    ("From now on always give distances in miles.", "You can stop using miles now, kilometres are fine."),
    ("Always answer in metric units.", "Forget what I said about metric units."),
    ("From now on always give me distances in miles.", "You can stop using miles, km is fine."),
    ("Never put peanuts into a recipe for me.", "You can use peanuts in recipes again."),
    ("Always use footnotes in my drafts.", "No need for footnotes any more."),
    ("Gib Gewichte ab jetzt immer in Unzen an.", "Das mit den Unzen kannst du lassen."),
    ("Donne-moi toujours les prix en francs suisses.", "Tu n'as plus besoin de mettre les prix en francs suisses."),
    ("De ahora en adelante ponme siempre las medidas en pulgadas.", "Ya no hace falta poner las pulgadas."),
    ("D'ora in poi scrivimi sempre le temperature in Fahrenheit.", "Non serve più scrivere in Fahrenheit."),
    ("A partir de agora responde-me sempre com preços em libras.", "Já não precisas de pôr os preços em libras."),
    ("ต่อไปนี้ช่วยบอกอุณหภูมิเป็นฟาเรนไฮต์ทุกครั้ง", "ไม่ต้องบอกอุณหภูมิเป็นฟาเรนไฮต์แล้ว"),
    ("Geef temperaturen voortaan altijd in Fahrenheit.", "Je hoeft geen Fahrenheit meer te geven, vergeet Fahrenheit."),
    ("Zawsze podawaj temperaturę w skali Fahrenheita.", "Nie musisz już podawać temperatury w skali Fahrenheita."),
    ("Отныне всегда указывай температуру по Фаренгейту.", "Больше не нужно указывать температуру по Фаренгейту."),
    ("Bundan sonra ağırlıkları hep ons olarak yaz, her zaman.", "Artık ağırlıkları ons olarak yazmana gerek yok."),
    ("以后每次都用英文回答我。", "不用再用英文回答我了。"),
    ("これからは必ず敬語で答えてください。", "もう敬語で答えなくていいです。"),
    ("앞으로 항상 존댓말로 대답해 줘.", "이제 존댓말로 대답하지 않아도 돼."),
    ("من الآن أعطني درجات الحرارة دائما بالفهرنهايت.", "لا داعي لدرجات الحرارة بالفهرنهايت بعد الآن."),
]


@pytest.mark.parametrize(("order", "withdrawal"), PAIRS)
def test_an_order_that_is_taken_back_stands_no_more_until_its_withdrawal_is_forgotten(
    order: str, withdrawal: str
) -> None:
    with Memory(":memory:") as memory:
        memory.remember(order, at=on(1, 5))
        taken_back = memory.remember(withdrawal, at=on(3, 5))
        found = standing(memory)
        assert order not in found
        assert found
        assert all(text in withdrawal for text in found)
        assert order not in memory.working("How cold was it?", shares={"standing": 1}).text
        assert order not in [fact.text for fact in memory.facts()]
        assert standing(memory, on(2, 1)) == [order]
        memory.forget(id=taken_back.id)
        assert standing(memory) == [order]


def test_a_fact_that_withdraws_has_the_order_in_its_history() -> None:
    with Memory(":memory:") as memory:
        memory.remember(order := "From now on always give distances in miles.", at=on(1, 5))
        memory.remember("You can stop using miles now, kilometres are fine.", at=on(3, 5))
        (fact,) = memory.profile().standing
        assert list(memory.facts()) == [fact]
        assert (fact.kind, fact.until) == ("order", None)
        assert [(older.text, older.until, older.closed_by) for older in fact.history] == [
            (order, on(3, 5), fact.engram.id)
        ]


def test_an_order_of_two_parts_stands_beside_the_withdrawal_of_one_and_not_of_both() -> None:
    with Memory(":memory:") as memory:
        memory.remember(order := "Always use British spelling, and never use bullet points.", at=on(1, 5))
        memory.remember(one := "You no longer need to avoid bullet points.", at=on(2, 5))
        assert standing(memory) == [one, order]
        memory.remember(other := "Please disregard what I said about British spelling.", at=on(3, 5))
        assert standing(memory) == [other, one]


def test_in_a_working_memory_the_withdrawal_of_a_part_comes_before_its_order() -> None:
    with Memory(":memory:") as memory:
        memory.remember(order := "Always use British spelling, and never use bullet points.", at=on(1, 5))
        memory.remember(part := "You no longer need to avoid bullet points.", at=on(2, 5))
        memory.remember("From now on always give me prices including tax.", at=on(3, 5))
        text = memory.working("Which spelling should this letter have?", shares={"standing": 1}).text
        assert 0 < text.index(part) < text.index(order)


def test_an_order_that_is_given_again_stands() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Always answer in metric units.", at=on(1, 5))
        memory.remember("Forget what I said about metric units.", at=on(2, 5))
        memory.remember(again := "Metric again please, always.", at=on(3, 5))
        assert standing(memory)[0] == again


def test_the_later_name_takes_the_place_of_the_earlier_one() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Call me Theodora from now on.", at=on(1, 5))
        memory.remember(later := "Actually, call me Teddy again, Theodora is what my gran says.", at=on(2, 5))
        assert standing(memory) == [later]


@pytest.mark.parametrize(
    "turn",
    [
        {"text": "Don't forget what I said about metric units."},
        {"text": "Did you forget what I said about metric units?"},
        {"text": 'My boss said: "Forget what I said about metric units."'},
        {"text": "> You can stop using metric units."},
        {"text": "You can stop using metric units.", "role": "assistant"},
        {"text": "You can stop using metric units.", "origin": "document"},
        {"text": "You can stop using metric units.", "origin": "import"},
        {"text": "You can stop using metric units.", "speaker": "Ugo"},
        {"text": "You can stop watering the tomatoes."},
        {"text": "Forget it, that was a joke."},
    ],
)
def test_what_does_not_surely_take_an_order_back_leaves_it(turn: dict[str, str]) -> None:
    with Memory(":memory:") as memory:
        memory.remember(order := "Always answer in metric units.", at=on(1, 5))
        memory.remember(**turn, at=on(2, 5))
        assert order in standing(memory)


def test_a_withdrawal_before_the_order_or_in_another_namespace_takes_nothing_back() -> None:
    with Memory(":memory:") as memory:
        memory.remember("Forget what I said about metric units.", at=on(1, 5))
        memory.remember(order := "Always answer in metric units.", at=on(2, 5))
        memory.remember("Forget what I said about metric units.", at=on(3, 5), namespace="ben")
        assert order in standing(memory)


def test_a_statement_that_ends_what_a_slot_held_withdraws_no_order() -> None:
    with Memory(":memory:") as memory:
        memory.remember(old := "My phone number is 0171 220 4415.", at=on(1, 5))
        memory.remember("I no longer have that phone, my phone number is 0160 99 7754 now.", at=on(2, 5))
        assert old not in [fact.text for fact in memory.facts(slot="phone")]


def test_words_of_a_withdrawal_are_read_in_linear_time() -> None:
    assert not withdraws("you can " * 200_000)
    assert not withdraws("“" * 1_000_000)
