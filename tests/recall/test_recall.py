"""Ranking of recall through the public API, on small memories."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.memory import Memory


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "memory.db") as opened:
        yield opened


def best(memory: Memory, query: str, **options: object) -> str:
    hits = memory.recall(query, **options)  # type: ignore[arg-type]
    return hits[0].engram.text if hits else ""


def test_near_word_matches(memory: Memory) -> None:
    for text in ("We adopted a puppy last week.", "The invoice is overdue.", "Rain is forecast for Sunday."):
        memory.remember(text, session=text[:3])
    assert best(memory, "Do they have a dog?") == "We adopted a puppy last week."


def test_answer_after_its_question_is_found(memory: Memory) -> None:
    turns = [
        ("Bo", "Which instrument does your brother play?"),
        ("Ana", "The oboe, since he was nine."),
        ("Bo", "Lovely. I had soup for lunch."),
        ("Ana", "Soup again?"),
    ]
    for speaker, text in turns:
        memory.remember(text, speaker=speaker, session="one")
    memory.remember("My brother called about the boiler.", speaker="Ana", session="two")
    hits = memory.recall("What instrument does Ana's brother play?")
    assert "The oboe, since he was nine." in [hit.engram.text for hit in hits][:2]


def test_named_speaker_ranks_first(memory: Memory) -> None:
    for speaker in ("Ana", "Bo"):
        memory.remember("I want to visit Norway one day.", speaker=speaker, session=speaker)
    hits = memory.recall("Where does Bo want to travel?")
    assert hits[0].engram.speaker == "Bo"
    assert hits[0].why["speaker"] > hits[1].why["speaker"]


def test_time_in_the_query_reorders_and_filters_nothing(memory: Memory) -> None:
    for month in (1, 5, 9):
        memory.remember("We had dinner at the harbour.", at=datetime(2025, month, 10, tzinfo=UTC), session=str(month))
    now = datetime(2026, 2, 1, tzinfo=UTC)
    hits = memory.recall("Where did we have dinner last May?", now=now)
    assert hits[0].engram.at.month == 5
    assert len(hits) == 3


FILTERS = [
    ("session", {"session": "s7"}),
    ("time", {"after": datetime(2025, 3, 1, tzinfo=UTC), "before": datetime(2025, 3, 3, tzinfo=UTC)}),
    ("kind", {"kinds": ["fact"]}),
]


@pytest.mark.parametrize("indexed", [False, True], ids=["tail", "index"])
@pytest.mark.parametrize(("name", "options"), FILTERS, ids=[name for name, _ in FILTERS])
def test_a_narrow_filter_finds_turns_that_rank_far_behind_others(
    memory: Memory, name: str, options: dict[str, object], indexed: bool
) -> None:
    # 2,000 turns hold the query's words more often than the five that the filter admits.
    other = {"session": "s1", "at": datetime(2025, 1, 1, tzinfo=UTC), "kind": "turn"}
    admitted = {
        "session": "s7" if name == "session" else "s1",
        "at": datetime(2025, 3, 2 if name == "time" else 9, tzinfo=UTC),
        "kind": "fact" if name == "kind" else "turn",
    }
    late = "Among other things, on the way home we saw a heron, and later little happened until dinner, number {}."
    memory.remember_many({"text": f"heron {n} heron", **other} for n in range(2_000))
    wanted = [e.id for e in memory.remember_many({"text": late.format(n), **admitted} for n in range(5))]
    memory.remember_many({"text": f"heron {n} heron heron", **other} for n in range(2_000))
    if indexed:
        memory.flush()
    hits = memory.recall("Where did we see the heron?", **options)  # type: ignore[arg-type]
    assert {hit.engram.id for hit in hits} == set(wanted)


def test_query_without_an_answer_returns_nothing(memory: Memory) -> None:
    memory.remember("My dog is called Biscuit.")
    memory.remember("I live in Lisbon.")
    assert not memory.recall("quantum chromodynamics lattice")
    assert not memory.recall("zxqv")
    assert not memory.recall("")
    assert not memory.recall("!?")


def test_an_order_that_shares_a_rare_word_with_a_turn_recalls_nothing(memory: Memory) -> None:
    memory.remember("The nursery rhymes book belongs to Tilda.")
    memory.remember("I had the curtains made shorter by the tailor in Vik.")
    for number in range(200):
        memory.remember(f"Visit {number} of the depot went well, {number % 9} pallets left.")
    assert not memory.recall("make it shorter")
    assert not memory.recall("and now make it rhyme")
    # Keywords, questions and quotations find it.
    for query in ("shorter", "shorter curtains", "Is anything shorter?", "curtains made shorter by the tailor in Vik"):
        assert memory.recall(query)[0].engram.text.startswith("I had the curtains"), query


def test_score_is_comparable_between_small_and_large_namespaces(memory: Memory) -> None:
    memory.remember("My dog is called Biscuit.", namespace="small")
    memory.remember("My dog is called Biscuit.", namespace="large", session="dog")
    for number in range(400):
        memory.remember(f"Meeting {number} was about the budget of team {number % 7}.", namespace="large")
    small = memory.recall("What is my dog called?", namespace="small")[0].score
    large = memory.recall("What is my dog called?", namespace="large")[0].score
    assert small > 0.8
    assert large == pytest.approx(small, abs=0.1)


def test_scores_fall_along_the_ranking_and_lie_between_0_and_1(memory: Memory) -> None:
    for text in ("I like tea.", "I like green tea from Japan.", "Coffee keeps me awake.", "Japan was lovely."):
        memory.remember(text, session=text)
    scores = [hit.score for hit in memory.recall("green tea from Japan")]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_parts_of_why_add_up_to_the_order(memory: Memory) -> None:
    for text in ("I like tea.", "I like green tea from Japan.", "Coffee keeps me awake.", "Japan was lovely."):
        memory.remember(text, session=text)
    sums = [sum(hit.why.values()) for hit in memory.recall("green tea from Japan")]
    assert sums == sorted(sums, reverse=True)


def test_filtered_recall_widens_until_the_limit_is_reached(memory: Memory) -> None:
    for number in range(600):
        at = datetime(2025, 1, 1 + number % 28, tzinfo=UTC)
        memory.remember("The garden gate squeaks again.", session=f"s{number % 50}", at=at, kind="turn")
    memory.remember("The garden gate was oiled.", session="late", at=datetime(2026, 1, 1, tzinfo=UTC), kind="fact")
    memory.flush()
    late = memory.recall("garden gate", after=datetime(2025, 12, 1, tzinfo=UTC))
    assert [hit.engram.session for hit in late] == ["late"]
    assert [hit.engram.kind for hit in memory.recall("garden gate", kinds=["fact"])] == ["fact"]
    assert {hit.engram.session for hit in memory.recall("gate", session="s7", limit=5)} == {"s7"}
    assert len(memory.recall("gate", session="s7", limit=20)) == 12
    assert all(hit.engram.at.day < 3 for hit in memory.recall("gate", before=datetime(2025, 1, 3, tzinfo=UTC)))


def test_explain_states_rank_and_reason(memory: Memory) -> None:
    dog = memory.remember("My dog is called Biscuit.", session="a")
    tea = memory.remember("I like green tea.", session="b")
    first = memory.explain("What is my dog called?", dog.id)
    assert first.place == 1
    assert first.winner is not None
    assert first.winner.engram == dog
    assert first.words["dog"][1] > 0.9
    assert "came first" in first.reason
    other = memory.explain("What is my dog called?", tea.id)
    assert other.place != 1
    assert other.reason
    weak = memory.remember("Teaching in the evenings is hard.", session="c")
    assert (
        "floor"
        in memory.explain("chromodynamics lattices of zirconium, borax, Etruscan grammar teaching", weak.id).reason
    )
    assert memory.explain("!?", tea.id).place is None


def test_long_and_odd_queries_are_answered(memory: Memory) -> None:
    memory.remember("My dog is called Biscuit.")
    assert best(memory, "well " * 3000 + "the dog called Biscuit") == "My dog is called Biscuit."
    for query in ('" OR *', "field:x^9", "dog AND (", "\0dog\0", "dog\u202e", "🐕 dog"):
        memory.recall(query)


@pytest.mark.parametrize(
    ("asked", "reply", "place"),
    [
        (["What is the name of my boat?"], "The name of your boat is Kestrel.", 4),
        (["What is my boat called, the name of it?", "What name has my boat?"], "I have no name of a boat here.", 5),
        # Three copies of a request without a question mark, and of the reply, may come first.
        (["Please tell me the name of my boat."], "I do not know the name of your boat.", 7),
    ],
)
@pytest.mark.parametrize("told_first", [True, False])
def test_statement_ranks_above_many_copies_of_the_query(
    memory: Memory, asked: list[str], reply: str, place: int, told_first: bool
) -> None:
    fact = "The name of my boat is Kestrel."
    if told_first:
        memory.remember(fact, session="fact")
    for number in range(100):
        memory.remember(asked[number % len(asked)], session=f"{number}", role="user")
        memory.remember(reply, session=f"{number}", role="assistant")
        memory.remember(f"Row {number} of the ledger is {number * 7} crowns.", session=f"ledger {number}")
    if not told_first:
        memory.remember(fact, session="fact")
    for query in asked:
        hits = memory.recall(query, limit=16)
        texts = [hit.engram.text for hit in hits]
        assert texts.index(fact) < place
        assert not query.endswith("?") or query not in texts or texts.index(fact) < texts.index(query)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("told_first", [True, False])
def test_a_statement_ranks_above_requests_for_it_in_many_wordings(memory: Memory, told_first: bool) -> None:
    wordings = ["Say", "Tell me", "I forgot", "I want to know", "Remind me", "Let me ask again", "Please look up", "So"]
    asked = [f"{start} where we keep the spare oars{end}" for start in wordings for end in (".", " now", "!", " again")]
    fact = "We keep the spare oars in Henrik's loft."
    if told_first:
        memory.remember(fact, session="fact")
    for number, text in enumerate(asked):
        memory.remember(text, session=f"{number}")
    if not told_first:
        memory.remember(fact, session="fact")
    assert memory.recall("Where do we keep the spare oars?", limit=1)[0].engram.text == fact


def test_a_statement_that_holds_the_words_of_a_question_is_found_first(memory: Memory) -> None:
    memory.remember("I lived near the harbour for years.")
    fact = memory.remember("The street where I live is Lindegata.")
    memory.remember("Tell me where I live.")
    assert memory.recall("Where do I live?")[0].engram.id == fact.id


def test_a_filter_finds_what_it_admits_behind_copies_of_one_text(memory: Memory) -> None:
    memory.remember_many({"text": "heron heron", "session": f"early {n}"} for n in range(2_000))
    late = "Among other things, on the way home we saw a heron, and later little happened until dinner, number {}."
    wanted = [e.id for e in memory.remember_many({"text": late.format(n), "kind": "fact"} for n in range(5))]
    memory.remember_many({"text": "heron heron", "session": f"late {n}"} for n in range(2_000))
    assert {hit.engram.id for hit in memory.recall("heron", kinds=["fact"])} == set(wanted)


FILLER = "The council met about the footpath by the mill and put the decision off until the spring. " * 5
HIDDEN = "The neighbours feed our cat while we are away."


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("indexed", [True, False])
def test_a_hit_names_the_passage_that_answers(memory: Memory, before: int, indexed: bool) -> None:
    memory.remember("Short and whole: the bins are emptied on Mondays.", session="a")
    memory.remember(FILLER * before + HIDDEN + " " + FILLER * 2, session="b")
    if indexed:
        memory.flush()
    hit = memory.recall("Who gives the cat its food on our holidays?")[0]
    start, end = hit.passage
    shown = hit.engram.text[start:end]
    assert HIDDEN in shown
    assert len(shown.split()) < 120
    whole = memory.recall("When are the bins emptied?")[0]
    assert whole.passage == (0, len(whole.engram.text))


def test_floor_decides_what_fits(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The lease of the boathouse ends in March.")
        question = "What colour is the neighbour's accordion?"
        assert not memory.recall(question)
        low = memory.recall(question, floor=0)
        assert [hit.engram.text for hit in low] == ["The lease of the boathouse ends in March."]
        sure = memory.recall("When does the lease of the boathouse end?")[0].score
        assert not memory.recall("When does the lease of the boathouse end?", floor=(1 + sure) / 2)
        for floor in (-0.1, 1.1):
            with pytest.raises(ValueError, match="must be from 0 to 1"):
                memory.recall(question, floor=floor)


@pytest.mark.parametrize(
    ("told", "reply", "of_user", "of_assistant"),
    [
        (
            "The birthday meal must not have any meat in it.",
            "The birthday meal could be a chestnut pie with roasted pears.",
            "What did I tell you about the birthday meal?",
            "What did you suggest for the birthday meal?",
        ),
        (
            "Beim Geburtstagsessen darf kein Fleisch dabei sein.",
            "Das Geburtstagsessen könnte eine Maronenpastete mit Birnen sein.",
            "Was habe ich dir zum Geburtstagsessen gesagt?",
            "Was hast du mir für das Geburtstagsessen vorgeschlagen?",
        ),
    ],
)
def test_question_for_what_the_assistant_said_finds_its_reply(
    memory: Memory, told: str, reply: str, of_user: str, of_assistant: str
) -> None:
    memory.remember(told, session="a")
    memory.remember(reply, session="b", role="assistant")
    memory.flush()
    assert best(memory, of_user) == told
    assert best(memory, of_assistant) == reply
