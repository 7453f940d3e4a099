"""A scripted model API, to measure a server in front of it: `python -m bench.upstream SEED`.

Owns the content and the timing of replies. It sends generated words at a steady pace from bytes that are prepared in
advance, so that fifty concurrent streams leave the CPU to the server under test. The model name of a request states the
pace, see `pace`. Prints its port as a line, and ends when its standard input is closed. Does not know Engram.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import re
import sys
from threading import Thread
from typing import NamedTuple

from bench.generate import turns

POOL = 20_000
"""Number of generated words from which replies are cut."""
RECORDED_PATH = "/recorded"
"""Path that returns the recorded request bodies and clears them."""
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"
"""The last chunk of a chunked body."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"scripted","choices":[%s]}'
)
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Pace(NamedTuple):
    """The length and timing of a reply."""

    tokens: int
    per_second: float
    """0: the whole reply at once."""
    delay: float
    """Seconds before the first token."""
    recorded: bool
    """Whether the request's body is recorded."""


def pace(tokens: int, per_second: float = 0, delay: float = 0, *, recorded: bool = False) -> str:
    """The model name that requests a reply of this length and timing."""
    return f"scripted/{tokens}/{per_second}/{delay}/{'recorded' if recorded else ''}"


def read_pace(model: str) -> Pace:
    """The pace in a model's name."""
    _, tokens, per_second, delay, recorded = model.split("/")
    return Pace(int(tokens), float(per_second), float(delay), recorded == "recorded")


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(delta: dict[str, str], reason: str | None = None) -> bytes:
    """An event of a stream, as a chunk."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return chunk(b"data: " + (_HEAD % json.dumps(choice)).encode() + b"\n\n")


class Replies:
    """Replies as bytes that are prepared in advance."""

    def __init__(self, seed: int) -> None:
        self.words = " ".join(turn.text for turn in turns(POOL // 20, seed)).split()[:POOL]
        self._first = [event({"role": "assistant", "content": word}) for word in self.words]
        self._later = [event({"content": " " + word}) for word in self.words]
        self.end = event({}, "stop") + chunk(DONE) + END
        self._random = random.Random(seed)  # noqa: S311
        self.recorded: list[str] = []
        """Request bodies."""

    def begin(self, tokens: int) -> int:
        """A random start position for a reply of `tokens` words."""
        return self._random.randrange(len(self.words) - tokens)

    def word(self, start: int, number: int) -> bytes:
        """The event of the word with this number, from 0, in the reply that begins at `start`."""
        return self._first[start] if number == 0 else self._later[start + number]

    def whole(self, start: int, tokens: int) -> bytes:
        """The body of a reply that is not streamed."""
        text = " ".join(self.words[start : start + tokens])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return (_HEAD % json.dumps(choice)).replace("completion.chunk", "completion").encode()


class Connection(asyncio.Protocol):
    """The connection of one client, which serves its requests one after the other."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the reply in progress."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Reply as soon as the request is complete."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head)
        end = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return
        path, body = bytes(self._received[:head]).split(b" ", 2)[1], bytes(self._received[head + 4 : end])
        del self._received[:end]
        if body:
            self._reply(body)
        elif path == RECORDED_PATH.encode():
            bodies, self._replies.recorded = self._replies.recorded, []
            self._send_whole(json.dumps(bodies).encode())
        else:
            self._send_whole(b'{"object": "list", "data": []}')

    def _reply(self, body: bytes) -> None:
        request = json.loads(body)
        pace = read_pace(request["model"])
        if pace.recorded:
            self._replies.recorded.append(body.decode())
        start, at = self._replies.begin(pace.tokens), self._loop.time() + pace.delay
        if not request.get("stream"):
            self._timer = self._loop.call_at(at, self._send_whole, self._replies.whole(start, pace.tokens))
        elif pace.per_second:
            self._timer = self._loop.call_at(at, self._send_word, start, 0, at, pace)
        else:
            pieces = (self._replies.word(start, number) for number in range(pace.tokens))
            self._timer = self._loop.call_at(at, self._send, b"".join([_STREAM, *pieces, self._replies.end]))

    def _send_word(self, start: int, number: int, begun: float, pace: Pace) -> None:
        """Send one word, and schedule the next."""
        piece = self._replies.word(start, number)
        if number == 0:
            piece = _STREAM + piece
        number += 1
        if number == pace.tokens:
            self._send(piece + self._replies.end)
            return
        self._send(piece)
        # Relative to the start of the reply, so that a late word does not delay the later ones.
        at = begun + number / pace.per_second
        self._timer = self._loop.call_at(at, self._send_word, start, number, begun, pace)

    def _send_whole(self, body: bytes) -> None:
        self._send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


async def serve(seed: int) -> None:
    """Serve until the process ends."""
    replies = Replies(seed)
    # These objects live until the end; garbage collection of them would only delay some replies.
    gc.collect()
    gc.freeze()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(replies), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    Thread(target=end_with_input, daemon=True).start()
    await server.serve_forever()


def end_with_input() -> None:
    """End the process when its standard input is closed."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
