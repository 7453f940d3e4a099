"""Runs commands in this process, each test with a new memory."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engram.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Stdin(io.TextIOWrapper):
    terminal = False

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    where = tmp_path / "memory.db"
    monkeypatch.setenv("ENGRAM_MEMORY", str(where))
    monkeypatch.delenv("ENGRAM_DEBUG", raising=False)
    return where


@pytest.fixture
def run(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    def _run(*args: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", Stdin(io.BytesIO(stdin), encoding="utf-8"))
        code = main(args)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return _run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stdin report that it is a terminal."""
    monkeypatch.setattr(Stdin, "terminal", True)
