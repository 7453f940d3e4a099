"""Concurrent clients of a chat API in a separate process: `python -m bench.load TASK ARGUMENTS`.

Owns what is asked and what is timed: connections are read by hand, because a client package would take more of the
processor than what is measured. The same client asks upstream straight and through Engram. Prints one JSON object, as
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

from bench.upstream import END, pace
from bench.worker import Result, tell
from engram.text.sse import read_events

Json = dict[str, Any]

STRAIGHT, THROUGH = "straight", "through"
PATH = "/v1/chat/completions"
GOES_ON = 0.25
"""The share of requests that continue the previous conversation."""
LONGEST = 12
"""Messages after which a conversation is not continued."""
UNDER_LOAD = "under load"
"""What `until_killed` reports when the first reply has ended."""
PATIENCE = 60.0
"""Timeout of one request, in seconds."""
REUSED = 50
"""Requests per connection in the task `many`."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEADER = re.compile(rb"\r\n(x-engram-[a-z]+): *([^\r]*)", re.IGNORECASE)
_EVENT = b"data: "


class LoadFailed(Exception):
    """An answer that no measurement can be made of."""


class Answer(NamedTuple):
    """A reply with its timing; times are seconds of the event loop's clock."""

    status: int
    memory: Mapping[str, str]
    """The `x-engram-` headers, their names without that."""
    text: str
    tokens: int
    sent: float
    first: float
    """Time of the first event."""
    ended: float


class Line(asyncio.Protocol):
    """A connection on which one request at a time is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._got = bytearray()
        self._head = -1
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
        """A piece of the answer."""
        got = self._got
        got += data
        if self._head < 0:
            self._head = got.find(b"\r\n\r\n")
            if self._head < 0:
                return
            length = _LENGTH.search(got, 0, self._head)
            self._length = int(length[1]) if length else None
        if not self._first and got.find(_EVENT, self._head) >= 0:
            self._first = self._loop.time()
        whole = len(got) >= self._head + 4 + self._length if self._length is not None else got.endswith(END)
        if whole and self._done is not None and not self._done.done():
            self._done.set_result(self._loop.time())

    async def ask(self, request: bytes) -> tuple[bytes, bytes, float, float, float]:
        """Head and body of the answer to a request, and when it was sent, began to come, and had come.

        Raises ConnectionError where it breaks off, TimeoutError where it does not come.
        """
        self._got.clear()
        self._head, self._length, self._first = -1, None, 0.0
        self._done = self._loop.create_future()
        sent = self._loop.time()
        if self.lost:
            raise ConnectionError("closed")
        self._transport.write(request)
        ended = await asyncio.wait_for(self._done, PATIENCE)
        body = bytes(self._got[self._head + 4 :])
        return self.head, body if self._length is not None else unchunked(body), sent, self._first or ended, ended

    @property
    def head(self) -> bytes:
        """The head of the answer, empty before it is there."""
        return bytes(self._got[: self._head]) if self._head > 0 else b""

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
        self._line: Line | None = None
        self._messages: list[Json] = []

    async def say(self, text: str, model: str, *, stream: bool = True) -> Answer:
        """Send a message in the previous conversation or in a new one. Raises as `Line.ask`, and `LoadFailed`."""
        if len(self._messages) >= LONGEST or self._random.random() >= GOES_ON:
            self._messages = []
        return await self.go_on(text, model, stream=stream)

    async def go_on(self, text: str, model: str, *, stream: bool = True) -> Answer:
        """Send a message in the previous conversation."""
        messages = [*self._messages, {"role": "user", "content": text}]
        # The messages come last: what is before them is the same in every request.
        answer = await self._post({"model": model, "stream": stream, "messages": messages})
        if answer.status != 200:
            raise LoadFailed(f"status {answer.status}: {answer.text[:300]}")
        self._messages = [*messages, {"role": "assistant", "content": answer.text}]
        return answer

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of what stands at a path."""
        head, body, *_ = await (await self._connected()).ask(self._request("GET", path, b""))
        return status_of(head), body

    async def _post(self, body: Json) -> Answer:
        request = self._request("POST", PATH, json.dumps(body).encode())
        kept = self._line is not None
        try:
            head, got, sent, first, ended = await (await self._connected()).ask(request)
        except ConnectionError:
            # One that was kept open may be closed at the very moment at which it is used again.
            if not kept or self._line is None or self._line.head:
                raise
            self.hang_up()
            head, got, sent, first, ended = await (await self._connected()).ask(request)
        status = status_of(head)
        texts = texts_of(got, stream=bool(body["stream"])) if status == 200 else [got.decode("latin-1")]
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

    async def _connected(self) -> Line:
        if self._line is None or self._line.lost:
            _, self._line = await asyncio.get_running_loop().create_connection(Line, self._host, self._port)
        return self._line

    @property
    def receipt(self) -> str:
        """That of the request being answered, empty before it is known."""
        return memory_headers(self._line.head).get("receipt", "") if self._line is not None else ""

    def hang_up(self) -> None:
        """Close the connection; the next request makes a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None


def unchunked(body: bytes) -> bytes:
    """What a body that came in chunks holds."""
    pieces, at = [], 0
    while (line := body.find(b"\r\n", at)) >= 0 and (size := int(body[at:line], 16)):
        pieces.append(body[line + 2 : line + 2 + size])
        at = line + 4 + size
    return b"".join(pieces)


def texts_of(body: bytes, *, stream: bool) -> list[str]:
    """Return the texts of a reply: one for each event of a stream that holds one, else the whole."""
    if not stream:
        return [choice["message"]["content"] for choice in from_json(body)["choices"]]
    events = (from_json(event.data) for event in read_events([body]) if event.data != b"[DONE]")
    deltas = (choice["delta"] for event in events for choice in event["choices"])
    return [delta["content"] for delta in deltas if "content" in delta]


def memory_headers(head: bytes) -> dict[str, str]:
    """What an answer's head says of memory: the `x-engram-` headers, their names without that."""
    return {name[9:].decode().lower(): value.decode("latin-1") for name, value in _HEADER.findall(head)}


def status_of(head: bytes) -> int:
    """The status of an answer."""
    return int(head.split(b" ", 2)[1])


class Load(NamedTuple):
    """The inputs of every task."""

    urls: Mapping[str, str]
    """Of upstream (`STRAIGHT`) and Engram (`THROUGH`)."""
    namespace: str
    questions: Sequence[str]
    seed: int

    def client(self, way: str, number: int = 0) -> Client:
        """One of the clients; those of one number say the same, whichever way."""
        return Client(self.urls[way], self.namespace, (self.seed, number))

    def question(self, number: int) -> str:
        """The question with this number, modulo their count."""
        return self.questions[number % len(self.questions)]


class Tally:
    """Totals over the replies of one way."""

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
    """One client at a time: each question straight and through; each way goes first half of the time."""
    tallies = {STRAIGHT: Tally(), THROUGH: Tally()}
    clients = {way: load.client(way) for way in tallies}
    model = pace(tokens, per_second, delay)
    for number in range(warm + count):
        if number % 50 == 0:
            tell(f"one stream, {number} of {warm + count}")
        ways = [STRAIGHT, THROUGH] if number % 2 else [THROUGH, STRAIGHT]
        for way in ways:
            answer = await clients[way].say(load.question(number), model)
            if number >= warm:
                tallies[way].add(answer)
    return {way: tally.result() for way, tally in tallies.items()}


async def together(
    load: Load, streams: int, rounds: int, replies: int, tokens: int, per_second: float, delay: float
) -> Result:
    """`streams` concurrent clients, each of which sends a request when it has its reply; the ways alternate.

    Tokens a second are those of each round, and the times in the order of the rounds.
    """
    tallies = {STRAIGHT: Tally(), THROUGH: Tally()}
    rates: dict[str, list[float]] = {STRAIGHT: [], THROUGH: []}
    clients = {way: [load.client(way, number) for number in range(streams)] for way in tallies}
    model, spread = pace(tokens, per_second, delay), tokens / per_second

    async def one(way: str, number: int, begin: int) -> list[Answer]:
        # Starts are spread over the duration of a reply.
        await asyncio.sleep(spread * number / streams)
        client = clients[way][number]
        questions = [load.question(begin + number * replies + place) for place in range(replies)]
        return [await client.say(question, model) for question in questions]

    for round in range(-1, rounds):
        ways = [STRAIGHT, THROUGH] if round % 2 else [THROUGH, STRAIGHT]
        for way in ways:
            tell(f"{streams} streams, {way}, round {round + 1} of {rounds}" if round >= 0 else f"warming up, {way}")
            begin = (round + 1) * streams * replies
            answered = await asyncio.gather(*(one(way, number, begin) for number in range(streams)))
            if round < 0:
                continue
            took = [answers[-1].ended - answers[0].sent for answers in answered]
            tokens_of = [sum(answer.tokens for answer in answers) for answers in answered]
            rates[way].append(sum(count / seconds for count, seconds in zip(tokens_of, took, strict=True)))
            for answer in itertools.chain.from_iterable(answered):
                tallies[way].add(answer)
    return {way: tally.result() | {"tokens_per_second": rates[way]} for way, tally in tallies.items()}


async def until_killed(
    load: Load, streams: int, tokens: int, per_second: float, delay: float, mark: str, limit: float
) -> Result:
    """`streams` concurrent clients until the server is killed; what the server acknowledged until then.

    Every question has `mark` and a number of its own. `limit`: seconds after which the server is taken to live on.
    """
    finished: list[str] = []
    without: list[str] = []
    receipts: list[str] = []
    stored: dict[tuple[str, bool], list[str]] = {}
    clients = [load.client(THROUGH, number) for number in range(streams)]
    model, spread, begun = pace(tokens, per_second, delay), tokens / per_second, asyncio.get_running_loop().time()

    async def one(number: int) -> None:
        await asyncio.sleep(spread * number / streams)
        for place in range(1_000_000):
            text = f"{load.question(number * 1000 + place)} [{mark}.{number}.{place}]"
            answer = await clients[number].say(text, model)
            if asyncio.get_running_loop().time() - begun > limit:
                raise LoadFailed(f"the server is still there after {limit:.0f} s")
            if not (finished or without):
                tell(UNDER_LOAD)
            # Without a receipt the server has acknowledged nothing.
            receipt = answer.memory.get("receipt")
            if receipt is None:
                without.append(text)
            else:
                finished.append(text)
                receipts.append(receipt)

    tasks = [
        asyncio.create_task(work) for work in (ask_receipts(load, clients, receipts, stored), *map(one, range(streams)))
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    # The other clients may still receive data that was sent before the kill.
    await asyncio.wait(tasks, timeout=2)
    for task in tasks:
        # Only the kill may end a client; anything else is a failure.
        if not task.done():
            task.cancel()
        elif not isinstance(ended := task.exception(), ConnectionError):
            raise LoadFailed(f"a client ended otherwise than by the kill: {ended!r}")
    return {"finished": finished, "without": len(without), "stored": list(stored.values())}


async def ask_receipts(
    load: Load, clients: Sequence[Client], receipts: Sequence[str], stored: dict[tuple[str, bool], list[str]]
) -> None:
    """Query the receipts of turns during and after their replies; the ids of stored engrams go into `stored`."""
    client = load.client(THROUGH)
    while True:
        running = [(client.receipt, False) for client in clients if client.receipt]
        for receipt, ended in [*running, *((receipt, True) for receipt in receipts[-2 * len(clients) :])]:
            if (receipt, ended) not in stored:
                status, body = await client.get(f"/memory/receipts/{receipt}")
                if status == 200 and (found := json.loads(body))["state"] in ("stored", "indexed"):
                    stored[receipt, ended] = found["engrams"]
        await asyncio.sleep(0.05)


async def many(load: Load, count: int, streams: int, begin: int, tokens: int) -> Result:
    """`count` short replies, on new connections every `REUSED` requests."""
    tally, model, numbers = Tally(), pace(tokens), iter(range(begin, begin + count))

    async def one(number: int) -> None:
        client = load.client(THROUGH, begin + number)
        for place, question in enumerate(numbers):
            if place % REUSED == 0:
                client.hang_up()
            tally.add(await client.say(load.question(question), model))
        client.hang_up()

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(one(number) for number in range(streams)))
    return tally.result() | {"seconds": asyncio.get_running_loop().time() - began}


async def conversation(load: Load, turns: int, begin: int, tokens: int) -> Result:
    """One conversation of `turns` questions; the request bodies that upstream received."""
    client, upstream = load.client(THROUGH), load.client(STRAIGHT)
    recalled = 0
    for number in range(turns):
        answer = await client.go_on(load.question(begin + number), pace(tokens, kept=True), stream=False)
        recalled += bool(answer.memory.get("recalled"))
    _, body = await upstream.get("/kept")
    return {"bodies": json.loads(body), "recalled": recalled}


TASKS: Mapping[str, Callable[..., Coroutine[Any, Any, Result]]] = {
    "alone": alone,
    "together": together,
    "until_killed": until_killed,
    "many": many,
    "conversation": conversation,
}


def main(task: str, arguments: str) -> None:
    """Do one task and print its result."""
    values = json.loads(arguments)
    questions = json.loads(Path(values.pop("questions")).read_text())
    load = Load(values.pop("urls"), values.pop("namespace"), questions, values.pop("seed"))
    gc.collect()
    gc.freeze()
    sys.stdout.write(json.dumps(asyncio.run(TASKS[task](load, **values))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
