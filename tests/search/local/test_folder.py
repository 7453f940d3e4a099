"""The index: published generations, one writer, what a crash leaves."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from engram.search.base import IndexDamaged
from engram.search.local.delta import DeltaIndex
from engram.search.local.folder import FORMAT, IndexFolder
from engram.search.local.inverted import MERGE_NICENESS, MERGES

from .helpers import entry, no_previous


def make(folder: Path | None, memory: str = "m") -> IndexFolder:
    return IndexFolder(folder, "encoder", np.uint16, memory)


def found(index: IndexFolder, term: str = "t1") -> list[int]:
    return sorted(index.snapshot().reader.search(1, [term], 100).tolist())


@pytest.fixture(params=["file", "ram"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "index" if request.param == "file" else None


def test_nothing_is_seen_before_it_is_published(folder: Path | None) -> None:
    index = make(folder)
    assert (index.through, index.damage, found(index)) == (0, None, [])
    assert index.start_writing()
    index.begin(0)
    index.add([entry(1), entry(2)], 3, no_previous)
    assert (index.through, found(index), index.aside) == (0, [], True)
    index.publish()
    assert (index.through, found(index), index.aside) == (3, [1, 2], False)
    assert index.snapshot().reader.size(1) == 2
    assert index.snapshot().reader.frequencies(1, ["t1", "t9"]).tolist() == [2, 0]
    assert index.drop([2])
    assert not index.drop([2, 77])
    index.publish()
    assert found(index) == [1]
    index.stop_writing()


def test_the_old_generation_is_shown_until_the_new_one_is_published(folder: Path | None) -> None:
    index = make(folder)
    index.start_writing()
    index.begin(0)
    index.add([entry(1), entry(2)], 2, no_previous)
    index.publish()
    old = index.snapshot()
    index.begin(5)
    index.add([entry(1)], 1, no_previous)
    assert (index.through, found(index)) == (2, [1, 2])
    index.add([entry(3)], 3, no_previous)
    index.publish()
    assert (index.through, found(index), index.published[1]) == (3, [1, 3], 5)
    assert index.generations() == [index.published[0]]
    # Whoever still reads the old one can.
    assert sorted(old.reader.search(1, ["t1"], 9).tolist()) == [1, 2]
    assert old.columns.take(np.array([1, 2])).rows.tolist() == [1, 2]
    index.stop_writing()


def test_one_writes_and_others_see_it(tmp_path: Path) -> None:
    one, two = make(tmp_path / "index"), make(tmp_path / "index")
    assert one.start_writing()
    assert not two.start_writing()
    two.ask_for_lock()
    assert one.is_asked_for_lock()
    assert not one.is_asked_for_lock()
    for generation in range(2):
        one.begin(0)
        one.add([entry(1 + generation)], 1 + generation, no_previous)
        one.publish()
        two.refresh()
        assert found(two) == [1 + generation]
    one.stop_writing()
    assert two.start_writing()
    two.add([entry(3)], 3, no_previous)
    two.publish()
    one.refresh()
    assert found(one) == [2, 3]
    two.stop_writing()


def test_what_was_committed_but_not_published_is_taken_back(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin(0)
    index.add([entry(1)], 1, no_previous)
    index.publish()
    index.add([entry(2), entry(3)], 3, no_previous)
    target = index.target
    assert target is not None
    target.commit()
    index.stop_writing()
    again = make(tmp_path / "index")
    assert again.through == 1
    assert again.start_writing()
    assert found(again) == [1]
    again.add([entry(2)], 2, no_previous)
    again.publish()
    assert found(again) == [1, 2]
    assert again.snapshot().columns.take(np.array([1, 2])).columns["next"].tolist() == [2, 0]
    again.stop_writing()


def test_an_index_of_another_encoder_or_memory_is_not_used(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin(0)
    index.add([entry(1)], 1, no_previous)
    index.publish()
    index.stop_writing()
    other = IndexFolder(tmp_path / "index", "other", np.uint16, "m")
    assert other.through == 0
    assert "another encoder" in (other.damage or "")
    assert "another memory" in (make(tmp_path / "index", "other").damage or "")
    assert IndexFolder(tmp_path / "index", "encoder", np.uint16).through == 1
    state = json.loads((tmp_path / "index" / "state.json").read_text())
    (tmp_path / "index" / "state.json").write_text(json.dumps(state | {"format": FORMAT + 1}))
    assert "another format" in (make(tmp_path / "index").damage or "")


def test_a_distrusted_generation_is_not_looked_at_again(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin(0)
    index.add([entry(1)], 1, no_previous)
    index.publish()
    snapshot = index.snapshot()
    assert index.distrust(snapshot, "noise")
    assert (index.through, index.damage, index.target) == (0, "noise", None)
    assert not index.distrust(snapshot, "noise")
    index.refresh()
    assert index.through == 0
    index.begin(0)
    index.add([entry(1)], 1, no_previous)
    index.publish()
    assert (found(index), index.damage) == ([1], None)
    index.stop_writing()


def test_a_folder_that_is_changed_under_the_writer_is_given_up(tmp_path: Path) -> None:
    index = make(tmp_path / "index")
    index.start_writing()
    index.begin(0)
    (tmp_path / "index" / "state.json").write_text("{}")
    assert index.is_lost()
    with pytest.raises(IndexDamaged, match="changed by somebody else"):
        index.publish()
    index.abandon()
    assert not index.writing


def test_the_tail_without_its_beginning_and_the_forgotten() -> None:
    tail = DeltaIndex(10, np.uint16)
    tail.extend(
        [entry(11, session=1), entry(12, session=2), entry(13, session=1), entry(14, session=1)], 15, no_previous
    )
    assert tail.seqs(1).tolist() == [11, 12, 13, 14]
    assert [part.tolist() for part in tail.holding(1, "t2")] == [[11, 12, 13, 14], [1, 1, 1, 1]]
    assert tail.holding(2, "t2")[0].tolist() == tail.holding(1, "t9")[0].tolist() == []
    rest = tail.rest(11, no_previous, {12, 14})
    assert (rest.after, rest.through, rest.seqs(1).tolist(), len(rest)) == (11, 15, [12, 14], 2)
    assert rest.columns.take(np.array([14])).columns["previous"].tolist() == [0]


def merging() -> list[int]:
    """The niceness of each thread that merges."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        # One of an earlier test may be ending.
        with suppress(OSError):
            if (task / "comm").read_text().startswith(MERGES):
                found.append(os.getpriority(os.PRIO_PROCESS, int(task.name)))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this system does not tell a process's threads apart")
def test_merging_yields_to_others(tmp_path: Path) -> None:
    index, ours = make(tmp_path / "index"), os.getpriority(os.PRIO_PROCESS, 0)
    # The system knows no niceness above 19.
    expected = min(ours + MERGE_NICENESS, 19)
    assert index.start_writing()
    index.begin(0)
    # From the commit on that comes after its threads have got their names.
    for seq in range(1, 50):
        index.add([entry(seq)], seq, no_previous)
        index.publish()
        if merging() and all(nice == expected for nice in merging()):
            break
    else:
        pytest.fail(f"merging does not yield: {merging()}")
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
    index.stop_writing()
