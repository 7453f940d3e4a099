"""The systems that are asked: Engram, Engram of another checkout, and the references."""

import json
import sys
from contextlib import ExitStack

import pytest

from bench import datasets, lives, systems
from bench.figures import silent


@pytest.fixture
def conversations(tmp_path, life_json):
    other = json.loads(json.dumps(life_json).replace("osei", "lena").replace("budgerigars", "tortoises"))
    for life in (life_json, other):
        (tmp_path / f"{life['name']}.json").write_text(json.dumps(life))
    return lives.read_lives(tmp_path)


def test_engram_finds_a_turn_of_our_chats(tmp_path, chats_json):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(chats_json))
    system = systems.EngramSystem(datasets.read_chats(path), tmp_path)
    hits = system.ask(0, "Did I buy a kiln?", 10)
    system.close()
    assert hits[0].key == "1:1"
    assert 0 <= hits[0].score <= 1


def test_another_checkout_answers_as_this_one_does(tmp_path, conversations):
    """The other checkout is this one: its process must give the hits and notes of this process."""
    (tmp_path / "other").mkdir()
    with ExitStack() as closing:
        here = systems.EngramSystem(conversations, tmp_path)
        closing.callback(here.close)
        there = systems.EngramSystem(conversations, tmp_path / "other", name="before", python=sys.executable)
        closing.callback(there.close)
        for question in conversations[0].questions:
            for index in (0, 1):
                hits = here.ask(index, question.text, 10, question.now)
                assert there.ask(index, question.text, 10, question.now) == hits
        assert here.ask(0, "What does my cousin Efua breed?", 3)[0].key == "1:3"
        question = "What does my cousin Efua breed?"
        assert there.notes(1, question) == here.notes(1, question)
        assert "1:3" in there.notes(1, question)


def test_messages_that_get_no_notes_from_the_proxy_get_none(tmp_path, conversations):
    system = systems.EngramSystem(conversations, tmp_path)
    assert system.notes(0, "Thanks a lot!") == []
    system.close()


def test_an_interpreter_without_engram_is_named_in_the_error(tmp_path, conversations, capfd):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no engram here >&2\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(systems.CheckoutFailed, match=r"python ended while it ran 'remember'.*--before"):
        systems.EngramSystem(conversations, tmp_path, python=str(script))
    assert "no engram here" in capfd.readouterr().err


def test_references_state_what_is_missing_once(tmp_path, monkeypatch, conversations):
    monkeypatch.setattr(systems, "minilm_installed", lambda: False)
    monkeypatch.setattr(systems, "vectors", lambda: None)
    references = systems.References()
    with ExitStack() as closing:
        for _ in range(2):
            found = references.systems(conversations, ["?"], tmp_path, closing, silent)
    # Lives name no speakers, so the ranker with the speaker in the text is left out.
    assert [system.name for system in found] == ["BM25 (k1 1.5, b 0.75)"]
    assert [note.split(":")[0] for note in references.notes] == [
        "dense MiniLM, and its fusion with BM25",
        "the vectors alone",
        "recall of the commit before",
    ]


def test_no_references_are_measured_if_none_are_wanted(tmp_path, conversations):
    references = systems.References(before=sys.executable, wanted=False)
    with ExitStack() as closing:
        assert references.systems(conversations, [], tmp_path, closing, silent) == []
    assert not references.has_before
    assert "--no-references" in references.notes[0]
