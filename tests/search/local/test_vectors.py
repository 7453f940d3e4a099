"""The codes of passages in files and in RAM: what is read is what was written, or damage is noticed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from engram import accel
from engram.accel import compiled
from engram.meaning.codes import NO_CODES, Coder, Codes
from engram.search.base import IndexDamaged
from engram.search.local.growing import GrowingArray
from engram.search.local.vectors import VectorIndex

CODER = Coder(128, 128, 64)


@pytest.fixture(params=["file", "ram"])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> VectorIndex:
    return VectorIndex(CODER, tmp_path if request.param == "file" else None)


def some(n: int, seed: int = 0) -> Codes:
    return CODER.encode(np.random.default_rng(seed).normal(size=(n, 128)).astype(np.float32))


def test_codes_are_read_in_any_order_and_are_empty_where_there_is_none(vectors: VectorIndex) -> None:
    one, two = some(5), some(3, 1)
    vectors.append(one)
    vectors.append(two)
    assert vectors.size == 8
    taken = vectors.take(np.array([7, 0, 8, 3, 99]))
    none = np.zeros(CODER.width, np.uint8)
    assert np.array_equal(taken, [two[2], one[0], none, one[3], none])
    signs = np.concatenate((one, two))[:, :8].view("<u8")
    assert np.array_equal(vectors.signs.view()["bits"], signs)


def test_erased_codes_are_empty(vectors: VectorIndex) -> None:
    vectors.append(some(6))
    vectors.erase(2, 4)
    vectors.erase(5, 2_000_000_000)
    vectors.erase(-7, 0)
    assert vectors.signs.view()["bits"].any(axis=1).tolist() == [True, True, False, False, True, False]
    assert vectors.take(np.arange(6)).any(axis=1).tolist() == [True, True, False, False, True, False]


@pytest.mark.skipif(not accel.available, reason="the kernel was not compiled: python hatch_build.py")
def test_kernel_reads_codes_as_numpy_does(vectors: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors.append(some(400))
    vectors.append(np.zeros((40, CODER.width), np.uint8))
    vectors.erase(17, 60)
    if vectors.codes.path is None:
        vectors.codes.view()["check"][[3, 5]] += 1
    else:
        with vectors.codes.patching() as patch:
            for place in (3, 5):
                patch(place, "check", 7)
    places = np.random.default_rng(2).integers(0, vectors.size, 2_000)
    codes, wrong = vectors._read(places)
    assert wrong == np.isin(places, [3, 5]).sum() > 0
    monkeypatch.setattr(GrowingArray, "read_through_map", False)
    by_numpy, also_wrong = vectors._read(places)
    assert np.array_equal(codes, by_numpy)
    assert wrong == also_wrong
    with pytest.raises(ValueError, match="do not fit"):
        compiled.copy_codes(vectors.signs.view(), vectors.codes.view(), places + 1, vectors._factors, CODER.width)


def test_codes_in_ram_are_set_later() -> None:
    vectors = VectorIndex(CODER)
    vectors.append(np.zeros((4, CODER.width), np.uint8))
    vectors.put(np.array([1, 2]), some(2))
    assert vectors.take(np.arange(4)).any(axis=1).tolist() == [False, True, True, False]


def read_again(folder: Path) -> Codes:
    vectors = VectorIndex(CODER, folder)
    vectors.truncate(50)
    return vectors.take(np.arange(50))


@pytest.mark.parametrize("part", ["codes", "signs"])
@pytest.mark.parametrize("seed", range(8))
def test_changed_byte_of_a_code_is_detected(tmp_path: Path, part: str, seed: int) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(some(50))
    path = getattr(vectors, part).path
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))
    with pytest.raises(IndexDamaged, match="codes-"):
        read_again(tmp_path)


def test_lost_pages_and_moved_codes_are_detected(tmp_path: Path) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(some(50))
    path, size = vectors.codes.path, vectors.codes.dtype.itemsize
    assert path is not None
    content = path.read_bytes()
    for damaged in (bytes(len(content)), content[size:] + content[:size]):
        path.write_bytes(damaged)
        with pytest.raises(IndexDamaged):
            read_again(tmp_path)
    path.write_bytes(content)
    assert len(read_again(tmp_path)) == 50


@pytest.mark.parametrize("part", ["codes", "signs"])
def test_truncated_file_is_detected(tmp_path: Path, part: str) -> None:
    vectors = VectorIndex(CODER, tmp_path)
    vectors.append(some(50))
    path = getattr(vectors, part).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IndexDamaged, match=f"{part}-.* is missing or shorter"):
        VectorIndex(CODER, tmp_path).truncate(50)


def test_codes_of_another_encoder_are_in_other_files(tmp_path: Path) -> None:
    vectors, other = VectorIndex(CODER, tmp_path), VectorIndex(Coder(128, 128, 64, encoder="other"), tmp_path)
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
