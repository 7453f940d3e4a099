"""A caller of the proxy: the real clients in a namespace of their own, what they sent, and what is kept of it."""

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

from .conftest import PATIENCE, Server, wait_until
from .upstream import Asked, Upstream

KEY = "sk-caller"
PATIENT = ("--deadline", "20000")
"""A busy machine must not decide what a test sees of memory."""

NUMBERED = re.compile(rb"\b(chatcmpl-|msg_|resp_|call_|toolu_|fc_)\d+")

Json = dict[str, Any]


@contextmanager
def running(folder: Path, *options: str, **environment: str) -> Iterator[tuple[Server, Upstream]]:
    """A server that is patient with its memory, and the scripted model behind it."""
    with Upstream() as upstream:
        server = Server(folder / "memory.db", upstream.url, *PATIENT, *options, **environment)
        try:
            yield server, upstream
        finally:
            server.close()


class Caller:
    """Somebody with a namespace of their own."""

    def __init__(self, server: Server, upstream: Upstream, namespace: str | None = None) -> None:
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
        """What says whose memory it is."""
        return {"X-Engram-Namespace": self.namespace}

    @property
    def answer(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        return self.answers[-1]

    # Clients.

    def openai(self, **options: Any) -> openai.OpenAI:
        """The `openai` package's client."""
        http = self._stack.enter_context(httpx.Client(trust_env=False, timeout=PATIENCE, event_hooks=self._hooks()))
        options = {"api_key": KEY, "max_retries": 0, "default_headers": self.headers, **options}
        return openai.OpenAI(base_url=self.server.base, http_client=http, **options)

    def anthropic(self, **options: Any) -> anthropic.Anthropic:
        """The `anthropic` package's client."""
        # It has an HTTP package of its own.
        http = anthropic.DefaultHttpxClient(trust_env=False, timeout=PATIENCE, event_hooks=self._hooks())
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
        """A request without any client's help; in the names of `headers` stands "_" for "-"."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        given = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", **self.headers}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.sent.append(content)
        # As bytes: a name need not be ASCII.
        raw = [(name.encode(), value.encode()) for name, value in given.items()]
        answer = self.server.http.post(path, content=content, headers=raw)
        self.answers.append(answer.headers)
        return answer

    def chat(self, messages: str | Sequence[Json], script: str = "plain", /, **headers: str) -> httpx.Response:
        """One chat completion."""
        return self.post("/v1/chat/completions", {"model": script, "messages": conversation(messages)}, **headers)

    # What became of it.

    @property
    def last(self) -> Asked:
        """The last request, as upstream got it."""
        return self.upstream.last

    def settle(self) -> Json:
        """Wait until what the last answer has a receipt for is written; the receipt."""
        return self.server.settled(self.answer["x-engram-receipt"], **self.headers)

    def kept(self, session: str | None = None) -> list[Json]:
        """The engrams of the namespace."""
        given = {"namespace": self.namespace, "limit": 1000} | ({} if session is None else {"session": session})
        answer = self.server.http.get("/memory/engrams", params=given)
        # A session without an engram is none.
        found: list[Json] = [] if answer.status_code == 404 else answer.json()["engrams"]
        return found

    def said(self, session: str | None = None) -> list[tuple[str, str]]:
        """Their roles and texts."""
        return [(engram["role"], engram["text"]) for engram in self.kept(session)]

    def keeps(self, count: int) -> list[Json]:
        """The engrams, once there are so many."""
        wait_until(lambda: len(self.kept()) >= count, f"{count} engrams")
        kept = self.kept()
        assert len(kept) == count, kept
        return kept

    def sessions(self) -> list[str]:
        """The sessions of the namespace."""
        answer = self.server.http.get("/memory/sessions", params={"namespace": self.namespace})
        return [one["session"] for one in answer.json()["sessions"]]

    def remember(self, *texts: str) -> list[str]:
        """Put something into the memory, as said long ago; the ids."""
        items = [{"text": text, "session": "long ago"} for text in texts]
        answer = self.server.http.post("/memory/remember", json={"namespace": self.namespace, "items": items})
        assert answer.status_code == 201, answer.text
        return [engram["id"] for engram in answer.json()["engrams"]]


def conversation(messages: str | Sequence[Json]) -> list[Json]:
    """Messages, or one of the user."""
    return [user(messages)] if isinstance(messages, str) else list(messages)


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(content: Any) -> Json:
    return {"role": "assistant", "content": content}


def note_of(text: str, own: str) -> str:
    """The notes in front of the user's own words in `text`."""
    assert text.endswith(own), text
    note = text[: len(text) - len(own)]
    assert note.startswith(OPEN + "\n"), text
    assert note.endswith(CLOSE + "\n\n"), text
    assert note.count(OPEN) == note.count(CLOSE) == 1
    return note


def without(body: bytes, inserted: str) -> bytes:
    """`body` without something that stands in it once."""
    assert body.count(inserted.encode()) == 1, body
    return body.replace(inserted.encode(), b"")


def quoted(text: str) -> str:
    """`text` as it stands in a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def unnumbered(body: bytes) -> bytes:
    """An answer without the numbers by which the scripted model tells its replies apart."""
    return NUMBERED.sub(rb"\1", body)


def recalled(headers: Mapping[str, str]) -> list[str]:
    """The ids of what was recalled."""
    return [id for id in headers["x-engram-recalled"].split(",") if id]
