"""The fit of the encoder's last layers: its gradient, and what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engram.meaning.plain import unpacked
from engram.meaning.sentences import DATA, WEIGHTS, SentenceEncoder
from engram.meaning.tuned import TUNED_LAYERS, read_tuned
from engram.meaning.weights import read_weights
from tools import answering
from tools.answering import Told, Values

TOLD = ["The ferry was late again.", "We eat at six.", "Olga paints the shed green.", "The dentist moved to Leith."]
ASKED = [
    "What was delayed?",
    "boat",
    "When is supper?",
    "dinner time",
    "Which colour?",
    "paint",
    "Where is she?",
    "teeth",
]
NEAR = ["Who was late?", "What do we eat?", "Who is Olga?", "When did she move?"]


@pytest.fixture(scope="module")
def start() -> Values:
    return answering.untuned(read_weights(DATA / WEIGHTS))


@pytest.fixture(scope="module")
def told() -> Told:
    plain, tokenizer = answering.PlainEncoder(read_weights(DATA / WEIGHTS)), SentenceEncoder(tuned=False)
    return Told(*(answering.read_texts(texts, plain, tokenizer) for texts in (TOLD, ASKED, NEAR)))


def test_untuned_layers_give_the_vectors_of_the_model(start: Values, told: Told) -> None:
    vectors = SentenceEncoder(tuned=False).encode(TOLD)
    assert (answering.passed(start, told.told).vectors * vectors).sum(axis=1).min() > 0.999


def test_the_gradient_is_that_of_the_cost(start: Values, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "DROPPED", 0.0)
    rng = np.random.default_rng(1)
    values = {name: array.astype(np.float64) for name, array in start.items()}
    values["matrix"] = rng.normal(size=values["matrix"].shape) * 0.01
    model = answering.passed(start, told.told).vectors, answering.passed(start, told.asked).vectors

    def cost(values: Values) -> float:
        statements, asked = (answering.passed(values, texts).vectors for texts in (told.told, told.asked))
        cosines = answering.SHARPNESS * (answering.mapped(values, asked).astype(np.float64) @ statements.T)
        right = cosines[np.arange(8), np.arange(8) // 2]
        entropy = (np.log(np.exp(cosines).sum(axis=1)) - right).mean()
        stay = ((statements - model[0]) ** 2).sum(axis=1).mean() + ((asked - model[1]) ** 2).sum(axis=1).mean()
        ridge = sum((values[name] ** 2).sum() for name in ("matrix", "shift"))
        return float(entropy + answering.STAY * stay + answering.RIDGE * ridge)

    gradient = answering.step_of(values, told, model, rng)
    for name, array in values.items():
        direction = rng.normal(size=array.shape)
        step = 1e-3 / np.linalg.norm(direction)
        ends = [cost({**values, name: array + sign * step * direction}) for sign in (1, -1)]
        found = float((gradient[name] * direction).sum())
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(found, rel=0.05, abs=2e-2), name


def test_a_fit_brings_questions_nearer_and_what_is_written_gives_its_vectors(
    start: Values, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "EPOCHS", 40)
    monkeypatch.setattr(answering, "SEEDS", 1)
    fitted = answering.fit(told, start)

    def right(values: Values) -> float:
        asked = answering.mapped(values, answering.passed(values, told.asked).vectors)
        return float((asked * np.repeat(answering.passed(values, told.told).vectors, 2, axis=0)).sum(axis=1).mean())

    assert right(fitted) > right(start) + 0.1
    answering.write_arrays(tmp_path / "tuned", answering.arrays_of(fitted), "tuned")
    tuned = read_tuned(tmp_path / "tuned")
    written = {name: unpacked(tuned.layers[name]) * tuned.layers[name].scales for name in TUNED_LAYERS}
    written |= {"join.bias": tuned.bias, "matrix": tuned.into @ tuned.out, "shift": tuned.shift}
    for texts in (told.told, told.asked):
        vectors = [answering.passed(values, texts).vectors for values in (fitted, written)]
        assert (vectors[0] * vectors[1]).sum(axis=1).min() > 0.99
    assert right(written) == pytest.approx(right(fitted), abs=0.03)


def test_every_statement_has_two_questions_and_one_that_it_does_not_answer() -> None:
    items = answering.read_items()
    assert len(items) > 5_000
    assert len({item["told"] for item in items}) == len(items)
    for item in items:
        assert item.keys() - {"asked_lang"} == {"lang", "told", "asked", "near"}, item
        assert len(item["asked"]) == 2, item
        assert all(text and text == text.strip() for text in (item["told"], item["near"], *item["asked"])), item
