"""Terms, token ids and nearness."""

import numpy as np
import pytest

from engram.text.analyzer import QUESTION, Analyzer, stem_of
from engram.text.vectors import VectorTable, default_table


@pytest.fixture(scope="module")
def encoder() -> Analyzer:
    return Analyzer(default_table())


def test_inflections_share_a_term_and_an_id(encoder: Analyzer) -> None:
    one, other = encoder.analyse("camping dogs"), encoder.analyse("Camped, dog")
    assert one.terms == other.terms == ["camp", "dog"]
    assert one.ids == other.ids


def test_a_word_outside_the_table_has_an_id_of_its_own(encoder: Analyzer) -> None:
    size = len(encoder.table.stems)
    first, second, dog = encoder.analyse("hollyhock tintagel dog").ids
    assert first != second
    assert min(first, second) >= size > dog
    assert encoder.analyse("Hollyhocks").ids == [first]


@pytest.mark.parametrize(
    ("word", "stem"),
    [("running", "run"), ("собаки", "собак"), ("कुत्ते", "कुत्त"), ("naïve", "naïv"), ("犬", "犬"), ("🎂", "🎂")],
)
def test_the_stemmer_follows_the_script(word: str, stem: str) -> None:
    assert stem_of(word) == stem


@pytest.mark.parametrize("text", ["What?", "Is it? 😀", 'He asked: "why?"', "犬は？", "ما اسمك؟"])
def test_a_question_is_marked(encoder: Analyzer, text: str) -> None:
    assert encoder.analyse(text).marks & QUESTION


@pytest.mark.parametrize("text", ["No.", "Why? Because.", ""])
def test_what_is_no_question_is_not(encoder: Analyzer, text: str) -> None:
    assert not encoder.analyse(text).marks & QUESTION


def test_near_terms_are_near_in_meaning(encoder: Analyzer) -> None:
    dog, cello = encoder.analyse("dog guitar").ids
    assert {"puppi", "pet"} & set(encoder.near_terms(dog, 0.4, 12))
    assert {"guitarist", "musician", "bass", "instrument"} & set(encoder.near_terms(cello, 0.4, 12))


def test_what_is_near_agrees_with_near_terms(encoder: Analyzer) -> None:
    (dog,) = encoder.analyse("dog").ids
    near = encoder.near(dog)
    assert near is not None
    ids, similarities = near
    assert similarities.shape == ids.shape
    others = [encoder.table.stems[id] for id in ids.tolist() if id != dog]
    assert others[:3] == encoder.near_terms(dog, 0.0, 4)[:3]


def test_common_words_are_more_probable(encoder: Analyzer) -> None:
    share = encoder.probabilities(encoder.analyse("the dog labrador hollyhock").ids)
    assert np.all(np.diff(share) < 0)


def test_a_file_that_is_no_table_says_so(tmp_path) -> None:
    path = tmp_path / "table.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"table\.npz is not a table"):
        VectorTable.load(path)


def test_another_table_is_another_encoder(tmp_path) -> None:
    path = tmp_path / "tiny.npz"
    near = np.array([[1], [0]], np.uint16)
    VectorTable.save(
        path,
        ["perro", "can"],
        vectors=np.ones((2, 4), np.int8),
        near=near,
        similarity=np.array([[200], [200]], np.uint8),
        probability=np.array([0.1, 0.1], np.float32),
    )
    encoder = Analyzer(VectorTable.load(path))
    assert encoder.fingerprint != default_table().fingerprint
    assert encoder.near_terms(0, 0.5, 5) == ["can"]


def test_words_too_common_and_words_unknown_have_no_near_ones(encoder: Analyzer) -> None:
    assert [encoder.near(id) for id in encoder.analyse("the hollyhock").ids] == [None, None]


def test_one_centroid_is_the_same_as_one_of_many(encoder: Analyzer) -> None:
    texts = [encoder.analyse(text).ids for text in ("my dog barks", "hollyhock", "a quiet evening by the sea")]
    for ids, row in zip(texts, encoder.centroids(texts), strict=True):
        assert np.abs(encoder.centroid(ids) * 127 - row).max() <= 0.5001


def test_centroids_of_like_texts_are_alike(encoder: Analyzer) -> None:
    def alike(one: str, other: str) -> float:
        first, second = encoder.centroids([encoder.analyse(text).ids for text in (one, other)]).astype(float) / 127
        return float(first @ second)

    assert alike("my dog barks", "my dog barks") == pytest.approx(1, abs=0.02)
    assert alike("my dog barks", "the puppy howled") > alike("my dog barks", "interest rates fell") + 0.2
    assert not encoder.centroids([[], encoder.analyse("hollyhock").ids]).any()
