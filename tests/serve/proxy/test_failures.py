"""Failures of memory, upstream, the client and the server. Requests to the model succeed all the same."""

from __future__ import annotations

import json
import resource
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from engram.memory import Memory
from tests.serve.conftest import PATIENCE, LocalServer, RunningServer, Server, StartLocal, StartServer, wait_until
from tests.serve.proxied import PATIENT, Caller, Json, assistant, recalled, running, user
from tests.serve.upstream import Upstream

DOG = "My dog is called Biscuit."
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"


@pytest.fixture(scope="module")
def hasty_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalServer, Upstream]]:
    """A server with the default deadline."""
    with running(tmp_path_factory.mktemp("hasty"), deadline=0.15) as both:
        yield both


@pytest.fixture
def hasty(hasty_place: tuple[LocalServer, Upstream]) -> Iterator[Caller]:
    with Caller(*hasty_place) as caller:
        yield caller


def asking(text: str, script: str, *, stream: bool = False, path: str = CHAT) -> Json:
    """Return a request for any of the APIs."""
    given = {"input": text} if path == RESPONSES else {"messages": [user(text)], "max_tokens": 9}
    return {"model": script, "stream": stream, **given}


def metric(server: RunningServer, name: str) -> float:
    """Return the sum of the metrics whose lines begin with `name`."""
    lines = server.http.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a write transaction of another connection."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


# Memory.


@pytest.mark.parametrize("stream", [False, True])
def test_a_locked_memory(hasty: Caller, stream: bool) -> None:
    hasty.remember("The vet is in Ghent.")
    with locked(hasty.server.memory):
        answer = hasty.post(CHAT, asking("Where is the vet?", "plain", stream=stream))
        assert answer.status_code == 200
        assert len(answer.content) > 100
        # Reading still works.
        assert recalled(answer.headers) or "x-engram-error" in answer.headers
        receipt = answer.headers["x-engram-receipt"]
        assert hasty.server.receipt(receipt)["state"] == "accepted"
        # The conversation continues meanwhile, in the same session.
        client = [user("Where is the vet?"), assistant(hasty.upstream.reply), user("Thank you.")]
        assert hasty.chat(client).status_code == 200
        assert hasty.answer["x-engram-session"] == answer.headers["x-engram-session"]
        wait_until(lambda: hasty.server.logged("a write failed, new messages wait"), "a line of the log")
        assert metric(hasty.server, "engram_queue_length") >= 4
        assert len(hasty.kept()) == 1
    assert hasty.server.settled(receipt)["state"] in ("stored", "indexed")
    hasty.settle()
    assert [text for _, text in hasty.said()[1:]] == [
        "Where is the vet?",
        hasty.upstream.reply,
        "Thank you.",
        hasty.upstream.reply,
    ]
    assert metric(hasty.server, 'engram_turns_total{outcome="retry"}') >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_locked_ledger(hasty: Caller, stream: bool) -> None:
    with locked(Path(f"{hasty.server.memory}.serve")):
        answer = hasty.post(CHAT, asking(DOG, "plain", stream=stream))
        assert answer.status_code == 200
        assert len(answer.content) > 100
    hasty.keeps(2)


def test_a_full_disk(server: StartServer, upstream: Upstream) -> None:
    # A process: the limit applies to all of its files.
    with Caller(server("--deadline", "150"), upstream) as hasty:
        fill_and_free_the_disk(hasty)


def fill_and_free_the_disk(hasty: Caller) -> None:
    hasty.chat("Before.")
    hasty.settle()
    process = pid_of(hasty.server)
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    # No file of the process may grow: it sees a full disk.
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        for text in ("One.", "Two.", "Three."):
            answer = hasty.chat(text)
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["content"] == hasty.upstream.reply
        assert hasty.server.http.get("/healthz").status_code == 200
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    kept = hasty.keeps(8)
    assert [e["text"] for e in kept if e["role"] == "user"] == ["Before.", "One.", "Two.", "Three."]


def pid_of(server: RunningServer) -> int:
    assert isinstance(server, Server)
    return server.process.pid


def test_a_slow_memory(tmp_path: Path, local: StartLocal, upstream: Upstream) -> None:
    memory = tmp_path / "memory.db"
    with Memory(memory) as book:
        book.remember_many({"text": f"Fact {n} about dog {n % 97} and cat {n % 89}."} for n in range(6_000))
    hasty = local(deadline=0.001, memory=memory)
    with Caller(hasty, upstream, "default") as ana:

        def late() -> bool:
            answer = ana.chat("Which dog had a fact about a cat?")
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
            return "x-engram-error" in answer.headers

        wait_until(late, "a recall that takes too long")
        assert "ms" in ana.answer["x-engram-error"]
        assert recalled(ana.answer) == []
        assert ana.last.body == ana.sent[-1]
        assert hasty.logged("memory was too slow")
        assert metric(hasty, 'engram_failures_total{kind="recall_deadline"}') >= 1
        # All turns are stored later.
        count = len(ana.sent)
        wait_until(lambda: metric(hasty, 'engram_turns_total{outcome="stored"}') == 2 * count, "all turns")


def test_a_broken_memory(tmp_path: Path, local: StartLocal, upstream: Upstream) -> None:
    memory = tmp_path / "memory.db"
    with Memory(memory) as book:
        book.remember_many({"text": f"Fact {n} about dog {n % 97}."} for n in range(2_000))
    running = local(deadline=0.5, drain_seconds=0.2, memory=memory)
    with memory.open("r+b") as file:
        # All but the first pages.
        file.seek(5 * 4096)
        file.write(b"\x5a" * (memory.stat().st_size - 5 * 4096))
    with Caller(running, upstream, "default") as ana:
        for text in ("What about dog 7?", "And dog 8?"):
            answer = ana.chat(text)
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["content"] == upstream.reply
            with ana.openai().chat.completions.create(model="plain", messages=[user(text)], stream=True) as stream:
                assert "".join(piece.choices[0].delta.content or "" for piece in stream) == upstream.reply
        assert ana.last.messages == [user("And dog 8?")]
        assert str(tmp_path) not in ana.answer["x-engram-error"]
        assert metric(running, "engram_failures_total{") >= 4
        assert running.logged("memory failed") or running.logged("memory was too slow")


# Upstream.


def test_upstream_cannot_be_reached(tmp_path: Path, local: StartLocal) -> None:
    with Upstream() as gone:
        url = gone.url
    running = local(upstream=url)
    with Caller(running, gone) as ana:
        for path in (CHAT, RESPONSES, "/v1/embeddings"):
            answer = ana.post(path, asking(DOG, "plain", path=path))
            assert answer.status_code == 502
            assert answer.json()["error"]["code"] == "upstream_unreachable"
            assert answer.json()["error"]["type"] == "server_error"
        answer = ana.post(MESSAGES, asking(DOG, "plain", path=MESSAGES))
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")
        assert url in answer.text
        # The user's turn is stored, and has a receipt.
        ana.settle()
        assert ana.said() == [("user", DOG)]
        assert metric(running, 'engram_failures_total{kind="upstream_unreachable"}') == 4
        # Upstream returns, and the same request is a retry of the turn.
        with Upstream(int(url.rsplit(":", 1)[1].split("/")[0])) as back:
            assert ana.chat(DOG).status_code == 200
            ana.settle()
            assert ana.said() == [("user", DOG), ("assistant", back.reply)]


def test_a_password_in_upstreams_url_is_shown_to_nobody(local: StartLocal, upstream: Upstream) -> None:
    running = local(upstream="http://user:secret@127.0.0.1:9/v1")
    answer = running.http.post(CHAT, json=asking(DOG, "plain"))
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == (
        "http://127.0.0.1:9/v1 cannot be reached: 127.0.0.1:9: connection refused"
    )
    assert not any("secret" in line for line in (answer.text, *running.said))


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_broken_stream_is_stored_as_far_as_it_arrived(relayed: Caller, how: str, path: str) -> None:
    # aiohttp discards what it has not handed out when a connection breaks, so the plain relay needs a slower stream.
    pace = "rate=200+" if relayed.server.settings.relay == "plain" else ""
    body = asking(DOG, f"{pace}tokens=40+{how}=20", stream=True, path=path)
    got = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        relayed.server.http.stream("POST", path, json=body, headers=relayed.headers) as answer,
    ):
        relayed.answers.append(answer.headers)
        for piece in answer.iter_raw():
            got += piece
    assert b"word5" in got
    said, reply = relayed.keeps(2)
    assert said["text"] == DOG
    assert reply["metadata"] == {"broken_off": True}
    words = [f"word{n}" for n in range(40)]
    came = reply["text"].split()
    # At most the part that upstream sent.
    assert 5 < len(came) < 20
    assert came == words[: len(came)]
    relayed.settle()


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_a_stream_without_its_end(relayed: Caller, path: str) -> None:
    answer = relayed.post(path, asking(DOG, "tokens=40+cut=20", stream=True, path=path))
    assert answer.status_code == 200
    relayed.settle()
    reply = relayed.keeps(2)[1]
    assert reply["metadata"] == {"broken_off": True}
    assert reply["text"].startswith("word0 word1 word2")


@pytest.mark.parametrize("how", ["reset", "close", "cut"])
def test_a_broken_body(ana: Caller, how: str) -> None:
    answer = ana.post(CHAT, asking(DOG, f"{how}=1"))
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_broken"
    ana.settle()
    assert ana.said() == [("user", DOG)]
    # The client retries.
    assert ana.chat(DOG).status_code == 200
    ana.settle()
    assert ana.said() == [("user", DOG), ("assistant", ana.upstream.reply)]


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_an_event_that_is_not_json_is_relayed_and_not_stored(relayed: Caller, path: str) -> None:
    answer = relayed.post(path, asking(DOG, "tokens=40+garble=9", stream=True, path=path))
    assert b'{"cut": [' in answer.content
    relayed.settle()
    reply = relayed.kept()[1]
    assert reply["text"].startswith("word0 word1")
    assert reply["text"].endswith("word39")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("script", ["html", "garbled", "html+gzip", "500+gzip"])
def test_responses_that_are_not_replies_are_relayed_unchanged(
    ana: Caller, script: str, path: str, stream: bool
) -> None:
    body = asking(DOG, script, stream=stream, path=path)
    straight = ana.server.http.post(ana.upstream.root + path, json=body)
    answer = ana.post(path, body)
    assert (answer.status_code, answer.content) == (straight.status_code, straight.content)
    assert answer.headers["content-type"] == straight.headers["content-type"]
    ana.settle()
    assert ana.said() == [("user", DOG)]


def test_a_late_answer(relayed: Caller) -> None:
    with relayed.openai().chat.completions.create(
        model="late=0.3+slow=0.3", messages=[user(DOG)], stream=True
    ) as stream:
        assert "".join(piece.choices[0].delta.content or "" for piece in stream) == relayed.upstream.reply
    relayed.keeps(2)


# The client.


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_a_client_that_disconnects_within_a_stream(relayed: Caller, path: str) -> None:
    body = asking(DOG, "tokens=4000+rate=100", stream=True, path=path)
    got = b""
    with relayed.server.http.stream("POST", path, json=body, headers=relayed.headers) as answer:
        for piece in answer.iter_raw():
            got += piece
            if b"word7" in got:
                break
    asked = relayed.last
    assert asked.ended.wait(PATIENCE)
    assert asked.outcome == "gone"
    said, reply = relayed.keeps(2)
    assert said["text"] == DOG
    assert reply["metadata"] == {"broken_off": True}
    assert reply["text"].startswith("word0 word1 word2 word3 word4 word5 word6 word7")
    # The client sends the message again: the turn gets another reply.
    answer = relayed.post(path, asking(DOG, "text=Shorter.", path=path))
    relayed.settle()
    assert answer.status_code == 200
    assert relayed.said()[-1] == ("assistant", "Shorter.")


def test_clients_that_disconnect_before_the_end_mark(relayed: Caller) -> None:
    body = asking(DOG, "tokens=5", stream=True)

    def ask(_: int) -> None:
        got = b""
        with relayed.server.http.stream("POST", CHAT, json=body, headers=relayed.headers) as answer:
            for piece in answer.iter_raw():
                got += piece
                if b'"finish_reason": "stop"' in got:
                    break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(40)))
    kept = relayed.keeps(80)
    assert sum(e["text"] == "word0 word1 word2 word3 word4" for e in kept) == 40
    assert not any(e["metadata"] for e in kept)


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_a_client_that_disconnects_before_the_response(relayed: Caller, path: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        relayed.server.http.post(path, json=asking(DOG, "late=600", path=path), headers=relayed.headers, timeout=0.3)
    asked = relayed.last
    assert asked.ended.wait(PATIENCE)
    assert asked.outcome == "gone"
    if path == CHAT:
        wait_until(lambda: relayed.said() == [("user", DOG)], "the user's turn")


def test_a_client_that_disconnects_with_two_pipelined_requests(relayed: Caller) -> None:
    host, port = relayed.server.url.removeprefix("http://").split(":")
    asked = len(relayed.upstream.asked)

    def request(script: str) -> bytes:
        body = json.dumps(asking(DOG, script, stream=True)).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nhost: {host}\r\nx-engram: off\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    with socket.create_connection((host, int(port)), PATIENCE) as line:
        # Pipelined: the second request is answered after the first.
        line.sendall(request("text=first") + request("slow=600"))
        wait_until(lambda: len(relayed.upstream.asked) == asked + 2, "the second request")
    assert relayed.last.ended.wait(PATIENCE)
    assert [one.outcome for one in relayed.upstream.asked[asked:]] == ["answered", "gone"]


def test_a_client_that_disconnects_within_its_request(relayed: Caller) -> None:
    asked = len(relayed.upstream.asked)

    def pieces() -> Iterator[bytes]:
        yield b'{"messages": [{"role": "user", '
        raise KeyboardInterrupt

    for path in (CHAT, MESSAGES):
        with suppress(KeyboardInterrupt):
            relayed.server.http.post(path, content=pieces(), headers=relayed.headers)
    assert relayed.chat("Next.").status_code == 200
    assert len(relayed.upstream.asked) == asked + 1
    relayed.settle()
    assert len(relayed.kept()) == 2


# The server.


def test_sigterm_lets_streams_finish(server: StartServer, upstream: Upstream) -> None:
    running = server(*PATIENT)
    script = "tokens=120+rate=120"
    words = " ".join(f"word{n}" for n in range(120))
    with Caller(running, upstream) as ana, ThreadPoolExecutor(3) as pool:

        def stream(number: int) -> str:
            client = ana.openai()
            text = ""
            with client.chat.completions.create(
                model=script, messages=[user(f"Fact {number}.")], stream=True
            ) as pieces:
                for piece in pieces:
                    text += piece.choices[0].delta.content or ""
            return text

        streams = [pool.submit(stream, number) for number in range(3)]
        wait_until(lambda: len(upstream.asked) == 3, "three streams")
        running.terminate()
        wait_until(lambda: refuses(running.url), "a server that accepts no more connections")
        assert running.process.poll() is None
        assert [one.result(PATIENCE) for one in streams] == [words] * 3
        assert running.stop() == 0
        assert running.logged("stopped")
        with Memory(running.memory) as memory:
            kept = list(memory.engrams(namespace=ana.namespace))
    assert sorted(e.text for e in kept if e.role == "user") == [f"Fact {number}." for number in range(3)]
    assert [e.text for e in kept if e.role == "assistant"] == [words] * 3
    assert not any(e.metadata for e in kept)


def refuses(url: str) -> bool:
    """Return whether `url` refuses connections."""
    try:
        httpx.get(url + "/healthz", trust_env=False, timeout=1)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def test_sigterm_writes_pending_turns(server: StartServer, upstream: Upstream) -> None:
    running = server("--deadline", "150")
    with Caller(running, upstream) as ana:
        with locked(running.memory):
            assert ana.chat(DOG).status_code == 200
            running.terminate()
        assert running.stop() == 0
        with Memory(running.memory) as memory:
            assert [e.text for e in memory.engrams(namespace=ana.namespace)] == [DOG, upstream.reply]


def test_a_killed_server_has_stored_every_answered_turn(server: StartServer, upstream: Upstream) -> None:
    running = server(*PATIENT)
    answered: list[int] = []
    with Caller(running, upstream) as ana, ThreadPoolExecutor(6) as pool:
        client = ana.openai()

        def ask(number: int) -> None:
            messages: Any = [user(f"Fact number {number}.")]
            script = f"text=Reply_{number}."
            with suppress(openai.APIConnectionError, httpx.HTTPError):
                if number % 2:
                    client.chat.completions.create(model=script, messages=messages)
                else:
                    given = client.chat.completions.create(model=script, messages=messages, stream=True)
                    assert any(piece.choices[0].finish_reason for piece in list(given))
                answered.append(number)

        asked = [pool.submit(ask, number) for number in range(400)]
        wait_until(lambda: len(answered) >= 60, "sixty replies")
        running.kill()
        for one in asked:
            one.cancel()
        for one in asked:
            if not one.cancelled():
                one.result(PATIENCE)
        # Restart with the same file.
        again = server(*PATIENT, memory=running.memory)
        kept = Caller(again, upstream, ana.namespace).kept()
    said = {e["text"] for e in kept}
    missing = [n for n in answered if not {f"Fact number {n}.", f"Reply {n}."} <= said]
    assert len(answered) >= 60
    assert missing == []
    # Nothing is stored twice.
    assert len(said) == len(kept)


def test_the_log_holds_no_text_of_failed_requests(local: StartLocal, upstream: Upstream) -> None:
    running = local()
    with Caller(running, upstream) as ana:
        ana.chat("Pomegranate one.")
        ana.post(CHAT, b'{"messages": [{"role": "user", "content": "Pomegranate')
        ana.post(CHAT, asking("Pomegranate two.", "reset=1"))
        ana.chat("Pomegranate three.", "text=Pomegranate_four.")
        ana.settle()
    running.stop()
    assert len(running.logged("request")) >= 4
    assert not any("omegranate" in line for line in running.said)
    assert all(json.loads(line) for line in running.said)
