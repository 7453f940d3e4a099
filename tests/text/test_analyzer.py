"""Terms, token ids and near words."""

import numpy as np
import pytest

from engram.accel.plain import centroid_of
from engram.text.analyzer import ANALYSIS, TableAnalyzer, stem_of
from engram.text.base import QUESTION
from engram.text.vectors import VectorTable, default_table


@pytest.fixture(scope="module")
def analyzer() -> TableAnalyzer:
    return TableAnalyzer(default_table())


def test_inflections_share_a_term_and_an_id(analyzer: TableAnalyzer) -> None:
    one, other = analyzer.analyse("camping dogs"), analyzer.analyse("Camped, dog")
    assert one.terms == other.terms == ["camp", "dog"]
    assert one.ids == other.ids


def test_word_outside_the_table_gets_an_id_by_hash(analyzer: TableAnalyzer) -> None:
    size = len(analyzer.table.stems)
    first, second, dog = analyzer.analyse("hollyhock tintagel dog").ids
    assert first != second
    assert min(first, second) >= size > dog
    assert analyzer.analyse("Hollyhocks").ids == [first]


@pytest.mark.parametrize(
    ("word", "stem"),
    [("running", "run"), ("собаки", "собак"), ("कुत्ते", "कुत्त"), ("naïve", "naïv"), ("犬", "犬"), ("🎂", "🎂")],
)
def test_stemmer_is_chosen_by_script(word: str, stem: str) -> None:
    assert stem_of(word) == stem


@pytest.mark.parametrize("text", ["What?", "Is it? 😀", 'He asked: "why?"', "犬は？", "ما اسمك؟"])
def test_text_that_ends_in_a_question_is_marked(analyzer: TableAnalyzer, text: str) -> None:
    assert analyzer.analyse(text).marks & QUESTION


@pytest.mark.parametrize("text", ["No.", "Why? Because.", ""])
def test_text_that_ends_otherwise_is_not_marked(analyzer: TableAnalyzer, text: str) -> None:
    assert not analyzer.analyse(text).marks & QUESTION


def test_near_terms_are_near_in_meaning(analyzer: TableAnalyzer) -> None:
    dog, cello = analyzer.analyse("dog guitar").ids
    assert {"puppi", "pet"} & set(analyzer.near_terms(dog, 0.4, 12))
    assert {"guitarist", "musician", "bass", "instrument"} & set(analyzer.near_terms(cello, 0.4, 12))


def test_near_ids_and_near_terms_agree(analyzer: TableAnalyzer) -> None:
    (dog,) = analyzer.analyse("dog").ids
    assert analyzer.has_near(dog)
    language = analyzer.language
    assert language.similarity.shape == language.near.shape
    ids = language.near[dog]
    others = [analyzer.table.stems[id] for id in ids.tolist() if id != dog]
    assert others[:3] == analyzer.near_terms(dog, 0.0, 4)[:3]


def test_common_words_are_more_probable(analyzer: TableAnalyzer) -> None:
    share = analyzer.probabilities(analyzer.analyse("the dog labrador hollyhock").ids)
    assert np.all(np.diff(share) < 0)


def test_file_that_is_no_table_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "table.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"table\.npz is not a table"):
        VectorTable.load(path)


def test_another_table_has_another_fingerprint(tmp_path) -> None:
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
    analyzer = TableAnalyzer(VectorTable.load(path))
    assert analyzer.fingerprint != default_table().fingerprint
    assert analyzer.near_terms(0, 0.5, 5) == ["can"]


def test_fingerprint_names_the_table_and_the_way_in_which_terms_are_made(analyzer: TableAnalyzer) -> None:
    assert analyzer.fingerprint == f"{default_table().fingerprint}-{ANALYSIS}"


def test_words_of_languages_are_known(analyzer: TableAnalyzer) -> None:
    known = [term for term in ("harbour", "zwischen", "xylqorm") if analyzer.knows(stem_of(term))]
    assert known == ["harbour", "zwischen"]


def test_a_term_has_the_token_id_of_its_word(analyzer: TableAnalyzer) -> None:
    analysis = analyzer.analyse("dogs of tintagel")
    assert [analyzer.token_id(term) for term in analysis.terms] == analysis.ids


def test_common_and_unknown_words_have_no_near_words(analyzer: TableAnalyzer) -> None:
    assert [analyzer.has_near(id) for id in analyzer.analyse("the hollyhock dog").ids] == [False, False, True]


def test_one_centroid_is_the_same_as_one_of_many(analyzer: TableAnalyzer) -> None:
    texts = [analyzer.analyse(text).ids for text in ("my dog barks", "hollyhock", "a quiet evening by the sea")]
    for ids, row in zip(texts, analyzer.centroids(texts), strict=True):
        assert np.array_equal(analyzer.centroids([ids])[0], row)
        assert np.abs(centroid_of(ids, analyzer.language) * 127 - row).max() <= 0.5001


def test_centroids_of_similar_texts_are_similar(analyzer: TableAnalyzer) -> None:
    def alike(one: str, other: str) -> float:
        first, second = analyzer.centroids([analyzer.analyse(text).ids for text in (one, other)]).astype(float) / 127
        return float(first @ second)

    assert alike("my dog barks", "my dog barks") == pytest.approx(1, abs=0.02)
    assert alike("my dog barks", "the puppy howled") > alike("my dog barks", "interest rates fell") + 0.2
    assert not analyzer.centroids([[], analyzer.analyse("hollyhock").ids]).any()
