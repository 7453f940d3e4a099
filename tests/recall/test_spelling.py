"""A typing error in a rare word of a query is borne, where the namespace does not hold the word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.engram import Engram
from engram.memory import Memory

TOLD = [
    "My tortoise is called Archibald.",
    "We spent a week in Oberammergau.",
    "Ask Tchaikowsky about the gutters.",
    "The new apprentice is Ksawery.",
    "I play the hurdygurdy on Sundays.",
    "Frau Schäfer waters the tomatoes.",
    "Мы жили в Суздале.",
    "Ο Παναγιώτης φτιάχνει ρολόγια.",
    "The vegetable box comes on Thursday.",
]
ASKED = [
    ("Who is Archibadl?", 0),
    ("Who is Archbald?", 0),
    ("What about Rachibald?", 0),
    ("When were we in Oberamergau?", 1),
    ("When were we in Obberammergua?", 1),
    ("Who is Tschaikowsky?", 2),
    ("Who is Chaikowski?", 2),
    ("Who is Ksavery?", 3),
    ("Who is Xsawery?", 3),
    ("When do I play the hurdigurdy?", 4),
    ("What does Schaefer do?", 5),
    ("Что было в Суздоле?", 6),
    ("ο Παναγιότης", 7),
    ("When does the vegtable box come?", 8),
]


@pytest.fixture(scope="module", params=["tail", "index", "large"])
def memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    path: Path = tmp_path_factory.mktemp("spelling") / "memory.db"
    with Memory(path) as opened:
        for index, text in enumerate(TOLD):
            opened.remember(text, session=f"s{index}")
        if request.param != "tail":
            if request.param == "large":
                opened.remember_many({"text": f"We talked about the weather, {i}."} for i in range(400))
            assert opened.flush()
        yield opened


@pytest.mark.parametrize(("asked", "told"), ASKED, ids=[asked for asked, _ in ASKED])
def test_a_word_with_an_error_is_found(memory: Memory, asked: str, told: int) -> None:
    hits = memory.recall(asked)
    assert hits, "nothing was found"
    assert hits[0].engram.text == TOLD[told]


def matched(memory: Memory, asked: str, engram: Engram, term: str) -> float:
    """Return how well a turn matches a word of a query, 0 to about 1.2."""
    return memory.explain(asked, engram.id, namespace=engram.namespace).words[term][1]


def test_a_word_that_the_namespace_holds_is_no_error(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        one = memory.remember("Larssen repairs bicycles.", session="a")
        other = memory.remember("Larsson paints boats.", session="b")
        assert matched(memory, "What does Larssen do?", one, "larssen") > 0.5
        assert matched(memory, "What does Larssen do?", other, "larssen") == 0
        assert matched(memory, "What does Larsson do?", other, "larsson") > 0.5
        assert matched(memory, "What does Larsson do?", one, "larsson") == 0


@pytest.mark.parametrize(
    ("told", "asked", "term"),
    [
        # Two words of the language, a short word, a number.
        ("The house is warm.", "Where is the horse?", "hors"),
        ("Wir kennen die Leute.", "Was sollen sie können?", "konnen"),
        ("Vlok was here.", "Who is Vlak?", "vlak"),
        ("The code is 88127734.", "What is 88127735?", "88127735"),
    ],
)
def test_other_words_are_no_errors(tmp_path: Path, told: str, asked: str, term: str) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        assert matched(memory, asked, memory.remember(told), term) == 0


def test_words_of_other_namespaces_are_not_meant(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        one = memory.remember("My tortoise is called Archibald.", namespace="a")
        memory.remember("It rained.", namespace="b")
        for flushed in (False, True):
            if flushed:
                memory.flush()
            other = memory.remember(f"It rained again, flushed: {flushed}.", namespace="b")
            assert matched(memory, "Who is Archibadl?", one, "archibadl") > 0.5
            assert matched(memory, "Who is Archibadl?", other, "archibadl") == 0


def test_an_error_in_a_speakers_name_names_the_speaker(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("I went to the fair.", speaker="Annelotte", session="a")
        memory.remember("I went to the fair as well.", speaker="Bert", session="b")
        memory.remember("Hi Annelotte, hi Bert!", speaker="Cas", session="c")
        assert memory.recall("What fair did Anneloote go to?")[0].engram.speaker == "Annelotte"
