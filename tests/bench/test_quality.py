"""The protocol of the quality benchmark: which questions are asked, and how the answers are evaluated."""

import json

import pytest

from bench import datasets, quality, systems
from bench.figures import silent
from bench.systems import Hit


@pytest.fixture
def conversations(tmp_path, locomo_json):
    path = tmp_path / "l.json"
    other = json.loads(json.dumps(locomo_json[0]).replace("tiny-1", "tiny-2").replace("kiln", "boat"))
    path.write_text(json.dumps([*locomo_json, other]))
    return datasets.read_locomo(path)


class Scripted:
    """Returns the same hits for the first conversation and none for the second; records its questions."""

    name = "scripted"

    def __init__(self):
        self.questions = []

    def ask(self, conversation, question, limit, now=None):
        self.questions.append((conversation, question, limit))
        hits = [Hit("D1:2", 0.9), Hit("D2:1", 0.5), Hit("D1:1", 0.4)]
        return hits[:limit] if conversation == 0 else []


def test_evaluate_asks_each_question_about_its_conversation_and_the_next(conversations):
    system = Scripted()
    results = quality.evaluate(system, conversations)
    assert [result.kind for result in results] == ["multi-hop", "single-hop"] * 2
    first = results[0]
    assert first.values["R@5"] == 1
    assert first.values["MRR"] == pytest.approx(1 / 2)
    assert first.values["any@5"] == first.values["all@5"] == 1
    assert (first.score, first.other_score) == (0.9, None)
    assert (results[2].score, results[2].other_score) == (None, 0.9)
    # The conversation of the question for turns and for sessions, then the next one; after the last comes the first.
    assert system.questions[:3] == [(0, "Which colour?", 50), (0, "Which colour?", 200), (1, "Which colour?", 1)]
    assert (0, "Who?", 1) in system.questions[-5:]


def test_speaker_names_are_removed_from_questions(conversations):
    names = quality.speaker_names(conversations[0])
    assert names.sub("", "What did ADA say to Bo's Adam?").split() == ["What", "did", "say", "to", "Adam?"]


def test_scores_separate_answerable_questions():
    def result(score, other):
        return quality.QuestionResult("k", {}, score, other, score, other)

    separation = quality.separation([result(0.9, None), result(0.4, 0.4), result(None, None), result(0.8, 0.1)])
    # Scores 0.9, 0.4, 0, 0.8 against 0, 0.4, 0, 0.1: 4 + 3.5 + 1 + 4 of 16.
    assert separation.auc == pytest.approx(12.5 / 16)
    assert separation.silent_unanswerable == 0.5
    assert separation.silent_answerable == 0.25


def test_by_kind_averages_over_all_and_each_kind():
    def result(kind, value):
        return quality.QuestionResult(kind, {"R@5": value}, None, None, None, None)

    means = quality.by_kind([result("a", 1.0), result("b", 0.0), result("a", 0.5)])
    assert means["all"] == {"R@5": 0.5, "questions": 3}
    assert means["a"] == {"R@5": 0.75, "questions": 2}


def test_measure_on_engram_and_references(conversations, tmp_path, monkeypatch):
    monkeypatch.setattr(systems, "minilm_installed", lambda: False)
    monkeypatch.setattr(systems, "vectors", lambda: None)
    references = systems.References()
    part = quality.measure("locomo", "Tiny", conversations, systems.Bench(tmp_path, references, silent))
    assert [f.key for f in part.figures] == [
        "locomo-turn-recall-10",
        "locomo-session-any-10",
        "locomo-session-share-10",
        "locomo-auc",
    ]
    assert all(0 <= figure.value <= 1 for figure in part.figures)
    assert len(part.figures[0].references) == 2
    assert "not installed" in references.notes[0]
    for table in part.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
