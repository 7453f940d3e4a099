"""With --redact, secrets and personal data reach no file, by whatever way they come."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tests.serve.conftest import StartLocal
from tests.serve.proxied import Caller
from tests.serve.upstream import Upstream


def a_secret() -> str:
    return "ghp_" + secrets.token_hex(18)


def bytes_of(folder: Path) -> bytes:
    """Return the contents of all files below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_comes_through_the_proxy_is_stored_without_secrets(
    local: StartLocal, upstream: Upstream, tmp_path: Path
) -> None:
    secret, reply_secret = a_secret(), a_secret()
    server = local(redact=("secrets", "pii"))
    upstream.reply = f"Use {reply_secret} instead."
    with Caller(server, upstream) as caller:
        text = f"My token is {secret} and my mail is ana@mail.example.org."
        caller.chat(text)
        stored = caller.keeps(2)

    assert secret in upstream.asked[-1].last_user
    assert [engram["text"] for engram in stored] == [
        "My token is [secret removed: GitHub token] and my mail is [personal data removed: e-mail address].",
        "Use [secret removed: GitHub token] instead.",
    ]
    assert stored[0]["metadata"]["redacted"] == {"GitHub token": 1, "e-mail address": 1}
    assert "engram_redacted_turns 2.0" in server.http.get("/metrics").text
    server.stop()
    everything = bytes_of(tmp_path)
    assert secret.encode() not in everything
    assert reply_secret.encode() not in everything
    assert not [line for line in server.said if secret in line or reply_secret in line]


def test_what_a_program_remembers_is_stored_without_secrets(local: StartLocal) -> None:
    secret = a_secret()
    server = local(redact=("secrets",))
    answer = server.http.post("/memory/remember", json={"text": f"token {secret}", "metadata": {"was": secret}})
    assert answer.status_code == 201, answer.text
    assert secret not in answer.text
    assert secret not in json.dumps(server.http.get("/memory/engrams").json())


def test_without_the_option_everything_is_kept(local: StartLocal) -> None:
    secret = a_secret()
    server = local()
    assert secret in server.http.post("/memory/remember", json={"text": f"token {secret}"}).text
