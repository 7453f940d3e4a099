"""The protocols of the sets that are asked in other words: what is asked of which memory, and how answers count."""

import json
from datetime import UTC, datetime

import pytest

from bench import datasets, lives, retrieval, systems
from bench.datasets import Conversation, Question, Turn
from bench.figures import silent
from bench.retrieval import Answer, Ask

NOW = datetime(2025, 5, 1, tzinfo=UTC)


def conversation(name, *texts, questions=()):
    turns = tuple(Turn(str(number), "s", "", "user", text, NOW) for number, text in enumerate(texts))
    return Conversation(name, turns, tuple(questions))


def answer(keys, score, evidence=(), outdated=(), kind="fact"):
    return Answer(Ask(0, Question("?", tuple(evidence), kind, NOW, tuple(outdated))), tuple(keys), score)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder, and of the references only BM25."""
    monkeypatch.setattr(systems, "minilm_installed", lambda: False)
    monkeypatch.setattr(systems, "vectors", lambda: None)
    folder = tmp_path / "databases"
    folder.mkdir()
    return systems.Bench(folder, systems.References(), silent)


def test_a_foreign_memory_shares_no_text_with_the_questions_own():
    question = Question("Which boat?", ("0",), "fact", NOW)
    people = [
        conversation("a", "I sail.", "It rains.", questions=[question]),
        conversation("b", "It rains.", questions=[question]),
        conversation("c", "I knit."),
    ]
    asks = retrieval.foreign(people)
    # Each of the first two shares a text with the other one, so both are asked of the third.
    assert [(ask.conversation, ask.question.evidence, ask.question.kind) for ask in asks] == [
        (2, (), retrieval.FOREIGN)
    ] * 2
    assert retrieval.foreign(people[:2]) == []


def test_what_holds_must_come_before_what_held():
    answers = [
        answer(["9", "1"], 0.8, evidence=["1"], outdated=["9"]),
        answer(["8", "1", "9"], 0.8, evidence=["1"], outdated=["9"]),
        answer(["1"], 0.8, evidence=["1", "9"], outdated=["9"]),
        answer(["9"], 0.8, evidence=["1", "9"], outdated=["9"]),
        answer([], 0.8, evidence=["1"], outdated=["9"]),
        answer(["7", "6", "5", "1"], 0.8, evidence=["1"]),
    ]
    assert retrieval.current_first(answers, 3) == pytest.approx(2 / 6)
    assert retrieval.current_first(answers, 10) == pytest.approx(3 / 6)


def test_the_measures_of_a_small_example():
    answers = [
        answer(["9", "8", "7", "1"], 0.8, evidence=["1", "2"], outdated=["9"]),
        answer(["3", "4"], 0.4, evidence=["3"], outdated=["4"]),
        answer([], 0.0, evidence=["5"]),
        answer(["6"], 0.5, kind="none"),
        answer([], 0.0, kind="none"),
    ]
    values = {name: measure(answers) for name, measure in retrieval.MEASURES.items()}
    assert values == pytest.approx(
        {
            "first 3": 1 / 3,
            "first 10": 2 / 3,
            "R@10": (1 / 2 + 1) / 3,
            "MRR": (1 / 4 + 1) / 3,
            # 0.8, 0.4 and 0 against 0.5 and 0: 2 + 1 + 0.5 of 6.
            "AUC": 3.5 / 6,
            "unanswerable that bring nothing": 1 / 2,
            "answerable that bring nothing": 1 / 3,
            "newer before older": 1 / 2,
        }
    )


def test_each_fact_is_asked_in_its_language_and_in_the_ones_that_follow():
    languages = ("aa", "bb", "cc", "dd", "ee")
    sheets = [
        lives.Facts(language, conversation(language, "x"), (f"{language} one?", f"{language} two?"))
        for language in languages
    ]
    asks = retrieval.facts_asked(sheets)
    assert len(asks) == len(sheets) * 2 * (1 + retrieval.OTHER_LANGUAGES)
    of_dd = [ask for ask in asks if ask.conversation == 3 and ask.question.evidence == ("2",)]
    assert [(ask.question.text, ask.question.kind) for ask in of_dd] == [
        ("dd two?", retrieval.SAME),
        ("ee two?", retrieval.OTHER),
        ("aa two?", retrieval.OTHER),
        ("bb two?", retrieval.OTHER),
    ]


def test_lives_are_measured_by_halves_and_kinds_only_of_what_is_not_held_out(tmp_path, life_json, bench):
    for name, held_out in (("osei", False), ("lena", False), ("mira", True)):
        life = json.loads(json.dumps({**life_json, "name": name, "held_out": held_out}).replace("Efua", name.title()))
        if held_out:
            life["questions"][1]["kind"] = "category"
        (tmp_path / f"{name}.json").write_text(json.dumps(life))
    part = retrieval.lives(lives.read_lives(tmp_path), bench)
    assert [figure.key for figure in part.figures] == [
        f"{key}-{measure}"
        for key in ("lives", "lives-tuned")
        for measure in ("first-3", "first-10", "auc", "foreign-auc", "now", "then", "now-proposed", "then-proposed")
    ]
    # The shared word names the cousin; two of three questions have a right turn.
    assert part.figures[1].value == 1
    assert [reference.name for reference in part.figures[0].references] == [
        "Engram, nothing read",
        "BM25 (k1 1.5, b 0.75)",
    ]
    with_bar = [True, True, True, False, True, True, True, False]
    assert [figure.bar is not None for figure in part.figures] == with_bar + [False] * 8
    halves, kinds, proposed = part.tables
    assert [row[:2] for row in proposed.rows] == [["held out", "1"], ["tuned on", "2"]]
    assert [row[:3] for row in halves.rows][::3] == [["held out", "Engram", "3"], ["tuned on", "Engram", "6"]]
    assert [row[0] for row in kinds.rows] == ["now", "other"]


def test_facts_are_measured_by_language_and_half(tmp_path, bench):
    facts = [{"number": n, "told": f"My item{n} is a thing{n}.", "asked": f"And item{n}?"} for n in range(1, 13)]
    languages = {language: {"facts": facts, "others": ["It rains."]} for language in ("en", "de", "fr", "es")}
    (tmp_path / "f.json").write_text(json.dumps({"languages": languages}))
    part = retrieval.facts(lives.read_facts(tmp_path / "f.json"), bench)
    assert [figure.key for figure in part.figures] == ["facts-same-language", "facts-other-language"]
    # All facts have one form, so that reading them for what holds may change their order.
    assert [figure.references[0].value for figure in part.figures] == [1, 1]
    assert all(figure.value > 0.8 for figure in part.figures)
    by_half, by_language = part.tables
    assert [(row[0], row[2]) for row in by_half.rows if row[1] == "Engram"] == [
        ("same language, tuned on", "40"),
        ("same language, held out", "8"),
        ("another language, tuned on", "120"),
        ("another language, held out", "24"),
    ]
    assert [[row[0], row[2]] for row in by_language.rows] == [[language, "1.000"] for language in languages]


def test_beam_and_memdaily_are_measured_on_transcripts(transcripts, bench):
    chats = datasets.read_transcripts(transcripts)
    beam = retrieval.beam(chats, bench.inside("beam"))
    assert [figure.key for figure in beam.figures] == [
        "beam-recall-10",
        "beam-updates",
        "beam-preferences",
        "beam-orders",
        "beam-recall-10-contextual",
    ]
    assert beam.figures[0].value == 1
    unlike = conversation("other", "Heron is a bird.", "Bread is baked at night.")
    memdaily = retrieval.memdaily(chats, unlike, bench.inside("memdaily"))
    values = {figure.key: figure.value for figure in memdaily.figures}
    # A question that its own chat cannot answer counts as one of its own.
    assert [row[0] for row in memdaily.tables[0].rows if row[1] == "Engram"] == ["its own", "another's", "an unlike"]
    assert values.keys() == {"memdaily-recall-10"} | {
        f"memdaily-{name}{suffix}" for name in ("rejected", "auc") for suffix in ("", "-unlike")
    }
    assert values["memdaily-recall-10"] == values["memdaily-rejected"] == 1
    without = retrieval.memdaily(chats, None, bench.inside("again"))
    assert [figure.key for figure in without.figures] == [
        "memdaily-recall-10",
        "memdaily-rejected",
        "memdaily-auc",
    ]
    for table in [*beam.tables, *memdaily.tables]:
        assert all(len(row) == len(table.columns) for row in table.rows)
