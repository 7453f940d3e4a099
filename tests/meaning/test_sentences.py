"""The sentence encoder: vectors as those of the package that it was made from, and what texts of any kind give."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engram.meaning.sentences import (
    DATA,
    MOST_PIECES,
    RECENT,
    RECENT_CHARACTERS,
    TOKENIZER,
    TUNED,
    WEIGHTS,
    SentenceEncoder,
    default_encoder,
    pieces_of,
)
from engram.meaning.weights import DamagedWeights
from engram.opening import open_encoder

HERE = Path(__file__).parent
SENTENCES: dict[str, list[str]] = json.loads((HERE / "sentences.json").read_text(encoding="utf-8"))
"""In each language: a sentence, the same in other words, and one about something else."""

ODD = [
    "😀",
    "👨‍👩‍👧‍👦 🏳️‍🌈",
    "e\u0301\u0323\u0307" * 50,
    "\u0300",
    "\x00",
    "\ud800 broken",
    "\u202eabc",
    "x",
    "1",
    "\ufeffword",
    "ﷺ",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data files."""
    for name in (WEIGHTS, TOKENIZER, TUNED):
        shutil.copy(DATA / name, tmp_path / name)
    return tmp_path


def test_the_vectors_are_those_of_the_package_that_the_weights_come_from() -> None:
    # python -m tools.sentence_weights --expected tests/meaning
    expected = np.load(HERE / "expected.npy").astype(np.float32)
    vectors = SentenceEncoder(tuned=False).encode([text for texts in SENTENCES.values() for text in texts])
    cosines = (vectors * expected).sum(axis=1)
    assert len(SENTENCES) == 16
    assert cosines.min() > 0.985
    assert cosines.mean() > 0.997


@pytest.mark.parametrize("language", SENTENCES)
def test_other_words_for_the_same_are_nearer_than_another_subject(language: str) -> None:
    told, same, other = default_encoder().encode(SENTENCES[language])
    assert told @ same > told @ other + 0.2


def test_a_sentence_is_nearer_to_its_translation_than_to_another_subject() -> None:
    vectors = default_encoder().encode([text for texts in SENTENCES.values() for text in texts]).reshape(16, 3, -1)
    told, other = vectors[:, 0], vectors[:, 2]
    assert (told @ told.T).min() > (told @ other.T).max()


def test_a_vector_has_length_1_and_one_of_a_text_without_pieces_is_0() -> None:
    vectors = default_encoder().encode(["word", "", "  \n\t\u3000", "two words"])
    assert vectors.shape == (4, default_encoder().dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0, 1], atol=1e-5)
    assert default_encoder().encode([]).shape == (0, 512)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_vectors(text: str) -> None:
    (vector,) = default_encoder().encode([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) or not vector.any()


@pytest.mark.parametrize("letter", ["a", "字", "\u0301", " ", "\U0001f600", "ﷺ"])
def test_of_a_long_text_only_the_beginning_is_read(letter: str) -> None:
    whole, beginning = default_encoder().encode([letter * (1 << 20), letter * 2_000])
    assert np.array_equal(whole, beginning)


def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    texts = [text for texts in SENTENCES.values() for text in texts] + ODD
    together = default_encoder().encode(texts)
    assert np.array_equal(together, np.concatenate([default_encoder().encode([text]) for text in texts]))


def test_vectors_of_recent_texts_are_the_same_again_and_few_are_kept() -> None:
    encoder, text = SentenceEncoder(), "The lighthouse keeper retires in May."
    first = encoder.encode([text])
    kept = first.copy()
    # A caller may change what it was given.
    first[:] = 0
    assert np.array_equal(encoder.encode([text, "another"])[:1], kept)
    for number in range(RECENT + 50):
        encoder.encode([f"note {number}"])
    encoder.encode(["word " * RECENT_CHARACTERS])
    recent = encoder._load().recent
    assert len(recent) == RECENT
    assert max(map(len, recent)) <= RECENT_CHARACTERS
    assert np.array_equal(encoder.encode([text]), kept)


def test_threads_get_the_same_vectors_also_while_the_data_is_loaded() -> None:
    encoder = SentenceEncoder()
    texts = [text for texts in SENTENCES.values() for text in texts]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: encoder.encode(texts), range(16)))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_processes_get_the_same_vectors() -> None:
    program = (
        "import hashlib, json, sys; from engram.opening import open_encoder; e = open_encoder();"
        "print(e.fingerprint, hashlib.sha256(e.encode(json.loads(sys.argv[1])).tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", program, json.dumps(SENTENCES["en"] + SENTENCES["th"])]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == second
    assert first.split()[0] == open_encoder().fingerprint


def test_importing_engram_and_opening_a_memory_loads_no_tokenizer(tmp_path: Path) -> None:
    program = (
        "import sys, engram; m = engram.Memory(sys.argv[1]); m.close();"
        "print('sentencepiece' in sys.modules, m is not None)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]


def test_one_character_that_stands_for_many_letters_does_not_make_a_text_longer() -> None:
    tokenizer = default_encoder()._load().tokenizer
    # With one piece before and one behind.
    assert len(pieces_of(tokenizer, "ﷺ" * 2_000)) == MOST_PIECES + 2
    assert len(pieces_of(tokenizer, "word " * 400)) == 402


def test_verifying_reads_the_rows_too(folder: Path) -> None:
    SentenceEncoder(folder).verify()
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(20_000_000)
        file.write(b"changed")
    SentenceEncoder(folder).encode(["word"])
    with pytest.raises(DamagedWeights, match=f"{WEIGHTS} has changed since it was written"):
        SentenceEncoder(folder).verify()


@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER, TUNED])
def test_a_missing_data_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DamagedWeights, match=f"{name} (is missing|cannot be read).*install Engram again"):
        SentenceEncoder(folder).encode(["word"])


@pytest.mark.parametrize(
    ("name", "at", "says"),
    [
        (WEIGHTS, 0, "does not begin with a header"),
        (WEIGHTS, 12, "header"),
        (WEIGHTS, 6_000, "has changed since it was written"),
        (TOKENIZER, 100_000, "has changed since it was written"),
        (TUNED, 0, "does not begin with a header"),
        (TUNED, 6_000, "has changed since it was written"),
        (TUNED, 1_500_000, "has changed since it was written"),
    ],
)
def test_a_damaged_data_file_is_named(folder: Path, name: str, at: int, says: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[at : at + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(DamagedWeights, match=f"{name}.*{says}.*install Engram again"):
        SentenceEncoder(folder).encode(["word"])


def test_a_data_file_that_is_cut_off_is_named(folder: Path) -> None:
    path = folder / WEIGHTS
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(DamagedWeights, match=r"has 33,[\d,]+ bytes instead of 33,"):
        SentenceEncoder(folder).fingerprint  # noqa: B018
