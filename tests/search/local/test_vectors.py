"""The codes of passages in files and in RAM: what is read is what was written, or damage is noticed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from engram.meaning.codes import NO_CODES, Coder, Codes
from engram.search.base import IndexDamaged
from engram.search.local.vectors import VectorIndex

CODER = Coder(32, 16, 64)


@pytest.fixture(params=["file", "ram"])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> VectorIndex:
    return VectorIndex(CODER, tmp_path if request.param == "file" else None)


def some(n: int, seed: int = 0) -> Codes:
    return CODER.encode(np.random.default_rng(seed).normal(size=(n, 32)).astype(np.float32))


def test_codes_are_read_in_any_order_and_are_empty_where_there_is_none(vectors: VectorIndex) -> None:
    one, two = some(5), some(3, 1)
    vectors.append(one)
    vectors.append(two)
    assert vectors.size == 8
    taken = vectors.take(np.array([7, 0, 8, 3, 99]))
    assert taken.tolist() == [
        two.values[2].tolist(),
        one.values[0].tolist(),
        [0] * 16,
        one.values[3].tolist(),
        [0] * 16,
    ]
    assert vectors.signs.view()["bits"].tolist() == [*one.signs.tolist(), *two.signs.tolist()]


def test_erased_codes_have_no_signs(vectors: VectorIndex) -> None:
    vectors.append(some(6))
    vectors.erase(2, 4)
    vectors.erase(5, 2_000_000_000)
    vectors.erase(-7, 0)
    assert vectors.signs.view()["bits"].any(axis=1).tolist() == [True, True, False, False, True, False]
    assert len(vectors.take(np.arange(6))) == 6


def test_codes_in_ram_are_set_later() -> None:
    vectors = VectorIndex(CODER)
    vectors.append(CODER.empty(4))
    vectors.put(np.array([1, 2]), some(2))
    assert vectors.take(np.arange(4)).any(axis=1).tolist() == [False, True, True, False]


@pytest.mark.parametrize("seed", range(10))
def test_changed_byte_of_a_code_is_detected(tmp_path: Path, seed: int) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(some(50))
    path = vectors.codes.path
    assert path is not None
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))
    again = VectorIndex(CODER, tmp_path)
    again.truncate(50)
    with pytest.raises(IndexDamaged, match="codes-"):
        again.take(np.arange(50))


@pytest.mark.parametrize("damage", ["zeros", "moved"])
def test_lost_pages_and_moved_codes_are_detected(tmp_path: Path, damage: str) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(CODER.empty(50))
    path, size = vectors.codes.path, vectors.codes.dtype.itemsize
    assert path is not None
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)) if damage == "zeros" else content[size:] + content[:size])
    again = VectorIndex(CODER, tmp_path)
    again.truncate(50)
    with pytest.raises(IndexDamaged):
        again.take(np.arange(50))


@pytest.mark.parametrize("part", ["codes", "signs"])
def test_truncated_file_is_detected(tmp_path: Path, part: str) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(some(50))
    path = getattr(vectors, part).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IndexDamaged, match=f"{part}-.* is missing or shorter"):
        VectorIndex(CODER, tmp_path).truncate(50)


def test_codes_of_another_encoder_are_in_other_files(tmp_path: Path) -> None:
    vectors, other = VectorIndex(CODER, tmp_path), VectorIndex(Coder(32, 16, 64, encoder="other"), tmp_path)
    vectors.append(some(3))
    other.append(some(2))
    assert len(list(tmp_path.iterdir())) == 4
    other.delete_others()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{part}-{other.coder.fingerprint}" for part in ("codes", "signs")
    ]


def test_without_an_encoder_there_are_no_codes_and_no_files(tmp_path: Path) -> None:
    vectors = VectorIndex(NO_CODES, tmp_path)
    assert vectors.take(np.array([0, 7])).shape == (2, 0)
    assert list(tmp_path.iterdir()) == []
