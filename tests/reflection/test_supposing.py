"""Supposing: what somebody only supposes is no fact, no order and no part of a profile."""

from __future__ import annotations

import pytest

from engram import Memory
from engram.reflection.supposing import supposes

SUPPOSED = [
    "If I lived in Oslo I'd ski to work every single day.",
    "id never cook again if i lived in oslo",
    "Imagine if I was a vegan.",
    "Suppose I had 10,000 euros to spend.",
    "Were I to move to Oslo, I would always take the tram.",
    "I wish I lived in Oslo.",
    "Wenn ich in Oslo wohnen würde, wäre ich immer auf Skiern.",
    "Angenommen, ich hätte ein Boot.",
    "Si j'habitais à Oslo, je skierais toujours.",
    "Si viviera en Oslo, siempre iría en tranvía.",
    "Se vivessi a Oslo, scierei sempre.",
    "Se eu morasse em Oslo, esquiava sempre.",
    "Als ik in Oslo woonde, zou ik altijd skiën, en als ik rijk was zou ik nooit werken.",
    "Gdybym mieszkał w Oslo, zawsze jeździłbym na nartach.",
    "Если бы я жил в Осло, я бы всегда ходил на лыжах.",
    "Oslo'da yaşasaydım her zaman kayak yapardım.",
    "لو كنت أعيش في أوسلو لتزلجت دائما.",
    "如果我住在奥斯陆,我每次都滑雪上班。",
    "もしオスロに住んでいたら、いつもスキーで通います。",
    "만약 내가 오슬로에 산다면 항상 스키를 탈 거야.",
    "ถ้าฉันอยู่ออสโล ฉันจะเล่นสกีทุกครั้ง",
]
MEANT = [
    "When I lived in Oslo I always skied.",
    "If I ask for a price, always add the tax.",
    "If you could always answer in metric units, that would be great.",
    "I suppose we live in Leeds now.",
    "I would like you to always answer in metric units.",
    "Wenn ich nach Preisen frage, rechne immer die Steuer dazu.",
    "Ich hätte gern immer eine Zusammenfassung.",
    "Si je demande un prix, ajoute toujours la taxe.",
    "Si pregunto un precio, añade siempre el impuesto.",
    "Se chiedo un prezzo, aggiungi sempre l'imposta.",
    "Als ik een prijs vraag, tel er altijd de btw bij op.",
    "Если я спрашиваю цену, всегда добавляй налог.",
    "如果我问价格,请每次都加上税。",
    "もし値段を聞いたら、必ず税込みで教えて。",
    'She said "if I lived in Oslo I would ski", and we live in Leeds.',
]


@pytest.mark.parametrize("sentence", SUPPOSED)
def test_what_is_supposed_is_no_fact_and_no_wish(sentence: str) -> None:
    assert supposes(sentence)
    with Memory(":memory:") as memory:
        memory.remember(sentence)
        assert len(memory.facts()) == 0
        assert memory.profile().text == ""


@pytest.mark.parametrize("sentence", MEANT)
def test_a_condition_a_request_and_a_memory_suppose_nothing(sentence: str) -> None:
    assert not supposes(sentence)


def test_a_supposed_home_closes_none() -> None:
    with Memory(":memory:") as memory:
        memory.remember(home := "I live at 12 Mill Road in Leeds.")
        memory.remember("If I lived at 5 Storgata in Oslo I would ski to work.")
        assert [fact.text for fact in memory.facts(slot="home")] == [home]


def test_a_long_text_is_read_in_linear_time() -> None:
    assert not supposes("if i had " * 200_000)
