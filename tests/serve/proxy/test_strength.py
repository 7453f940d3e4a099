"""Strength in a server: the notes that reached a prompt are counted, and nothing is where it is switched off."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engram.opening import USES, index_folder
from tests.serve.proxied import Caller, recalled, running

KEY = "The spare key hangs behind the blue door of the shed."
CLOCKS = "My aunt Odile repairs clocks in Besançon."
QUESTION = "Where does the spare key of the shed hang?"


def counted(memory: Path) -> dict[str, float]:
    file = index_folder(str(memory)) / USES
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as db:
        return dict(db.execute("SELECT id, amount FROM uses"))


@pytest.mark.parametrize("strength", [True, False])
def test_a_note_that_reached_a_prompt_is_counted_unless_nothing_is_to_be_recorded(
    tmp_path: Path, strength: bool
) -> None:
    with running(tmp_path / "place", strength=strength) as (server, upstream), Caller(server, upstream) as caller:
        key, clocks = caller.remember(KEY, CLOCKS)
        for question, mode, id in ((QUESTION, "", key), ("Which aunt repairs clocks?", "read", clocks)):
            assert caller.chat(question, X_Engram=mode).status_code == 200
            assert recalled(caller.answer) == [id]
    assert counted(server.memory) == ({key: 1.0} if strength else {})


def test_rest_counts_hits_and_not_what_is_under_the_floor(tmp_path: Path) -> None:
    with running(tmp_path / "place") as (server, upstream), Caller(server, upstream) as caller:
        first, second = caller.remember(KEY, CLOCKS)
        for body in ({"query": QUESTION, "limit": 1}, {"query": "Who repairs clocks?", "floor": 0}):
            assert server.http.post("/memory/recall", json=body, headers=caller.headers).json()["hits"]
    assert counted(server.memory) == {first: 1.0}
    assert second not in counted(server.memory)
