"""Operation of the server: health, metrics, log, and behaviour on failures."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from filelock import FileLock
from prometheus_client.parser import text_string_to_metric_families

from engram.cli import main
from engram.errors import EngramError
from engram.memory import Memory, Stats
from engram.search.local import index, indexer
from engram.serve import app
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.upstream import open_upstream
from engram.serve.services import THREADS
from engram.serve.settings import Settings

from .calling import call
from .conftest import PATIENCE, LocalServer, RunningServer, StartLocal, wait_until
from .upstream import Upstream

Running = tuple[LocalServer, Upstream]

DEADLINE = 1.0
"""Seconds. Patient with a busy machine; but a reply waits just as long for a memory that cannot be written."""

PATIENT = ("--deadline", "2000")
"""The same for server processes, in milliseconds."""


def body(text: str, script: str = "plain", **fields: Any) -> dict[str, Any]:
    """A request of a model."""
    return {"model": script, "messages": [{"role": "user", "content": text}], **fields}


def chat(server: RunningServer, text: str, script: str = "plain", headers: Mapping[str, str] = {}) -> httpx.Response:
    """A chat completion."""
    return server.http.post("/v1/chat/completions", json=body(text, script), headers=dict(headers))


def figures(server: RunningServer) -> dict[str, float]:
    """Return the metrics: each sample by its name and labels as Prometheus writes them."""
    answer = server.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A healthy server, for tests that leave it healthy."""
    folder = tmp_path_factory.mktemp("operations")
    with Upstream() as upstream:
        server = LocalServer(folder / "memory.db", upstream.url, deadline=DEADLINE)
        try:
            yield server, upstream
        finally:
            server.close()


@contextmanager
def held(memory: Path) -> Iterator[None]:
    """Hold a write transaction of another connection."""
    with closing(sqlite3.connect(memory, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def broken(memory: Path) -> Iterator[None]:
    """Rename columns of the memory, so that it is damaged."""
    with closing(sqlite3.connect(memory, isolation_level=None, timeout=PATIENCE)) as other:
        for column in ("text", "session"):
            other.execute(f"ALTER TABLE engrams RENAME COLUMN {column} TO lost_{column}")
        try:
            yield
        finally:
            for column in ("text", "session"):
                other.execute(f"ALTER TABLE engrams RENAME COLUMN lost_{column} TO {column}")


# Health.


def test_health_and_readiness(running: Running):
    server, _ = running
    assert server.http.get("/healthz").text == "ok\n"
    answer = server.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})


def test_requests_succeed_while_another_process_locks_the_memory(running: Running):
    """Requests and recall succeed; new turns wait, and are written once the lock is released."""
    server, upstream = running
    server.settled(chat(server, "The ferry to Orust leaves at seven.").headers["x-engram-receipt"])
    # A receipt says "stored" a moment before its turns leave the queue.
    wait_until(lambda: figures(server)["engram_queue_length"] == 0, "an empty queue")
    with held(server.memory):
        before = figures(server)
        answer = chat(server, "When does the ferry to Orust leave?", headers={"X-Engram-Session": "held"})
        assert answer.status_code == 200
        assert "leaves at seven" in upstream.last.messages[-1]["content"]
        assert server.receipt(answer.headers["x-engram-receipt"])["state"] == "accepted"
        assert server.http.get("/readyz").status_code == 200
        now = figures(server)
        assert now["engram_queue_length"] == 2
        assert before["engram_queue_length"] == 0
        retries = "engram_turns_total{outcome=retry}"
        wait_until(lambda: figures(server).get(retries, 0) > before.get(retries, 0), "a try that does not work")
        refused = server.http.post("/memory/remember", json={"text": "Not now."})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "memory_locked")
        assert refused.headers["retry-after"]
    settled = server.settled(answer.headers["x-engram-receipt"])
    assert settled["state"] in ("stored", "indexed")
    assert len(settled["engrams"]) == 2
    assert figures(server)["engram_queue_length"] == 0
    assert server.logged("a write failed, new messages wait")


@pytest.mark.parametrize("way", ["deleted", "replaced", "server database deleted"])
def test_a_server_whose_file_is_gone_says_so_and_passes_conversations_on(
    tmp_path: Path, local: StartLocal, upstream: Upstream, way: str
) -> None:
    """Nothing is acknowledged any more; every place says why; the model answers as it does without a memory."""
    server = local()
    server.settled(chat(server, "The tide at Varberg turns at noon.").headers["x-engram-receipt"])
    if way == "deleted":
        server.memory.unlink()
    elif way == "replaced":
        with Memory(tmp_path / "backup.db") as backup:
            backup.remember("From the backup.")
        (tmp_path / "backup.db").rename(server.memory)
    else:
        Path(f"{server.memory}.serve").unlink()
    answer = server.http.get("/readyz")
    assert answer.status_code == 503
    assert "was deleted, moved or replaced" in answer.json()["reason"]
    for number in range(3):
        answer = chat(server, f"The tide at Kungsbacka turns at {number}.", headers={"X-Engram-Session": f"s{number}"})
        assert answer.status_code == 200
        assert "was deleted, moved or replaced" in answer.headers["x-engram-error"]
        if receipt := answer.headers.get("x-engram-receipt"):
            settled = server.settled(receipt)
            assert (settled["state"], settled["engrams"]) == ("refused", [])
            assert "was deleted, moved or replaced" in settled["reason"]
    if way != "server database deleted":
        answer = server.http.post("/memory/remember", json={"text": "Not stored."})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "memory_replaced")
        assert len(server.logged("nothing is remembered any more")) == 1
    server.stop()
    if way == "replaced":
        with Memory(server.memory) as memory:
            assert [engram.text for engram in memory.engrams()] == ["From the backup."]


@pytest.mark.parametrize("gone", ["the memory", "the server's file"])
def test_a_server_under_a_relative_link_tells_nobody_its_folder(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "private" / "memory.db")
    monkeypatch.chdir(tmp_path)
    server = LocalServer(Path("link.db"), upstream.url, deadline=DEADLINE)
    try:
        server.settled(chat(server, "The lock of the shed is rusty.").headers["x-engram-receipt"])
        for file in (tmp_path / "private").glob("*.db" if gone == "the memory" else "*.serve"):
            file.unlink()
        answer = chat(server, "The lock of the gate is new.", headers={"X-Engram-Session": "later"})
        told = [server.http.get("/readyz").json()["reason"], answer.headers["x-engram-error"]]
        if receipt := answer.headers.get("x-engram-receipt"):
            told.append(server.settled(receipt)["reason"])
        for text in told:
            assert "was deleted, moved or replaced" in text
            assert not re.search(rf"{tmp_path}|private|link\.db", text), text
    finally:
        server.close()


def test_a_server_whose_index_is_kept_by_another_process_says_what_it_cannot_search(
    tmp_path: Path, local: StartLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "STUCK", 0.2)
    monkeypatch.setattr(index, "TAIL_MOST", 300)
    monkeypatch.setattr(app, "TAIL_MOST", 300)
    # Recall in this process, which has these bounds.
    monkeypatch.setattr(RecallProcess, "start", lambda _: None)
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember("The locker of the choir is number 8822.")
    (tmp_path / "memory.db.index").mkdir(exist_ok=True)
    with FileLock(tmp_path / "memory.db.index" / "writer.lock"):
        server = local()
        items = [{"text": f"later {number}"} for number in range(280)]
        assert server.http.post("/memory/remember", json={"items": items}).status_code == 201
        server.settled(chat(server, "Hello there.").headers["x-engram-receipt"])
        ready = wait_until(lambda: "index" in (answer := server.http.get("/readyz").json()) and answer, "the trouble")
        assert ready["ready"]
        assert "no progress" in ready["index"]
        for _ in range(2):
            assert server.http.post("/memory/remember", json={"items": items}).status_code == 201
        answer = server.http.get("/readyz")
        assert answer.status_code == 503
        assert "not all is searched" in answer.json()["reason"]
        assert str(path) not in answer.text
        answer = chat(server, "What is the number of the locker of the choir?")
        assert answer.status_code == 200
        assert "not all was searched" in answer.headers["x-engram-error"]
        assert figures(server)["engram_index_trouble"] == 1
        assert figures(server)["engram_unindexed"] > 600
    wait_until(lambda: server.http.get("/readyz").json() == {"ready": True}, "an index")
    answer = chat(server, "Which number has the locker of the choir?", headers={"X-Engram-Session": "new"})
    assert "x-engram-error" not in answer.headers
    assert figures(server)["engram_index_trouble"] == 0


@pytest.mark.parametrize("way", ["rest", "mcp"])
def test_pending_turns_are_forgotten_too(running: Running, way: str):
    server, _ = running
    session = f"regretted-{way}"

    def forget() -> int:
        if way == "rest":
            return server.http.post("/memory/forget", json={"session": session}).json()["forgotten"]
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        call["params"] = {"name": "forget", "arguments": {"session": session}}
        answer = server.http.post("/mcp", json=call, headers={"Accept": "application/json"}).json()
        return answer["result"]["structuredContent"]["forgotten"]

    body = {"model": "slow=1", "stream": True, "messages": [{"role": "user", "content": "I never liked Orust."}]}
    with server.http.stream("POST", "/v1/chat/completions", json=body, headers={"X-Engram-Session": session}) as answer:
        # The turn is accepted, and waits briefly to be written together with the reply.
        assert forget() == 1
        answer.read()
    server.settled(answer.headers["x-engram-receipt"])
    kept = server.http.get("/memory/engrams", params={"session": session}).json()["engrams"]
    assert [engram["role"] for engram in kept] == ["assistant"]


def test_requests_succeed_while_the_memory_is_damaged(running: Running):
    server, upstream = running
    said = "Which lighthouse stands on Vinga?"
    server.settled(chat(server, "The lighthouse on Vinga is red.").headers["x-engram-receipt"])
    with broken(server.memory):
        before = figures(server)
        answer = chat(server, said, headers={"X-Engram-Session": "broken"})
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
        # No notes were inserted: the request is unchanged.
        assert upstream.last.json == body(said)
        assert "damaged" in answer.headers["x-engram-error"]
        ready = server.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert "damaged" in ready.json()["reason"]
        # Unauthenticated callers do not learn the path of the memory.
        assert str(server.memory) not in ready.text
        assert server.http.get("/healthz").status_code == 200
        failed = "engram_failures_total{kind=recall_error}"
        assert figures(server)[failed] == before.get(failed, 0) + 1
    settled = server.settled(answer.headers["x-engram-receipt"])
    assert settled["state"] in ("stored", "indexed")
    assert server.http.get("/readyz").status_code == 200
    assert server.logged("memory failed")


# Figures.


def test_metrics_count_requests_turns_and_failures(running: Running):
    server, _ = running
    server.settled(chat(server, "My canoe is called Periwinkle.").headers["x-engram-receipt"])
    before = figures(server)
    answer = chat(server, "What is my canoe called?", headers={"X-Engram-Session": "counted"})
    assert answer.headers["x-engram-recalled"]
    server.settled(answer.headers["x-engram-receipt"])
    assert chat(server, "What is my canoe called?", "500", {"X-Engram": "read"}).status_code == 500
    assert server.http.post("/v1/chat/completions", content=b"{").status_code == 400
    assert server.http.get("/v1/models").status_code == 200
    messages = {"max_tokens": 9, **body("Hello.")}
    assert server.http.post("/v1/messages", json=messages, headers={"X-Engram": "off"}).status_code == 200
    responded = server.http.post("/v1/responses", json={"model": "plain", "input": "x"}, headers={"X-Engram": "off"})
    assert responded.status_code == 200
    assert server.http.post("/memory/recall", json={"query": "canoe"}).status_code == 200
    assert server.http.post("/memory/recall", json={}).status_code == 422
    assert server.http.get("/memory/nothing").status_code == 404
    assert call(server, "recall", query="canoe")[0]
    with suppress(httpx.RemoteProtocolError):
        stream = body("Count.", "tokens=20+reset=3", stream=True)
        server.http.post("/v1/chat/completions", json=stream, headers={"X-Engram": "off"})
    wait_until(lambda: figures(server).get("engram_requests_total{face=chat,status=broken}"), "a reply cut off")

    now = figures(server)
    grown = {name: now[name] - before.get(name, 0) for name in now}

    def requests(face: str, status: str) -> float:
        return grown[f"engram_requests_total{{face={face},status={status}}}"]

    assert requests("chat", "2xx") == 1
    assert requests("chat", "5xx") == 1
    assert requests("chat", "4xx") == 1
    assert requests("chat", "broken") == 1
    assert requests("passed", "2xx") == 1
    assert requests("messages", "2xx") == 1
    assert requests("responses", "2xx") == 1
    assert requests("memory", "4xx") >= 1
    assert requests("memory", "2xx") >= 2
    assert requests("mcp", "2xx") >= 1
    assert grown["engram_recall_seconds_count"] == 2
    assert grown["engram_recall_seconds_sum"] > 0
    buckets = [name for name in now if name.startswith("engram_recall_seconds_bucket")]
    assert grown["engram_recall_seconds_bucket{le=+Inf}"] == 2
    assert len(buckets) > 5
    # Two notes of the same text: the name of a canoe, the marks and the heading.
    assert 10 < grown["engram_note_tokens_total"] < 400
    assert grown["engram_turns_total{outcome=stored}"] == 2
    assert grown["engram_failures_total{kind=upstream_broken}"] == 1
    assert now["engram_queue_length"] == 0


def test_metrics_are_read_while_the_memory_does_not_answer(local: StartLocal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app, "MEMORY_SECONDS", 0.2)
    answers, read = threading.Event(), Memory.stats

    def stats(memory: Memory) -> Stats:
        assert answers.wait(PATIENCE)
        return read(memory)

    monkeypatch.setattr(Memory, "stats", stats)
    server = local()
    try:
        # More often than there are threads for the memory.
        for _ in range(THREADS + 2):
            now = figures(server)
            assert now["engram_index_trouble"] == 1
            assert math.isnan(now["engram_unindexed"])
            assert now["engram_queue_length"] == 0
        assert "did not answer" in server.http.get("/readyz").json()["reason"]
    finally:
        answers.set()
    wait_until(lambda: figures(server)["engram_index_trouble"] == 0, "an answer of the memory")


def test_an_unreachable_upstream_is_counted(local: StartLocal):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    server = local(upstream=url)
    answer = chat(server, "Is anybody there?")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_unreachable"
    assert figures(server)["engram_failures_total{kind=upstream_unreachable}"] == 1
    # The memory is ready, only upstream is not.
    assert server.http.get("/readyz").status_code == 200


# The log.


def whole_life(server: RunningServer, secret: str) -> None:
    """Send `secret` in every kind of request, well-formed and malformed."""
    chat(server, f"I say {secret}.")
    chat(server, f"I ask about {secret}.", "echo")
    chat(server, f"I say {secret}.", "500")
    chat(server, f"I say {secret}.", "html")
    chat(server, f"I say {secret}.", "garbled")
    for script in ("tokens=5", f"text={secret}", f"text={secret}+cut=1", f"text={secret}_and_{secret}+reset=1"):
        with suppress(httpx.RemoteProtocolError):
            server.http.post("/v1/chat/completions", json=body(f"{script}: {secret}", script, stream=True))
    for content in (f'{{"messages": "{secret}"', f'{{"messages": "{secret}"}}', f'{{"messages": [{{"role": "{secret}"'):
        server.http.post("/v1/chat/completions", content=content.encode())
        server.http.post("/v1/messages", content=content.encode())
        server.http.post("/v1/responses", content=content.encode())
    server.http.post("/v1/messages", json={"max_tokens": 9, **body(secret)})
    server.http.post("/v1/responses", json={"model": "plain", "input": secret})
    server.http.post("/v1/embeddings", json={"model": "plain", "input": secret})
    server.http.post("/memory/remember", json={"text": secret})
    server.http.post("/memory/remember", json={"text": secret, "role": secret, "at": secret})
    server.http.post("/memory/remember", content=f"{secret}", headers={"Content-Type": "application/json"})
    server.http.post("/memory/recall", json={"query": secret, "budget": 100})
    server.http.get("/memory/engrams", params={"after": secret})
    call(server, "remember", text=secret)
    call(server, "recall", query=secret)
    call(server, "recall", query=secret, limit=secret)
    server.http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": secret})
    server.http.post("/mcp", content=secret.encode())
    with broken(server.memory):
        chat(server, f"I say {secret} to a broken memory.")
        server.http.post("/memory/recall", json={"query": secret})
        call(server, "recall", query=secret)
    chat(server, "x" * 5_000_000 + secret)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        connection.sendall(f"{secret} is not HTTP\r\n\r\n".encode())
        connection.recv(4096)


def test_the_log_holds_no_text_of_messages(server):
    running = server(*PATIENT)
    whole_life(running, secret := f"sesame-{uuid.uuid4().hex}")
    assert running.stop() == 0
    said = "\n".join(running.said)
    assert secret not in said
    assert len(running.log) == len(running.said) > 30
    for line in running.log:
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
        assert line["level"] in ("info", "warning", "error")
        assert line["message"]
        assert line["logger"]
    for line in running.logged("request"):
        assert line["face"] in ("chat", "messages", "responses", "passed", "memory", "mcp")
        assert line["ms"] >= 0
        assert "text" not in line
    assert "Traceback" not in said


def test_the_log_holds_text_with_log_text_only(server):
    running = server("--log-text", *PATIENT)
    secret = f"sesame-{uuid.uuid4().hex}"
    assert chat(running, f"I say {secret}.").status_code == 200
    assert running.stop() == 0
    lines = [line for line in running.log if secret in json.dumps(line)]
    assert lines
    for line in lines:
        # In the field `text` only.
        assert secret in line.pop("text")
        assert secret not in json.dumps(line)


# Failed starts.


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `engram serve` as a process that must end by itself."""
    command = [sys.executable, "-m", "engram", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def failed_start(*options: str) -> tuple[int, str]:
    """Run the command in this process; return its exit code and standard error."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stderr = io.StringIO()
    try:
        with redirect_stderr(stderr):
            code = main(["serve", *options])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    return code, stderr.getvalue()


def test_a_second_server_on_the_same_memory(running: Running):
    server, upstream = running
    done = run("--memory", str(server.memory), "--port", "0", "--upstream", upstream.url)
    assert done.returncode == 4
    assert str(server.memory) in done.stderr
    assert "another engram serve" in done.stderr
    assert done.stderr.count("\n") == 1
    assert server.http.get("/readyz").status_code == 200


def test_a_port_that_is_taken(running: Running, tmp_path: Path):
    server, upstream = running
    port = server.url.rpartition(":")[2]
    code, error = failed_start("--memory", str(tmp_path / "memory.db"), "--port", port, "--upstream", upstream.url)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in error
    assert not (tmp_path / "memory.db").exists()
    assert "--port" in error
    assert error.count("\n") == 1


def test_a_key_for_upstream_that_is_not_set(tmp_path: Path):
    options = ("--upstream", "http://127.0.0.1:9", "--upstream-key-env", "ENGRAM_TEST_NOT_SET")
    code, error = failed_start("--memory", str(tmp_path / "memory.db"), "--port", "0", *options)
    assert code == 1
    assert "ENGRAM_TEST_NOT_SET, which is not set" in error
    assert error.count("\n") == 1


def test_an_upstream_that_is_no_url(tmp_path: Path):
    options = ("--upstream", "api.example.org/v1")
    code, error = failed_start("--memory", str(tmp_path / "memory.db"), "--port", "0", *options)
    assert code == 1
    assert "'api.example.org/v1' is no URL of a model's API" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.example.org",
        "http://",
        "https:///v1",
        "http://[::1",
        "http://127.0.0.1:99999/v1",
    ],
)
def test_other_upstreams_that_are_no_url(url: str):
    with pytest.raises(EngramError, match="is no URL of a model's API"):
        open_upstream(Settings(memory="", upstream=url), None)


def test_the_servers_key_is_sent_upstream_and_not_logged(
    local: StartLocal, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MODEL_KEY", "sk-servers-own")
    running = local(upstream_key_env="MODEL_KEY")
    assert chat(running, "Hello.", headers={"Authorization": "Bearer sk-callers"}).status_code == 200
    assert upstream.last.header("authorization") == "Bearer sk-servers-own"
    said = {"max_tokens": 9, **body("Hello.")}
    running.http.post("/v1/messages", json=said, headers={"x-api-key": "sk-c", "anthropic-version": "2023-06-01"})
    assert upstream.last.header("x-api-key") == "sk-servers-own"
    assert "sk-c" not in repr(upstream.last.headers).replace("sk-servers-own", "")
    running.stop()
    assert "sk-" not in "\n".join(running.said)


# A full disk.


def test_a_full_disk(small_disk: Path, local: StartLocal, upstream: Upstream):
    """Requests succeed; new turns wait, and are written as soon as the disk has room."""
    running = local(memory=small_disk / "memory.db", deadline=DEADLINE)
    running.settled(chat(running, "The key to the shed hangs behind the clock.").headers["x-engram-receipt"])
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    receipts = []
    for number in range(3):
        said = f"Where does the key to the shed hang, for the {number}. time? " + "x" * 20_000
        answer = chat(running, said)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
        assert "behind the clock" in upstream.last.messages[-1]["content"]
        receipts.append(answer.headers["x-engram-receipt"])
    wait_until(lambda: running.logged("a write failed, new messages wait"), "a try that does not work")
    assert figures(running)["engram_queue_length"] == 6
    assert {running.receipt(id)["state"] for id in receipts} == {"accepted"}
    refused = running.http.post("/memory/remember", json={"text": "x" * 100_000})
    assert refused.status_code == 507, refused.text
    assert refused.json()["error"]["code"] == "memory_full"
    assert str(small_disk) not in refused.text
    ballast.unlink()
    for id in receipts:
        settled = running.settled(id)
        assert settled["state"] in ("stored", "indexed"), settled
        assert len(settled["engrams"]) == 2
    running.stop()


# Host and Origin checks.


def test_a_page_of_another_origin_may_not_call(running: Running):
    server, upstream = running
    before = len(upstream.asked)
    for path in ("/v1/chat/completions", "/v1/models", "/memory/engrams", "/mcp", "/metrics", "/healthz"):
        page = {"Origin": "https://evil.example"}
        preflight = page | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        for method, headers in (("OPTIONS", preflight), ("POST", page), ("GET", page)):
            answer = server.http.request(method, path, headers=headers, content=b"{}")
            assert answer.status_code == 403, (method, path)
            assert answer.json()["error"]["code"] == "origin_not_allowed"
            assert not any(name.startswith("access-control") for name in answer.headers)
    assert len(upstream.asked) == before
    answer = server.http.get("/healthz", headers={"Origin": server.url})
    assert answer.status_code == 200
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_of_an_allowed_origin_may_call(local: StartLocal):
    running = local(cors_origins=("https://app.example",))
    page = {"Origin": "https://app.example"}
    preflight = page | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-engram-namespace"}
    answer = running.http.options("/v1/chat/completions", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-engram-namespace" in answer.headers["access-control-allow-headers"].lower()
    answer = chat(running, "Hello.", headers=page)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-engram-recalled" in answer.headers["access-control-expose-headers"].lower()
    assert chat(running, "Hello.", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages", "/memory/engrams", "/mcp", "/docs", "/healthz"])
def test_a_foreign_name_for_this_address_is_refused(running: Running, path: str):
    """DNS rebinding: a page calls its own host name, which an attacker has pointed at this address."""
    server, upstream = running
    before = len(upstream.asked)
    port = server.url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"):
        answer = server.http.get(path, headers={"Host": host})
        assert answer.status_code == 421, host
        assert "--allow-host" in answer.json()["error"]["message"]
    for host in ("localhost", f"localhost:{port}", "[::1]", "127.0.0.1:1"):
        assert server.http.get("/healthz", headers={"Host": host}).status_code == 200
    assert len(upstream.asked) == before


# Slow clients.


def test_slow_clients_are_cut_off(local: StartLocal):
    server = local(header_seconds=0.5, body_seconds=0.5, send_seconds=0.5, keep_alive=1)
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2])

    def connected() -> socket.socket:
        return socket.create_connection((host, port), timeout=PATIENCE)

    with connected() as headless, connected() as bodiless, connected() as deaf:
        headless.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-A")
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Engram: off\r\n"
        bodiless.sendall(head + b'Content-Length: 100\r\n\r\n{"model": "plain", ')
        asked = json.dumps(body("x" * 12_000_000, "echo")).encode()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(head + b"Content-Length: %d\r\n\r\n" % len(asked) + asked)
        # Other clients are served meanwhile.
        assert chat(server, "Hello.").status_code == 200
        assert ended(headless) == b""
        answer = ended(bodiless)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_timeout" in answer
        # This client reads nothing of a reply that no buffer of the kernel holds.
        wait_until(lambda: not is_open(deaf), "a connection that is cut")
    assert chat(server, "And again.").status_code == 200


def ended(connection: socket.socket) -> bytes:
    """Return everything that arrives until the other side closes the connection."""
    came = b""
    while piece := connection.recv(1 << 16):
        came += piece
    return came


def is_open(connection: socket.socket) -> bool:
    """Return whether the other side has not reset the connection."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


# Documentation pages.


def test_the_docs_load_nothing_from_others(running: Running):
    server, _ = running
    page = server.http.get("/docs")
    assert page.status_code == 200
    own = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert any(path.endswith(".js") for path in own)
    assert any(path.endswith(".css") for path in own)
    assert "//" not in "".join(re.findall(r"""["'`]([^"'`]*)["'`]""", page.text))
    for path in own:
        answer = server.http.get(urljoin("/docs", path))
        assert answer.status_code == 200, path
        assert answer.content
    # The files that the page loads do not either.
    for path in own:
        if path.endswith(".css"):
            assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", server.http.get(path).text)
    document = server.http.get("/openapi.json")
    assert document.json()["info"]["title"] == "Engram"
    assert not re.findall(r"https?://", document.text)
    assert {"/memory/remember", "/memory/recall"} <= set(document.json()["paths"])


# Unsupported requests.


def test_a_websocket_gets_a_clear_answer(running: Running):
    server, upstream = running
    before = len(upstream.asked)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/v1/realtime?model=plain", "/mcp", "/memory/engrams"):
        answer = server.http.get(path, headers=upgrade)
        assert answer.status_code == 501, path
        error = answer.json()["error"]
        assert error["code"] == "websocket_not_served"
        assert "websocket" in error["message"].lower()
    assert len(upstream.asked) == before
    assert not any("pip install" in line for line in server.said)


def test_an_upgrade_to_http_2_is_ignored(running: Running):
    """Java's client offers HTTP/2 with each request; a server may ignore the offer."""
    server, _ = running
    assert chat(server, "Hello.", headers={"Connection": "Upgrade", "Upgrade": "h2c"}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/memory/engrams", "/mcp", "/healthz"])
def test_unsupported_methods_are_refused(running: Running, path: str):
    server, upstream = running
    before = len(upstream.asked)
    for method in ("TRACE", "PROPFIND", "OPTIONS"):
        answer = server.http.request(method, path)
        assert answer.status_code == 405, method
        assert answer.headers["allow"]
        assert answer.json()["error"]["message"]
    assert len(upstream.asked) == before


def test_unknown_paths_below_v1_are_forwarded(running: Running):
    server, upstream = running
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert server.http.request(method, "/v1/things/of%20tomorrow?a=%2F", content=b"as it is").content
        last = upstream.last
        assert (last.method, last.path, last.query) == (method, "/v1/things/of tomorrow", "a=%2F")
        assert last.body == b"as it is"
    answer = server.http.get("/v2/models")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
