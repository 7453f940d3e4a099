"""The tuned layers of the sentence encoder, and the map by which the answers to questions are looked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engram.meaning.base import AnsweringEncoder
from engram.meaning.sentences import DATA, TOKENIZER, TUNED, WEIGHTS, SentenceEncoder, default_encoder
from engram.meaning.tuned import read_tuned
from engram.meaning.weights import DamagedWeights
from tools.sentence_weights import write_arrays

TOLD = [
    "We got the keys to the houseboat on Friday, it leaks less than feared.",
    "Knut now leaves for the quarry at five, six days a week.",
    "Stopped the statins, they gave me cramps.",
    "Unsere Große fängt im Herbst mit Geige an.",
    "Me robaron la bici delante del mercado, así que voy en metro.",
    "来月から鍼灸院で受付をやることになった。",
]
ASKED = [
    "Where do I live these days?",
    "What hours does he work?",
    "Which medicine did I give up?",
    "Welches Instrument lernt unsere Tochter?",
    "¿Cómo me muevo por la ciudad ahora?",
    "私の新しい仕事は何？",
]
"""What each statement answers, in other words."""


def lead(encoder: SentenceEncoder) -> float:
    """How much nearer questions are to what answers them than to the other statements, on average."""
    asked = encoder.towards_answers(encoder.encode(ASKED))
    assert np.allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    cosines = asked @ encoder.encode(TOLD).T
    return float(cosines.diagonal().mean() - cosines[~np.eye(len(TOLD), dtype=np.bool_)].mean())


def test_a_question_is_nearer_to_what_answers_it_than_for_the_model() -> None:
    assert lead(default_encoder()) > lead(SentenceEncoder(tuned=False)) + 0.05


def test_the_map_leaves_a_text_without_words_and_no_text_as_they_are() -> None:
    encoder = default_encoder()
    assert isinstance(encoder, AnsweringEncoder)
    asked = encoder.towards_answers(encoder.encode(["", "Where is it?"]))
    assert not asked[0].any()
    assert asked[1].any()
    assert encoder.towards_answers(encoder.encode([])).shape == (0, encoder.dimensions)


def test_the_model_itself_has_another_fingerprint_and_no_map() -> None:
    model = SentenceEncoder(tuned=False)
    vectors = model.encode(TOLD)
    assert model.fingerprint != default_encoder().fingerprint
    assert default_encoder().fingerprint.startswith(model.fingerprint)
    assert model.towards_answers(vectors) is vectors
    # A tuned vector stays near to the model's.
    assert (vectors * default_encoder().encode(TOLD)).sum(axis=1).min() > 0.6


@pytest.mark.parametrize("change", ["layer", "map", "missing"])
def test_tuned_layers_that_do_not_fit_are_named(tmp_path: Path, change: str) -> None:
    for name in (WEIGHTS, TOKENIZER):
        shutil.copy(DATA / name, tmp_path / name)
    tuned = read_tuned(DATA / TUNED)
    arrays = {**tuned.vectors, "into": tuned.into, "out": tuned.out, "map": tuned.shift}
    for name, layer in tuned.layers.items():
        arrays |= {name: layer.packed, f"{name}.sums": layer.sums, f"{name}.scales": layer.scales}  # type: ignore[dict-item]
    if change == "layer":
        arrays["last.scales"] = arrays["last.scales"][:-1]
    elif change == "map":
        arrays["into"] = arrays["into"][:-1]
    else:
        del arrays["map"]
    write_arrays(tmp_path / TUNED, {name: np.ascontiguousarray(array) for name, array in arrays.items()}, "tuned")
    with pytest.raises(DamagedWeights, match=f"{TUNED}.*(shape|not what this version reads).*install Engram again"):
        SentenceEncoder(tmp_path).encode(["word"])
