import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

pytest.importorskip("httpx", reason="httpx is not installed: pip install 'engram-layer[chat]'")

from engram.errors import ModelUnavailable
from engram.models import open_model
from engram.models.base import Message
from engram.models.openai import OpenAIModel, key_from_environment

HELLO = [Message("system", "Be brief."), Message("user", "Hello.")]


class Endpoint(ThreadingHTTPServer):
    """A real server on a loopback port that sends the response that a test prepared."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.type = "text/event-stream"
        self.body = b""
        self.promised: int | None = None
        self.requests: list[tuple[str, str | None, dict[str, object]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def streams(self, *events: object, end: str = "data: [DONE]\n\n") -> None:
        self.body = ("".join(f"data: {json.dumps(event)}\n\n" for event in events) + end).encode()


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, self.headers["authorization"], body))
        self.send_response(self.server.status)
        self.send_header("content-type", self.server.type)
        promised = self.server.promised
        self.send_header("content-length", str(len(self.server.body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(self.server.body)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model(endpoint: Endpoint) -> Iterator[OpenAIModel]:
    model = OpenAIModel(endpoint.url, "tiny", key="secret", use_proxy=False)
    yield model
    model.close()


def piece(text: str | None, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def test_a_reply_is_yielded_in_pieces(endpoint: Endpoint, model: OpenAIModel):
    endpoint.streams({"choices": [{"delta": {"role": "assistant"}}]}, piece("Hel"), piece("lo."), {"choices": []})
    assert list(model.reply(HELLO, max_tokens=9, temperature=0.5, stop=["\n"])) == ["Hel", "lo."]
    path, key, body = endpoint.requests[0]
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["\n"],
    }


def test_settings_that_are_not_given_are_not_sent(endpoint: Endpoint, model: OpenAIModel):
    endpoint.streams(piece("x"))
    list(model.reply(HELLO))
    assert endpoint.requests[0][2].keys() == {"model", "messages", "stream"}


def test_comments_empty_lines_and_other_fields_are_skipped(endpoint: Endpoint, model: OpenAIModel):
    endpoint.body = b": ping\r\n\r\nevent: message\r\ndata:" + json.dumps(piece("ok", "stop")).encode() + b"\r\n\r\n"
    assert list(model.reply(HELLO)) == ["ok"]


def test_unicode_line_separators_do_not_end_an_event(endpoint: Endpoint, model: OpenAIModel):
    data = json.dumps(piece("a\u2028b\x85c", "stop"), ensure_ascii=False)
    endpoint.body = f"data: {data}\n\n".encode()
    assert list(model.reply(HELLO)) == ["a\u2028b\x85c"]


def test_a_reply_without_streaming_is_one_piece(endpoint: Endpoint, model: OpenAIModel):
    endpoint.type = "application/json"
    endpoint.body = b'{"choices": [{"message": {"role": "assistant", "content": "All at once."}}]}'
    assert list(model.reply(HELLO)) == ["All at once."]


def test_closing_the_reply_closes_the_connection(endpoint: Endpoint, model: OpenAIModel):
    endpoint.streams(*[piece("word ")] * 1000)
    pieces = model.reply(HELLO)
    assert next(pieces) == "word "
    pieces.close()
    endpoint.streams(piece("again"))
    assert list(model.reply(HELLO)) == ["again"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "not accepted"),
        (401, "ENGRAM_MODEL_KEY"),
        (404, "/v1"),
        (429, "quota"),
        (500, "try again later"),
        (503, "try again later"),
    ],
)
def test_a_refusal_names_endpoint_status_and_next_step(
    endpoint: Endpoint, model: OpenAIModel, status: int, advice: str
):
    endpoint.status, endpoint.type = status, "application/json"
    endpoint.body = b'{"error": {"message": "no\\n such thing"}}'
    with pytest.raises(ModelUnavailable) as caught:
        list(model.reply(HELLO))
    message = str(caught.value)
    assert endpoint.url in message
    assert f"answered {status}" in message
    assert "(no such thing)" in message
    assert advice in message
    assert "secret" not in message


def test_an_html_refusal_is_shortened(endpoint: Endpoint, model: OpenAIModel):
    endpoint.status, endpoint.type, endpoint.body = 502, "text/html", b"<h1>Bad gateway</h1>" * 100
    with pytest.raises(ModelUnavailable, match=r"answered 502 .*Bad gateway") as caught:
        list(model.reply(HELLO))
    assert len(str(caught.value)) < 400


def test_a_response_that_is_not_json_raises(endpoint: Endpoint, model: OpenAIModel):
    endpoint.type, endpoint.body = "text/html", b"<html>Welcome!</html>"
    with pytest.raises(ModelUnavailable, match=r"not JSON .*Welcome.* usually ends in /v1"):
        list(model.reply(HELLO))


def test_an_event_that_is_not_json_raises(endpoint: Endpoint, model: OpenAIModel):
    endpoint.body = b"data: {oops\n\n"
    with pytest.raises(ModelUnavailable, match="not JSON"):
        list(model.reply(HELLO))


def test_a_response_without_a_reply_raises(endpoint: Endpoint, model: OpenAIModel):
    endpoint.type, endpoint.body = "application/json", b'{"choices": []}'
    with pytest.raises(ModelUnavailable, match="without a reply"):
        list(model.reply(HELLO))


@pytest.mark.parametrize("promised", [None, 100_000])
def test_a_broken_stream_yields_its_pieces_and_then_raises(
    endpoint: Endpoint, model: OpenAIModel, promised: int | None
):
    endpoint.streams(piece("Half a"), end="")
    endpoint.promised = promised
    pieces = model.reply(HELLO)
    assert next(pieces) == "Half a"
    with pytest.raises(ModelUnavailable, match="broke off"):
        next(pieces)


def test_an_error_event_in_a_stream_raises(endpoint: Endpoint, model: OpenAIModel):
    endpoint.streams(piece("Half a"), {"error": {"message": "overloaded"}})
    pieces = model.reply(HELLO)
    assert next(pieces) == "Half a"
    with pytest.raises(ModelUnavailable, match=r"broke off its reply \(overloaded\)"):
        next(pieces)


def test_a_port_without_a_listener_raises():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model = OpenAIModel(url, "tiny", use_proxy=False)
    with pytest.raises(ModelUnavailable, match="nothing answers at"):
        list(model.reply(HELLO))
    model.close()


def test_a_silent_endpoint_raises_after_the_timeout():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        model = OpenAIModel(
            f"http://127.0.0.1:{silent.getsockname()[1]}/v1", "tiny", wait_seconds=0.05, use_proxy=False
        )
        with pytest.raises(ModelUnavailable, match="did not answer in time"):
            list(model.reply(HELLO))
        model.close()


def test_count_tokens_is_an_upper_estimate(model: OpenAIModel):
    assert model.count_tokens("") == 1
    assert model.count_tokens("The quick brown fox jumps over the lazy dog.") >= 10
    assert model.count_tokens("\ud800 text") > 1


def test_the_openai_key_is_sent_to_openai_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ENGRAM_MODEL_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert key_from_environment("https://api.openai.com/v1") == "theirs"
    assert key_from_environment("https://example.com/openai.com/v1") is None
    assert key_from_environment("https://notopenai.com/v1") is None
    monkeypatch.setenv("ENGRAM_MODEL_KEY", "mine")
    assert key_from_environment("https://api.openai.com/v1") == "mine"
    assert key_from_environment("http://localhost:8080/v1") == "mine"


def test_open_model_reads_a_url_with_a_model_name(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENGRAM_MODEL_KEY", "mine")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    endpoint.streams(piece("hi"))
    model = open_model(f"{endpoint.url}/#a#b")
    assert (model.name, list(model.reply(HELLO))) == ("a#b", ["hi"])
    model.close()
    assert endpoint.requests[0][:2] == ("/v1/chat/completions", "Bearer mine")


@pytest.mark.parametrize("spec", ["gpt-4", "", "http://localhost/v1", "ftp://x/y#z", "https://x/v1#"])
def test_open_model_rejects_a_spec_that_names_no_model(spec: str):
    with pytest.raises(ModelUnavailable, match="names no model"):
        open_model(spec)
