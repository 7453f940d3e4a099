"""Concurrent clients of a chat API in a separate process: `python -m bench.load TASK ARGUMENTS`.

Owns the requests and their timing. It parses HTTP itself, because an HTTP client package would use more CPU time than
the server under test. The same client sends requests directly upstream and through Engram. Prints one JSON object, as
`bench.worker` does.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic_core import from_json

from bench.upstream import END, RECORDED_PATH, pace
from bench.worker import Result, report_progress
from engram.text.sse import read_events

Json = dict[str, Any]

DIRECT, PROXIED = "direct", "proxied"
"""The routes of a request: directly upstream, and through Engram."""
PATH = "/v1/chat/completions"
CONTINUED_SHARE = 0.25
"""The share of requests that continue the previous conversation."""
MAX_MESSAGES = 12
"""Messages after which a conversation is not continued."""
UNDER_LOAD = "under load"
"""What `until_killed` reports when the first reply has ended."""
TIMEOUT = 60.0
"""Timeout of one request, in seconds."""
REQUESTS_PER_CONNECTION = 50
"""Requests per connection in the task `many`."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEADER = re.compile(rb"\r\n(x-engram-[a-z]+): *([^\r]*)", re.IGNORECASE)
_EVENT = b"data: "


class LoadFailed(Exception):
    """The server sent an answer that cannot be measured, or survived its kill."""


class Answer(NamedTuple):
    """A reply with its timing; times are seconds of the event loop's clock."""

    status: int
    memory: Mapping[str, str]
    """The `x-engram-` headers; their names without the prefix."""
    text: str
    tokens: int
    sent: float
    first: float
    """Time of the first event."""
    ended: float


class Connection(asyncio.Protocol):
    """An HTTP connection that serves one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._head_size = -1
        self._length: int | None = None
        self._first = 0.0
        self._done: asyncio.Future[float] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in progress."""
        self.lost = True
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(str(exc or "closed")))

    def data_received(self, data: bytes) -> None:
        """Append data to the answer; complete the request at the end of the answer."""
        received = self._received
        received += data
        if self._head_size < 0:
            self._head_size = received.find(b"\r\n\r\n")
            if self._head_size < 0:
                return
            length = _LENGTH.search(received, 0, self._head_size)
            self._length = int(length[1]) if length else None
        if not self._first and received.find(_EVENT, self._head_size) >= 0:
            self._first = self._loop.time()
        if self._length is not None:
            complete = len(received) >= self._head_size + 4 + self._length
        else:
            complete = received.endswith(END)
        if complete and self._done is not None and not self._done.done():
            self._done.set_result(self._loop.time())

    async def send(self, request: bytes) -> tuple[bytes, bytes, float, float, float]:
        """Send a request; returns head and body of the answer, and the times of request, first event and end.

        Raises `ConnectionError` if the connection breaks, `TimeoutError` if the answer takes longer than `TIMEOUT`.
        """
        self._received.clear()
        self._head_size, self._length, self._first = -1, None, 0.0
        self._done = self._loop.create_future()
        sent = self._loop.time()
        if self.lost:
            raise ConnectionError("closed")
        self._transport.write(request)
        ended = await asyncio.wait_for(self._done, TIMEOUT)
        body = bytes(self._received[self._head_size + 4 :])
        return self.head, body if self._length is not None else unchunked(body), sent, self._first or ended, ended

    @property
    def head(self) -> bytes:
        """The head of the answer; empty before it is complete."""
        return bytes(self._received[: self._head_size]) if self._head_size > 0 else b""

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class Client:
    """A client that chats with the model at `url` for a namespace."""

    def __init__(self, url: str, namespace: str, seed: object) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._namespace = namespace
        self._random = random.Random(f"{seed}")  # noqa: S311
        self._connection: Connection | None = None
        self._messages: list[Json] = []

    async def chat(self, text: str, model: str, *, stream: bool = True) -> Answer:
        """Send a message in the previous conversation or in a new one. Raises as `continue_chat`."""
        if len(self._messages) >= MAX_MESSAGES or self._random.random() >= CONTINUED_SHARE:
            self._messages = []
        return await self.continue_chat(text, model, stream=stream)

    async def continue_chat(self, text: str, model: str, *, stream: bool = True) -> Answer:
        """Send a message in the previous conversation. Raises `LoadFailed` on an error, and as `Connection.send`."""
        messages = [*self._messages, {"role": "user", "content": text}]
        # The messages come last, so that the bytes before them are the same in every request.
        answer = await self._post({"model": model, "stream": stream, "messages": messages})
        if answer.status != 200:
            raise LoadFailed(f"status {answer.status}: {answer.text[:300]}")
        self._messages = [*messages, {"role": "assistant", "content": answer.text}]
        return answer

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer to a GET request."""
        head, body, *_ = await (await self._connect()).send(self._request("GET", path, b""))
        return status_of(head), body

    async def _post(self, body: Json) -> Answer:
        request = self._request("POST", PATH, json.dumps(body).encode())
        reused = self._connection is not None
        try:
            head, data, sent, first, ended = await (await self._connect()).send(request)
        except ConnectionError:
            # The server may close an idle connection at the moment at which the client uses it again.
            if not reused or self._connection is None or self._connection.head:
                raise
            self.disconnect()
            head, data, sent, first, ended = await (await self._connect()).send(request)
        status = status_of(head)
        texts = texts_of(data, stream=bool(body["stream"])) if status == 200 else [data.decode("latin-1")]
        return Answer(status, memory_headers(head), "".join(texts), len(texts), sent, first, ended)

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: {self._host}:{self._port}",
            "authorization: Bearer bench",
            f"x-engram-namespace: {self._namespace}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _connect(self) -> Connection:
        if self._connection is None or self._connection.lost:
            _, self._connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return self._connection

    @property
    def receipt(self) -> str:
        """The receipt of the request in progress; empty before the head of its answer arrived."""
        return memory_headers(self._connection.head).get("receipt", "") if self._connection is not None else ""

    def disconnect(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def unchunked(body: bytes) -> bytes:
    """The content of a body in chunked transfer encoding."""
    pieces, start = [], 0
    while (line_end := body.find(b"\r\n", start)) >= 0 and (size := int(body[start:line_end], 16)):
        pieces.append(body[line_end + 2 : line_end + 2 + size])
        start = line_end + 4 + size
    return b"".join(pieces)


def texts_of(body: bytes, *, stream: bool) -> list[str]:
    """The texts of a reply: of a stream, one for each event with text; otherwise the whole text."""
    if not stream:
        return [choice["message"]["content"] for choice in from_json(body)["choices"]]
    events = (from_json(event.data) for event in read_events([body]) if event.data != b"[DONE]")
    deltas = (choice["delta"] for event in events for choice in event["choices"])
    return [delta["content"] for delta in deltas if "content" in delta]


def memory_headers(head: bytes) -> dict[str, str]:
    """The `x-engram-` headers of an answer; their names without the prefix."""
    return {name[9:].decode().lower(): value.decode("latin-1") for name, value in _HEADER.findall(head)}


def status_of(head: bytes) -> int:
    """The status of an answer."""
    return int(head.split(b" ", 2)[1])


class Load(NamedTuple):
    """The inputs of every task."""

    urls: Mapping[str, str]
    """The URLs of upstream (`DIRECT`) and of Engram (`PROXIED`)."""
    namespace: str
    questions: Sequence[str]
    seed: int

    def client(self, route: str, number: int = 0) -> Client:
        """A client; clients with the same number send the same messages on both routes."""
        return Client(self.urls[route], self.namespace, (self.seed, number))

    def question(self, number: int) -> str:
        """The question with this number, modulo their count."""
        return self.questions[number % len(self.questions)]


class Tally:
    """Totals over the replies of one route."""

    def __init__(self) -> None:
        self.first: list[float] = []
        """Milliseconds to the first token."""
        self.recalled = 0
        self.failed = 0
        self.memory: list[float] = []
        """Milliseconds that memory reports per request."""

    def add(self, answer: Answer) -> None:
        """Add an answer."""
        self.first.append((answer.first - answer.sent) * 1000)
        self.recalled += bool(answer.memory.get("recalled"))
        self.failed += "error" in answer.memory
        if "ms" in answer.memory:
            self.memory.append(float(answer.memory["ms"]))

    def result(self) -> Result:
        """The totals as JSON."""
        return {"first": self.first, "recalled": self.recalled, "failed": self.failed, "memory": self.memory}


async def alone(load: Load, count: int, warm: int, tokens: int, per_second: float, delay: float) -> Result:
    """Send each question on both routes, one at a time; each route is first for half of the questions."""
    tallies = {DIRECT: Tally(), PROXIED: Tally()}
    clients = {route: load.client(route) for route in tallies}
    model = pace(tokens, per_second, delay)
    for number in range(warm + count):
        if number % 50 == 0:
            report_progress(f"one stream, {number} of {warm + count}")
        routes = [DIRECT, PROXIED] if number % 2 else [PROXIED, DIRECT]
        for route in routes:
            answer = await clients[route].chat(load.question(number), model)
            if number >= warm:
                tallies[route].add(answer)
    return {route: tally.result() for route, tally in tallies.items()}


async def together(
    load: Load, streams: int, rounds: int, replies: int, tokens: int, per_second: float, delay: float
) -> Result:
    """Run `streams` concurrent clients, each of which sends a request after its previous reply; the routes alternate.

    Returns tokens per second for each round, and the times in the order of the rounds.
    """
    tallies = {DIRECT: Tally(), PROXIED: Tally()}
    rates: dict[str, list[float]] = {DIRECT: [], PROXIED: []}
    clients = {route: [load.client(route, number) for number in range(streams)] for route in tallies}
    model, spread = pace(tokens, per_second, delay), tokens / per_second

    async def run_client(route: str, number: int, begin: int) -> list[Answer]:
        # Starts are spread over the duration of a reply.
        await asyncio.sleep(spread * number / streams)
        client = clients[route][number]
        questions = [load.question(begin + number * replies + reply) for reply in range(replies)]
        return [await client.chat(question, model) for question in questions]

    for round in range(-1, rounds):
        routes = [DIRECT, PROXIED] if round % 2 else [PROXIED, DIRECT]
        for route in routes:
            report_progress(
                f"{streams} streams, {route}, round {round + 1} of {rounds}" if round >= 0 else f"warming up, {route}"
            )
            begin = (round + 1) * streams * replies
            answers_of = await asyncio.gather(*(run_client(route, number, begin) for number in range(streams)))
            if round < 0:
                continue
            seconds = [answers[-1].ended - answers[0].sent for answers in answers_of]
            tokens_of = [sum(answer.tokens for answer in answers) for answers in answers_of]
            rates[route].append(sum(count / taken for count, taken in zip(tokens_of, seconds, strict=True)))
            for answer in itertools.chain.from_iterable(answers_of):
                tallies[route].add(answer)
    return {route: tally.result() | {"tokens_per_second": rates[route]} for route, tally in tallies.items()}


async def until_killed(
    load: Load, streams: int, tokens: int, per_second: float, delay: float, mark: str, limit: float
) -> Result:
    """Run `streams` concurrent clients until the server is killed; returns what the server acknowledged.

    Every question ends with `mark` and a unique number. Raises `LoadFailed` if the server lives longer than `limit`
    seconds.
    """
    finished: list[str] = []
    without_receipt: list[str] = []
    receipts: list[str] = []
    stored: dict[tuple[str, bool], list[str]] = {}
    clients = [load.client(PROXIED, number) for number in range(streams)]
    model, spread, begun = pace(tokens, per_second, delay), tokens / per_second, asyncio.get_running_loop().time()

    async def run_client(number: int) -> None:
        await asyncio.sleep(spread * number / streams)
        for message in range(1_000_000):
            text = f"{load.question(number * 1000 + message)} [{mark}.{number}.{message}]"
            answer = await clients[number].chat(text, model)
            if asyncio.get_running_loop().time() - begun > limit:
                raise LoadFailed(f"the server still answers after {limit:.0f} s")
            if not (finished or without_receipt):
                report_progress(UNDER_LOAD)
            # Without a receipt the server has acknowledged nothing.
            receipt = answer.memory.get("receipt")
            if receipt is None:
                without_receipt.append(text)
            else:
                finished.append(text)
                receipts.append(receipt)

    tasks = [
        asyncio.create_task(work)
        for work in (poll_receipts(load, clients, receipts, stored), *map(run_client, range(streams)))
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    # The other clients may still receive data that was sent before the kill.
    await asyncio.wait(tasks, timeout=2)
    for task in tasks:
        # Only the kill may end a client; any other end is a failure.
        if not task.done():
            task.cancel()
        elif not isinstance(error := task.exception(), ConnectionError):
            raise LoadFailed(f"a client did not end by the kill of the server: {error!r}")
    return {"finished": finished, "without_receipt": len(without_receipt), "stored": list(stored.values())}


async def poll_receipts(
    load: Load, clients: Sequence[Client], receipts: Sequence[str], stored: dict[tuple[str, bool], list[str]]
) -> None:
    """Query the receipts of turns during and after their replies; put the ids of stored engrams into `stored`."""
    client = load.client(PROXIED)
    while True:
        running = [(client.receipt, False) for client in clients if client.receipt]
        for receipt, ended in [*running, *((receipt, True) for receipt in receipts[-2 * len(clients) :])]:
            if (receipt, ended) not in stored:
                status, body = await client.get(f"/memory/receipts/{receipt}")
                if status == 200 and (fields := json.loads(body))["state"] in ("stored", "indexed"):
                    stored[receipt, ended] = fields["engrams"]
        await asyncio.sleep(0.05)


async def many(load: Load, count: int, streams: int, begin: int, tokens: int) -> Result:
    """Request `count` short replies, on a new connection after every `REQUESTS_PER_CONNECTION` requests."""
    tally, model, numbers = Tally(), pace(tokens), iter(range(begin, begin + count))

    async def run_client(number: int) -> None:
        client = load.client(PROXIED, begin + number)
        for sent, question in enumerate(numbers):
            if sent % REQUESTS_PER_CONNECTION == 0:
                client.disconnect()
            tally.add(await client.chat(load.question(question), model))
        client.disconnect()

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(run_client(number) for number in range(streams)))
    return tally.result() | {"seconds": asyncio.get_running_loop().time() - began}


async def conversation(load: Load, turns: int, begin: int, tokens: int) -> Result:
    """Hold one conversation of `turns` questions; returns the request bodies that upstream received."""
    client, upstream = load.client(PROXIED), load.client(DIRECT)
    recalled = 0
    for number in range(turns):
        answer = await client.continue_chat(load.question(begin + number), pace(tokens, recorded=True), stream=False)
        recalled += bool(answer.memory.get("recalled"))
    _, body = await upstream.get(RECORDED_PATH)
    return {"bodies": json.loads(body), "recalled": recalled}


TASKS: Mapping[str, Callable[..., Coroutine[Any, Any, Result]]] = {
    "alone": alone,
    "together": together,
    "until_killed": until_killed,
    "many": many,
    "conversation": conversation,
}


def main(task: str, arguments: str) -> None:
    """Run one task and print its result."""
    values = json.loads(arguments)
    questions = json.loads(Path(values.pop("questions")).read_text())
    load = Load(values.pop("urls"), values.pop("namespace"), questions, values.pop("seed"))
    gc.collect()
    gc.freeze()
    sys.stdout.write(json.dumps(asyncio.run(TASKS[task](load, **values))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
