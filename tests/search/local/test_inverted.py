"""The inverted index on its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from engram.search.local.inverted import Document, InvertedIndex


def test_what_a_killed_process_left_does_not_prevent_the_next_commit(tmp_path: Path) -> None:
    """A kill between the list of deletions, which is a file, and the commit that names it."""
    folder, killed = tmp_path / "index", tmp_path / "killed"
    folder.mkdir()
    index = InvertedIndex(folder, create=True)
    index.start_writing()
    index.add(Document(row, row, 1, ["word"]) for row in range(1, 101))
    index.commit()
    index.stop_writing()
    shutil.copytree(folder, killed)
    index = InvertedIndex(folder)
    index.start_writing()
    index.drop([7])
    index.commit()
    index.stop_writing()
    [left] = folder.glob("*.del")
    for name in (left.name, ".managed.json"):
        shutil.copyfile(folder / name, killed / name)
    for lock in killed.glob(".*.lock"):
        lock.unlink()

    index = InvertedIndex(killed)
    index.start_writing()
    index.drop([7])
    index.commit()
    index.stop_writing()
    assert index.read().rows_of([6, 7, 8]).tolist() == [6, 8]
