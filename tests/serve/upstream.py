"""A scripted model's API for tests: a real server on a loopback port that controls every byte of its responses.

Owns the formats of the replies (chat completions, Anthropic's messages, responses, models, embeddings) and the scripts.
A request names its script in the header X-Script, else in `model`: words joined by "+".

Content
    echo        the last user message, as it arrived (with notes)
    text=WORD   this word, spaces written as "_"; default: `Upstream.reply`
    tokens=N    N words
    times=N     the reply is given N times
    tools       two tool calls, unless the last message is a tool's result
    thinking    a thinking block first (Anthropic)
    refusal     the reply is a refusal (chat)
    length      the reply ends because it is too long
Delivery
    late=S      S seconds before the status line
    slow=S      S seconds between the headers and the first event
    rate=R      R events a second
    bytes=N     pieces of N bytes, which cut through events and characters
    lump        all events in one piece
    crlf, cr    line ends
    noise       comments, empty events and unknown fields in between
    gzip        compressed
Failures
    429, 500    any status from 400 on; 429 has Retry-After: 7
    html        a page instead of JSON, with status 200
    garbled     truncated JSON, with status 200
    reset=N     the connection is reset after N events
    close=N     the connection is closed after N events, without the end of the body
    cut=N       the body ends properly after N events, without the stream's end mark
    garble=N    the event after the first N is not JSON
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import struct
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]

TOOL_CALLS = (("weather", {"city": "Zürich"}), ("clock", {}))
RETRY_AFTER = "7"
HEAD_LIMIT = 1 << 20


@dataclass(slots=True)
class Asked:
    """A request as received."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    ended: Event = field(default_factory=Event)
    outcome: str = ""
    """Set when it `ended`: "answered", "broken" (by its script), "gone" (the client disconnected before the end)."""

    def header(self, name: str) -> str | None:
        """Return the value of a header, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def messages(self) -> list[Json]:
        """Its messages, or input."""
        body = self.json
        found = body.get("messages", body.get("input", []))
        if isinstance(found, str):
            return [{"role": "user", "content": found}]
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def last_user(self) -> str:
        """The text of the last user message."""
        return next((text_of(said) for said in reversed(self.messages) if said.get("role") == "user"), "")


class Script:
    """The script of a request."""

    def __init__(self, text: str) -> None:
        self._words = dict(word.partition("=")[::2] for word in text.split("+"))

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def number(self, word: str) -> float | None:
        """Return the value of a word, None if it is missing."""
        return float(self._words[word]) if self._words.get(word) else None

    def count(self, word: str) -> int | None:
        """Return the value as an integer."""
        value = self.number(word)
        return None if value is None else int(value)

    def text(self, word: str) -> str | None:
        """Return the value as text."""
        return self._words[word].replace("_", " ") if word in self._words else None

    @property
    def status(self) -> int:
        """The status of the answer."""
        return next((int(word) for word in self._words if word.isdigit() and len(word) == 3), 200)


@dataclass(frozen=True, slots=True)
class Said:
    """The reply of the model."""

    texts: tuple[str, ...]
    """One piece per token."""
    tools: tuple[tuple[str, Json | str], ...] = ()
    length: bool = False
    refusal: bool = False
    thinking: bool = False

    @property
    def text(self) -> str:
        return "".join(self.texts)


@dataclass(frozen=True, slots=True)
class Planned:
    """One reply of `Upstream.plan`."""

    text: str = ""
    calls: tuple[tuple[str, Json | str], ...] = ()
    """Names and arguments of its tool calls; a text is sent as it is, where the form has text."""
    script: str = "plain"
    """How it is delivered, or how it fails."""

    def said(self) -> Said:
        """Return the reply."""
        words = Script(self.script)
        return Said(tokens(self.text) if self.text else (), self.calls, "length" in words, thinking="thinking" in words)


class Upstream:
    """The server, in a thread with its own event loop. A context manager."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.reply = "Grüße from upstream, 你好 🦔."
        """The reply of scripts that name no text."""
        self._plan: deque[Planned] = deque()
        self._port = port
        self._tls = tls
        self._asked: list[Asked] = []
        self._lock = Lock()
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = Thread(target=self._run, name="upstream", daemon=True)
        self._ready = Event()

    def __enter__(self) -> Upstream:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    @property
    def url(self) -> str:
        """The base URL, with the version."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """The base URL as the `anthropic` package wants it."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    @property
    def asked(self) -> list[Asked]:
        """Every request, in order of arrival."""
        with self._lock:
            return list(self._asked)

    @property
    def last(self) -> Asked:
        """The last request."""
        return self.asked[-1]

    def clear(self) -> None:
        """Forget the requests."""
        with self._lock:
            self._asked.clear()

    def plan(self, *rounds: Planned) -> None:
        """Answer the next conversations with these replies, in place of what their scripts say."""
        with self._lock:
            self._plan = deque(rounds)

    def next_planned(self) -> Planned | None:
        """Return the next planned reply, None if there is none left."""
        with self._lock:
            return self._plan.popleft() if self._plan else None

    # The server.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=HEAD_LIMIT, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (asked := await read_request(reader)) is not None:
                    with self._lock:
                        self._asked.append(asked)
                    if not await self._answer(asked, reader, writer):
                        break
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may be reused."""
        outcome = "gone"
        try:
            outcome = await Answer(self, asked, reader, writer).send()
        finally:
            asked.outcome = outcome
            asked.ended.set()
        return outcome == "answered"

    def number(self) -> int:
        """Return a number that is unique among the replies."""
        self._count += 1
        return self._count


async def read_request(reader: asyncio.StreamReader) -> Asked | None:
    """Return the next request of a connection; None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    given = dict(headers)
    if given.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join([piece async for piece in chunks(reader)])
    else:
        body = await reader.readexactly(int(given.get("content-length", 0)))
    parts = urlsplit(target)
    return Asked(method, unquote(parts.path), parts.query, headers, body)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the chunks of a body without a declared length."""
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readline() != b"\r\n":
        pass


class Answer:
    """Answers one request."""

    def __init__(
        self, upstream: Upstream, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._upstream, self._asked, self._reader, self._writer = upstream, asked, reader, writer
        self._body: Json = {}
        with suppress(ValueError, RecursionError):
            body = json.loads(asked.body)
            self._body = body if isinstance(body, dict) else {}
        model = self._body.get("model")
        self._planned = upstream.next_planned() if asked.path in FORMS and asked.method == "POST" else None
        named = asked.header("x-script") or (model if isinstance(model, str) else "") or "plain"
        self._script = Script(named if self._planned is None else self._planned.script)
        self._packer: Any = None

    async def send(self) -> str:
        """Answer the request; return its outcome (`Asked.outcome`)."""
        script = self._script
        if late := script.number("late"):
            await self._sleep(late)
        if script.status != 200:
            more = [("retry-after", RETRY_AFTER)] if script.status == 429 else []
            return await self._whole(script.status, self._error(script.status), more)
        if "html" in script:
            return await self._whole(200, b"<html><body>Please log in.</body></html>", type="text/html")
        if "garbled" in script:
            return await self._whole(200, b'{"id": "cut off", "choices": [{"mess')
        form = FORMS.get(self._asked.path) if self._asked.method == "POST" else None
        if form is None:
            status, value = self._other()
            return await self._whole(status, dumped(value))
        number, said = self._upstream.number(), self._says()
        if self._body.get("stream") is True:
            return await self._streamed(form.events(number, said, self._body))
        if slow := script.number("slow"):
            await self._sleep(slow)
        return await self._whole(200, dumped(form.whole(number, said, self._body)))

    # Content.

    def _says(self) -> Said:
        script, asked = self._script, self._asked
        if self._planned is not None:
            return self._planned.said()
        messages = asked.messages
        last = messages[-1] if messages else {}
        text = self._upstream.reply
        if "echo" in script:
            text = asked.last_user
        elif (given := script.text("text")) is not None:
            text = given
        elif count := script.count("tokens"):
            text = " ".join(f"word{number}" for number in range(count))
        tools = () if "tools" not in script or is_result(last) else TOOL_CALLS
        pieces = () if tools else tokens(text) * (script.count("times") or 1)
        return Said(pieces, tools, "length" in script, "refusal" in script, "thinking" in script)

    def _error(self, status: int) -> bytes:
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "api_error")
        if self._asked.path.startswith("/v1/messages"):
            return dumped({"type": "error", "error": {"type": kind, "message": "as scripted"}, "request_id": "req_1"})
        return dumped({"error": {"message": "as scripted", "type": kind, "param": None, "code": f"scripted_{status}"}})

    def _other(self) -> tuple[int, Json]:
        """What is no conversation."""
        asked = self._asked
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"} for name in ("plain", "echo")]
        if asked.path == "/v1/models":
            return 200, {"object": "list", "data": models}
        if asked.path.startswith("/v1/models/"):
            name = asked.path.removeprefix("/v1/models/")
            return 200, {"id": name, "object": "model", "created": 1, "owned_by": "scripted"}
        if asked.path == "/v1/embeddings":
            return 200, embeddings(self._body)
        if asked.path.startswith("/v1/"):
            echoed = {"method": asked.method, "path": asked.path, "query": asked.query}
            return 200, {**echoed, "headers": asked.headers, "body": base64.b64encode(asked.body).decode()}
        return 404, {"error": {"message": "no such path", "type": "invalid_request_error", "param": None, "code": None}}

    # How it comes.

    async def _whole(
        self, status: int, body: bytes, more: Sequence[tuple[str, str]] = (), type: str = "application/json"
    ) -> str:
        script = self._script
        if "gzip" in script:
            packer = zlib.compressobj(wbits=31)
            body, more = packer.compress(body) + packer.flush(), [*more, ("content-encoding", "gzip")]
        self._head(status, [("content-type", type), ("content-length", str(len(body))), *more])
        if self._asked.method == "HEAD":
            body = b""
        broken = next((word for word in ("reset", "close", "cut") if word in script), None)
        if broken is not None:
            body = body[: len(body) // 2]
        size = script.count("bytes") or max(len(body), 1)
        for start in range(0, len(body), size):
            await self._write(body[start : start + size])
        if broken is not None:
            return self._broken(reset=broken == "reset")
        return "answered"

    async def _streamed(self, events: Iterator[Json | str]) -> str:
        script = self._script
        headers = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
        if "gzip" in script:
            self._packer = zlib.compressobj(wbits=31)
            headers.append(("content-encoding", "gzip"))
        self._head(200, headers)
        await self._write(b"")
        ends = {word: script.count(word) for word in ("reset", "close", "cut", "garble")}
        rate, lump = script.number("rate"), b""
        if slow := script.number("slow"):
            await self._sleep(slow)
        for number, event in enumerate(events):
            if number in (ends["reset"], ends["close"]):
                return self._broken(reset=number == ends["reset"])
            if number == ends["cut"]:
                break
            if rate and number:
                await self._sleep(1 / rate)
            sent = self._event('{"cut": [' if number == ends["garble"] else event)
            if "lump" in script:
                lump += sent
            else:
                await self._chunked(sent)
        await self._chunked(lump)
        if self._packer is not None:
            await self._piece(self._packer.flush())
        await self._write(b"0\r\n\r\n")
        return "answered"

    def _event(self, event: Json | str) -> bytes:
        """Return an event in the format of the stream."""
        lines = []
        if "noise" in self._script:
            lines += [": still here", "", "retry: 1000"]
        if isinstance(event, dict) and "type" in event:
            lines.append(f"event: {event['type']}")
        lines.append(f"data: {event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)}")
        end = "\r\n" if "crlf" in self._script else "\r" if "cr" in self._script else "\n"
        return "".join(line + end for line in [*lines, ""]).encode()

    async def _chunked(self, data: bytes) -> None:
        """Send a part of the stream in pieces, according to the script."""
        if self._packer is not None and data:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        size = self._script.count("bytes") or max(len(data), 1)
        for start in range(0, len(data), size):
            await self._piece(data[start : start + size])

    async def _piece(self, data: bytes) -> None:
        if data:
            await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def _head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        lines = [f"HTTP/1.1 {status} As Scripted", *(f"{name}: {value}" for name, value in headers)]
        lines += ["x-request-id: req_1", "x-ratelimit-remaining-requests: 41", "server: scripted", "", ""]
        self._writer.write("\r\n".join(lines).encode())

    async def _write(self, data: bytes) -> None:
        """Send data at once, so that it arrives as a separate piece."""
        if self._reader.at_eof():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()
        await asyncio.sleep(0)

    async def _sleep(self, seconds: float) -> None:
        """Wait, as long as the client is connected."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            if self._reader.at_eof() or self._writer.is_closing():
                raise ConnectionResetError
            await asyncio.sleep(min(left, 0.02))

    def _broken(self, *, reset: bool) -> str:
        if reset:
            # Closing a socket with a linger time of 0 resets the connection.
            raw: socket.socket = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()
        return "broken"


# The forms.


class Chat:
    """OpenAI's chat completions."""

    def whole(self, number: int, said: Said, body: Json) -> Json:
        message: Json = {"role": "assistant", "content": said.text or None, "refusal": None, "annotations": []}
        if said.refusal:
            message |= {"content": None, "refusal": said.text}
        if said.tools:
            message["tool_calls"] = [
                {"id": f"call_{number}_{place}", "type": "function", "function": function}
                for place, function in enumerate({"name": n, "arguments": as_json(given)} for n, given in said.tools)
            ]
        choices = []
        for index in range(body.get("n") or 1):
            choice: Json = {"index": index, "message": dict(message), "logprobs": None, "finish_reason": finish(said)}
            if index and not said.tools:
                choice["message"]["content"] = f"{said.text} ({index})"
            choices.append(choice)
        made = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_700_000_000}
        # An unusual number format and an unknown field, both of which must be forwarded unchanged.
        return {**made, "model": body.get("model"), "choices": choices, "usage": usage(said), "x_new": {"kept": [1.50]}}

    def events(self, number: int, said: Said, body: Json) -> Iterator[Json | str]:
        head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1_700_000_000}
        head |= {"model": body.get("model"), "system_fingerprint": "fp_1"}

        def event(index: int, delta: Json, reason: str | None = None) -> Json:
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            return {**head, "choices": [choice]}

        count = body.get("n") or 1
        for index in range(count):
            yield event(index, {"role": "assistant", "content": "" if said.texts else None, "refusal": None})
        for text in said.texts:
            for index in range(count):
                yield event(index, {"refusal" if said.refusal else "content": text})
        for index in range(1, count):
            if not said.tools:
                yield event(index, {"content": f" ({index})"})
        for place, (name, given) in enumerate(said.tools):
            start = {"index": place, "id": f"call_{number}_{place}", "type": "function"}
            yield event(0, {"tool_calls": [{**start, "function": {"name": name, "arguments": ""}}]})
            for piece in cut(as_json(given)):
                yield event(0, {"tool_calls": [{"index": place, "function": {"arguments": piece}}]})
        for index in range(count):
            yield event(index, {}, finish(said))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**head, "choices": [], "usage": usage(said)}
        yield "[DONE]"


class Messages:
    """Anthropic's messages."""

    def whole(self, number: int, said: Said, body: Json) -> Json:
        return {**self._head(number, body, said), "content": list(self._blocks(number, said))}

    def events(self, number: int, said: Said, body: Json) -> Iterator[Json | str]:
        started = {**self._head(number, body, said), "content": [], "stop_reason": None}
        yield {"type": "message_start", "message": started}
        for index, block in enumerate(self._blocks(number, said)):
            yield {"type": "content_block_start", "index": index, "content_block": empty(block)}
            if not index:
                yield {"type": "ping"}
            for delta in self._deltas(block, said):
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        ended = {"stop_reason": self._reason(said), "stop_sequence": None}
        yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": len(said.texts)}}
        yield {"type": "message_stop"}

    def _head(self, number: int, body: Json, said: Said) -> Json:
        counts = {"input_tokens": 7, "output_tokens": max(len(said.texts), 1)}
        head = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body.get("model")}
        return {**head, "stop_reason": self._reason(said), "stop_sequence": None, "usage": counts}

    def _reason(self, said: Said) -> str:
        return "max_tokens" if said.length else "tool_use" if said.tools else "end_turn"

    def _blocks(self, number: int, said: Said) -> Iterator[Json]:
        if said.thinking:
            yield {"type": "thinking", "thinking": "A greeting.", "signature": "c2ln"}
        if said.texts:
            yield {"type": "text", "text": said.text}
        for place, (name, given) in enumerate(said.tools):
            yield {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": name, "input": given}

    def _deltas(self, block: Json, said: Said) -> Iterator[Json]:
        if block["type"] == "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        elif block["type"] == "text":
            yield from ({"type": "text_delta", "text": text} for text in said.texts)
        else:
            pieces = cut(as_json(block["input"]))
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)


class Responses:
    """OpenAI's responses."""

    def whole(self, number: int, said: Said, body: Json) -> Json:
        return self._response(number, body, "incomplete" if said.length else "completed", self._items(number, said))

    def events(self, number: int, said: Said, body: Json) -> Iterator[Json | str]:
        for place, event in enumerate(self._numbered(number, said, body)):
            yield {"type": event.pop("type"), "sequence_number": place, **event}

    def _numbered(self, number: int, said: Said, body: Json) -> Iterator[Json]:
        yield {"type": "response.created", "response": self._response(number, body, "in_progress", [])}
        yield {"type": "response.in_progress", "response": self._response(number, body, "in_progress", [])}
        items = self._items(number, said)
        for place, item in enumerate(items):
            at = {"item_id": item["id"], "output_index": place}
            begun = {**item, "status": "in_progress"}
            begun |= {"content": []} if item["type"] == "message" else {"arguments": ""}
            yield {"type": "response.output_item.added", "output_index": place, "item": begun}
            yield from self._text(at, item, said) if item["type"] == "message" else self._arguments(at, item)
            yield {"type": "response.output_item.done", "output_index": place, "item": item}
        end = "incomplete" if said.length else "completed"
        yield {"type": f"response.{end}", "response": self._response(number, body, end, items)}

    def _text(self, at: Json, item: Json, said: Said) -> Iterator[Json]:
        (part,) = item["content"]
        at = {**at, "content_index": 0}
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for text in said.texts:
            yield {"type": "response.output_text.delta", **at, "delta": text, "logprobs": []}
        yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}

    def _arguments(self, at: Json, item: Json) -> Iterator[Json]:
        for piece in cut(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **at, **done}

    def _items(self, number: int, said: Said) -> list[Json]:
        items: list[Json] = []
        if said.texts:
            part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
            head = {"id": f"msg_{number}", "type": "message", "role": "assistant"}
            items.append({**head, "status": "incomplete" if said.length else "completed", "content": [part]})
        for place, (name, given) in enumerate(said.tools):
            call = {"id": f"fc_{number}_{place}", "type": "function_call", "call_id": f"call_{number}_{place}"}
            items.append({**call, "status": "completed", "name": name, "arguments": as_json(given)})
        return items

    def _response(self, number: int, body: Json, status: str, output: list[Json]) -> Json:
        cut_off = {"reason": "max_output_tokens"} if status == "incomplete" else None
        counts = {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 12,
        }
        return {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": status,
            "error": None,
            "incomplete_details": cut_off,
            "instructions": body.get("instructions"),
            "metadata": {},
            "model": body.get("model"),
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"),
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": body.get("tools", []),
            "top_p": 1.0,
            "usage": None if status == "in_progress" else counts,
        }


FORMS: dict[str, Chat | Messages | Responses] = {
    "/v1/chat/completions": Chat(),
    "/v1/messages": Messages(),
    "/v1/responses": Responses(),
}


def tokens(text: str) -> tuple[str, ...]:
    """A text in pieces as a model gives it: words, each with the space before it."""
    first, *others = text.split(" ")
    return (first, *(" " + other for other in others))


def cut(text: str) -> list[str]:
    """A text in pieces of three characters."""
    return [text[start : start + 3] for start in range(0, len(text), 3)]


def text_of(said: Json) -> str:
    """The text of a message."""
    content = said.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def is_result(said: Json) -> bool:
    """Whether a message is a tool's result."""
    content = said.get("content")
    within = isinstance(content, list) and any(part.get("type") == "tool_result" for part in content)
    return within or said.get("role") == "tool" or said.get("type") == "function_call_output"


def finish(said: Said) -> str:
    """Why the reply ended, as chat completions say it."""
    return "length" if said.length else "tool_calls" if said.tools else "stop"


def usage(said: Said) -> Json:
    """The tokens, as chat completions count them."""
    count = len(said.texts)
    return {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}


def empty(block: Json) -> Json:
    """One of Anthropic's blocks before anything of it has come."""
    start = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: start.get(name, value) for name, value in block.items()}


def embeddings(body: Json) -> Json:
    """One small vector a text: its length, and 1."""
    given = body.get("input", [])
    made: list[Json] = []
    for index, text in enumerate([given] if isinstance(given, str) else given):
        vector: Any = [float(len(text)), 1.0]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<2f", *vector)).decode()
        made.append({"object": "embedding", "index": index, "embedding": vector})
    counts = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": made, "model": body.get("model"), "usage": counts}


def dumps(value: object) -> str:
    """JSON as text."""
    return json.dumps(value, ensure_ascii=False)


def as_json(given: Json | str) -> str:
    """The arguments of a call as text."""
    return given if isinstance(given, str) else dumps(given)


def dumped(value: object) -> bytes:
    """JSON as bytes."""
    return dumps(value).encode()
