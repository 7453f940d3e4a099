"""Processes that a test starts, ended with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts one of the children."""
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


def rest(child: subprocess.Popen[str], line: str = "") -> tuple[str, str]:
    """What a child has still to say, on stdout and stderr, after it is given a line; waits for its end."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    if line:
        child.stdin.write(line)
        child.stdin.flush()
    # Not by `communicate`, which loses what `readline` has read ahead.
    out, err = child.stdout.read(), child.stderr.read()
    child.wait()
    return out, err
