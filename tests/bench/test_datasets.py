"""Reading conversations with questions from LoCoMo's format and from files of chats."""

import json
from datetime import UTC, datetime

import pytest

from bench import datasets


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_read_locomo_returns_turns_and_questions_with_valid_evidence(tmp_path, locomo_json):
    (conversation,) = datasets.read_locomo(write(tmp_path / "l.json", locomo_json))
    assert conversation.name == "tiny-1"
    assert conversation.speakers() == ("Ada", "Bo")
    assert [(t.key, t.session, t.text) for t in conversation.turns] == [
        ("D1:1", "session_1", "Look at this! [shared a blue kiln]"),
        ("D1:2", "session_1", "Is it broken?"),
        ("D2:1", "session_2", "The kiln is fixed."),
    ]
    assert conversation.turns[0].at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert conversation.questions == (
        datasets.Question("Which colour?", ("D1:1", "D2:1"), "multi-hop"),
        datasets.Question("Who?", ("D2:1",), "single-hop"),
    )


def test_read_chats_returns_turns_and_questions_with_valid_evidence(tmp_path, chats_json):
    (conversation,) = datasets.read_chats(write(tmp_path / "c.json", chats_json))
    assert [(t.key, t.session, t.speaker, t.role) for t in conversation.turns] == [
        ("1:1", "session_1", "Ida", "user"),
        ("1:2", "session_1", "Assistant", "assistant"),
        ("2:1", "session_2", "Ida", "user"),
    ]
    assert conversation.turns[0].at == datetime(2025, 1, 2, 9, tzinfo=UTC)
    assert conversation.turns[2].at == datetime(2025, 2, 2, 10, tzinfo=UTC)
    assert [q.evidence for q in conversation.questions] == [("1:1",), ("2:1", "1:1")]


@pytest.mark.parametrize("content", ["", "[{]", "{}", '[{"conversation": 3}]', "[1]"])
def test_a_malformed_locomo_file_is_named_in_the_error(tmp_path, content):
    path = write(tmp_path / "wrong.json", content)
    with pytest.raises(datasets.DatasetError, match=r"wrong\.json"):
        datasets.read_locomo(path)


@pytest.mark.parametrize("content", ["", "[]", '{"users": [{}]}'])
def test_a_malformed_file_of_chats_is_named_in_the_error(tmp_path, content):
    path = write(tmp_path / "wrong.json", content)
    with pytest.raises(datasets.DatasetError, match=r"wrong\.json"):
        datasets.read_chats(path)


def test_a_missing_file_is_named_in_the_error(tmp_path):
    with pytest.raises(datasets.DatasetError, match=r"none\.json"):
        datasets.read_locomo(tmp_path / "none.json")


def test_locomo_path_prefers_the_argument_to_the_variable(tmp_path, monkeypatch):
    monkeypatch.delenv(datasets.LOCOMO_VARIABLE, raising=False)
    assert datasets.locomo_path(None) is None
    monkeypatch.setenv(datasets.LOCOMO_VARIABLE, str(tmp_path / "a"))
    assert datasets.locomo_path(None) == tmp_path / "a"
    assert datasets.locomo_path(tmp_path / "b") == tmp_path / "b"


def test_every_conversation_in_our_chats_has_turns_and_questions():
    path = datasets.chats_path()
    if path is None:
        pytest.skip("this copy contains no chats")
    for conversation in datasets.read_chats(path):
        assert conversation.turns
        assert conversation.questions
