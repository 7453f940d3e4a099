"""Columns in a file and in RAM: the same, found again, damage noticed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from engram.search.base import IndexDamaged
from engram.search.local.forward import Entry, ForwardIndex

from .helpers import entry, no_previous


@pytest.fixture(params=["file", "ram"])
def columns(request: pytest.FixtureRequest, tmp_path: Path) -> ForwardIndex:
    return ForwardIndex(1, np.uint16, tmp_path if request.param == "file" else None)


def extend(columns: ForwardIndex, entries: list[Entry], through: int | None = None) -> None:
    columns.extend(entries, through if through is not None else entries[-1].seq, no_previous)
    columns.settle()


def take(columns: ForwardIndex, *seqs: int) -> dict[int, list[int]]:
    turns = columns.take(np.array(seqs, np.int64))
    parts = np.split(turns.tokens, np.cumsum(turns.lengths)[:-1])
    return {int(seq): part.tolist() for seq, part in zip(turns.rows, parts, strict=False)}


def test_what_was_put_in_comes_out(columns: ForwardIndex) -> None:
    extend(columns, [entry(1, ids=[5, 6]), entry(3, ids=[]), entry(4, ids=[9])], through=6)
    extend(columns, [entry(7, ids=[1])])
    assert take(columns, 4, 1, 7) == {4: [9], 1: [5, 6], 7: [1]}
    assert take(columns, 2, 5, 6, 8, 99, 0, -5) == {}
    assert list(take(columns, 3)) == [3]


def test_neighbours_are_those_of_the_session(columns: ForwardIndex) -> None:
    extend(columns, [entry(1, session=1), entry(2, session=2), entry(3, session=1)])
    extend(columns, [entry(4, session=2), entry(5, session=1)])
    rows = columns.take(np.arange(1, 6)).columns
    assert rows["previous"].tolist() == [0, 0, 1, 2, 3]
    assert rows["next"].tolist() == [3, 4, 5, 0, 0]


def test_dropping_joins_the_neighbours_and_may_be_done_twice(columns: ForwardIndex) -> None:
    extend(columns, [entry(i, ids=[i] * i) for i in range(1, 6)])
    assert columns.session_tokens(np.array([1, 1, 2]), 5).tolist() == [15, 15, 0]
    for _ in range(2):
        columns.drop([3, 2, 5, 77])
    assert take(columns, 1, 2, 3, 4, 5).keys() == {1, 4}
    rows = columns.take(np.array([1, 4])).columns
    assert (rows["next"].tolist(), rows["previous"].tolist()) == ([4, 0], [0, 1])
    assert columns.session_tokens(np.array([1]), 5).tolist() == [5]
    columns.extend([entry(6, ids=[6])], 6, lambda session, seq: 4)
    columns.settle()
    assert columns.take(np.array([6])).columns["previous"].tolist() == [4]
    assert columns.session_tokens(np.array([1]), 6).tolist() == [6]
    assert columns.session_tokens(np.array([1]), 5).tolist() == [5]


def test_a_file_and_ram_are_alike(tmp_path: Path) -> None:
    chance = random.Random(3)
    both = [ForwardIndex(1, np.uint16, tmp_path), ForwardIndex(1, np.uint16)]
    last: dict[int, int] = {}
    seq = 0
    for _ in range(20):
        batch = []
        for _ in range(chance.randrange(1, 30)):
            seq += chance.choice((1, 1, 2))
            batch.append(
                entry(seq, chance.randrange(1, 5), [chance.randrange(999) for _ in range(chance.randrange(9))])
            )
        before = dict(last)
        for columns in both:
            columns.extend(batch, seq, lambda session, _, before=before: before.get(session, 0))  # type: ignore[misc]
            columns.settle()
        last.update((e.session, e.seq) for e in batch)
    everything = np.arange(1, seq + 1)
    one, two = (columns.take(everything) for columns in both)
    assert np.array_equal(one.rows, two.rows)
    assert np.array_equal(one.tokens, two.tokens)
    again = ForwardIndex(1, np.uint16, tmp_path)
    again.truncate(seq, both[0].tokens.size)
    assert np.array_equal(again.take(everything).columns, one.columns)


def test_links_to_the_tail_are_kept_beside() -> None:
    tail = ForwardIndex(101, np.uint16)
    tail.extend([entry(101, session=4)], 101, lambda session, seq: 57)
    assert tail.follows == {57: 101}
    assert tail.take(np.array([101])).columns["previous"].tolist() == [57]


@pytest.mark.parametrize("file", ["rows", "tokens"])
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_noticed(tmp_path: Path, file: str, seed: int) -> None:
    columns = ForwardIndex(1, np.uint16, tmp_path)
    extend(columns, [entry(i, ids=[i, i + 1]) for i in range(1, 200)])
    path = tmp_path / file
    path.write_bytes(random.Random(seed).randbytes(path.stat().st_size))
    with pytest.raises(IndexDamaged):
        Columns_again(tmp_path, 199, 398).take(np.arange(1, 200))


def Columns_again(folder: Path, rows: int, tokens: int) -> ForwardIndex:  # noqa: N802
    columns = ForwardIndex(1, np.uint16, folder)
    columns.truncate(rows, tokens)
    return columns


@pytest.mark.parametrize("file", ["rows", "tokens"])
def test_a_shorter_file_is_noticed(tmp_path: Path, file: str) -> None:
    columns = ForwardIndex(1, np.uint16, tmp_path)
    extend(columns, [entry(i) for i in range(1, 200)])
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IndexDamaged, match=f"{file} is missing or shorter"):
        Columns_again(tmp_path, 199, 398)


def test_nothing_at_all(columns: ForwardIndex) -> None:
    assert take(columns, 1, 2) == {}
    assert columns.session_tokens(np.array([1, 2]), 0).tolist() == [0, 0]
    columns.extend([], 5, no_previous)
    assert take(columns, 1, 5) == {}
