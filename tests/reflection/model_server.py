"""A scripted language model behind a real HTTP server, for tests of reflection.

It answers chat completions with what a function makes of the sentences in the prompt, or as a test prepares it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engram.reflection.proposals.prompt import CLOSE, OPEN

Json = dict[str, Any]
Script = Callable[[list[Json], list[Json]], object]
"""Makes a reply of the sentences of the session and the earlier ones."""

NOTHING: Json = {"slots": [], "links": [], "title": None}


def silent(session: list[Json], earlier: list[Json]) -> Json:
    """Propose nothing."""
    return NOTHING


class ModelServer(ThreadingHTTPServer):
    """The server. A context manager; `url` names it."""

    daemon_threads = True

    def __init__(self, script: Script = silent) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.status = 200
        self.raw: bytes | None = None
        """The body of every response; None: a reply by the script."""
        self.usage: Json | None = {"prompt_tokens": 700, "completion_tokens": 50}
        self.refuses_formats = False
        """Whether a request with a response format gets status 400."""
        self.released = threading.Event()
        """Responses wait until this is set, for 20 seconds at most."""
        self.released.set()
        self.asked: list[Json] = []
        """The bodies of the requests."""
        self.keys: list[str | None] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def spec(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1#scripted"

    @property
    def base(self) -> str:
        return self.spec.partition("#")[0]

    def prompt(self, number: int = -1) -> Json:
        """Return the sentences that a request showed."""
        return sentences(self.asked[number])

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


def sentences(request: Json) -> Json:
    """Return the sentences in a request."""
    text = request["messages"][-1]["content"]
    found: Json = json.loads(text.removeprefix(OPEN).removesuffix(CLOSE))
    return found


class Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.keys.append(self.headers["authorization"])
        self.server.released.wait(20)
        status, sent = self.response(body)
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)
        except ConnectionError:
            pass
        self.close_connection = True

    def response(self, body: Json) -> tuple[int, bytes]:
        if self.server.refuses_formats and "response_format" in body:
            return 400, b'{"error": {"message": "response_format is not supported"}}'
        if self.server.status != 200:
            return self.server.status, b'{"error": {"message": "as scripted"}}'
        if self.server.raw is not None:
            return 200, self.server.raw
        shown = sentences(body)
        reply = self.server.script(shown["session"], shown["earlier"])
        text = reply if isinstance(reply, str) else json.dumps(reply)
        message = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {} if self.server.usage is None else {"usage": self.server.usage}
        return 200, json.dumps({"choices": [message], **usage}).encode()

    def log_message(self, *args: object) -> None:
        pass
