"""Which relay is used: the self-test of the fast one, and what follows if it fails."""

from __future__ import annotations

import logging
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from engram.errors import EngramError
from engram.serve import relay
from engram.serve.http.connection import GuardedProtocol
from engram.serve.proxy import fast_relay
from tests.serve.conftest import Run, StartLocal
from tests.serve.proxied import Caller, user
from tests.serve.upstream import Upstream


def test_the_fast_relay_works_here(run: Run) -> None:
    assert run(relay.choose_relay("auto"))
    assert run(relay.choose_relay("fast"))


def test_the_self_test_is_quick(run: Run) -> None:
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        run(relay.self_test())
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.1


def dropped(self: GuardedProtocol, chunk: bytes) -> None:
    """Lose what is written."""


def doubled(self: GuardedProtocol, chunk: bytes) -> None:
    for _ in range(2):
        self.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))


def forwarded(self: fast_relay.StreamInterceptor, data: bytes) -> None:
    self.restore()
    self._handler.data_received(data)


def lost(self: fast_relay.ChunkedBodyReader, data: bytes) -> None:
    self._transport.close()


BROKEN = {
    "chunks are lost": (GuardedProtocol, "write", dropped, "did not arrive as it was sent"),
    "chunks come twice": (GuardedProtocol, "write", doubled, "did not arrive as it was sent"),
    "no stream is intercepted": (fast_relay.StreamInterceptor, "data_received", forwarded, "aiohttp read the stream"),
    "the connection is lost": (fast_relay.ChunkedBodyReader, "data_received", lost, "broke off"),
    "an attribute is gone": (fast_relay.ForwardingProtocol, "restore", None, "not callable"),
}


@pytest.mark.parametrize(("place", "name", "fault", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_changed_library_is_noticed(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: type, name: str, fault: Any, reason: str
) -> None:
    monkeypatch.setattr(place, name, fault)
    monkeypatch.setattr(relay, "SELF_TEST_SECONDS", 1.0)
    found = run(relay.failure())
    assert found is not None
    assert reason in found or "did not end" in found


def test_the_supported_versions_are_the_bounds_of_pyproject() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    requirements = project["optional-dependencies"]["serve"]
    for name, bounds in relay.SUPPORTED.items():
        first, end = map(relay.dotted, bounds)
        assert f"{name}>={first},<{end}" in requirements


def test_an_unsupported_version_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SUPPORTED", {"aiohttp": ((9, 0), (9, 1))})
    assert relay.unsupported_version() is not None
    with pytest.raises(EngramError, match=r"aiohttp 3\.\S+ is installed, but it is written for 9\.0 up to 9\.1"):
        run(relay.choose_relay("fast"))
    monkeypatch.setattr(relay, "SUPPORTED", {"no-such-package": ((1, 0), (2, 0))})
    assert relay.unsupported_version() == "the version of no-such-package is unknown"


def test_auto_falls_back_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(GuardedProtocol, "write", dropped)
    with caplog.at_level(logging.WARNING, "engram.serve"):
        assert run(relay.choose_relay("auto")) is False
    (record,) = [record for record in caplog.records if record.name == "engram.serve"]
    assert record.getMessage() == "the fast relay cannot be used, streams take the plain one"
    assert "did not arrive" in record.fields["reason"]


def test_fast_does_not_start_if_the_self_test_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GuardedProtocol, "write", dropped)
    with pytest.raises(EngramError, match="the fast relay cannot be used: its self-test failed"):
        run(relay.choose_relay("fast"))


def test_plain_runs_no_self_test_and_uses_no_internals(
    local: StartLocal, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the plain relay used an internal")

    for place, name in (
        (relay, "self_test"),
        (GuardedProtocol, "write"),
        (fast_relay.StreamInterceptor, "data_received"),
        (fast_relay.ChunkedBodyReader, "data_received"),
    ):
        monkeypatch.setattr(place, name, forbidden)
    with Caller(local(relay="plain"), upstream) as ana:
        with ana.openai().chat.completions.create(model="bytes=3", messages=[user("Hello")], stream=True) as stream:
            assert "".join(piece.choices[0].delta.content or "" for piece in stream) == upstream.reply


def test_a_server_whose_self_test_fails_still_streams(
    local: StartLocal, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_relay.StreamInterceptor, "data_received", forwarded)
    running = local(relay="auto")
    assert running.logged("the fast relay cannot be used, streams take the plain one")
    with Caller(running, upstream) as ana:
        with ana.openai().chat.completions.create(model="bytes=3", messages=[user("Hello")], stream=True) as stream:
            assert "".join(piece.choices[0].delta.content or "" for piece in stream) == upstream.reply


@pytest.mark.parametrize("mode", ["fast", "plain"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_all_that_came_before_upstream_breaks_off_reaches_the_client(
    local: StartLocal, upstream: Upstream, mode: str, end: str
) -> None:
    server = local(relay=mode)
    asked = {"model": f"tokens=6000+{end}=4000", "stream": True, "messages": [user("Count.")]}
    for _ in range(3):
        received = b""
        with (
            suppress(httpx.RemoteProtocolError),
            server.http.stream("POST", "/v1/chat/completions", json=asked, headers={"X-Engram": "off"}) as stream,
        ):
            for part in stream.iter_raw():
                received += part
        # What a reset connection had not delivered yet is lost in the kernel.
        assert received.count(b"data: ") == 4000 or end == "reset"
        assert received.endswith(b"\n\n") or end == "reset"
        assert b"[DONE]" not in received
