"""The programs of the tests' child processes: `python children.py NAME PATH SEED`, or `forked` in a forked process.

Each program prints the ids of the acknowledged engrams, one line per call.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from engram.backup import back_up, restore
from engram.errors import EngramError, MemoryFull
from engram.memory import Memory
from engram.text.vectors import default_table

# Loaded once in the parent of forked children, so that each child opens its memory within milliseconds.
default_table()


def write_line(text: str) -> None:
    os.write(1, (text + "\n").encode())


def remember(path: str, seed: int) -> None:
    """Remember in a loop, singly and in bulk, until killed."""
    rng = random.Random(seed)
    memory = Memory(path)
    write_line("open")
    for number in itertools.count():
        if rng.random() < 0.7:
            engram = memory.remember(f"run {seed} number {number} marker{seed}x{number}", session=f"s{seed % 5}")
            write_line(engram.id)
        else:
            size = rng.choice((5, 50, 400))
            items = [{"text": f"bulk {seed} marker{seed}x{number}x{i}"} for i in range(size)]
            write_line(" ".join(e.id for e in memory.remember_many(items)))
        if rng.random() < 0.02:
            memory.recall("bulk number")


def encode(path: str, seed: int) -> None:
    """Remember singly, in bulk and in long texts, recall and encode in the background, until killed."""
    from engram.opening import open_analyzer, open_search, open_store
    from tests.search.concepts import ConceptEncoder

    rng, store, encoder = random.Random(seed), open_store(path), ConceptEncoder()
    search = open_search(store, open_analyzer(), encoder)
    memory = Memory(store=store, search=search)
    write_line("open")
    for number in itertools.count():
        size = rng.choice((1, 1, 1, 30, 300))
        long = "and some more of the same kind. " * 60
        items = [{"text": f"run {seed} marker{seed}x{number}x{i} {long if i == 7 else ''}"} for i in range(size)]
        write_line(" ".join(e.id for e in memory.remember_many(items)))
        # Some processes only write; others encode the tail, too.
        if seed % 3:
            search.reader()


def share(path: str, seed: int) -> None:
    """Remember and recall from four threads, CALLS times in each; the last line is "done" unless a thread failed."""
    import threading

    calls = int(os.environ["CALLS"])
    problems: list[BaseException] = []

    def work(thread: int) -> None:
        rng = random.Random(seed * 10 + thread)
        try:
            for number in range(calls):
                name = f"owner{seed}x{thread}x{number}"
                if rng.random() < 0.1:
                    items = [{"text": f"{name}x{i} of many", "namespace": f"n{thread}"} for i in range(100)]
                    write_line(" ".join(e.id for e in memory.remember_many(items)))
                else:
                    write_line(memory.remember(f"{name} alone", namespace=f"n{thread}").id)
                    hits = memory.recall(f"{name}", namespace=f"n{thread}", limit=3)
                    assert any(name in hit.engram.text.split() for hit in hits), name
                    assert len({hit.engram.id for hit in hits}) == len(hits)
        except BaseException as error:
            problems.append(error)
            raise

    with Memory(path) as memory:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    write_line("problems" if problems else "done")


def fill(path: str, seed: int) -> None:
    """Remember until the disk is full, then wait for a line on stdin, and remember once more."""
    memory = Memory(path)
    number = 0
    while True:
        number += 1
        try:
            batch = [{"text": f"filler{number}x{i} " + "room " * 40} for i in range(100)]
            write_line(" ".join(e.id for e in memory.remember_many(batch)))
        except MemoryFull as error:
            write_line(f"full {error}")
            break
        memory.recall("filler room")
    hits = memory.recall("filler1x1")
    write_line(f"recall {len(hits)}")
    sys.stdin.readline()
    write_line(memory.remember("there is room again").id)
    assert memory.recall("room again")[0].engram.text == "there is room again"
    memory.flush(30)
    memory.close()
    write_line("done")


def idle(path: str, seed: int) -> None:
    """Index some engrams, then keep the memory open and idle until a line arrives on stdin."""
    memory = Memory(path)
    memory.remember_many({"text": f"idle {i}"} for i in range(600))
    memory.flush()
    write_line("idle")
    sys.stdin.readline()
    memory.close()


def leave(path: str, seed: int) -> None:
    """End without closing the memory, while it indexes."""
    memory = Memory(path)
    memory.remember_many({"text": f"left {i} behind"} for i in range(3_000))
    memory.recall("left")
    time.sleep((seed % 8) / 10)
    write_line("left")


def step(path: str, seed: int) -> None:
    """Remember 25 turns, wait for a line, try 25 more, each one whatever came of the last; then kill this process.

    Acknowledged texts go to stdout as one word each, refusals to stderr.
    """
    memory = Memory(path)
    for number in range(50):
        if number == 25:
            sys.stdin.readline()
        try:
            write_line(memory.remember(f"step{number}").text)
        except EngramError as error:
            print(f"refused {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def keep(path: str, seed: int) -> None:
    """Write documents until killed: one with every step of this process, and one that all processes count up.

    Each line is a document's name and the version and the value that were acknowledged.
    """
    state = Memory(path).state("ana", f"agent {seed % 2}", keep=None)
    shared = Memory(path).state("ana", "all", keep=None)
    write_line("open")
    for number in itertools.count():
        own = state.set("own", {"seed": seed, "number": number, "filler": "x" * (number % 7 * 3_000)})
        write_line(f"own {own.version} {seed} {number}")
        counted = shared.update("count", lambda value: (value or 0) + 1)
        write_line(f"count {counted.version} {counted.value} 0")


def copy(path: str, seed: int) -> None:
    """Back a memory up to PATH.backup, or restore PATH.backup, again and again until killed."""
    work = back_up if seed % 2 else restore
    paths = (path, f"{path}.backup") if seed % 2 else (f"{path}.backup", path)
    write_line("begun")
    while True:
        work(*paths, overwrite=True)


def stop(path: str, seed: int) -> None:
    """Stop this process by a signal while it writes to the index; when it is continued, index all and wait for a line.

    seed: number of engrams to remember first.
    """
    memory = Memory(path)
    memory.remember_many({"text": f"stopped {i}"} for i in range(seed))
    while not memory._search._folder.writing:  # type: ignore[attr-defined]
        memory._search._indexer.wake(urgent=True)  # type: ignore[attr-defined]
        time.sleep(0.001)
    write_line("stopped")
    os.kill(os.getpid(), signal.SIGSTOP)
    memory.remember("continued at last")
    memory.flush()
    write_line("continued")
    sys.stdin.readline()
    memory.close()


def run(name: str, path: str, seed: int) -> None:
    work: Callable[[str, int], None] = globals()[name]
    work(path, seed)


def forked(name: str, path: str, seed: int, out: Connection, err: Connection) -> None:
    """Run a program in a forked process whose parent has imported `engram`; its output goes to `out` and `err`."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    run(name, path, seed)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
