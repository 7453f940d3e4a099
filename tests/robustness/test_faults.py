"""A sample of the faults of `python -m tools.faults`, which injects them into every system call of a write."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engram.memory import Memory
from tools import faults
from tools.faults import BY_NAME, KINDS, Fault, Outcome, Suite

CALLS = 2
"""System calls of each program that get each kind of fault."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    if sys.platform != "linux" or shutil.which(faults.COMPILER) is None:
        pytest.skip(f"faults are injected on Linux with {faults.COMPILER} only, which is not here")
    with closing(Suite(tmp_path_factory.mktemp("faults"))) as suite:
        yield suite


@pytest.mark.parametrize("program", BY_NAME)
def test_a_fault_in_a_system_call_loses_nothing_acknowledged(suite: Suite, program: str) -> None:
    calls = suite.count(program)
    assert calls > 50
    before = suite.fired.total()
    # Not the last calls: whether they are made depends on the time.
    for at in random.Random(program).sample(range(1, calls * 3 // 4), CALLS):
        for kind in KINDS:
            assert suite.run(Fault(program, kind, at)) == []
    assert suite.fired.total() == before + CALLS * len(KINDS)


def test_a_lost_engram_and_a_broken_batch_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        engram = memory.remember("in a batch", session="batch 1")
        lost = memory.remember("lost").id
        memory.forget(id=lost)
    outcome = Outcome(
        [f"stored {engram.id}", f"stored {lost}", "error EngramError: it failed", "crash Traceback"], False
    )
    assert faults.problems(Fault("batches", "full", 7), outcome, path) == [
        "crash: Traceback",
        "an error that does not name the file: EngramError: it failed",
        "1 acknowledged engrams are lost",
        f"1 of {faults.BATCH} engrams of a batch are there",
    ]
