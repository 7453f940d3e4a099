"""Which hits become notes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engram.engram import draft
from engram.notes.choosing import MOST_ASIDES, choose
from engram.notes.questions import mentions_more, states_more
from engram.notes.wording import LARGE, SMALL
from engram.recall.result import Hit


def hit(text: str, score: float = 0.9, words: float = 1.0, role: str = "user") -> Hit:
    return Hit(draft(text, role=role), score, {"words": words}, 1, (0, len(text)))


def texts(hits: list[Hit]) -> list[str]:
    return [one.engram.text for one in hits]


def test_questions_and_repeated_texts_are_skipped() -> None:
    hits = [hit("What is my dog called?"), hit("My dog is Biscuit."), hit("my  dog is biscuit."), hit("It is four.")]
    assert texts(choose(hits, LARGE, held_ids=())) == ["My dog is Biscuit.", "It is four."]


def test_replies_need_a_profile_that_includes_them() -> None:
    hits = [hit("Your dog is Max.", role="assistant"), hit("My dog is Biscuit.")]
    assert texts(choose(hits, SMALL, held_ids=())) == ["My dog is Biscuit."]
    assert texts(choose(hits, LARGE, held_ids=())) == ["Your dog is Max.", "My dog is Biscuit."]


def test_hits_that_match_few_words_need_a_profile_without_a_word_share() -> None:
    hits = [hit("My dog is Biscuit.", words=1.0), hit("He is four.", words=0.4), hit("He barks.", words=0.5)]
    assert texts(choose(hits, SMALL, held_ids=())) == ["My dog is Biscuit.", "He barks."]
    assert len(choose(hits, LARGE, held_ids=())) == 3


def test_held_engrams_and_texts_are_skipped() -> None:
    hits = [hit("My dog is Biscuit."), hit("He is four."), hit("He barks.")]
    chosen = choose(hits, LARGE, held_ids={hits[0].engram.id}, held_texts={"he is four."})
    assert texts(chosen) == ["He barks."]
    # They do not count as the best hit either.
    weak = [hit("My dog is Biscuit.", 0.9), hit("It rained.", 0.12)]
    assert choose(weak, LARGE, held_ids={weak[0].engram.id}, least_score=0.2) == []


def test_the_best_hit_needs_the_least_score_and_the_others_half_of_it() -> None:
    hits = [hit("One.", 0.5), hit("Two.", 0.25), hit("Three.", 0.24)]
    assert texts(choose(hits, LARGE, held_ids=(), least_score=0.5)) == ["One.", "Two."]
    assert choose(hits, LARGE, held_ids=(), least_score=0.51) == []
    assert choose([], LARGE, held_ids=()) == []


def test_at_most_max_notes_are_chosen() -> None:
    hits = [hit(f"Fact {number}.") for number in range(5)]
    assert len(choose(hits, replace(LARGE, max_notes=2), held_ids=())) == 2
    assert choose(hits, replace(LARGE, max_notes=0), held_ids=()) == []


@pytest.mark.parametrize(
    ("told", "query"),
    [
        ("Could you keep in mind that the cellar key hangs behind the clock?", "Where is the cellar key?"),
        ("Are you aware that we adopted two donkeys in spring?", "Which animals did we adopt?"),
        ("Which cake shall I bake for Tove, she cannot eat almonds?", "What can Tove not eat?"),
        ("My train leaves at 6:40, when do I have to get up?", "When does my train leave?"),
        ("Did you know I sing in a choir on Mondays?", "What do I do on Mondays?"),
        ("Which stew is right for my neighbour who cannot eat celery?", "What can my neighbour not eat?"),
    ],
)
def test_a_question_that_states_something_becomes_a_note(told: str, query: str) -> None:
    assert texts(choose([hit(told)], LARGE, query=query, held_ids=())) == [told]


@pytest.mark.parametrize(
    "asked",
    [
        "Where does the cellar key hang?",
        "Can you remember where the cellar key is?",
        "Could you say again, please, which hook is it on?",
        "Do you recall which key I use for the cellar?",
        "Is the cellar key behind the clock?",
        "What should we do if we lose the cellar key?",
    ],
)
def test_a_question_that_only_asks_does_not_become_a_note(asked: str) -> None:
    assert choose([hit(asked)], LARGE, query="Where is the cellar key?", held_ids=()) == []


def test_a_question_that_states_only_what_the_query_says_does_not_become_a_note() -> None:
    asked = "Did you know that I sing in a choir?"
    assert not states_more(asked, asked)


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ("Why does my 2011 Saab rattle in second gear?", "What car do I have?"),
        ("Could you book a table for my uncle, Torvald?", "What is my uncle's name?"),
        ("Darf ich Aspirin nehmen, wenn ich Metoprolol nehme?", "Welche Tabletten nehme ich?"),
        ("Is it safe to mix my warfarin with grapefruit?", "Which medicine do I take?"),
        ("我的储物柜号码是212，可以记住吗？", "我的储物柜号码是多少？"),
    ],
)
def test_a_question_that_mentions_something_comes_after_the_statements(asked: str, query: str) -> None:
    hits = [hit(asked), hit(f"And {asked}"), hit(f"Really {asked}"), hit("It rained.")]
    assert mentions_more(asked, query)
    assert texts(choose(hits, LARGE, query=query, held_ids=())) == ["It rained.", *texts(hits[:MOST_ASIDES])]
    assert texts(choose(hits, replace(LARGE, max_notes=1), query=query, held_ids=())) == ["It rained."]


@pytest.mark.parametrize("asked", ["Why does it rattle?", "What is it called?", "Was ist das?", "Is it Aspirin?"])
def test_a_question_that_mentions_nothing_new_is_skipped(asked: str) -> None:
    assert not mentions_more(asked, "Is it Aspirin that I take?")
    assert choose([hit(asked)], LARGE, query="Is it Aspirin that I take?", held_ids=()) == []
