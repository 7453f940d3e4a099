"""Notes for a proxied request."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engram.engram import ORIGINS, Origin
from engram.memory import Memory
from engram.notes.injection import wording_for
from engram.serve.proxy.recall_request import NO_NOTES, NoteFinder, RecallRequest, recall_query
from engram.serve.settings import Settings
from engram.serve.wire.base import ChatMessage, MessagePart

WORDING = wording_for(embedded=False, budget=512, notes=5, least_score=0.0)


def test_parts_give_the_same_notes_and_earlier_notes_come_first() -> None:
    with Memory(":memory:") as memory:
        dog = memory.remember("My dog is called Biscuit.", namespace="ana")
        memory.remember("My cat is called Plum.", namespace="ana")
        recaller = NoteFinder(memory, WORDING)
        whole = RecallRequest(
            namespace="ana",
            last=2,
            query="What is my cat called?",
            earlier_notes={0: (dog.id,)},
            texts={0: "What is my dog called?", 2: "What is my cat called?"},
            held_ids=frozenset([dog.id]),
            held_texts=["What is my dog called?", "Biscuit.", "What is my cat called?"],
        )
        first, second = whole.parts()
        early, new = recaller.notes(first), recaller.notes(second)
        assert ("Biscuit" in early.texts[0], early.recalled) == (True, ())
        assert "Plum" in new.texts[2]
        assert NO_NOTES.joined(early).joined(new) == recaller.notes(whole)
        assert len(new.recalled) == 1
        # A request with only earlier notes, or only new ones, has one part.
        assert second.parts() == [second]
        assert first.parts() == [first]


def test_a_note_of_a_long_reply_shows_the_passage_that_answers_and_shows_it_again() -> None:
    filler = "The council met about the footpath by the mill and put the decision off until the spring. " * 8
    said = f"{filler}\n\nTwo of the hens go to your neighbour Odile before you leave.\n\n{filler}"
    asked = "Who gets our poultry?"
    with Memory(":memory:") as memory:
        reply = memory.remember(said, namespace="ana", role="assistant")
        finder = NoteFinder(memory, WORDING)
        request = RecallRequest("ana", 0, asked, {}, {0: asked}, frozenset(), [asked])
        found = finder.notes(request)
        assert "neighbour Odile" in found.texts[0]
        assert len(found.texts[0].split()) < len(said.split()) / 2
        (recalled,) = found.recalled
        assert recalled.startswith(reply.id + ":")
        again = finder.notes(request._replace(query=None, earlier_notes={0: found.recalled}, held_texts=[]))
        assert again.texts == found.texts


@pytest.mark.parametrize(
    ("before", "text", "query"),
    [
        ("", "What is my cat called?", "What is my cat called?"),
        ("Do you mean the cat?", "her name", "Do you mean the cat?\nher name"),
        ("Shall I look up the cat's name?", "yes please", "Shall I look up the cat's name?"),
        ("Her name is Plum.", "Thanks a lot!", None),
        ("", "hello", None),
        ("", "ok", None),
    ],
)
def test_a_short_message_is_looked_up_with_a_reply_before_and_a_courtesy_not_at_all(
    before: str, text: str, query: str | None
) -> None:
    told = [message("assistant", before)] if before else []
    assert recall_query([*told, message("user", text)], len(told)) == query


@pytest.mark.parametrize("between", [[], ["Thanks!", "You are welcome."]])
def test_a_follow_up_is_looked_up_with_the_question_before_it(between: list[str]) -> None:
    told = ["Where does my aunt keep her bees?", "Behind the chapel in Ullapool.", *between, "And since when?"]
    messages = [message(("user", "assistant")[number % 2], text) for number, text in enumerate(told)]
    assert recall_query(messages, len(messages) - 1) == f"{told[0]}\n{told[-1]}"


def message(role: str, text: str) -> ChatMessage:
    return ChatMessage(role, (MessagePart(role, text),), text, text, None)


def asked(query: str | None, *, earlier: Mapping[int, tuple[str, ...]] | None = None) -> RecallRequest:
    """A request for the notes of message 2, and for those that earlier messages had."""
    texts = {0: "What is my dog called?", 2: "Where does the wombat sleep?"}
    return RecallRequest("ana", 2, query, earlier or {}, texts, frozenset(), [])


@pytest.mark.parametrize("least", ORIGINS)
def test_notes_are_as_trusted_as_the_wording_demands(least: Origin) -> None:
    wording = wording_for(embedded=False, budget=2048, notes=20, least_score=0.0, least_trust=least)
    with Memory(":memory:") as memory:
        engrams = [
            memory.remember(f"The {origin} wombat sleeps in the hay.", namespace="ana", origin=origin)
            for origin in ORIGINS
        ]
        trusted = {engram.id for engram in engrams[: ORIGINS.index(least) + 1]}
        notes = NoteFinder(memory, wording).notes(asked("Where does the wombat sleep?"))
        assert set(notes.recalled) == trusted
        # Notes of an earlier request, which a server with another limit has answered.
        again = NoteFinder(memory, wording).notes(asked(None, earlier={2: tuple(e.id for e in engrams)}))
        assert set(again.recalled) == trusted
        assert [origin for origin in ORIGINS if f"The {origin} wombat" in again.texts[2]] == [
            *ORIGINS[: ORIGINS.index(least) + 1]
        ]


def test_tools_and_documents_become_no_notes_by_default() -> None:
    wording = wording_for(embedded=False, budget=2048, notes=20, least_score=0.0)
    assert wording.least_trust == Settings(memory="").least_trust == "agent"


def test_notes_that_went_into_quarantine_are_left_out_of_earlier_messages() -> None:
    with Memory(":memory:") as memory:
        kept, doubted = (memory.remember(f"The {name} sleeps.", namespace="ana") for name in ("cat", "wombat"))
        request = asked(None, earlier={0: (kept.id, doubted.id)})
        finder = NoteFinder(memory, WORDING)
        assert "wombat" in finder.notes(request).texts[0]
        memory.quarantine(doubted.id, "a doubt")
        assert "cat" in finder.notes(request).texts[0]
        assert "wombat" not in finder.notes(request).texts[0]
