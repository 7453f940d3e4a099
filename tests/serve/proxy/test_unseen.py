"""Requests that upstream refuses before a model sees them: a wrong key must not fill a memory."""

from __future__ import annotations

import pytest

from tests.serve.conftest import wait_until
from tests.serve.proxied import Caller, assistant, user

TOLD = "My violin is in the attic."


def withdrawn(ana: Caller) -> None:
    receipt = ana.server.settled(ana.answer["x-engram-receipt"], "refused", **ana.headers)
    assert "no model has seen this" in receipt["reason"]
    assert receipt["engrams"] == []


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_what_upstream_refuses_unseen_is_not_stored_and_is_stored_when_sent_again(ana: Caller, status: str) -> None:
    for _ in range(3):
        assert ana.chat(TOLD, status).status_code == int(status)
        withdrawn(ana)
        assert ana.said() == []
    assert ana.chat(TOLD).status_code == 200
    ana.settle()
    assert ana.said() == [("user", TOLD), ("assistant", ana.upstream.reply)]
    # And once only.
    ana.chat([user(TOLD), assistant(ana.upstream.reply), user("Where is it?")])
    ana.settle()
    assert [text for _, text in ana.said()].count(TOLD) == 1


def test_what_is_sent_again_at_once_is_stored(ana: Caller) -> None:
    told = [f"Drawer {number} holds the violin strings." for number in range(12)]
    for text in told:
        assert ana.chat(text, "401").status_code == 401
        assert ana.chat(text).status_code == 200
    ana.settle()
    assert [text for role, text in ana.said() if role == "user"] == told


def test_what_was_stored_before_stays_when_a_later_turn_is_refused(ana: Caller) -> None:
    ana.chat(TOLD, X_Engram_Session="s")
    ana.settle()
    history = [user(TOLD), assistant(ana.upstream.reply), user("And my cello?")]
    ana.chat(history, "401", X_Engram_Session="s")
    withdrawn(ana)
    assert ana.said() == [("user", TOLD), ("assistant", ana.upstream.reply)]
    # A turn that was kept is not taken back by a retry with a wrong key.
    ana.chat(history, "500", X_Engram_Session="s")
    wait_until(lambda: len(ana.kept()) == 3, "the turn")
    ana.chat(history, "401", X_Engram_Session="s")
    ana.server.settled(ana.answer["x-engram-receipt"], "refused", **ana.headers)
    assert len(ana.kept()) == 3


@pytest.mark.parametrize("status", ["400", "429", "500", "503"])
def test_other_failures_keep_what_was_said(ana: Caller, status: str) -> None:
    assert ana.chat(TOLD, status).status_code == int(status)
    ana.settle()
    assert ana.said() == [("user", TOLD)]
