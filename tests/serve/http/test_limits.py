"""What is refused before a request is understood. Real connections to a real uvicorn."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn

from engram.errors import EngramError
from engram.serve.http import connection, limits
from engram.serve.settings import Settings

PATIENCE = 30.0
ROOM = 8 << 20


async def application(scope, receive, send):
    """Reads the body, unless told not to, and answers with its size; /large answers with more than fits anywhere."""
    if scope["type"] == "lifespan":
        return
    size = 0
    while scope["path"] != "/unread":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/large":
        for _ in range(ROOM >> 16):
            await send({"type": "http.response.body", "body": b"x" * (1 << 16), "more_body": True})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Served:
    def __init__(self, app, loop: str = "auto", **options) -> None:
        self.settings = Settings(memory="", **options)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            limits.guarded(app, self.settings),
            http=connection.http_protocol(self.settings, direct=False),
            ws="none",
            loop=loop,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        self.listener.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def said(self, sent: bytes) -> tuple[int, dict]:
        """Send bytes; the status of the answer, and the error in it."""
        with self.connect() as line:
            # Who refuses may hang up while it is still being sent.
            with contextlib.suppress(ConnectionError):
                line.sendall(sent)
            return parsed(until_closed(line, enough=b"}}"))


def until_closed(line: socket.socket, enough: bytes | None = None) -> bytes:
    """All that comes; fails after a while if the connection is not closed."""
    came = b""
    while enough is None or enough not in came:
        piece = line.recv(1 << 16)
        if not piece:
            break
        came += piece
    return came


def parsed(answer: bytes) -> tuple[int, dict]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


def request(host: str | None = "localhost", *headers: str, method: str = "GET", path: str = "/") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.fixture
def served() -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def start(app=application, **options) -> Served:
            one = Served(app, **options)
            stack.callback(one.stop)
            return one

        yield start


# The address.


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"])
def test_the_loopback_interface_needs_no_keys(host: str):
    limits.check_bind(Settings(memory="", host=host), has_keys=False)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "localhost.evil.com", "2001:db8::1"]
)
def test_other_addresses_need_keys(host: str):
    with pytest.raises(EngramError, match="engram keys create"):
        limits.check_bind(Settings(memory="", host=host), has_keys=False)
    limits.check_bind(Settings(memory="", host=host), has_keys=True)


# The name.


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:8100", "localhost"),
        ("127.0.0.1:8100", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8100", "::1"),
        ("[0:0:0:0:0:0:0:1]:1", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("my-host_1.local:", "my-host_1.local"),
        ("", None),
        ("::1", None),
        ("[::1", None),
        ("[localhost]", None),
        ("localhost:80:90", None),
        ("localhost:port", None),
        ("localhost:\u0661", None),
        ("a b", None),
        ("user@localhost", None),
        ("localhost, evil.com", None),
        ("localhost/x", None),
        ("ex\u00e4mple.com", None),
    ],
)
def test_host_headers_are_parsed(header: str, name: str | None):
    assert limits.host_of(header) == name


def test_only_the_servers_names_are_accepted(served):
    server = served(allowed_hosts=("memory.local",))
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:1", "memory.local", "MEMORY.local.:80"):
        with server.connect() as line:
            line.sendall(request(host, "Connection: close"))
            assert until_closed(line).startswith(b"HTTP/1.1 200")
    for host in ("evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "0.0.0.0", "10.0.0.1", "[::2]"):
        status, error = server.said(request(host))
        assert (status, error["code"]) == (421, "host_not_allowed")
    for sent in (request(None), request("a b"), request("localhost", "Host: localhost"), request("")):
        status, error = server.said(sent)
        assert (status, error["code"]) == (400, "invalid_host")


def test_other_servers_names():
    assert limits.allowed_hosts(Settings(memory="", host="192.168.1.5")) >= {"192.168.1.5", "localhost"}
    for host, named, other in (
        ("0.0.0.0", "10.1.2.3", "evil.com"),
        ("::", "2001:db8::1", "evil.com"),
        ("127.0.0.1", "127.0.0.1", "10.1.2.3"),
    ):
        check = limits.HostCheck(application, limits.allowed_hosts(Settings(memory="", host=host)))
        assert check._allows_host(named)
        assert not check._allows_host(other)
    assert limits.HostCheck(application, limits.allowed_hosts(Settings(memory="", allowed_hosts=("*",))))._allows_host(
        "any.com"
    )


def test_anthropics_form_for_its_clients(served):
    status, error = served().said(request("evil.com", method="POST", path="/v1/messages"))
    assert (status, set(error)) == (421, {"type", "message"})


# The page.


def test_pages_of_other_origins_may_not_call(served):
    server = served()
    own = f"http://127.0.0.1:{server.port}"
    for origin in (own, "app://desktop", "vscode-webview://abc", "file://"):
        assert httpx.post(server.url, headers={"Origin": origin}, content=b"x").text == "1"
    for origin in ("https://evil.com", "http://localhost:3000", "null", "", "http://127.0.0.1", "HTTPS://evil.com"):
        answer = httpx.post(server.url, headers={"Origin": origin}, content=b"x")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
        assert "access-control-allow-origin" not in answer.headers


def test_pages_of_allowed_origins_may_call(served):
    server = served(cors_origins=("https://chat.example.com",))
    asked = {"Origin": "https://chat.example.com"}
    assert httpx.get(server.url, headers=asked).headers["access-control-allow-origin"] == "https://chat.example.com"
    preflight = httpx.options(
        server.url,
        headers=asked | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-engram-key"},
    )
    assert preflight.status_code == 200
    assert "x-engram-key" in preflight.headers["access-control-allow-headers"]
    assert httpx.get(server.url, headers={"Origin": "https://evil.com"}).status_code == 403
    too_large = httpx.post(server.url, headers=asked, content=b"x" * (server.settings.most_body + 1))
    assert too_large.headers["access-control-allow-origin"] == "https://chat.example.com"


# The body.


def in_pieces(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def test_a_body_has_a_limit(served):
    server = served(most_body=100_000)
    assert httpx.post(server.url, content=b"x" * 100_000).text == "100000"
    assert httpx.post(server.url, content=in_pieces(b"x" * 60_000, b"x" * 40_000)).text == "100000"
    for content in (b"x" * 100_001, b"x" * 5_000_000, in_pieces(*[b"x" * 60_000] * 50)):
        answer = httpx.post(server.url, content=content, timeout=PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        assert "100,000 bytes" in answer.json()["error"]["message"]
    with httpx.Client() as client:
        assert client.post(server.url, content=b"x" * 100_001).status_code == 413
        assert client.post(server.url, content=b"x").text == "1"


def test_a_declared_length_is_checked_at_once(served):
    status, _ = served().said(request("localhost", f"Content-Length: {1 << 40}", method="POST"))
    assert status == 413


def test_a_refused_body_replaces_the_applications_response(served):
    async def forgiving(scope, receive, send):
        with contextlib.suppress(Exception):
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"could not read that"})

    async def silent(scope, receive, send):
        with contextlib.suppress(Exception):
            await application(scope, receive, send)

    async def mistaken(scope, receive, send):
        try:
            await application(scope, receive, send)
        except Exception as error:
            raise ValueError("could not read that") from error

    for app in (application, forgiving, silent, mistaken):
        answer = httpx.post(served(app, most_body=10).url, content=in_pieces(b"x" * 6, b"x" * 6))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_stalled_body_is_refused(served):
    server = served(body_seconds=0.3)
    for sent in (
        request("localhost", "Content-Length: 10", method="POST"),
        request("localhost", "Content-Length: 10", method="POST") + b"12345",
        request("localhost", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n",
    ):
        status, error = server.said(sent)
        assert (status, error["code"]) == (408, "body_timeout")


def test_a_body_that_comes_slowly_is_read(served):
    server = served(body_seconds=5.0)

    def slowly() -> Iterator[bytes]:
        for _ in range(4):
            time.sleep(0.1)
            yield b"x"

    assert httpx.post(server.url, content=slowly(), timeout=PATIENCE).text == "4"


# The headers.


def test_incomplete_headers_time_out(served):
    server = served(header_seconds=0.4)
    for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"):
        with server.connect() as line:
            line.sendall(sent)
            assert until_closed(line) == b""


def test_slowly_sent_headers_time_out(served):
    server = served(header_seconds=0.5)
    with server.connect() as line:
        line.sendall(b"GET / HTTP/1.1\r\n")
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                line.sendall(b"a: b\r\n")
                if select.select([line], [], [], 0.05)[0]:
                    assert line.recv(1) == b""
                    break
        assert time.monotonic() < deadline


def test_the_header_timeout_applies_to_each_request(served):
    server = served(header_seconds=0.4)
    with server.connect() as line:
        for _ in range(2):
            line.sendall(request())
            assert until_closed(line, enough=b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
        line.sendall(b"GET / HT")
        assert until_closed(line) == b""


def test_an_unread_body_does_not_keep_the_connection_open(served):
    server = served(header_seconds=0.4)
    with server.connect() as line:
        line.sendall(request("localhost", "Content-Length: 1000000", method="POST", path="/unread"))
        assert until_closed(line, enough=b"0\r\n\r\n").startswith(b"HTTP/1.1 200")
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                line.sendall(b"x")
                if select.select([line], [], [], 0.05)[0]:
                    assert line.recv(1) == b""
                    break
        assert time.monotonic() < deadline


def test_a_slow_response_is_not_a_slow_request(served):
    async def slow(scope, receive, send):
        import asyncio

        await asyncio.sleep(0.6)
        await application(scope, receive, send)

    assert httpx.get(served(slow, header_seconds=0.2).url, timeout=PATIENCE).status_code == 200


def test_headers_have_a_limit(served):
    server = served()
    room = connection.MAX_HEADERS
    assert httpx.get(server.url, headers={"x": "y" * (room - 1_000)}).status_code == 200
    for sent in (
        request("localhost", "x: " + "y" * room),
        request("localhost", "x: " + "y" * 2_000_000),
        request("localhost", *(f"x{number}: {'y' * 100}" for number in range(1_000))),
        request("localhost", path="/" + "y" * room),
        request("localhost", "x: " + "y" * room)[:-4],
        b"GET /" + b"y" * (room + 1),
    ):
        status, error = server.said(sent)
        assert (status, error["code"]) == (431, "headers_too_large")


def test_trailers_have_a_limit(served):
    server = served()
    begun = request("localhost", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\n"
    for trailer in (b"x: " + b"y" * 200_000, b"x: y\r\n" * 30_000):
        with server.connect() as line:
            with contextlib.suppress(ConnectionError):
                line.sendall(begun + trailer)
                until_closed(line)


def test_malformed_http_is_refused(served):
    server = served()
    for sent in (b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
        status, error = server.said(sent)
        assert (status, error["code"]) == (400, "invalid_http")
    status, error = server.said(request("localhost", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n")
    assert (status, error["code"]) == (400, "invalid_http")


# The answer.


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_does_not_read_is_disconnected(served, loop: str):
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed: pip install 'engram-layer[serve]'")
    server = served(loop=loop, send_seconds=0.4)
    with server.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(request(path="/large"))
        wait_for(lambda: server.server.server_state.connections)
        wait_for(lambda: not server.server.server_state.connections)
        # What the client had not read is lost to it.
        with pytest.raises(ConnectionError):
            until_closed(line)


def test_a_client_that_reads_slowly_is_not_disconnected(served):
    server = served(send_seconds=PATIENCE)
    with server.connect() as line:
        line.sendall(request("localhost", "Connection: close", path="/large"))
        time.sleep(0.5)
        assert len(until_closed(line)) > ROOM


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
