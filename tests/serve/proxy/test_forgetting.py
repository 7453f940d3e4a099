"""Forgetting a conversation that went through the proxy: names leave the server's file, and its messages stay known."""

from __future__ import annotations

import pytest

from tests.serve.calling import call
from tests.serve.proxied import Caller

SESSION = "the question of dr lindqvist"
OPENING = {"role": "user", "content": "The meadow behind the old brewery floods every April."}
LATER = {"role": "user", "content": "The footbridge at the mill was closed for repairs today."}


def files_of_server_holding(caller: Caller, name: str) -> list[str]:
    """Return the names of the server's own files that hold the bytes of `name`."""
    memory = caller.server.memory
    files = memory.parent.glob(memory.name + ".serve*")
    return [file.name for file in files if file.is_file() and name.encode() in file.read_bytes()]


def forget(caller: Caller, by: str) -> None:
    if by == "mcp":
        good, text, _ = call(caller.server, "forget", namespace=caller.namespace, session=SESSION)
        assert good, text
    else:
        body = {"namespace": caller.namespace, "session": SESSION}
        assert caller.server.http.post("/memory/forget", json=body).status_code == 200


@pytest.mark.parametrize("by", ["rest", "mcp"])
def test_forgotten_session_is_not_stored_again_and_its_next_turn_opens_another(relayed: Caller, by: str) -> None:
    first = relayed.chat([OPENING], X_Engram_Session=SESSION)
    reply = first.json()["choices"][0]["message"]
    relayed.settle()
    assert files_of_server_holding(relayed, SESSION)
    forget(relayed, by)
    assert not files_of_server_holding(relayed, SESSION)

    relayed.chat([OPENING, {"role": "assistant", "content": reply["content"]}, LATER])
    relayed.settle()
    session = relayed.answer["x-engram-session"]
    assert session != SESSION
    assert OPENING["content"] not in [text for _, text in relayed.said()]
    assert ("user", LATER["content"]) in relayed.said(session)
    assert not files_of_server_holding(relayed, SESSION)
