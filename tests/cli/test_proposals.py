"""`engram reflect --model`, and where other commands show what came of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="httpx is not installed: pip install 'engram-layer[chat]'")

from engram.memory import Memory
from tests.reflection.model_server import ModelServer
from tests.reflection.test_proposals import NEW, OLD, right, tell


@pytest.fixture
def model(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Memory(path) as memory:
        tell(memory)
    with ModelServer(right) as server:
        yield server


def test_a_model_is_asked_and_its_proposals_are_shown_and_dropped(run, model, monkeypatch):
    monkeypatch.setenv("ENGRAM_MODEL_KEY", "sk-operator")
    asked = run("reflect", "--model", model.spec, "--prices", "1:2", "--money", "1", "--json").json
    assert asked["asked"] == {"sessions": 3, "failed": 0, "accepted": 4, "dropped": 0, "over_budget": False}
    assert set(model.keys) == {"Bearer sk-operator"}
    shown = run("facts", "--slot", "way_to_work", "--timezone", "UTC").out.splitlines()
    assert shown == [
        f"2026-06-09  way_to_work   {NEW}",
        f"            before that, 2026-01-05: {OLD} (closed by the model scripted)",
    ]
    (fact,) = run("facts", "--slot", "way_to_work", "--json").json["facts"]
    assert fact["proposed"] == {"slot": "way_to_work", "value": "yellow Citroen", "model": "scripted"}
    figures = run("stats").out
    assert "1 links, 2 slots, 1 titles" in figures
    assert run("stats", "--json").json["proposals"]["calls"] == 3
    assert run("reflect", "--drop-proposals", "--model", model.spec, "--json").json == {"dropped": 4}
    assert "proposals" not in run("facts").err


def test_without_a_model_nothing_is_said_of_models(run, model):
    assert "model" not in run("reflect").err
    assert "of a model" not in run("stats").out
    assert model.asked == []


def test_what_failed_and_what_a_budget_left_is_said(run, model, monkeypatch):
    assert "the budget of this day is used up" in run("reflect", "--model", model.spec, "--tokens", "10").err
    monkeypatch.setenv("ENGRAM_REFLECT_TOKENS", "10")
    assert "the budget of this day is used up" in run("reflect", "--model", model.spec).err
    monkeypatch.delenv("ENGRAM_REFLECT_TOKENS")
    model.status = 500
    failed = run("reflect", "--model", model.spec)
    assert (failed.code, "1 calls failed" in failed.err) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--prices", "1"),
        ("--money", "1"),
        ("--money", "nan", "--prices", "1:1"),
        ("--quiet", "-1"),
        ("--quiet", "inf"),
        ("--tokens", "0"),
        ("--ask-again",),
    ],
)
def test_options_that_cannot_be_used_are_refused(run, model, wrong):
    ran = run("reflect", "--model", model.spec, *wrong)
    assert (ran.code, "Traceback" in ran.err) == (2, False)
    assert model.asked == []


def test_a_model_that_is_none_is_named(run, model):
    ran = run("reflect", "--model", "gpt-4o")
    assert (ran.code, "names no model" in ran.err) == (9, True)


@pytest.mark.parametrize("name", ["ENGRAM_REFLECT_TOKENS", "ENGRAM_REFLECT_MONEY", "ENGRAM_REFLECT_PRICES"])
def test_the_environment_says_what_a_model_may_cost(run, monkeypatch, name):
    monkeypatch.setenv(name, "one")
    ran = run("reflect")
    assert (ran.code, name in ran.err) == (2, True)
