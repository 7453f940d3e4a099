"""Arrays that grow at their end: how much of a file that is read here and there stays in memory."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from engram.search.base import IndexDamaged
from engram.search.local.growing import MOST_MAPPED, GrowingArray


def mapped(path: Path) -> int:
    """Return the bytes of a file's map that are in this process's memory."""
    found = re.search(rf"{re.escape(str(path))}\n(?:.+\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    assert found
    return int(found[1]) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_entries_that_are_read_here_and_there_do_not_keep_a_large_file_in_memory(tmp_path: Path) -> None:
    array = GrowingArray("<i8", tmp_path / "numbers")
    count = 2 * MOST_MAPPED // 8
    array.append(np.arange(count, dtype=np.int64))
    rng = np.random.default_rng(1)
    for _ in range(20):
        places = rng.integers(0, count, 256)
        assert (array.take(places) == places).all()
    assert mapped(tmp_path / "numbers") == 0


def test_a_large_file_that_was_cut_off_is_damaged(tmp_path: Path) -> None:
    array = GrowingArray("<i8", tmp_path / "numbers")
    array.append(np.arange(2 * MOST_MAPPED // 8, dtype=np.int64))
    os.truncate(tmp_path / "numbers", MOST_MAPPED)
    with pytest.raises(IndexDamaged, match="numbers is shorter than"):
        array.take(np.array([0, array.size - 1]))


def test_entries_of_a_small_file_and_of_ram_are_taken_as_they_lie(tmp_path: Path) -> None:
    for path in (tmp_path / "numbers", None):
        array = GrowingArray("<i8", path)
        array.append(np.arange(1000, dtype=np.int64) * 3)
        for _ in range(50):
            assert array.take(np.array([999, 0, 500, 500])).tolist() == [2997, 0, 1500, 1500]
