"""Every test has a home of its own, and memories that are closed when it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before numpy is imported: each of its processes would start a pool of threads that contend with the other worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from engram.memory import Memory

# Tests do not time: a machine whose host has other things to do is slow for seconds at a time.
settings.register_profile("engram", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("engram")

collect_ignore_glob = [] if find_spec("fastapi") else ["serve/*", "bench/*"]
"""Tests of the server run where the extra `serve` is installed."""


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's is read or written, whatever a test does."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    for name, place in (("DATA", "data"), ("CONFIG", "config"), ("CACHE", "cache"), ("STATE", "state")):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / place))
    return folder


OpenMemory = Callable[..., Memory]


@pytest.fixture
def open_memory(tmp_path: Path) -> Iterator[OpenMemory]:
    """Opens memories, "memory.db" in the test's folder unless another path is given, and closes them at the end."""
    with ExitStack() as stack:

        def opened(path: str | Path | None = None, **options: Any) -> Memory:
            return stack.enter_context(Memory(tmp_path / "memory.db" if path is None else path, **options))

        yield opened


@pytest.fixture
def memory(open_memory: OpenMemory) -> Memory:
    """A memory in a file, empty."""
    return open_memory()
