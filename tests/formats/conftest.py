"""Small files in every format, written for these tests."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engram.formats.items import ImportedTurn, ImportSettings, Item, Problem, Skipped
from engram.formats.loading import ImportResult, load
from engram.formats.reading import ImportFile
from engram.memory import Memory

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class ReadItems:
    """The items of one file, sorted by kind."""

    def __init__(self, items: list[Item]) -> None:
        self.turns = [item for item in items if isinstance(item, ImportedTurn)]
        self.engrams = [turn.engram for turn in self.turns]
        self.texts = [engram.text for engram in self.engrams]
        self.problems = [str(item) for item in items if isinstance(item, Problem)]
        self.left_out = [item.why for item in items if isinstance(item, Skipped)]


@pytest.fixture
def read() -> Callable[..., ReadItems]:
    def _read(path: Path, **settings: Any) -> ReadItems:
        return ReadItems(list(ImportFile(str(path), ImportSettings(NOW, **settings))))

    return _read


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as opened:
        yield opened


@pytest.fixture
def import_file(memory: Memory) -> Callable[..., ImportResult]:
    """Import a file; each import has a different time."""
    hours = iter(range(1, 24))

    def _import_file(path: Path, **settings: Any) -> ImportResult:
        return load(ImportFile(str(path), ImportSettings(NOW.replace(hour=next(hours)), **settings)), memory)

    return _import_file


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(value: object, name: str = "conversations.json") -> Path:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return _write
