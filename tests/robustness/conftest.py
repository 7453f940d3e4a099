"""Child processes of a test, each of which is killed when the test ends."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import children

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([children.__name__])

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a child program in a new interpreter."""
    processes: list[subprocess.Popen[str]] = []

    def started(name: str, path: Path, seed: int = 0, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "children.py"), name, str(path), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | options.pop("env", {}),
            **options,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


class ForkedChild:
    """A child forked from a process that has imported `engram`: it starts within milliseconds, and can be killed."""

    def __init__(self, name: str, path: Path, seed: int) -> None:
        (read_out, write_out), (read_err, write_err) = FORKS.Pipe(duplex=False), FORKS.Pipe(duplex=False)
        arguments = (name, str(path), seed, write_out, write_err)
        self._process = FORKS.Process(target=children.forked, args=arguments, daemon=True)
        self._process.start()
        # The pipes reach their end when the child, which holds their other ends, has ended.
        write_out.close()
        write_err.close()
        self.stdout, self._stderr = (os.fdopen(os.dup(end.fileno())) for end in (read_out, read_err))

    def kill(self) -> tuple[str, str]:
        """Kill the child with SIGKILL; returns its unread output on stdout and stderr."""
        self._process.kill()
        self._process.join()
        with self.stdout, self._stderr:
            return self.stdout.read(), self._stderr.read()


Fork = Callable[[str, Path, int], ForkedChild]


@pytest.fixture
def fork() -> Iterator[Fork]:
    """Starts a child program in a forked process."""
    forked: list[ForkedChild] = []

    def start_fork(name: str, path: Path, seed: int) -> ForkedChild:
        forked.append(ForkedChild(name, path, seed))
        return forked[-1]

    yield start_fork
    for child in forked:
        if not child.stdout.closed:
            child.kill()


def finish(child: subprocess.Popen[str], line: str = "") -> tuple[str, str]:
    """Write a line to a child, and wait for its end; returns its unread output on stdout and stderr."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    if line:
        child.stdin.write(line)
        child.stdin.flush()
    # Not `communicate`, which would lose the output that `readline` has buffered.
    out, err = child.stdout.read(), child.stderr.read()
    child.wait()
    return out, err
