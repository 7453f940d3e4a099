"""The protocol of coherence in a long story: what is read and asked when, and how what is shown counts."""

from datetime import UTC, datetime, timedelta

import pytest

from bench import story as measuring
from bench import systems
from bench.datasets import Turn
from bench.figures import silent
from bench.stories.telling import Evidence, Story, StoryQuestion
from bench.systems import References

BEGIN = datetime(2025, 3, 1, tzinfo=UTC)
TEXTS = {
    "1:1": "It rained. Before dawn Perrin had left for the quarry, and nobody asked why.",
    "1:2": "Perrin found the astrolabe. The kettle sang.",
    "2:1": "Nobody saw Perrin go.  He was at the windmill by noon.\n\nA dog barked.",
    "3:1": "They talked about the quarry until the lamp went out.",
}


def evidence(key, part, value):
    start = TEXTS[key].index(part)
    return Evidence(key, start, start + len(part), value)


QUARRY = evidence("1:1", "Before dawn Perrin had left for the quarry, and nobody asked why.", "the quarry")
WINDMILL = evidence("2:1", "Nobody saw Perrin go.  He was at the windmill by noon.", "the windmill")
ASTROLABE = evidence("1:2", "Perrin found the astrolabe.", "Perrin")


def question(text, point, answer, outdated=(), aspect="place", subject="Perrin"):
    return StoryQuestion(
        text, aspect, (aspect, subject), subject, point, BEGIN + timedelta(days=point), answer, outdated
    )


def tiny(held_out):
    turns = [
        Turn(key, f"session_{key[0]}", "", "user", text, BEGIN + timedelta(days=int(key[0]), minutes=int(key[2]) - 60))
        for key, text in TEXTS.items()
    ]
    sessions = tuple(tuple(turn for turn in turns if turn.key[0] == number) for number in "123")
    questions = (
        question("Where is Perrin?", 1, QUARRY),
        question("Who has the astrolabe?", 2, ASTROLABE, aspect="holder", subject="the astrolabe"),
        question("Where is Perrin?", 3, WINDMILL, (QUARRY,)),
    )
    return Story("tiny", held_out, sessions, (), questions)


class Scripted:
    """Shows the same texts for every question, and records what it was given."""

    name = "scripted"

    def __init__(self, *texts):
        self.texts = list(texts)
        self.log = []

    def read(self, turns):
        self.log += [turn.key for turn in turns]

    def shown(self, question):
        self.log.append(question.text)
        return self.texts


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "databases"
    folder.mkdir()
    return systems.Bench(folder, References(), silent)


def test_a_question_is_asked_after_its_session_and_before_the_next():
    reader = Scripted()
    results = measuring.ask(reader, tiny(False))
    assert reader.log == ["1:1", "1:2", "Where is Perrin?", "2:1", "Who has the astrolabe?", "3:1", "Where is Perrin?"]
    assert [one.coherent for one in results] == [False] * 3


@pytest.mark.parametrize(
    ("shown", "coherent", "newer_first"),
    [
        ([], False, False),
        (["… Nobody saw Perrin go. He was at the windmill by noon. …"], True, True),
        # The sentence with the value does not say who was there.
        (["He was at the windmill by noon."], False, False),
        (["Nobody saw Perrin go.", "He was at the windmill\nby noon."], True, True),
        ([TEXTS["2:1"], TEXTS["1:1"]], True, True),
        ([TEXTS["1:1"], TEXTS["2:1"]], True, False),
        # In one text neither stands first, whatever it says first.
        ([TEXTS["2:1"] + " " + TEXTS["1:1"]], True, False),
        (["Nobody saw Perrin go.", TEXTS["1:1"], "He was at the windmill by noon."], True, False),
        ([TEXTS["1:1"]], False, False),
    ],
)
def test_the_state_is_shown_if_every_sentence_that_tells_it_is(shown, coherent, newer_first):
    story = tiny(False)
    result = measuring.result(story, story.questions[-1], shown)
    assert (result.coherent, result.newer_first) == (coherent, newer_first)


def test_a_question_without_outdated_values_does_not_count_for_the_order():
    story = tiny(False)
    one, _, two = (measuring.result(story, question, [TEXTS["2:1"]]) for question in story.questions)
    assert one.newer_first is None
    assert measuring.coherence([one, two]) == 0.5
    assert measuring.newer_before_older([one, two]) == 1


def test_the_window_holds_the_last_sentences_that_fit(monkeypatch):
    window = measuring.Window()
    first, second, third = tiny(False).sessions
    for turns in (first, second, third):
        window.read(turns)
    assert window.shown(None)[:3] == [TEXTS["3:1"], "A dog barked.", "He was at the windmill by noon."]
    assert len(window.shown(None)) == 8
    monkeypatch.setattr(measuring, "BUDGET", measuring.tokens_of("A dog barked.") + measuring.tokens_of(TEXTS["3:1"]))
    window = measuring.Window()
    for turns in (first, second, third):
        window.read(turns)
    assert window.shown(None) == [TEXTS["3:1"], "A dog barked."]


def test_texts_are_taken_best_first_while_they_fit(monkeypatch):
    monkeypatch.setattr(measuring, "BUDGET", 4)
    assert measuring.within_budget(["one two", "one two three", "six", "one"]) == ["one two", "six", "one"]


def test_measure_on_engram_and_references(bench):
    part = measuring.measure([tiny(False), tiny(True)], bench)
    assert [(figure.key, figure.bar is not None) for figure in part.figures] == [
        ("story-coherence", True),
        ("story-newer-first", False),
        ("story-tuned-coherence", False),
        ("story-tuned-newer-first", False),
    ]
    # Everything fits into the budget.
    assert part.figures[0].value == 1
    names = ["Engram, recall alone", "BM25, whole turns", "BM25, passages", "the last 2,000 tokens", "the full text"]
    assert [reference.name for reference in part.figures[0].references] == names
    assert [reference.value for reference in part.figures[0].references[3:]] == [1, 1]
    halves, groups = part.tables
    assert [row[:3] for row in halves.rows][::6] == [["held out", "Engram", "3"], ["tuned on", "Engram", "3"]]
    assert [row[:2] for row in groups.rows] == [
        ["asked for: holder", "1"],
        ["asked for: place", "2"],
        ["told up to 2 sessions ago", "3"],
    ]
    assert all(len(row) == len(table.columns) for table in part.tables for row in table.rows)


def test_without_references_only_engram_is_measured_with_each_way_to_fill_the_budget(bench):
    bench.references.wanted = False
    asked = []

    def nothing(memory, namespace, question):
        asked.append((namespace, question.point))
        return []

    part = measuring.measure([tiny(True)], bench, {"none": nothing, "recalled": measuring.recalled})
    assert part.figures[0].value == 0
    assert [(reference.name, reference.value) for reference in part.figures[0].references] == [("recalled", 1)]
    assert asked == [("story", 1), ("story", 2), ("story", 3)]
    assert len(part.tables) == 1


def test_what_engram_shows_keeps_within_the_budget(bench, monkeypatch):
    monkeypatch.setattr(measuring, "BUDGET", 100)
    bench.references.wanted = False
    results = measuring.read_by_everyone("t", tiny(False), bench, measuring.PACKS)
    assert len(results) == 2
    assert all(0 < one.tokens <= 100 for each in results.values() for one in each)


def test_a_question_by_another_name_is_a_group_of_its_own():
    story = tiny(False)
    by_alias = question("Where is Sable?", 3, WINDMILL, (QUARRY,), subject="Sable")
    assert measuring.groups_of(story, by_alias)[-1] == "asked by another name"
    assert measuring.groups_of(story, story.questions[0]) == ["asked for: place", "told up to 2 sessions ago"]
