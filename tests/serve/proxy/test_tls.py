"""Streams from an upstream over TLS, by each relay."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvloop

from engram.serve.http.errors import ServeError
from engram.serve.proxy.upstream import Upstream as Client
from tests.serve.conftest import StartServer
from tests.serve.proxied import Caller, unnumbered, user
from tests.serve.upstream import Upstream

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the command openssl is not installed")

PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")


class Encrypted(NamedTuple):
    """A scripted model over TLS, and the file that makes its certificate trusted."""

    upstream: Upstream
    certificate: Path


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with Upstream(tls=context) as upstream:
        yield Encrypted(upstream, certificate)


def body(script: str, path: str) -> dict[str, Any]:
    given = {"input": "Hello"} if path.endswith("responses") else {"messages": [user("Hello")], "max_tokens": 9}
    return {"model": script, "stream": True, **given}


@pytest.mark.parametrize("relay", ["fast", "plain"])
def test_streams_over_tls_pass_byte_for_byte_and_are_stored(
    server: StartServer, encrypted: Encrypted, relay: str
) -> None:
    upstream = encrypted.upstream
    assert upstream.url.startswith("https://")
    running = server("--relay", relay, upstream=upstream.url, SSL_CERT_FILE=str(encrypted.certificate))
    trusted = ssl.create_default_context(cafile=encrypted.certificate)
    with (
        Caller(running, upstream) as ana,
        httpx.Client(base_url=upstream.root, verify=trusted, trust_env=False) as straight,
    ):
        for path in PATHS:
            for script in ("plain", "bytes=1", "lump", "tokens=3000", "gzip"):
                expected = straight.post(path, json=body(script, path))
                answer = ana.post(path, body(script, path))
                assert answer.status_code == 200
                assert unnumbered(answer.content) == unnumbered(expected.content)
                ana.settle()
        with pytest.raises(httpx.RemoteProtocolError):
            ana.post(PATHS[0], body("tokens=40+close=20", PATHS[0]))
        with running.http.stream("POST", PATHS[0], json=body("tokens=4000+rate=100", PATHS[0])) as stream:
            next(stream.iter_raw())
        assert ana.last.ended.wait(60)
        assert ana.last.outcome == "gone"


def test_a_certificate_that_is_not_trusted_is_refused(server: StartServer, encrypted: Encrypted) -> None:
    running = server(upstream=encrypted.upstream.url)
    answer = running.http.post(PATHS[0], json=body("plain", PATHS[0]))
    assert answer.status_code == 502
    assert "certificate" in answer.json()["error"]["message"].lower()


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
def test_the_fast_relay_intercepts_streams_over_tls(encrypted: Encrypted, loop: Any, fast: bool) -> None:
    trusted = ssl.create_default_context(cafile=encrypted.certificate)

    async def ask() -> list[bytes]:
        client = Client(encrypted.upstream.url, use_proxy=False, fast=fast, tls=trusted)
        sent = httpx.Request("POST", "http://x", json=body("bytes=2", PATHS[0])).content
        bodies = []
        try:
            for _ in range(2):
                async with client.request("POST", PATHS[0], "", [("content-type", "application/json")], sent) as reply:
                    assert reply.is_intercepted is fast
                    bodies.append(unnumbered(await reply.read()))
            with pytest.raises(ServeError):
                async with client.request("POST", PATHS[0], "", [("x-script", "tokens=9+reset=3")], sent) as reply:
                    await reply.read()
        finally:
            await client.close()
        return bodies

    with asyncio.Runner(loop_factory=loop) as runner:
        one, other = runner.run(ask())
    assert one == other
    assert one.endswith(b"data: [DONE]\n\n")
