"""Injects faults into the system calls of a memory: `python -m tools.faults --faults 1000`.

A process that writes to a memory is killed before one of its system calls, or the call fails because the disk is full
(ENOSPC, and so do all later ones) or broken (EIO, once). It reports everything that is acknowledged. Then the memory is
opened anew by another process: nothing acknowledged may be missing, a batch is there as a whole or not at all, the file
and the index are whole, and errors name the file.

Owns the faults and the checks. `faults.c` makes the calls fail. Needs Linux and a C compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from engram.backup import back_up
from engram.errors import EngramError
from engram.memory import Memory
from engram.text.vectors import default_table

SOURCE = Path(__file__).with_suffix(".c")
COMPILER = "gcc"
KINDS = {"kill": (0, False), "full": (errno.ENOSPC, True), "broken": (errno.EIO, False)}
"""By kind of fault: the errno, 0 for a kill, and whether all later calls fail too."""
BASE = 300
"""Engrams in a memory before a fault."""
BATCH = 40
PATIENCE = 60.0
"""Seconds that a program may take."""


# The programs. Each calls `say` with what was acknowledged, and may call `mend`, after which no call fails.

Say = Callable[[str], None]
Mend = Callable[[], None]


def create(path: str, say: Say, mend: Mend) -> None:
    """Create a memory."""
    with Memory(path) as memory:
        say(f"stored {memory.remember('The first.').id}")


def append(path: str, say: Say, mend: Mend) -> None:
    """Remember one by one."""
    with Memory(path) as memory:
        try:
            for number in range(3):
                say(f"stored {memory.remember(f'single {number}').id}")
        except EngramError as problem:
            say(f"error {type(problem).__name__}: {problem}")
            mend()
            say(f"stored {memory.remember('once more').id}")


def batches(path: str, say: Say, mend: Mend) -> None:
    """Remember many at once."""
    with Memory(path) as memory:
        for number in range(2):
            items = [{"text": f"batch {number} of {i}", "session": f"batch {number}"} for i in range(BATCH)]
            say("stored " + " ".join(engram.id for engram in memory.remember_many(items)))


def forget(path: str, say: Say, mend: Mend) -> None:
    """Forget a session."""
    with Memory(path) as memory:
        memory.forget(session="base 1")
        say("forgotten base 1")


def compact(path: str, say: Say, mend: Mend) -> None:
    """Forget a session, and remove its traces."""
    with Memory(path) as memory:
        memory.forget(session="base 2")
        say("forgotten base 2")
        memory.compact()
        say(f"stored {memory.remember('after the compaction').id}")


def index(path: str, say: Say, mend: Mend) -> None:
    """Remember enough to be indexed."""
    with Memory(path) as memory:
        say("stored " + " ".join(e.id for e in memory.remember_many({"text": f"indexed {i}"} for i in range(300))))
        memory.flush(PATIENCE / 2)


def backup(path: str, say: Say, mend: Mend) -> None:
    """Replace a backup."""
    back_up(path, f"{path}.backup", overwrite=True)
    say("backed up")


PROGRAMS: tuple[Callable[[str, Say, Mend], None], ...] = (create, append, batches, forget, compact, index, backup)
BY_NAME = {program.__name__: program for program in PROGRAMS}


class Fault(NamedTuple):
    """A fault to be injected."""

    program: str
    kind: str
    at: int
    """Number of the system call that fails; 0: none, to count them."""


class Outcome(NamedTuple):
    """What a program reported."""

    lines: list[str]
    """Its acknowledgements and errors, and the call that failed."""
    killed: bool

    def said(self, word: str) -> list[str]:
        """Return the rest of the lines that begin with `word`."""
        return [line.partition(" ")[2] for line in self.lines if line.partition(" ")[0] == word]


class Host:
    """A process in which calls can fail: it has loaded `faults.c`, and forks itself for each fault."""

    def __init__(self, folder: Path) -> None:
        """Compile the library into `folder`, and start the process. Raises `OSError` without a compiler."""
        library = folder / "faults.so"
        command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.faults", "--host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | {"LD_PRELOAD": str(library)},
            cwd=Path(__file__).parent.parent,
        )

    def run(self, fault: Fault, path: Path) -> Outcome:
        """Run a program on the memory at `path` with a fault."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{fault.program} {fault.kind} {fault.at} {path}\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith("end "):
                return Outcome(lines, line.split()[1] == str(int(signal.SIGKILL)))
            lines.append(line.rstrip("\n"))
        raise EOFError("the process that injects faults has ended")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def host() -> None:
    """Serve a `Host`: fork a child for each line of stdin."""
    default_table()
    for line in sys.stdin:
        program, kind, at, path = line.rstrip("\n").split(" ", 3)
        child = os.fork()
        if not child:
            work(Fault(program, kind, int(at)), path)
            os._exit(0)
        os.write(1, f"end {_wait(child)}\n".encode())


def _wait(child: int) -> int:
    """Return the signal that ended a child, 0 if none did. A child that hangs is ended by SIGABRT."""
    deadline = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGABRT)
        time.sleep(0.002)


def work(fault: Fault, path: str) -> None:
    """Run a program with a fault; then, without it, remember once more. Reports on stdout."""

    def say(line: str) -> None:
        os.write(1, (line.replace("\n", " ") + "\n").encode())

    shim = ctypes.CDLL(None)
    error, lasting = KINDS[fault.kind]
    shim.fault_arm(os.path.dirname(path).encode(), ctypes.c_long(fault.at), error, int(lasting), 1)
    try:
        BY_NAME[fault.program](path, say, shim.fault_disarm)
    except EngramError as problem:
        say(f"error {type(problem).__name__}: {problem}")
    except BaseException:  # noqa: BLE001 (the edge of the process)
        say(f"crash {traceback.format_exc()}")
    say(f"calls {shim.fault_disarm()}")
    try:
        with Memory(path) as memory:
            say(f"stored {memory.remember('after the fault').id}")
    except BaseException:  # noqa: BLE001 (the edge of the process)
        say(f"crash {traceback.format_exc()}")


# The checks.


def prepare(path: Path) -> None:
    """Make the memory and the backup that programs find."""
    with Memory(path) as memory:
        memory.remember_many({"text": f"base text {n}", "session": f"base {n % 3}"} for n in range(BASE))
        memory.flush(PATIENCE)
    back_up(path, f"{path}.backup")


def problems(fault: Fault, outcome: Outcome, path: Path) -> list[str]:
    """Return what is wrong after a fault; empty if nothing is."""
    found = [f"crash: {text}" for text in outcome.said("crash")]
    found += [
        f"an error that does not name the file: {text}" for text in outcome.said("error") if str(path) not in text
    ]
    if fault.kind == "kill" and outcome.said("fault") and not outcome.killed:
        found.append("it was not killed")
    acknowledged = {id for line in outcome.said("stored") for id in line.split()}
    try:
        found += _problems_of(path, acknowledged, outcome.said("forgotten"))
        backed_up = Path(f"{path}.backup")
        if backed_up.exists():
            found += [f"backup: {text}" for text in _problems_of(backed_up, set(), [])]
    except Exception:  # noqa: BLE001 (whatever fails is a finding)
        found.append(f"the memory cannot be used: {traceback.format_exc()}")
    return found


def _problems_of(path: Path, acknowledged: set[str], forgotten: list[str]) -> Iterator[str]:
    with Memory(path) as memory:
        engrams = {engram.id: engram for engram in memory.engrams()}
        if lost := acknowledged - engrams.keys():
            yield f"{len(lost)} acknowledged engrams are lost"
        sessions = Counter(engram.session for engram in engrams.values())
        yield from (f"forgotten, but there: {session}" for session in forgotten if sessions[session])
        for session, count in sessions.items():
            if session.startswith("batch ") and count != BATCH:
                yield f"{count} of {BATCH} engrams of a batch are there"
        yield from _problems_of_index(memory, list(engrams))
    with closing(sqlite3.connect(path)) as db:
        if (result := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield f"the file is damaged: {result}"


def _problems_of_index(memory: Memory, ids: list[str]) -> Iterator[str]:
    """Compare the index with the file, before and after it was brought up to date."""
    for id in ids[-3:]:
        text = memory.get(id).text
        if [hit.engram.id for hit in memory.recall(text, limit=50)].count(id) != 1:
            yield f"recall does not find {text!r} once"
    if not memory.flush(PATIENCE):
        yield "the index is not brought up to date"
    if not memory.is_indexed(ids):
        yield "the index lacks engrams"
    stats = memory.stats()
    if stats.unindexed or stats.index_trouble:
        yield f"the index has trouble: {stats.index_trouble}, {stats.unindexed} unindexed"


class Suite:
    """Runs faults, each on a copy of one memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template"
        self._template.mkdir()
        prepare(self._template / "memory.db")
        self._host = Host(folder)
        self.fired: Counter[tuple[str, str]] = Counter()
        """Faults that were injected, by call and kind."""

    def close(self) -> None:
        """End the process that injects faults."""
        self._host.close()

    def count(self, program: str) -> int:
        """Return the number of system calls that a program makes."""
        _, outcome = self._run(Fault(program, "kill", 0))
        [calls] = outcome.said("calls")
        return int(calls)

    def run(self, fault: Fault) -> list[str]:
        """Inject a fault, and return what is wrong after it."""
        found, _ = self._run(fault)
        return found

    def _run(self, fault: Fault) -> tuple[list[str], Outcome]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name) / "memory"
            if fault.program == "create":
                folder.mkdir()
            else:
                shutil.copytree(self._template, folder)
            outcome = self._host.run(fault, folder / "memory.db")
            for line in outcome.said("fault"):
                self.fired[line.split()[0], fault.kind] += 1
            found = problems(fault, outcome, folder / "memory.db")
            # The indexer of a process that was not killed may still write.
            with suppress(OSError):
                shutil.rmtree(folder)
        return found, outcome


def sample(suite: Suite, most: int, seed: int) -> list[Fault]:
    """Return at most `most` faults: every call of every program with every kind, or an even random choice of them."""
    everything = [
        Fault(program, kind, at)
        for program in BY_NAME
        for calls in [suite.count(program)]
        for at in range(1, calls + 1)
        for kind in KINDS
    ]
    if len(everything) <= most:
        return everything
    # As many of each program as possible: compaction makes many more calls than a commit.
    shares: list[Fault] = []
    random.Random(seed).shuffle(everything)
    by_program = sorted(([f for f in everything if f.program == name] for name in BY_NAME), key=len)
    for place, faults in enumerate(by_program):
        shares += faults[: (most - len(shares)) // (len(by_program) - place)]
    return shares


def main() -> None:
    """Inject faults, and print how many of which kind, and what went wrong."""
    parser = argparse.ArgumentParser(description="Inject faults into the system calls of a memory.")
    parser.add_argument("--faults", type=int, default=1_000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="which, if there are more calls")
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.host:
        host()
        return
    with tempfile.TemporaryDirectory() as folder, closing(Suite(Path(folder))) as suite:
        wrong = 0
        faults = sample(suite, arguments.faults, arguments.seed)
        for fault in faults:
            for problem in suite.run(fault):
                wrong += 1
                print(f"{fault}: {problem}", flush=True)
        for (call, kind), count in sorted(suite.fired.items()):
            print(f"{call:12} {kind:8} {count:6,}")
        print(f"{sum(suite.fired.values()):,} faults injected, {wrong:,} problems")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
