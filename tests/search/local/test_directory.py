"""The directory of namespaces gives the passages of one, whatever was appended when it was asked."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engram.search.local.directory import PASSAGE, Directory
from engram.search.local.growing import GrowingArray


def append(passages: GrowingArray, namespaces: list[int]) -> None:
    rows = np.zeros(len(namespaces), PASSAGE)
    rows["namespace"] = namespaces
    passages.append(rows)


def places_of(directory: Directory, namespace: int, size: int) -> list[int]:
    found: list[int] = []
    for start, stop, places in directory.of(namespace, size):
        found += range(start, stop) if places is None else places.tolist()
    return found


@pytest.mark.parametrize("seed", range(6))
def test_directory_follows_the_passages(seed: int) -> None:
    rng = random.Random(seed)
    passages = GrowingArray(PASSAGE, None)
    directory, expected = Directory(passages), list[int]()
    top = rng.choice([1, 3, 70_000, 2_000_000_000])
    for _ in range(40):
        batch = [rng.randrange(1, top + 1) for _ in range(rng.choice([1, 2, 30]))]
        append(passages, batch)
        expected += batch
        size = rng.randrange(1, len(expected) + 1)
        for namespace in {*rng.sample(expected, min(3, len(expected))), top + 1, 0}:
            assert places_of(directory, namespace, size) == [
                place for place in range(size) if expected[place] == namespace
            ]


def test_many_small_appends_leave_few_parts() -> None:
    passages = GrowingArray(PASSAGE, None)
    directory = Directory(passages)
    for number in range(2_000):
        append(passages, [number % 7])
        assert len(list(directory.of(3, number + 1))) <= 12
    assert len(places_of(directory, 3, 2_000)) == len(range(3, 2_000, 7))


def test_directory_of_nothing_is_empty() -> None:
    assert places_of(Directory(GrowingArray(PASSAGE, None)), 1, 0) == []
