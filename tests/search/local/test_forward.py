"""The forward index in a file and in RAM: links, deletions, and damage."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from engram.search.base import IndexDamaged
from engram.search.local.forward import Entry, ForwardIndex

from .helpers import entry


@pytest.fixture(params=["file", "ram"])
def forward(request: pytest.FixtureRequest, tmp_path: Path) -> ForwardIndex:
    return ForwardIndex(1, np.uint16, tmp_path if request.param == "file" else None)


def extend(forward: ForwardIndex, entries: list[Entry]) -> None:
    forward.extend(entries)
    forward.publish_session_ends()


def take(forward: ForwardIndex, *rows: int) -> dict[int, list[int]]:
    """The token ids of each row."""
    turns = forward.take(np.array(rows, np.int64))
    parts = np.split(turns.tokens, np.cumsum(turns.lengths)[:-1])
    return {int(row): part.tolist() for row, part in zip(turns.rows, parts, strict=False)}


def test_rows_are_numbered_in_the_order_of_extending(forward: ForwardIndex) -> None:
    extend(forward, [entry(7, ids=[5, 6], namespace=2), entry(3, ids=[]), entry(4, ids=[9])])
    extend(forward, [entry(8, ids=[1])])
    extend(forward, [])
    assert take(forward, 3, 1, 4) == {3: [9], 1: [5, 6], 4: [1]}
    assert take(forward, 5, 99, 0, -5) == {}
    assert list(take(forward, 2)) == [2]
    assert forward.last == 4
    assert forward.seqs(np.array([4, 1, 2])).tolist() == [8, 7, 3]
    assert forward.keys(1, 2).tolist() == [2 << 32 | 7, 1 << 32 | 3]
    assert forward.take(np.array([1])).columns["seq"].tolist() == [7]


def test_neighbours_are_those_of_the_session(forward: ForwardIndex) -> None:
    extend(forward, [entry(1, session=1), entry(2, session=2), entry(3, session=1)])
    extend(forward, [entry(4, session=2), entry(5, session=1)])
    columns = forward.take(np.arange(1, 6)).columns
    assert columns["previous"].tolist() == [0, 0, 1, 2, 3]
    assert columns["next"].tolist() == [3, 4, 5, 0, 0]
    assert sorted(forward.neighbours(np.array([3, 4, 99])).tolist()) == [1, 2, 5]


def test_links_lead_over_batches_that_are_not_published(forward: ForwardIndex) -> None:
    forward.extend([entry(1), entry(2)])
    forward.extend([entry(3)])
    forward.publish_session_ends()
    columns = forward.take(np.arange(1, 4)).columns
    assert (columns["previous"].tolist(), columns["next"].tolist()) == ([0, 1, 2], [2, 3, 0])


def test_drop_links_the_neighbours_and_can_be_repeated(forward: ForwardIndex) -> None:
    extend(forward, [entry(i, ids=[i] * i) for i in range(1, 6)])
    assert forward.session_tokens(np.array([1, 1, 2]), 5).tolist() == [15, 15, 0]
    for _ in range(2):
        forward.drop([3, 2, 5, 77])
    assert take(forward, 1, 2, 3, 4, 5).keys() == {1, 4}
    columns = forward.take(np.array([1, 4])).columns
    assert (columns["next"].tolist(), columns["previous"].tolist()) == ([4, 0], [0, 1])
    assert forward.session_tokens(np.array([1]), 5).tolist() == [5]
    extend(forward, [entry(6, ids=[6])])
    assert forward.take(np.array([6])).columns["previous"].tolist() == [4]
    assert forward.session_tokens(np.array([1]), 6).tolist() == [6]
    assert forward.session_tokens(np.array([1]), 5).tolist() == [5]


def test_session_end_is_the_last_row_up_to_a_limit(forward: ForwardIndex) -> None:
    extend(forward, [entry(i, session=1 + i % 2) for i in range(1, 9)])
    assert [forward.session_end(1, through) for through in (8, 7, 5, 2, 1, 0)] == [8, 6, 4, 2, 0, 0]
    assert forward.session_end(1, 8, {8, 4}) == 6
    assert forward.session_end(1, 5, {4, 2}) == 0
    assert forward.session_end(99, 8) == 0


def test_file_and_ram_hold_the_same(tmp_path: Path) -> None:
    rng = random.Random(3)
    both = [ForwardIndex(1, np.uint16, tmp_path), ForwardIndex(1, np.uint16)]
    seq = 0
    for _ in range(20):
        batch = []
        for _ in range(rng.randrange(1, 30)):
            seq += 1
            batch.append(entry(seq, rng.randrange(1, 5), [rng.randrange(999) for _ in range(rng.randrange(9))]))
        for forward in both:
            extend(forward, batch)
    everything = np.arange(1, seq + 1)
    one, two = (forward.take(everything) for forward in both)
    assert np.array_equal(one.columns, two.columns)
    assert np.array_equal(one.tokens, two.tokens)
    again = ForwardIndex(1, np.uint16, tmp_path)
    again.truncate(seq, both[0].tokens.size, both[0].passages.size)
    assert np.array_equal(again.take(everything).columns, one.columns)


def test_links_from_an_older_index_are_kept_apart() -> None:
    tail = ForwardIndex(101, np.uint16, older=lambda session: 57)
    extend(tail, [entry(101, session=4), entry(102, session=4)])
    assert tail.links_from_older == {57: 101}
    assert tail.take(np.array([101, 102])).columns["previous"].tolist() == [57, 101]


@pytest.mark.parametrize("file", ["rows", "tokens", "passages"])
@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_in_a_file_are_detected(tmp_path: Path, file: str, seed: int) -> None:
    forward = ForwardIndex(1, np.uint16, tmp_path)
    extend(forward, [entry(i, ids=[i, i + 1]) for i in range(1, 200)])
    path = tmp_path / file
    path.write_bytes(random.Random(seed).randbytes(path.stat().st_size))
    with pytest.raises(IndexDamaged):
        opened_again(tmp_path, forward).take(np.arange(1, 200))


def opened_again(folder: Path, written: ForwardIndex) -> ForwardIndex:
    """The files of `written`, opened by another process."""
    forward = ForwardIndex(1, np.uint16, folder, coder=written.vectors.coder)
    forward.truncate(written.rows.size, written.tokens.size, written.passages.size, written.vectors.size)
    return forward


@pytest.mark.parametrize("file", ["rows", "tokens", "passages"])
def test_truncated_file_is_detected(tmp_path: Path, file: str) -> None:
    forward = ForwardIndex(1, np.uint16, tmp_path)
    extend(forward, [entry(i) for i in range(1, 200)])
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IndexDamaged, match=f"{file} is missing or shorter"):
        opened_again(tmp_path, forward)


def test_empty_index_holds_nothing(forward: ForwardIndex) -> None:
    assert take(forward, 1, 2) == {}
    assert forward.session_tokens(np.array([1, 2]), 0).tolist() == [0, 0]
    extend(forward, [])
    assert take(forward, 1, 5) == {}
    assert forward.last == 0
