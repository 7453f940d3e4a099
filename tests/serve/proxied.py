"""A caller of the proxy: the real clients in one new namespace, what they sent, and what memory stored."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai

from engram.notes.injection import CLOSE, OPEN

from .conftest import PATIENCE, TLS, LocalServer, wait_until
from .upstream import Asked, Upstream

KEY = "sk-caller"
PATIENT = ("--deadline", "20000")
"""For server processes: a busy machine must not decide what a test sees of memory."""

NUMBERED = re.compile(rb"\b(chatcmpl-|msg_|resp_|call_|toolu_|fc_)\d+")

Json = dict[str, Any]


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[tuple[LocalServer, Upstream]]:
    """Run a server in this process with a scripted model as upstream. options: of `Settings`."""
    folder.mkdir(exist_ok=True)
    with Upstream() as upstream:
        server = LocalServer(folder / "memory.db", upstream.url, **options)
        try:
            yield server, upstream
        finally:
            server.close()


class Caller:
    """A client that uses one new namespace."""

    def __init__(self, server: Any, upstream: Upstream, namespace: str | None = None) -> None:
        self.server, self.upstream = server, upstream
        self.namespace = namespace or f"ns-{uuid.uuid4().hex[:12]}"
        self.sent: list[bytes] = []
        """The bodies of the clients' requests."""
        self.answers: list[Mapping[str, str]] = []
        """The headers of the answers to them."""
        self._stack = ExitStack()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that name the namespace."""
        return {"X-Engram-Namespace": self.namespace}

    @property
    def answer(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        return self.answers[-1]

    # Clients.

    def openai(self, **options: Any) -> openai.OpenAI:
        """The `openai` package's client."""
        http = self._stack.enter_context(
            httpx.Client(trust_env=False, timeout=PATIENCE, verify=TLS, event_hooks=self._hooks())
        )
        options = {"api_key": KEY, "max_retries": 0, "default_headers": self.headers, **options}
        return openai.OpenAI(base_url=self.server.base, http_client=http, **options)

    def anthropic(self, **options: Any) -> anthropic.Anthropic:
        """The `anthropic` package's client."""
        # The package bundles its own HTTP client.
        http = anthropic.DefaultHttpxClient(trust_env=False, timeout=PATIENCE, verify=TLS, event_hooks=self._hooks())
        self._stack.enter_context(http)
        options = {"api_key": KEY, "max_retries": 0, "default_headers": self.headers, **options}
        return anthropic.Anthropic(base_url=self.server.url, http_client=http, **options)

    def _hooks(self) -> dict[str, list[Callable[..., Any]]]:
        def sent(request: Any) -> None:
            self.sent.append(request.read())

        def answered(response: Any) -> None:
            self.answers.append(response.headers)

        return {"request": [sent], "response": [answered]}

    def post(self, path: str, body: bytes | Json, **headers: str) -> httpx.Response:
        """Send a request without a client library; "_" in the names of `headers` means "-"."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", **self.headers}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.sent.append(content)
        # As bytes: a namespace need not be ASCII.
        raw = [(name.encode(), value.encode()) for name, value in given.items()]
        answer = self.server.http.post(path, content=content, headers=raw)
        self.answers.append(answer.headers)
        return answer

    def chat(self, messages: str | Sequence[Json], script: str = "plain", /, **headers: str) -> httpx.Response:
        """Send one chat completion."""
        return self.post("/v1/chat/completions", {"model": script, "messages": conversation(messages)}, **headers)

    # What memory stored.

    @property
    def last(self) -> Asked:
        """The last request, as upstream received it."""
        return self.upstream.last

    def settle(self) -> Json:
        """Wait until the write of the last answer is done; return its receipt."""
        return self.server.settled(self.answer["x-engram-receipt"], **self.headers)

    def kept(self, session: str | None = None) -> list[Json]:
        """Return the engrams of the namespace, or of one of its sessions."""
        given = {"namespace": self.namespace, "limit": 1000} | ({} if session is None else {"session": session})
        answer = self.server.http.get("/memory/engrams", params=given)
        # A session without engrams does not exist.
        found: list[Json] = [] if answer.status_code == 404 else answer.json()["engrams"]
        return found

    def said(self, session: str | None = None) -> list[tuple[str, str]]:
        """Return their roles and texts."""
        return [(engram["role"], engram["text"]) for engram in self.kept(session)]

    def keeps(self, count: int) -> list[Json]:
        """Wait until there are `count` engrams; return them."""
        wait_until(lambda: len(self.kept()) >= count, f"{count} engrams")
        kept = self.kept()
        assert len(kept) == count, kept
        return kept

    def sessions(self) -> list[str]:
        """Return the sessions of the namespace."""
        answer = self.server.http.get("/memory/sessions", params={"namespace": self.namespace})
        return [one["session"] for one in answer.json()["sessions"]]

    def remember(self, *texts: str) -> list[str]:
        """Store texts in an older session; return their ids."""
        items = [{"text": text, "session": "long ago"} for text in texts]
        answer = self.server.http.post("/memory/remember", json={"namespace": self.namespace, "items": items})
        assert answer.status_code == 201, answer.text
        return [engram["id"] for engram in answer.json()["engrams"]]


def conversation(messages: str | Sequence[Json]) -> list[Json]:
    """Return messages; a text becomes one message of the user."""
    return [user(messages)] if isinstance(messages, str) else list(messages)


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(content: Any) -> Json:
    return {"role": "assistant", "content": content}


def note_of(text: str, own: str) -> str:
    """Return the notes in front of the user's words in `text`."""
    assert text.endswith(own), text
    note = text[: len(text) - len(own)]
    assert note.startswith(OPEN + "\n"), text
    assert note.endswith(CLOSE + "\n\n"), text
    assert note.count(OPEN) == note.count(CLOSE) == 1
    return note


def without(body: bytes, inserted: str) -> bytes:
    """Return `body` without `inserted`, which it must hold once."""
    assert body.count(inserted.encode()) == 1, body
    return body.replace(inserted.encode(), b"")


def quoted(text: str) -> str:
    """Return `text` as inside a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def unnumbered(body: bytes) -> bytes:
    """Return an answer without the numbers that the scripted model gives its replies."""
    return NUMBERED.sub(rb"\1", body)


def recalled(headers: Mapping[str, str]) -> list[str]:
    """Return the ids of the recalled engrams."""
    return [id for id in headers["x-engram-recalled"].split(",") if id]
