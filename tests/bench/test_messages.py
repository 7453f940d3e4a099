"""The protocols of messages: questions inside of longer messages, and messages that ask nothing."""

import json
import sys

import pytest

from bench import lives, messages, systems
from bench.figures import silent
from bench.lives import Message, Wrapping
from bench.messages import Asked, Kept


class Scripted:
    """Finds the turn "1" for every message without the word "lost", and nothing for the others."""

    name = "scripted"

    def notes(self, memory, message):
        return [] if "lost" in message else ["0", "1"]


def wrapping(text, language="en", held_out=False):
    return Wrapping("prose", language, held_out, text)


def test_only_questions_that_are_found_alone_count_in_wrappings():
    asked = {"en": [Asked(0, "Where?", ("1",)), Asked(0, "Where is the lost one?", ("1",)), Asked(0, "Who?", ("7",))]}
    wrappings = [wrapping("Hello. {question}"), wrapping("I got lost. {question}")]
    kept = messages.keep(Scripted(), wrappings, asked)
    assert [(one.alone, one.wrapped) for one in kept] == [(1, 1), (1, 0)]
    assert messages.share_kept(kept) == 0.5
    assert str(messages.share_kept([Kept(wrappings[0], 0, 0)])) == "nan"


def test_a_message_that_asks_nothing_is_one_of_at_most_two_memories_in_its_language(tmp_path, life_json):
    for name in ("osei", "lena", "mira"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**life_json, "name": name}))
    memories = lives.read_lives(tmp_path)
    assert messages.memories_of(Message("en", False, "thanks", "Thanks!"), memories) == [0, 1]
    given = [Message("en", False, "test", "ping"), Message("en", False, "test", "lost")]
    shares = messages.silent_shares(Scripted(), given, memories)
    assert [share for _, share in shares] == [0, 1]


@pytest.fixture
def sets(tmp_path, life_json):
    (tmp_path / "osei.json").write_text(json.dumps(life_json))
    fact = {"number": 1, "told": "Meine Katze heißt Zwirbel.", "asked": "Wie heißt meine Katze?"}
    sheet = {"facts": [fact], "others": ["Es regnet seit Tagen."]}
    (tmp_path / "facts.json").write_text(json.dumps({"languages": {"de": sheet}}))
    return messages.Sets(
        lives.read_lives(tmp_path / "lives") or [lives.read_life(tmp_path / "osei.json")],
        lives.read_facts(tmp_path / "facts.json"),
        [wrapping("{question}", held_out=True), wrapping("{question}"), wrapping("{question}", "de")],
        [Message("en", True, "thanks", "Thanks a lot!"), Message("de", False, "thanks", "Danke!")],
    )


def test_messages_are_measured_with_engram_and_another_checkout(tmp_path, sets):
    folder = tmp_path / "databases"
    folder.mkdir()
    references = systems.References(before=sys.executable)
    part = messages.measure(sets, systems.Bench(folder, references, silent))
    assert {figure.key: figure.value for figure in part.figures} == {
        "messages-around": 1,
        "messages-nothing": 1,
        "messages-around-tuned": 1,
        "messages-nothing-tuned": 1,
    }
    assert [figure.references[0].value for figure in part.figures] == [1, 1, 1, 1]
    alone, *tables = part.tables
    assert alone.columns == ["", "en (of 1)", "de (of 1)"]
    assert alone.rows == [["Engram", "1", "1"], ["recall of the commit before", "1", "1"]]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
