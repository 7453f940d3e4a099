"""What is taken out of messages that anybody may read."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from engram.search.local.holder import Holder
from engram.serve.http.anonymous import without_paths


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a relative path that is a symbolic link to a memory in another folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "target.db").touch()
    (tmp_path / "m").symlink_to(tmp_path / "elsewhere" / "target.db")
    monkeypatch.chdir(tmp_path)
    return "m"


@pytest.mark.parametrize("suffix", ["", ".serve", ".index", "-wal"])
def test_every_name_of_a_memory_is_taken_out(tmp_path: Path, link: str, suffix: str) -> None:
    for name in (link, os.path.abspath(link), os.path.realpath(link)):
        assert without_paths(f"{name}{suffix} is damaged", link) == f"the memory{suffix} is damaged"
        uri = without_paths(f"cannot open file://{os.path.abspath(name)}{suffix}", link)
        assert uri == f"cannot open file://the memory{suffix}"


def test_the_folder_of_a_memory_is_taken_out(tmp_path: Path, link: str) -> None:
    for folder in (tmp_path, tmp_path / "elsewhere"):
        message = without_paths(OSError(13, "Permission denied", f"{folder}/.target.db.x.part"), link)
        assert message == "[Errno 13] Permission denied: 'its folder/.target.db.x.part'"


@pytest.mark.parametrize("name", ["it's.db", "/it's here/a.db", "a b"])
def test_a_quoted_path_is_taken_out(name: str) -> None:
    command = f"run: engram doctor --memory {shlex.quote(name)}"
    assert without_paths(command, name) == "run: engram doctor --memory the memory"


def test_words_that_hold_a_short_relative_path_stay(link: str) -> None:
    assert without_paths("m: the memory came from m/m.am", link) == "the memory: the memory came from the memory/m.am"


@pytest.mark.parametrize("stopped", [True, False])
def test_a_process_has_no_number(link: str, stopped: bool) -> None:
    message = without_paths(f"no progress for 60 s: {Holder(4321, stopped)}", link)
    assert "another process" in message
    assert "4321" not in message
