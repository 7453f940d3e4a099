"""The server asks a model about finished sessions in the background, with the operator's key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.errors import EngramError
from engram.memory import Memory
from engram.reflection.proposals.asking import Prices
from engram.serve import proposing
from engram.serve.proposing import FIRST_PAUSE, PAUSE, Asks
from engram.serve.proxy.upstream import Upstream as Client
from engram.serve.reflect_model import asking_of, open_reflect_model
from engram.serve.settings import Settings
from tests.reflection.model_server import ModelServer
from tests.reflection.test_proposals import NEW, OLD, right, tell

from .conftest import LocalServer, StartLocal, wait_until


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(proposing, "PAUSE", 0.02)
    with ModelServer(right) as server:
        yield server


def fill(path: Path) -> None:
    with Memory(path) as memory:
        tell(memory)


def figures(server: LocalServer) -> dict[str, object]:
    found: dict[str, object] = server.http.get("/memory/stats").json()["proposals"]
    return found


def test_finished_sessions_are_asked_about_with_the_key_of_the_operator(
    local: StartLocal, model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-operator")
    fill(tmp_path / "memory.db")
    server = local(
        upstream=model.base, upstream_key_env="MODEL_KEY", reflect_model="upstream#scripted", reflect_quiet=0.0
    )
    server.http.get("/memory/facts", headers={"Authorization": "Bearer sk-of-a-caller"})
    wait_until(lambda: figures(server)["calls"] == 3, "three calls")
    assert set(model.keys) == {"Bearer sk-operator"}
    wait_until(lambda: figures(server)["waiting"] == 0, "the last reply")
    facts = server.http.get("/memory/facts").json()["facts"]
    (fact,) = [fact for fact in facts if fact["text"] == NEW]
    assert fact["proposed"] == {"slot": "way_to_work", "value": "yellow Citroen", "model": "scripted"}
    assert [(older["text"], older["closed_by_model"]) for older in fact["history"]] == [(OLD, "scripted")]


def test_nothing_is_asked_of_a_session_that_is_not_finished(
    local: StartLocal, model: ModelServer, tmp_path: Path
) -> None:
    fill(tmp_path / "memory.db")
    server = local(reflect_model=model.spec)
    server.http.post("/memory/reflect", json={})
    assert figures(server)["waiting"] == 3
    assert model.asked == []


def test_requests_are_answered_and_the_server_ends_while_a_model_hangs(
    local: StartLocal, model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposing, "ENDING", 0.1)
    fill(tmp_path / "memory.db")
    model.released.clear()
    server = local(reflect_model=model.spec, reflect_quiet=0.0)
    wait_until(lambda: model.asked, "a call")
    answer = server.http.post("/memory/recall", json={"query": "What takes me to the quarry?"})
    assert answer.status_code == 200
    server.stop()
    assert not server.logged(proposing.FAILED)


def test_after_a_failure_the_model_is_left_alone_for_a_while(model: ModelServer, memory: Memory) -> None:
    tell(memory)
    model.status = 500
    settings = Settings(memory="", reflect_model=model.spec, reflect_quiet=0.0)
    opened = open_reflect_model(settings, Client(model.base))
    assert opened is not None
    asks = Asks(memory, opened, asking_of(settings))
    assert [asks.look(), asks.look()] == [FIRST_PAUSE, 2 * FIRST_PAUSE]
    model.status = 200
    assert asks.look() == proposing.PAUSE < PAUSE
    memory.remember("I moved to flat 7.", at=datetime(2026, 7, 1, tzinfo=UTC))
    asked = len(model.asked)
    # Not before it was read.
    assert asks.look() == proposing.PAUSE
    assert len(model.asked) == asked
    spent = Asks(memory, opened, asking_of(Settings(memory="", reflect_quiet=0.0, reflect_tokens=1)))
    memory.reflect()
    assert proposing.PAUSE < spent.look() <= 86_400
    opened.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"reflect_model": "gpt-4o"}, "names no model"),
        ({"reflect_model": "upstream#gpt-4o"}, "give --upstream"),
        ({"reflect_model": "upstream", "upstream": "http://127.0.0.1:9"}, "write upstream#NAME"),
        ({"reflect_model": "http://127.0.0.1:9#x", "reflect": False}, "--no-reflect"),
        ({"reflect_model": "http://127.0.0.1:9#x", "reflect_money": 1.0}, "without prices"),
    ],
)
def test_a_model_that_cannot_be_opened_is_named(options: dict[str, object], reason: str) -> None:
    settings = Settings(memory="", **options)  # type: ignore[arg-type]
    with pytest.raises(EngramError, match=reason):
        open_reflect_model(settings, Client("http://127.0.0.1:9"))


def test_a_budget_in_money_needs_prices() -> None:
    with pytest.raises(EngramError, match="prices"):
        asking_of(Settings(memory="", reflect_money=1.0))
    asking = asking_of(Settings(memory="", reflect_money=1.0, reflect_prices=Prices(1, 2)))
    assert (asking.money_per_day, asking.quiet) == (1.0, 600.0)
