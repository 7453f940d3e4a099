"""Small files in every format, written for these tests."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engram.formats.items import Item, LeftOut, Problem, Settings, Turn
from engram.formats.loading import Outcome, load
from engram.formats.reading import Reading
from engram.memory import Memory

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Found:
    """What reading one file gave, sorted."""

    def __init__(self, items: list[Item]) -> None:
        self.turns = [item for item in items if isinstance(item, Turn)]
        self.engrams = [turn.engram for turn in self.turns]
        self.texts = [engram.text for engram in self.engrams]
        self.problems = [str(item) for item in items if isinstance(item, Problem)]
        self.left_out = [item.why for item in items if isinstance(item, LeftOut)]


@pytest.fixture
def read() -> Callable[..., Found]:
    def _read(path: Path, **settings: Any) -> Found:
        return Found(list(Reading(str(path), Settings(NOW, **settings))))

    return _read


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as opened:
        yield opened


@pytest.fixture
def bring(memory: Memory) -> Callable[..., Outcome]:
    """Import a file at a moment of its own, as every import has one."""
    hours = iter(range(1, 24))

    def _bring(path: Path, **settings: Any) -> Outcome:
        return load(Reading(str(path), Settings(NOW.replace(hour=next(hours)), **settings)), memory)

    return _bring


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(value: object, name: str = "conversations.json") -> Path:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return _write
