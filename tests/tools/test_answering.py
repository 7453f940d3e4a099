"""The fit of the encoder: that it is the encoder which is fitted, that it helps, and what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engram.meaning.plain import PlainEncoder
from engram.meaning.sentences import DATA, WEIGHTS, SentenceEncoder
from engram.meaning.tuned import read_tuned
from engram.meaning.weights import read_weights
from tools.told import Item

pytest.importorskip("torch", reason="only the fit needs PyTorch: pip install torch==2.13.0")

from tools import answering

ITEMS = [
    Item("The ferry was late again.", ("What was delayed?", "boat"), "a"),
    Item("We eat at six.", ("When is supper?", "dinner time"), "a"),
    Item("Olga paints the shed green.", ("Which colour?", "paint"), "b"),
    Item("The dentist moved to Leith.", ("Where is she?", "teeth"), "c"),
]
MATTERS = [[0, 1], [2], [3]]


def test_the_fitted_encoder_begins_as_the_model_and_is_written_as_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "EPOCHS", 10)
    model, weights, texts = SentenceEncoder(tuned=False), read_weights(DATA / WEIGHTS), answering.Texts(ITEMS)
    encoder = answering.Encoder(weights, texts.used)
    vectors = answering.encoded(encoder, texts.told).numpy()
    assert (vectors * model.encode([item.told for item in ITEMS])).sum(axis=1).min() > 0.999

    def right() -> float:
        asked = encoder.mapped(answering.encoded(encoder, texts.asked)).detach().numpy()
        told = answering.encoded(encoder, texts.told).numpy()
        return float((asked * np.repeat(told, 2, axis=0)).sum(axis=1).mean())

    before = right()
    answering.fit(encoder, texts, MATTERS)
    assert right() > before + 0.1

    answering.write_arrays(tmp_path / "tuned", answering.arrays_of(encoder), "tuned")
    tuned = read_tuned(tmp_path / "tuned")
    written = PlainEncoder(tuned.applied_to(weights)).encode([model.pieces(item.told) for item in ITEMS])
    vectors = answering.encoded(encoder, texts.told).numpy()
    assert (vectors * written).sum(axis=1).min() > 0.99
    turned = vectors + vectors @ tuned.into @ tuned.out + tuned.shift
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    mapped = encoder.mapped(answering.encoded(encoder, texts.told)).detach().numpy()
    assert (mapped * turned).sum(axis=1).min() > 0.99


def test_a_batch_holds_whole_matters() -> None:
    matters = [[2 * number, 2 * number + 1] for number in range(300)]
    found = answering.batches(matters)
    assert sorted(row for batch in found for row in batch) == list(range(600))
    assert len(found) > 1
    assert all(batch[place] + 1 == batch[place + 1] for batch in found for place in range(0, len(batch), 2))
