"""The protocol: what is asked of whom, and what is made of the answers."""

import json

import pytest

from bench import datasets, quality
from bench.quality import Found


@pytest.fixture
def conversations(tmp_path, locomo_form):
    path = tmp_path / "l.json"
    other = json.loads(json.dumps(locomo_form[0]).replace("tiny-1", "tiny-2").replace("kiln", "boat"))
    path.write_text(json.dumps([*locomo_form, other]))
    return datasets.read_locomo(path)


class Scripted:
    """Knows the first conversation by heart and nothing of the second; notes what it is asked."""

    name = "scripted"

    def __init__(self):
        self.asked = []

    def ask(self, conversation, question, limit):
        self.asked.append((conversation, question, limit))
        found = [Found("D1:2", 0.9), Found("D2:1", 0.5), Found("D1:1", 0.4)]
        return found[:limit] if conversation == 0 else []


def test_judge(conversations):
    system = Scripted()
    judged = quality.judge(system, conversations)
    assert [j.kind for j in judged] == ["multi-hop", "single-hop"] * 2
    first = judged[0]
    assert first.values["R@5"] == 1
    assert first.values["MRR"] == pytest.approx(1 / 2)
    assert first.values["any@5"] == first.values["all@5"] == 1
    assert (first.own, first.other) == (0.9, None)
    assert (judged[2].own, judged[2].other) == (None, 0.9)
    # Its own conversation for turns and for sessions, then the next; the last one's next is the first.
    assert system.asked[:3] == [(0, "Which colour?", 50), (0, "Which colour?", 200), (1, "Which colour?", 1)]
    assert (0, "Who?", 1) in system.asked[-5:]


def test_speaker_names_are_removed_from_questions(conversations):
    names = quality.speaker_names(conversations[0])
    assert names.sub("", "What did ADA say to Bo's Adam?").split() == ["What", "did", "say", "to", "Adam?"]


def test_scores_separate_answerable_questions():
    def judged(own, other):
        return quality.Judged("k", {}, own, other, own, other)

    told = quality.separation([judged(0.9, None), judged(0.4, 0.4), judged(None, None), judged(0.8, 0.1)])
    # Own 0.9, 0.4, 0, 0.8 against other 0, 0.4, 0, 0.1: 4 + 3.5 + 1 + 4 of 16.
    assert told.auc == pytest.approx(12.5 / 16)
    assert told.silent_other == 0.5
    assert told.silent_own == 0.25


def test_means_by_kind():
    def judged(kind, value):
        return quality.Judged(kind, {"R@5": value}, None, None, None, None)

    means = quality.by_kind([judged("a", 1.0), judged("b", 0.0), judged("a", 0.5)])
    assert means["all"] == {"R@5": 0.5, "questions": 3}
    assert means["a"] == {"R@5": 0.75, "questions": 2}


def test_measure_on_engram_and_references(conversations, tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "minilm_installed", lambda: False)
    part = quality.measure("locomo", "Tiny", conversations, tmp_path)
    assert [f.key for f in part.figures] == [
        "locomo-turn-recall-10",
        "locomo-session-any-10",
        "locomo-session-share-10",
        "locomo-auc",
    ]
    assert all(0 <= figure.value <= 1 for figure in part.figures)
    assert len(part.figures[0].references) == 2
    assert "not installed" in part.notes[0]
    for table in part.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_own_chats(tmp_path, chats_form):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(chats_form))
    conversations = datasets.read_chats(path)
    system = quality.EngramSystem(conversations, tmp_path)
    found = system.ask(0, "Did I buy a kiln?", 10)
    system.close()
    assert found[0].key == "1:1"
    assert 0 <= found[0].score <= 1
