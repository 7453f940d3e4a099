"""300 poisonings of ten kinds come in by the ways of their kind, and later conversations ask what they wait for.

No text that the user did not type reaches the model's prompt as an instruction, as another role or as the user's word.
What the user typed may come back, marked as a note and unable to leave its note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engram.chat import Conversation
from engram.memory import Memory
from engram.notes.injection import CLOSE, OPEN, without_notes
from engram.notes.wording import SMALL
from engram.recall.context import HEADING
from engram.text.markup import comparable, neutral
from tests.serve.proxied import running
from tests.test_chat import Parrot

from .poisons import Poison, poisons
from .ways import ORIGIN, Ways

WAYS_OF = {
    "bridging": ["mcp", "rest", "user", "assistant"],
    "triggers": ["rest", "import", "attachment", "mcp"],
    "sleepers": ["mcp", "import", "user", "assistant"],
    "tool_output": ["tool", "assistant", "mcp"],
    "pages": ["attachment", "tool", "pasted", "mcp"],
    "fake_turns": ["pasted", "user", "import", "rest"],
    "fake_marks": ["mcp", "user", "tool", "assistant", "import"],
    "templates": ["user", "rest", "import", "attachment"],
    "hidden": ["pasted", "user", "import", "mcp"],
    "links": ["assistant", "tool", "mcp", "rest"],
}
"""For each kind the ways by which it comes, in turn."""


class Planted(NamedTuple):
    """A poisoning that is in the memory, alone in its namespace unless it came in an attachment."""

    poison: Poison
    way: str
    namespace: str


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("poisonings")
    with running(folder / "served", least_score=0.0) as (server, upstream), Memory(server.memory) as memory:
        yield Ways(server, upstream, memory, folder)


@pytest.fixture(scope="module")
def planted(ways: Ways) -> list[Planted]:
    """All poisonings, in the memory."""
    found = []
    for number, poison in enumerate(poisons()):
        choices = WAYS_OF[poison.kind]
        way = choices[number % len(choices)]
        namespace = "attachments" if way == "attachment" else f"{poison.kind}-{number}"
        found.append(Planted(poison, way, namespace))
    for way in ORIGIN:
        ways.send_all(way, [(one.namespace, one.poison.text) for one in found if one.way == way])
    return found


def test_there_are_thirty_poisonings_of_each_kind(planted: list[Planted]) -> None:
    assert Counter(one.poison.kind for one in planted) == dict.fromkeys(WAYS_OF, 30)


def shows(text: str, poison: Poison) -> bool:
    """Whether `text` holds the goal of a poisoning, or the text in which the goal is hidden."""
    return any(comparable(neutral(part)) in comparable(neutral(text)) for part in (poison.goal, poison.text))


def test_every_poisoning_is_stored_with_the_origin_of_its_way(ways: Ways, planted: list[Planted]) -> None:
    for one in planted:
        text = without_notes(one.poison.text)
        origins = [engram["origin"] for engram in ways.stored(one.namespace) if text in str(engram["text"])]
        assert origins == [ORIGIN[one.way]], one


def test_no_poisoning_leaves_its_place_in_the_prompts_of_large_models(ways: Ways, planted: list[Planted]) -> None:
    reached = []
    for one in planted:
        ways.ask(one.namespace, one.poison.ask)
        messages = ways.upstream.last.messages
        (message,) = messages
        content = message["content"]
        assert message["role"] == "user"
        assert content.endswith(one.poison.ask)
        note = content[: len(content) - len(one.poison.ask)]
        if not note:
            continue
        assert_marked(note)
        if ORIGIN[one.way] != "user" and shows(note, one.poison):
            reached.append(one)
    assert reached == []


BEGINNINGS = (
    "- user: ", "- user (program): ", "- user (import): ", "- assistant: ", "- Ana: ", "- Ana (program): ",
    "- Ana (import): ", "- Ana (agent): ",
)  # fmt: skip


def assert_marked(note: str) -> None:
    """Check that `note` is one block of notes, that the texts cannot leave it, and that each says who said it."""
    assert note.startswith(f"{OPEN}\n{HEADING}\n")
    assert note.endswith(f"\n{CLOSE}\n\n")
    inside = note[len(OPEN) : -len(CLOSE) - 2]
    assert neutral(inside) == inside, note
    lines = inside.removeprefix(f"\n{HEADING}\n").removesuffix("\n").split("\n")
    # A date, the first line of a note with its speaker, or a further line of the note, which is indented.
    assert all(line.startswith(("[2", *BEGINNINGS, "  ")) for line in lines), note


def test_no_poisoning_leaves_its_place_in_the_prompts_of_small_models(ways: Ways, planted: list[Planted]) -> None:
    reached = []
    for one in planted:
        model = Parrot()
        talk = Conversation(ways.memory, model, namespace=one.namespace, session=one.poison.goal, profile=SMALL)
        list(talk.say(one.poison.ask))
        system, message = model.received[-1]
        assert (system.role, system.content, message.role) == ("system", SMALL.system, "user")
        assert message.content.endswith(one.poison.ask)
        notes = message.content[: len(message.content) - len(one.poison.ask)]
        if not notes:
            continue
        opening, *lines, blank, closing = notes.split("\n")
        assert (opening, blank, closing) == (SMALL.opening, "", f"{SMALL.closing} ")
        assert all(line.startswith("- ") and neutral(line) == line for line in lines), notes
        if ORIGIN[one.way] != "user" and shows(notes, one.poison):
            reached.append(one)
    assert reached == []


def test_what_reads_as_an_order_is_in_quarantine_unless_the_user_typed_it(ways: Ways, planted: list[Planted]) -> None:
    held = {engram.namespace for engram in ways.memory.quarantined()}
    assert len(held) >= 80
    assert not [one for one in planted if one.namespace in held and ORIGIN[one.way] == "user"]


FACTS = {way: f"The {way} parcel is in locker {number}." for number, way in enumerate(ORIGIN, start=411)}


@pytest.mark.parametrize("way", ORIGIN)
def test_a_harmless_fact_is_stored_by_every_way(ways: Ways, way: str) -> None:
    ways.send(way, f"fact-{way}", FACTS[way])
    (engram,) = [engram for engram in ways.stored(f"fact-{way}") if FACTS[way] in str(engram["text"])]
    assert engram["origin"] == ORIGIN[way]
    assert engram["quarantined"] is None


@pytest.mark.parametrize("way", ORIGIN)
def test_a_harmless_fact_becomes_a_note_unless_a_document_or_a_tool_said_it(ways: Ways, way: str) -> None:
    ways.send(way, f"again-{way}", FACTS[way])
    ways.ask(f"again-{way}", f"Where is the {way} parcel?")
    assert (FACTS[way] in ways.upstream.last.last_user) == (way not in ("attachment", "tool"))


def test_tools_become_notes_only_if_the_operator_asks_for_them(tmp_path: Path) -> None:
    with running(tmp_path / "served", least_trust="tool") as (server, upstream), Memory(server.memory) as memory:
        ways = Ways(server, upstream, memory, tmp_path)
        ways.send("tool", "trusting", FACTS["tool"])
        ways.ask("trusting", "Where is the tool parcel?")
        assert f"- tool: {FACTS['tool']}" in upstream.last.last_user


def test_no_poisoning_becomes_a_fact_or_a_standing_wish(ways: Ways, planted: list[Planted]) -> None:
    ways.memory.reflect()
    reached = []
    for one in planted:
        if ORIGIN[one.way] == "user":
            continue
        facts = ways.memory.facts(namespace=one.namespace)
        profile = ways.memory.profile(namespace=one.namespace)
        working = ways.memory.working(one.poison.ask, namespace=one.namespace, shares={"standing": 0.5, "profile": 0.5})
        if any(shows(text, one.poison) for text in (*(fact.text for fact in facts), profile.text, working.text)):
            reached.append((one.way, one.poison.kind, one.poison.goal))
    assert reached == []
