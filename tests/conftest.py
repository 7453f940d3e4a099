"""Fixtures: a home folder for each test, memories that are closed at its end, a small disk.

Skips tests whose extra is missing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Set before numpy is imported: each process would start a pool of threads that contends with the other worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from engram.memory import Memory

# No deadline: a virtual machine whose host is busy can be slow for seconds.
settings.register_profile("engram", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("engram")

# The zone of the machine must not decide which day a test sees.
os.environ["TZ"] = "UTC"
time.tzset()

NEEDED = {"bench": "fastapi", "cli": "typer", "serve": "fastapi"}
"""Test folders that need an extra, each with a package of that extra."""
collect_ignore = [room for room, package in NEEDED.items() if find_spec(package) is None]


PROCESSES = ("bench", "examples", "packaging", "robustness", "serve", "tools")
"""Test folders that start servers, environments or benchmarks: together they take most of the suite's time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `PROCESSES` as slow, except those of the wire formats, which start nothing."""
    for item in items:
        folders = item.path.relative_to(Path(__file__).parent).parts
        if folders[0] in PROCESSES and folders[:2] != ("serve", "wire"):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, so that no test reads or writes the files of the user."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    for name, subfolder in (("DATA", "data"), ("CONFIG", "config"), ("CACHE", "cache"), ("STATE", "state")):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / subfolder))
    return folder


OpenMemory = Callable[..., Memory]


@pytest.fixture
def open_memory(tmp_path: Path) -> Iterator[OpenMemory]:
    """Opens memories, by default `memory.db` in the test's folder, and closes them when the test ends."""
    with ExitStack() as stack:

        def opened(path: str | Path | None = None, **options: Any) -> Memory:
            return stack.enter_context(Memory(tmp_path / "memory.db" if path is None else path, **options))

        yield opened


@pytest.fixture
def memory(open_memory: OpenMemory) -> Memory:
    """An empty memory in a file."""
    return open_memory()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
