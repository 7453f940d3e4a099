"""The options that a start without the command line reads from the environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from engram.cli.app import LazyCommand
from engram.errors import EngramError
from engram.memory import Memory
from engram.reflection.proposals.asking import Prices
from engram.serve.app import create_app
from engram.serve.environment import VARIABLES, settings_from_environment
from engram.serve.settings import Settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("ENGRAM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENGRAM_MEMORY", str(tmp_path / "memory.db"))


def test_every_variable_sets_its_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "ENGRAM_UPSTREAM": "http://127.0.0.1:9/v1",
        "ENGRAM_TIMEZONE": "Asia/Tokyo",
        "ENGRAM_LEAST_TRUST": "user",
        "ENGRAM_REDACT": " secrets ,secrets",
        "ENGRAM_KEEP_DAYS": "36500",
        "ENGRAM_REFLECT": "Off",
        "ENGRAM_STRENGTH": "0",
        "ENGRAM_REFLECT_MODEL": "http://127.0.0.1:9/v1#small",
        "ENGRAM_REFLECT_QUIET": "5",
        "ENGRAM_REFLECT_TOKENS": "1000",
        "ENGRAM_REFLECT_MONEY": "0.5",
        "ENGRAM_REFLECT_PRICES": "0.27:1.1",
        "ENGRAM_PROFILE": "on",
        "ENGRAM_PROFILE_BUDGET": "300",
        "ENGRAM_TOOLS": "off",
        "ENGRAM_STRIP": "<ticket>.*?</ticket>\n\n^Ref: ",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert {"ENGRAM_MEMORY", *values} == set(VARIABLES)
    assert settings_from_environment() == Settings(
        memory=str(tmp_path / "memory.db"),
        upstream="http://127.0.0.1:9/v1",
        timezone=ZoneInfo("Asia/Tokyo"),
        least_trust="user",
        redact=("secrets", "secrets"),
        keep_days=36_500,
        reflect=False,
        strength=False,
        reflect_model="http://127.0.0.1:9/v1#small",
        reflect_quiet=300.0,
        reflect_tokens=1000,
        reflect_money=0.5,
        reflect_prices=Prices(0.27, 1.1),
        profile="on",
        profile_budget=300,
        tools="off",
        strip=("<ticket>.*?</ticket>", "^Ref: "),
    )


def test_an_empty_variable_leaves_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        if name != "ENGRAM_MEMORY":
            monkeypatch.setenv(name, "")
    assert settings_from_environment() == Settings(memory=str(tmp_path / "memory.db"))


def test_no_variable_of_the_command_line_is_missing() -> None:
    read = {option.envvar for option in LazyCommand("serve").load().params} - {None}
    assert len(read) > 4
    # What opens a memory reads the name of the encoder itself.
    assert read == (set(VARIABLES) - {"ENGRAM_STRIP"}) | {"ENGRAM_ENCODER"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ENGRAM_MEMORY", "postgres://db/x", "not available yet"),
        ("ENGRAM_TIMEZONE", "Middle/Earth", "'Middle/Earth' is no time zone"),
        ("ENGRAM_LEAST_TRUST", "everyone", "'everyone' is no origin; choose from user, program"),
        ("ENGRAM_REDACT", "secret", "'secret' cannot be taken out; choose from secrets, pii"),
        ("ENGRAM_KEEP_DAYS", "0", "'0' is no whole number from 1 to 36500"),
        ("ENGRAM_KEEP_DAYS", "36501", "no whole number"),
        ("ENGRAM_KEEP_DAYS", "-3", "no whole number"),
        ("ENGRAM_KEEP_DAYS", "9" * 5_000, "no whole number"),
        ("ENGRAM_KEEP_DAYS", "1.5", "no whole number"),
        ("ENGRAM_REFLECT", "perhaps", "'perhaps' is no switch; write 1 or 0"),
        ("ENGRAM_STRENGTH", "perhaps", "'perhaps' is no switch; write 1 or 0"),
        ("ENGRAM_PROFILE", "yes", "'yes' is no way to attach profiles; choose from off, on"),
        ("ENGRAM_PROFILE_BUDGET", "0", "'0' is no whole number of tokens from 1 on"),
        ("ENGRAM_PROFILE_BUDGET", "9" * 5_000, "no whole number"),
        ("ENGRAM_TOOLS", "yes", "'yes' does not say who gets tools; choose from off, allow, on"),
        ("ENGRAM_STRIP", "(", "no regular expression"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EngramError, match=f"^{name}: ") as refused:
        create_app()
    assert reason in str(refused.value)


def test_the_factory_takes_secrets_out_before_it_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGRAM_UPSTREAM", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ENGRAM_REDACT", "secrets")
    secret = "ghp_" + "Zk41" * 9

    async def remember() -> None:
        async with (
            create_app() as app,
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
        ):
            answer = await http.post("/memory/remember", json={"text": f"The robot signs in with {secret}."})
            assert answer.status_code == 201

    asyncio.run(remember())
    with Memory(tmp_path / "memory.db") as memory:
        (engram,) = memory.engrams()
    assert engram.text == "The robot signs in with [secret removed: GitHub token]."
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_uvicorns_command_stops_with_the_name_of_a_bad_variable(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "uvicorn", "--factory", "engram.serve.app:create_app", "--port", "0"]
    ended = subprocess.run(words, env=os.environ | {"ENGRAM_KEEP_DAYS": "soon"}, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "ENGRAM_KEEP_DAYS: 'soon' is no whole number" in ended.stderr
    assert not (tmp_path / "memory.db").exists()
