"""Reading conversations with questions from LoCoMo's format and from files of chats."""

import json
from datetime import UTC, datetime

import pytest

from bench import datasets
from tests.bench.conftest import write_lines


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


@pytest.mark.parametrize("variable", [datasets.LOCOMO_VARIABLE, datasets.BEAM_VARIABLE, datasets.MEMDAILY_VARIABLE])
def test_the_path_of_a_set_is_the_argument_before_the_variable(variable, tmp_path, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    assert datasets.given_path(None, variable) is None
    monkeypatch.setenv(variable, str(tmp_path / "a"))
    assert datasets.given_path(None, variable) == tmp_path / "a"
    assert datasets.given_path(tmp_path / "b", variable) == tmp_path / "b"


def test_read_transcripts_returns_chats_with_messages_and_questions(transcripts):
    first, second = datasets.read_transcripts(transcripts)
    assert (first.name, second.name) == ("chat-a", "chat-b")
    assert [(t.key, t.session, t.speaker, t.role, t.text) for t in first.turns] == [
        ("0", "s1", "Ada", "user", "My kayak is called Heron."),
        ("1", "2", "", "assistant", "A fine name for a boat."),
    ]
    question, unanswerable = first.questions
    assert (question.evidence, unanswerable.evidence) == (("0",), ())
    # A question is asked when its chat ends.
    assert question.now == datetime(2025, 5, 2, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "lines",
    [
        ["{"],
        ["[]"],
        ['{"chat": 1, "messages": [], "questions": []}'],
        ['{"chat": 1, "messages": [{"id": "0"}], "questions": []}'],
    ],
)
def test_a_malformed_line_of_transcripts_is_named_in_the_error(tmp_path, lines):
    with pytest.raises(datasets.DatasetError, match=r"t\.jsonl\.gz, line 1"):
        datasets.read_transcripts(write_lines(tmp_path / "t.jsonl.gz", lines))


def test_evidence_that_is_no_message_is_named_in_the_error(tmp_path, transcripts_json):
    transcripts_json[1]["questions"][0]["evidence"] = ["77"]
    path = write_lines(tmp_path / "t.jsonl.gz", map(json.dumps, transcripts_json))
    with pytest.raises(datasets.DatasetError, match=r"line 2: question 1 names the turn '77'"):
        datasets.read_transcripts(path)


def test_transcripts_that_are_not_gzipped_are_named_in_the_error(tmp_path):
    with pytest.raises(datasets.DatasetError, match=r"plain\.jsonl"):
        datasets.read_transcripts(write(tmp_path / "plain.jsonl", "{}"))


def test_every_conversation_in_our_chats_has_turns_and_questions():
    path = datasets.chats_path()
    if path is None:
        pytest.skip("this copy contains no chats")
    for conversation in datasets.read_chats(path):
        assert conversation.turns
        assert conversation.questions
