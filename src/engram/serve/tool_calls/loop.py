"""The rounds of one reply: asks the model, runs Engram's functions, and asks again, until the model answers.

Owns the order of the rounds and their limits. What the client gets is `base.RoundReply`; the request of each round is
`request.ToolRequest`; what is stored is what the client gets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from engram.serve.http.errors import ServeError
from engram.serve.http.logs import log
from engram.serve.http.outlet import Sink, Source
from engram.serve.proxy.reply import ClientDisconnected, HoldEndUntilStored, ResponseSender, relay
from engram.serve.proxy.upstream import UpstreamResponse
from engram.serve.services import Services
from engram.serve.tool_calls.base import RoundReply, ToolCall
from engram.serve.tool_calls.chat import ChatReply
from engram.serve.tool_calls.messages import MessagesReply
from engram.serve.tool_calls.request import ToolRequest
from engram.serve.tool_calls.responses import ResponsesReply
from engram.serve.wire.base import Collector
from engram.serve.wire.collector import EVENT_STREAM, parse_object
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES
from engram.text.sse import EventParser
from engram.tools import MemoryTools
from engram.tools.functions import FUNCTIONS

logger = logging.getLogger("engram.serve")

MOST_ROUNDS = 8
"""Requests to the model for one reply."""

ROUND_SECONDS = 120.0
"""Seconds after which no further round begins but the last."""

MOST_CALLS = 16
"""Calls of Engram's functions that are run in one round."""

CALL_SECONDS = 10.0
"""Seconds that a call of a function may take."""

REPLIES: Mapping[str, type[RoundReply]] = {
    CHAT.name: ChatReply,
    MESSAGES.name: MessagesReply,
    RESPONSES.name: ResponsesReply,
}

Ask = Callable[[bytes], AbstractAsyncContextManager[UpstreamResponse]]
"""Sends a body to upstream."""


@dataclass(frozen=True, slots=True)
class Storing:
    """How a reply is stored: a collector of what the client gets, and what starts to store it."""

    collector: Callable[[str], Collector]
    store: Callable[[Collector], asyncio.Task[None]]
    no_reply: Callable[[int | None], None]
    """Says that there is no reply to store. Its argument: the status of upstream's error, None if it gave none."""


class ToolLoop:
    """The loop of one request. Use it once, on one event loop."""

    def __init__(
        self,
        services: Services,
        request: ToolRequest,
        tools: MemoryTools,
        ask: Ask,
        storing: Storing | None,
        written: Callable[[], None],
    ) -> None:
        """storing: None if the reply is not stored. written: called when a function wrote to the memory."""
        self._services = services
        self._request = request
        self._tools = tools
        self._ask = ask
        self._storing = storing
        self._written = written
        self._reply = REPLIES[request.wire.name](request.is_ours)
        self._until = time.monotonic() + ROUND_SECONDS
        self._last = False
        """Whether this round is the last one, as the model was told."""

    async def run(self, sender: ResponseSender) -> None:
        """Answer the request. Raises `ServeError` if upstream fails before the response is begun."""
        async with self._round() as response:
            if not 200 <= response.status < 300:
                self._no_reply(response.status)
                await relay(response, sender)
            elif EVENT_STREAM in response.content_type.lower():
                await self._stream(response, sender)
            else:
                body = await response.read()
                await self._whole(response, body, sender)

    @asynccontextmanager
    async def _round(self) -> AsyncIterator[UpstreamResponse]:
        """Send the request of the next round."""
        self._reply.begin()
        self._last = self._is_last()
        async with self._ask(self._request.body(last=self._last)) as response:
            yield response

    def _is_last(self) -> bool:
        return self._reply.rounds >= MOST_ROUNDS or (self._reply.rounds > 1 and time.monotonic() > self._until)

    # Responses that come whole.

    async def _whole(self, response: UpstreamResponse, body: bytes, sender: ResponseSender) -> None:
        """Read a first response that is no stream; ask on, and send the last one."""
        self._reply.take(parse_object(body))
        while await self._goes_on():
            async with self._round() as response:
                body = await response.read()
            if not 200 <= response.status < 300:
                self._failed(f"upstream answered with {response.status}")
                self._no_reply(None)
                await sender.send_whole(response.status, response.headers, body)
                return
            value = parse_object(body)
            if not value:
                raise ServeError(502, "upstream answered with what is no JSON object", "upstream_broken")
            self._reply.take(value)
        if not self._reply.as_it_came:
            body = json.dumps(self._reply.whole(cut=self._is_cut(sender)), ensure_ascii=False).encode(errors="replace")
        if self._storing is not None:
            collector = self._storing.collector(response.content_type)
            collector.feed(body)
            await asyncio.wait({self._storing.store(collector)})
        await sender.send_whole(response.status, response.headers, body)

    # Streams.

    async def _stream(self, response: UpstreamResponse, sender: ResponseSender) -> None:
        """Send the first response as it comes, and go on with the streams of the rounds that follow."""
        storing = self._storing
        await sender.start(response.status, response.headers)
        if storing is None:
            await self._rounds(response, sender)
        else:
            collector, task = storing.collector(response.content_type), list[asyncio.Task[None]]()

            def store() -> asyncio.Task[None]:
                if not task:
                    task.append(storing.store(collector))
                return task[0]

            try:
                sink = HoldEndUntilStored(sender, collector, self._request.wire, store)
                await self._rounds(response, sink)
                await asyncio.wait({store()})
                sink.release()
            finally:
                # If the client broke off, what arrived is stored. Nobody waits for that.
                store()
        await sender.end()

    async def _rounds(self, response: UpstreamResponse, sink: Sink) -> None:
        """Write the streams of all rounds to `sink`; an error of upstream ends them as its API says."""
        try:
            await self._read(response, sink)
            while await self._goes_on():
                async with self._round() as response:
                    if not 200 <= response.status < 300 or EVENT_STREAM not in response.content_type.lower():
                        body = await response.read()
                        error = ServeError(502, f"upstream answered with {response.status}", "upstream_failed")
                        self._end_with(error, sink, body)
                        return
                    await self._read(response, sink)
        except ClientDisconnected:
            raise
        except ServeError as error:
            self._end_with(error, sink)
            return
        for chunk in self._reply.release(cut=self._is_cut(None)):
            sink.write(chunk)

    async def _read(self, response: UpstreamResponse, sink: Sink) -> None:
        """Write what the client gets of one round's stream."""
        events = EventSink(self._reply, sink)
        await response.stream_to(events)
        events.finish()

    def _end_with(self, error: ServeError, sink: Sink, body: bytes = b"") -> None:
        self._failed(error.message)
        sink.write(self._reply.error(error, body))

    # The functions.

    async def _goes_on(self) -> bool:
        """Run this round's calls of Engram's functions; return whether another round follows.

        If the model called the client's tools too, the client answers next: it gets its calls, and Engram's are run
        without their results being shown.
        """
        reply = self._reply
        if not reply.calls or not reply.runnable or reply.failed or (self._last and not reply.for_client):
            return False
        results = [await self._call(call, number) for number, call in enumerate(reply.calls)]
        if reply.for_client:
            return False
        self._request.follow(reply.following(results, self._request.fields))
        return True

    async def _call(self, call: ToolCall, number: int) -> str:
        """Return the result of one call."""
        known = FUNCTIONS.get(call.name)
        if number >= MOST_CALLS:
            text = json.dumps({"error": f"only {MOST_CALLS} calls are run at once; make this one again"})
        else:
            text = await self._run(call)
        outcome = "error" if text.startswith('{"error"') else "ok"
        self._services.metrics.tool_calls.labels(call.name if known else "unknown", outcome).inc()
        if known is not None and known.writes:
            self._written()
        return text

    async def _run(self, call: ToolCall) -> str:
        try:
            running = self._services.run(self._tools.call, call.name, call.arguments)
            return await asyncio.wait_for(running, CALL_SECONDS)
        except TimeoutError:
            log(logger, logging.WARNING, "a tool took too long", tool=call.name)
            return json.dumps({"error": f"memory took over {CALL_SECONDS:g} s; what was asked may still be done"})
        except Exception:  # the edge of memory: whatever failed, the reply must go on
            logger.exception("the tool %s failed", call.name)
            return json.dumps({"error": "the function failed inside Engram; go on without it, and tell the user"})

    def _is_cut(self, sender: ResponseSender | None) -> bool:
        """Return whether the reply ends although the model called only Engram's functions: its rounds are used up."""
        reply = self._reply
        if not reply.calls or reply.for_client or not reply.runnable:
            return False
        message = f"the model still called Engram's tools after {reply.rounds} rounds; the reply ends here"
        log(logger, logging.WARNING, message)
        if sender is not None:
            sender.extra_headers.append(("x-engram-error", message))
        return True

    def _failed(self, reason: str) -> None:
        """Log that upstream failed after the first round, or in the middle of a stream."""
        self._services.metrics.failures.labels("upstream_in_tools").inc()
        log(logger, logging.ERROR, "upstream failed during tools", round=self._reply.rounds, error=reason)

    def _no_reply(self, status: int | None) -> None:
        if self._storing is not None:
            self._storing.no_reply(status)


class EventSink:
    """A sink that reads a round's stream, and writes what the client gets of it to another."""

    def __init__(self, reply: RoundReply, sink: Sink) -> None:
        self._reply = reply
        self._sink = sink
        self._parser = EventParser()
        self.drain = sink.drain

    def write(self, chunk: bytes) -> None:
        """Read a chunk."""
        self._forward([part for event in self._parser.feed(chunk) for part in self._reply.event(event)])

    def finish(self) -> None:
        """Read the last event, if no empty line ended it."""
        self._forward([part for event in self._parser.finish() for part in self._reply.event(event)])

    def attach(self, source: Source | None) -> None:
        """Pause and resume `source` with the other sink."""
        self._sink.attach(source)

    def _forward(self, parts: Sequence[bytes]) -> None:
        if parts:
            self._sink.write(b"".join(parts))
