"""Trust from end to end: the way by which a text came in decides whether it reaches a prompt."""

from __future__ import annotations

import pytest

from engram.engram import ORIGINS
from engram.memory import Memory
from tests.serve.calling import call
from tests.serve.conftest import StartServer
from tests.serve.proxied import PATIENT, Caller, Json, user
from tests.serve.upstream import Upstream

QUESTION = "Where does the wombat Onofre sleep at night?"


@pytest.mark.parametrize(
    ("options", "environment", "least"),
    [
        ((), {}, "agent"),
        ((), {"ENGRAM_LEAST_TRUST": "tool"}, "tool"),
        (("--least-trust", "user"), {"ENGRAM_LEAST_TRUST": "tool"}, "user"),
    ],
)
def test_notes_come_from_what_is_trusted(
    server: StartServer, upstream: Upstream, options: tuple[str, ...], environment: dict[str, str], least: str
) -> None:
    running = server(*PATIENT, *options, "--notes", "20", **environment)
    with Memory(running.memory) as memory, Caller(running, upstream) as caller:
        for origin in ORIGINS:
            memory.remember(f"Onofre the {origin} wombat sleeps at night.", namespace=caller.namespace, origin=origin)
        caller.chat(QUESTION)
        noted = [origin for origin in ORIGINS if f"Onofre the {origin} wombat" in caller.last.last_user]
        assert noted == [*ORIGINS[: ORIGINS.index(least) + 1]]


def test_each_way_in_sets_its_own_origin(server: StartServer, upstream: Upstream) -> None:
    running = server(*PATIENT)
    with Caller(running, upstream) as caller:
        called: Json = {"role": "assistant", "content": None, "tool_calls": [tool_call("look")]}
        result: Json = {"role": "tool", "tool_call_id": "call_1", "content": "Onofre the tool wombat sleeps at night."}
        caller.chat([user("Look it up."), called, result])
        caller.settle()
        caller.remember("Onofre the program wombat sleeps at night.")
        for role in ("user", "assistant"):
            good, text, _ = call(
                running, "remember", text="Onofre the agent wombat sleeps.", role=role, namespace=caller.namespace
            )
            assert good, text
        kept = {engram["text"]: engram["origin"] for engram in caller.kept()}
        assert kept.pop(upstream.reply) == "assistant"
        assert kept.pop("Look it up.") == "user"
        assert kept.pop("Onofre the tool wombat sleeps at night.") == "tool"
        assert kept.pop("Onofre the program wombat sleeps at night.") == "program"
        assert kept.pop("Onofre the agent wombat sleeps.") == "agent"
        # What is left is the tool's call.
        assert set(kept.values()) == {"tool"}
        caller.chat(QUESTION)
        assert "Onofre the tool" not in caller.last.last_user
        assert "Onofre the agent" in caller.last.last_user


def tool_call(name: str) -> Json:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_what_goes_into_quarantine_leaves_every_prompt(server: StartServer, upstream: Upstream) -> None:
    running = server(*PATIENT)
    with Caller(running, upstream) as caller:
        good, bad = caller.remember("Onofre sleeps in the hay at night.", "Onofre sleeps at the bank at night.")
        caller.chat(QUESTION)
        assert "at the bank" in caller.last.last_user
        body = {"namespace": caller.namespace, "id": bad, "why": "not true"}
        assert running.http.post("/memory/quarantine", json=body).status_code == 200
        caller.chat(f"{QUESTION} Tell me again.")
        assert "in the hay" in caller.last.last_user
        assert "at the bank" not in caller.last.last_user
        body = {"namespace": caller.namespace, "id": bad}
        assert running.http.post("/memory/release", json=body).json()["quarantined"] is None
        caller.chat(f"{QUESTION} Once more.")
        assert "at the bank" in caller.last.last_user
        assert {good, bad} <= {engram["id"] for engram in caller.kept()}


@pytest.mark.parametrize("value", ["nobody", ""])
def test_unknown_origin_is_refused_at_the_start(value: str) -> None:
    from engram.cli import main

    assert main(["serve", "--least-trust", value]) == 2
