from datetime import UTC, datetime

from bench import proposing
from bench.datasets import Conversation, Question, Turn
from bench.proposing import ScriptedModel
from bench.retrieval import answers_of, current_first, own
from bench.systems import EngramSystem

CARS = ("blue Rover", "yellow Citroen", "green Vespa")


def life(name: str) -> Conversation:
    """A life in which each car outdates the one before."""
    turns = [
        Turn(f"{n}:1", f"session_{n}", "", "user", f"The {car} takes {name} to work.", datetime(2026, n, 1, tzinfo=UTC))
        for n, car in enumerate(CARS, 1)
    ]
    asked = Question(f"Does the blue Rover take {name} to work?", ("3:1",), "now", datetime(2026, 8, 1, tzinfo=UTC),
                     ("1:1", "2:1"))  # fmt: skip
    return Conversation(name, tuple(turns), (asked,))


def test_the_scripted_model_proposes_through_the_prompt_what_the_questions_know(tmp_path, monkeypatch):
    monkeypatch.setattr(proposing, "WRONG", 0.0)
    lives = [life("Osei"), life("Lena")]
    model = ScriptedModel(lives)
    system = EngramSystem(lives, tmp_path)
    assert model.known == 4
    system.propose(model)
    assert model.left == []
    assert current_first(answers_of(system, own(lives)), 1) == 1
    system.close()


def test_a_model_that_is_always_wrong_links_nothing_right(tmp_path, monkeypatch):
    monkeypatch.setattr(proposing, "WRONG", 1.0)
    lives = [life("Osei")]
    session = [{"id": 2, "day": "2026-03-01", "text": lives[0].turns[2].text}]
    earlier = [
        {"id": 1, "day": "2026-01-01", "text": lives[0].turns[0].text},
        {"id": 3, "day": "2026-02-20", "text": "It rains."},
    ]
    for _ in range(20):
        model = ScriptedModel(lives)
        links = model._links(session, earlier)
        assert {"newer": 2, "older": 1, "kind": "replaces"} not in links
