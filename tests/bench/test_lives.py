"""Our own sets about what is meant: reading them, and the rules that the shipped files keep."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from bench import datasets, lives

LANGUAGES = ["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh-TW"]


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def test_read_lives_returns_turns_and_questions(tmp_path, life_json):
    write(tmp_path / "osei.json", life_json)
    (life,) = lives.read_lives(tmp_path)
    assert (life.name, life.held_out) == ("osei", False)
    assert [(t.key, t.session, t.speaker, t.role) for t in life.turns] == [
        ("1:1", "session_1", "", "user"),
        ("1:2", "session_1", "", "assistant"),
        ("1:3", "session_1", "", "user"),
        ("2:1", "session_2", "", "user"),
    ]
    now, other, none = life.questions
    assert (now.evidence, now.outdated, none.evidence) == (("2:1",), ("1:1",), ())
    # The time of a question is in the asker's zone, where summer time holds in July.
    assert other.now.utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": ["3:1"]}, "question 1 names the turn '3:1'"),
        ({"outdated": ["1:9"]}, "question 1 names the turn '1:9'"),
        ({"kind": "rumour"}, "the kind 'rumour' is none of"),
        ({"kind": "none"}, "the kind 'none' has 1 evidence"),
        ({"evidence": []}, "the kind 'now' has 0 evidence"),
        ({"day": "2025-02-30"}, "day"),
        ({"asked_at": "in May"}, "in May"),
    ],
)
def test_a_wrong_question_of_a_life_is_named_in_the_error(tmp_path, life_json, change, message):
    life_json["questions"][0].update(change)
    with pytest.raises(datasets.DatasetError, match=rf"osei\.json.*{message}"):
        lives.read_life(write(tmp_path / "osei.json", life_json))


def test_sessions_out_of_order_are_named_in_the_error(tmp_path, life_json):
    life_json["sessions"].reverse()
    life_json["questions"].clear()
    with pytest.raises(datasets.DatasetError, match="not in the order"):
        lives.read_life(write(tmp_path / "osei.json", life_json))


def test_facts_stand_among_other_sentences_on_their_own_days(tmp_path):
    facts = [{"number": n, "told": f"told {n}", "asked": f"asked {n}"} for n in (1, 2)]
    sheet = {"facts": facts, "others": ["a", "b", "c"]}
    (read,) = lives.read_facts(write(tmp_path / "f.json", {"languages": {"en": sheet}}))
    assert [(t.key, t.text) for t in read.memory.turns] == [
        ("other-0", "a"),
        ("1", "told 1"),
        ("other-1", "b"),
        ("other-2", "c"),
        ("2", "told 2"),
    ]
    assert read.asked == ("asked 1", "asked 2")
    assert len({t.at.date() for t in read.memory.turns}) == len({t.session for t in read.memory.turns}) == 5


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"languages": {"en": {"facts": [{"number": 2, "told": "x", "asked": "y"}], "others": []}}},
        {
            "languages": {
                "en": {"facts": [{"number": 1, "told": "x", "asked": "y"}], "others": []},
                "de": {"facts": [], "others": []},
            }
        },
    ],
)
def test_malformed_facts_are_named_in_the_error(tmp_path, content):
    with pytest.raises(datasets.DatasetError, match=r"f\.json"):
        lives.read_facts(write(tmp_path / "f.json", content))


@pytest.mark.parametrize("text", ["no place", "{question} and {question}"])
def test_a_wrapping_without_one_place_for_the_question_is_named_in_the_error(tmp_path, text):
    wrapping = {"kind": "prose", "language": "en", "held_out": False, "text": text}
    with pytest.raises(datasets.DatasetError, match="wrapping 1 does not hold"):
        lives.read_wrappings(write(tmp_path / "a.json", {"wrappings": [wrapping]}))


def test_a_wrapping_keeps_braces_of_code():
    wrapping = lives.Wrapping("code", "en", False, "f = {1: '{x}'}\n{question}")
    assert wrapping.around("Why {y}?") == "f = {1: '{x}'}\nWhy {y}?"


def test_malformed_messages_are_named_in_the_error(tmp_path):
    with pytest.raises(datasets.DatasetError, match=r"m\.json"):
        lives.read_messages(write(tmp_path / "m.json", [1]))


def test_the_shipped_lives_are_complete_and_half_of_them_held_out():
    read = lives.read_lives()
    assert Counter(life.held_out for life in read) == {False: 6, True: 6}
    assert Counter(life.language for life in read) == {"en": 9, "es": 1, "zh": 1, "de+en": 1}
    for life in read:
        assert 60 <= len(life.turns) <= 90
        assert 20 <= len({turn.session for turn in life.turns}) <= 26
        assert len({question.text for question in life.questions}) == 50
        kinds = Counter(question.kind for question in life.questions)
        assert kinds.keys() == lives.KINDS
        assert kinds[lives.NONE] == 10
        assert all(turn.role in ("user", "assistant") and turn.text.strip() for turn in life.turns)
        assert all(question.now > life.turns[0].at for question in life.questions)
        # What is outdated answers nothing, and what holds now was said later.
        order = {turn.key: number for number, turn in enumerate(life.turns)}
        for question in life.questions:
            assert not set(question.evidence) & set(question.outdated)
            if question.kind == "now" and question.outdated:
                assert max(order[key] for key in question.evidence) > min(order[key] for key in question.outdated)


def test_the_shipped_facts_are_twenty_in_sixteen_languages():
    sheets = lives.read_facts()
    assert [sheet.language for sheet in sheets] == LANGUAGES
    for sheet in sheets:
        assert len(sheet.asked) == 20
        assert len({turn.text for turn in sheet.memory.turns}) == 50
        assert {str(number) for number in range(1, 21)} <= {turn.key for turn in sheet.memory.turns}


def test_half_of_the_shipped_wrappings_of_each_kind_is_held_out():
    wrappings = lives.read_wrappings()
    assert len(wrappings) == 60
    assert {wrapping.language for wrapping in wrappings} <= set(LANGUAGES)
    assert_halved(wrappings)


def test_half_of_the_shipped_messages_of_each_kind_is_held_out():
    messages = lives.read_messages()
    assert len({message.text for message in messages}) == 200
    assert {message.language for message in messages} <= set(LANGUAGES)
    assert_halved(messages)


def assert_halved(items):
    """Fail unless half of the items of each kind are held out, give or take one."""
    for kind in {item.kind for item in items}:
        halves = Counter(item.held_out for item in items if item.kind == kind)
        assert abs(halves[True] - halves[False]) <= 1, kind
