"""What the tests run as a process of its own: `python children.py NAME PATH SEED`.

Each prints what has been acknowledged, a line at a time, and never closes the memory by itself.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable

from engram.errors import MemoryFull
from engram.memory import Memory


def say(text: str) -> None:
    os.write(1, (text + "\n").encode())


def remember(path: str, seed: int) -> None:
    """Remember in a loop, singly and in bulk."""
    chance = random.Random(seed)
    memory = Memory(path)
    say("open")
    for number in itertools.count():
        if chance.random() < 0.7:
            engram = memory.remember(f"run {seed} number {number} marker{seed}x{number}", session=f"s{seed % 5}")
            say(engram.id)
        else:
            size = chance.choice((5, 50, 400))
            items = [{"text": f"bulk {seed} marker{seed}x{number}x{i}"} for i in range(size)]
            say(" ".join(e.id for e in memory.remember_many(items)))
        if chance.random() < 0.02:
            memory.recall("bulk number")


def share(path: str, seed: int) -> None:
    """Remember and recall from four threads for a while; the last line says that it ended well."""
    import threading

    seconds = float(os.environ["SECONDS_TO_RUN"])
    problems: list[BaseException] = []

    def work(thread: int) -> None:
        chance = random.Random(seed * 10 + thread)
        end = time.monotonic() + seconds
        number = 0
        try:
            while time.monotonic() < end:
                number += 1
                name = f"owner{seed}x{thread}x{number}"
                if chance.random() < 0.1:
                    items = [{"text": f"{name}x{i} of many", "namespace": f"n{thread}"} for i in range(100)]
                    say(" ".join(e.id for e in memory.remember_many(items)))
                else:
                    say(memory.remember(f"{name} alone", namespace=f"n{thread}").id)
                    found = memory.recall(f"{name}", namespace=f"n{thread}", limit=3)
                    assert any(name in hit.engram.text.split() for hit in found), name
                    assert len({hit.engram.id for hit in found}) == len(found)
        except BaseException as error:
            problems.append(error)
            raise

    with Memory(path) as memory:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    say("problems" if problems else "well")


def fill(path: str, seed: int) -> None:
    """Remember until the disk is full, then wait for a line on stdin, and remember once more."""
    memory = Memory(path)
    number = 0
    while True:
        number += 1
        try:
            batch = [{"text": f"filler{number}x{i} " + "room " * 40} for i in range(100)]
            say(" ".join(e.id for e in memory.remember_many(batch)))
        except MemoryFull as error:
            say(f"full {error}")
            break
        memory.recall("filler room")
    hits = memory.recall("filler1x1")
    say(f"recall {len(hits)}")
    sys.stdin.readline()
    say(memory.remember("there is room again").id)
    assert memory.recall("room again")[0].engram.text == "there is room again"
    memory.flush(30)
    memory.close()
    say("well")


def idle(path: str, seed: int) -> None:
    """Index something, then keep the memory open and do nothing until a line comes on stdin."""
    memory = Memory(path)
    memory.remember_many({"text": f"idle {i}"} for i in range(600))
    memory.flush()
    say("idle")
    sys.stdin.readline()
    memory.close()


def leave(path: str, seed: int) -> None:
    """End without closing, in the middle of indexing."""
    memory = Memory(path)
    memory.remember_many({"text": f"left {i} behind"} for i in range(3_000))
    memory.recall("left")
    time.sleep((seed % 8) / 10)
    say("left")


if __name__ == "__main__":
    run: Callable[[str, int], None] = globals()[sys.argv[1]]
    run(sys.argv[2], int(sys.argv[3]))
