"""The encoder "contextual": English texts gain by their context, others are as the base encodes them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engram import Memory, accel
from engram.meaning.base import answering, base_of
from engram.meaning.context import EnglishContext, contextual_encoder
from engram.meaning.contextual import ContextualEncoder
from engram.meaning.encoders import open_encoder
from engram.meaning.sentences import DATA, SentenceEncoder, default_encoder
from engram.meaning.weights import DamagedWeights
from engram.opening import load_kernel
from engram.search.base import ROW

ENGLISH = ["We picked up the blue van on Friday.", "What do I drive?", "The dentist moved my appointment to the ninth."]
OTHERS = ["Am Freitag haben wir den Bus abgeholt.", "¿Qué coche tengo?", "我们周五取了车。", "", "12:30", "🙂"]


def test_it_is_known_by_its_name() -> None:
    assert open_encoder("contextual") is contextual_encoder()
    assert open_encoder() is default_encoder()
    assert contextual_encoder().fingerprint.startswith(default_encoder().fingerprint)


def test_only_english_texts_gain() -> None:
    texts = [*ENGLISH, *OTHERS]
    vectors, plain = contextual_encoder().encode(texts), default_encoder().encode(texts)
    assert vectors.shape == (len(texts), 512)
    assert np.array_equal(vectors[len(ENGLISH) :], plain[len(ENGLISH) :])
    cosines = (vectors * plain).sum(axis=1)[: len(ENGLISH)]
    assert np.all(cosines < 0.99)
    assert np.all(cosines > 0.4)
    assert np.allclose(np.linalg.norm(vectors[: len(ENGLISH)], axis=1), 1, atol=1e-5)


def test_a_text_has_the_same_vector_whatever_stands_beside_it() -> None:
    encoder = contextual_encoder()
    together = encoder.encode([*ENGLISH, *OTHERS])
    for row, text in enumerate([*ENGLISH, *OTHERS]):
        assert np.allclose(encoder.encode([text])[0], together[row], atol=1e-5)


def test_a_question_finds_what_answers_it_in_other_words() -> None:
    told = {
        "What do I drive?": "We picked up the blue van on Friday.",
        "Where do I live now?": "Moved into the flat in Leith last week.",
        "What is our dog called?": "Biscuit chewed the sofa again, bad dog.",
        "Who cuts my hair?": "Went to Marco for a trim, as always.",
    }
    encoder, questions = contextual_encoder(), list(told)
    towards = answering(encoder, questions, base_of(encoder).encode(questions))
    assert (towards @ encoder.encode(list(told.values())).T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_threads_get_the_same_vectors() -> None:
    encoder = ContextualEncoder(SentenceEncoder(), EnglishContext())
    expected = contextual_encoder().encode(ENGLISH)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(encoder.encode, [ENGLISH] * 12):
            assert np.allclose(vectors, expected, atol=1e-5)


@pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")
def test_without_the_kernel_the_vectors_are_nearly_the_same() -> None:
    compiled = contextual_encoder().encode(ENGLISH)
    try:
        load_kernel(ROW, DATA)
        assert not accel.available
        plain = contextual_encoder().encode(ENGLISH)
    finally:
        load_kernel(ROW)
    assert np.all((compiled * plain).sum(axis=1) > 0.999)


def test_a_damaged_file_is_said_and_words_still_find(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "context.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    encoder = ContextualEncoder(default_encoder(), EnglishContext(tmp_path))
    with pytest.raises(DamagedWeights, match="context.safetensors"):
        encoder.verify()
    with pytest.raises(DamagedWeights):
        encoder.encode(ENGLISH)


def test_what_was_told_in_another_language_is_found_in_english() -> None:
    with Memory(":memory:", encoder="contextual") as memory:
        memory.remember("Unsere Katze heißt Mirabell.")
        memory.remember("Die Heizung wurde gestern entlüftet.")
        memory.remember("Ich habe den Schlüssel beim Nachbarn gelassen.")
        memory.flush()
        assert memory.recall("What is our cat called?")[0].engram.text.startswith("Unsere Katze")
