"""The folder of an index: published builds, one writer, and recovery after a crash."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from engram.search.base import IndexDamaged
from engram.search.local.folder import FORMAT, IndexFolder
from engram.search.local.inverted import MERGE_NICENESS, MERGES
from engram.store.base import Key

from .helpers import entry


def make(folder: Path | None, memory: str = "m") -> IndexFolder:
    return IndexFolder(folder, "encoder", np.uint16, memory)


def apply(index: IndexFolder, *seqs: int, deleted: tuple[int, ...] = ()) -> None:
    """Apply engrams of namespace 1 to the build that is being written; its cursor is then the last seq."""
    target = index.target
    assert target is not None
    cursor = str(seqs[-1]) if seqs else target.cursor
    target.apply([entry(seq) for seq in seqs], [Key(1, seq) for seq in deleted], cursor)


def seqs_of(index: IndexFolder, term: str = "t1") -> list[int]:
    """The seqs of the engrams that hold a term."""
    snapshot = index.snapshot()
    return sorted(snapshot.forward.seqs(snapshot.inverted.search(1, [term], 100)).tolist())


@pytest.fixture(params=["file", "ram"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "index" if request.param == "file" else None


def test_changes_are_invisible_until_they_are_published(folder: Path | None) -> None:
    index = make(folder)
    assert (index.snapshot().rows, index.snapshot().cursor, index.damage, seqs_of(index)) == (0, "", None, [])
    assert index.start_writing()
    index.begin("7")
    apply(index, 10, 20)
    assert (index.snapshot().rows, seqs_of(index), index.aside) == (0, [], True)
    index.publish()
    assert (index.snapshot().rows, index.snapshot().cursor, seqs_of(index), index.aside) == (2, "20", [10, 20], False)
    assert index.snapshot().inverted.size(1) == 2
    assert index.snapshot().inverted.frequencies(1, ["t1", "t9"]).tolist() == [2, 0]
    assert index.snapshot().inverted.rows_of([1 << 32 | 10, 1 << 32 | 20, 2 << 32 | 10, 1 << 32 | 77]).tolist() == [
        1,
        2,
    ]
    apply(index, deleted=(20, 77))
    apply(index, deleted=(20, 77))
    index.publish()
    assert seqs_of(index) == [10]
    assert index.snapshot().rows == 2
    index.stop_writing()


def test_engram_that_was_never_committed_is_dropped(folder: Path | None) -> None:
    index = make(folder)
    index.start_writing()
    index.begin("")
    apply(index, 1, 2, 3)
    apply(index, 4, deleted=(2, 4))
    index.publish()
    assert seqs_of(index) == [1, 3]
    turns = index.snapshot().forward.take(np.arange(1, 5))
    assert turns.rows.tolist() == [1, 3]
    assert turns.columns["previous"].tolist() == [0, 1]
    index.stop_writing()


def test_old_build_is_shown_until_the_new_one_is_published(folder: Path | None) -> None:
    index = make(folder)
    index.start_writing()
    index.begin("")
    apply(index, 1, 2)
    index.publish()
    old = index.snapshot()
    index.begin("5")
    apply(index, 1)
    assert (index.snapshot().rows, seqs_of(index)) == (2, [1, 2])
    apply(index, 3)
    index.publish()
    assert (index.snapshot().cursor, seqs_of(index), index.published.begun) == ("3", [1, 3], "5")
    assert index.builds() == [index.published.name]
    # A reader of the old build can still read it.
    assert sorted(old.inverted.search(1, ["t1"], 9).tolist()) == [1, 2]
    assert old.forward.take(np.array([1, 2])).rows.tolist() == [1, 2]
    index.stop_writing()


def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    one, two = make(tmp_path / "index"), make(tmp_path / "index")
    assert one.start_writing()
    assert not two.start_writing()
    two.ask_for_lock()
    assert one.is_asked_for_lock()
    assert not one.is_asked_for_lock()
    for build in range(2):
        one.begin("")
        apply(one, 1 + build)
        one.publish()
        two.refresh()
        assert seqs_of(two) == [1 + build]
    one.stop_writing()
    assert two.start_writing()
    apply(two, 3)
    two.publish()
    one.refresh()
    assert seqs_of(one) == [2, 3]
    two.stop_writing()


def test_unpublished_changes_are_removed_after_a_crash(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin("")
    apply(index, 1)
    index.publish()
    apply(index, 2, 3)
    target = index.target
    assert target is not None
    target.commit()
    # The state after a crash: the lock is free, and nothing was published.
    index.stop_writing()
    again = make(tmp_path / "index")
    assert (again.snapshot().rows, again.snapshot().cursor) == (1, "1")
    # A reader ignores the links and ends that point to the rows of the crash.
    assert again.snapshot().forward.session_end(1, 1) == 1
    assert again.snapshot().forward.session_tokens(np.array([1]), 1).tolist() == [2]
    assert again.start_writing()
    assert seqs_of(again) == [1]
    assert again.snapshot().forward.take(np.array([1])).columns["next"].tolist() == [0]
    # Engram 2 was deleted in the meantime: row 2 belongs to another engram now.
    apply(again, 3)
    again.publish()
    assert seqs_of(again) == [1, 3]
    columns = again.snapshot().forward.take(np.array([1, 2])).columns
    assert (columns["next"].tolist(), columns["previous"].tolist()) == ([2, 0], [0, 1])
    assert again.snapshot().forward.session_tokens(np.array([1]), 2).tolist() == [4]
    again.stop_writing()


def test_ends_are_repaired_if_a_power_cut_lost_their_rows(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin("")
    apply(index, 1, 2)
    index.publish()
    apply(index, 3, 4)
    target = index.target
    assert target is not None
    assert target.folder is not None
    target.commit()
    index.stop_writing()
    rows = target.folder / "rows"
    os.truncate(rows, rows.stat().st_size // 2)
    again = make(tmp_path / "index")
    assert again.snapshot().forward.session_end(1, 2) == 2
    assert again.start_writing()
    assert again.snapshot().forward.session_tokens(np.array([1]), 2).tolist() == [4]
    again.stop_writing()


def test_index_of_another_analyzer_store_or_format_is_not_used(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin("")
    apply(index, 1)
    index.publish()
    index.stop_writing()
    other = IndexFolder(tmp_path / "index", "other", np.uint16, "m")
    assert other.snapshot().rows == 0
    assert "another encoder" in (other.damage or "")
    assert "another memory" in (make(tmp_path / "index", "other").damage or "")
    assert IndexFolder(tmp_path / "index", "encoder", np.uint16).snapshot().rows == 1
    state = json.loads((tmp_path / "index" / "state.json").read_text())
    (tmp_path / "index" / "state.json").write_text(json.dumps(state | {"format": FORMAT + 1}))
    assert "another format" in (make(tmp_path / "index").damage or "")
    assert json.loads((tmp_path / "index" / "state.json").read_text())["format"] == FORMAT + 1


def test_distrusted_build_is_not_used_again(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin("")
    apply(index, 1)
    index.publish()
    snapshot = index.snapshot()
    assert index.distrust(snapshot, "noise")
    assert (index.snapshot().rows, index.damage, index.target) == (0, "noise", None)
    assert not index.distrust(snapshot, "noise")
    index.refresh()
    assert index.snapshot().rows == 0
    index.begin("")
    apply(index, 1)
    index.publish()
    assert (seqs_of(index), index.damage) == ([1], None)
    index.stop_writing()


def test_writer_releases_a_folder_that_another_program_changed(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin("")
    (tmp_path / "index" / "state.json").write_text("{}")
    assert index.is_lost()
    with pytest.raises(IndexDamaged, match="changed by another program"):
        index.publish()
    index.abandon()
    assert not index.writing


def merging() -> list[int]:
    """The niceness of each merging thread."""
    priorities = []
    for task in Path("/proc/self/task").iterdir():
        # A thread of an earlier test can end at any time.
        with suppress(OSError):
            if (task / "comm").read_text().startswith(MERGES):
                priorities.append(os.getpriority(os.PRIO_PROCESS, int(task.name)))
    return priorities


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not tell a process's threads apart")
def test_merging_threads_have_a_low_priority(tmp_path: Path) -> None:
    index, ours = make(tmp_path / "index"), os.getpriority(os.PRIO_PROCESS, 0)
    # The maximum niceness of the system is 19.
    expected = min(ours + MERGE_NICENESS, 19)
    assert index.start_writing()
    index.begin("")
    # A thread has no name when it starts, so that only a later commit finds it.
    for seq in range(1, 50):
        apply(index, seq)
        index.publish()
        if merging() and all(nice == expected for nice in merging()):
            break
    else:
        pytest.fail(f"merging does not yield: {merging()}")
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
    index.stop_writing()
