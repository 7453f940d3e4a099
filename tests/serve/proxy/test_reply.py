"""The plain outlet, and the request's body beside it: what goes to an ASGI server, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from engram.serve.proxy.reply import HIGH_WATER, AsgiOutlet, ClientDisconnected, RequestBody, outlet_of

Message = dict[str, Any]


class FakeServer:
    """An ASGI server whose client reads when the test says so."""

    def __init__(self, messages: Iterable[Message] = (), *, reads: bool = True) -> None:
        self.sent: list[bytes] = []
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()
        self.error: OSError | None = None
        self.messages = asyncio.Queue[Message]()
        for message in messages:
            self.messages.put_nowait(message)

    async def receive(self) -> Message:
        return await self.messages.get()

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        if self.error is not None:
            raise self.error
        assert message["more_body"]
        self.sent.append(message["body"])

    def outlet(self) -> AsgiOutlet:
        self.body = RequestBody(self.receive)
        return AsgiOutlet(self.body, self.send)


class PausableSource:
    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def chunk(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


def test_chunks_of_one_turn_go_out_as_one_message() -> None:
    async def main() -> None:
        server = FakeServer()
        outlet = server.outlet()
        for part in (b"a", b"", b"b", b"c"):
            outlet.write(part)
        await outlet.drain()
        assert server.sent == [b"abc"]
        outlet.write(b"d")
        await outlet.drain()
        await outlet.drain()
        assert server.sent == [b"abc", b"d"]
        outlet.close()

    asyncio.run(main())


def test_draining_waits_for_what_is_written_meanwhile() -> None:
    # A reply's end mark is written when the reply is stored, at any moment of `drain`.
    for turns in range(6):

        async def main(turns: int = turns) -> None:
            server = FakeServer(reads=False)
            outlet = server.outlet()
            written = [b"word"]

            async def drain() -> tuple[list[bytes], list[bytes]]:
                await outlet.drain()
                return list(server.sent), list(written)

            outlet.write(b"word")
            drained = asyncio.ensure_future(drain())
            await asyncio.sleep(0.01)
            server.reads.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            written.append(b"end")
            outlet.write(b"end")
            sent, expected = await drained
            assert b"".join(sent) == b"".join(expected)
            outlet.close()

        asyncio.run(main())


def test_a_client_that_does_not_read_pauses_the_source() -> None:
    async def main() -> None:
        server = FakeServer(reads=False)
        outlet, source = server.outlet(), PausableSource()
        outlet.attach(source)
        outlet.write(b"x" * HIGH_WATER)
        await asyncio.sleep(0)
        assert not source.paused
        outlet.write(b"y")
        assert source.paused
        drained = asyncio.ensure_future(outlet.drain())
        await asyncio.sleep(0.01)
        assert not drained.done()
        server.reads.set()
        await drained
        assert not source.paused
        assert b"".join(server.sent) == b"x" * HIGH_WATER + b"y"

    asyncio.run(main())


def test_a_source_attached_to_a_full_outlet_is_paused() -> None:
    async def main() -> None:
        server = FakeServer(reads=False)
        outlet, source = server.outlet(), PausableSource()
        outlet.write(b"x" * (HIGH_WATER + 1))
        outlet.attach(source)
        assert source.paused
        outlet.attach(None)
        outlet.close()

    asyncio.run(main())


def test_a_server_that_refuses_chunks_means_a_disconnect() -> None:
    async def main() -> None:
        server = FakeServer()
        server.error = OSError("closed")
        outlet = server.outlet()
        outlet.write(b"a")
        with pytest.raises(ClientDisconnected):
            await outlet.drain()
        outlet.close()

    asyncio.run(main())


def test_a_disconnect_is_noticed_after_the_body_only() -> None:
    async def main() -> None:
        server = FakeServer([chunk(b"one", True), chunk(b"two", False)])
        outlet = server.outlet()
        disconnected = outlet.disconnected()
        assert outlet.disconnected() is disconnected
        await asyncio.sleep(0.01)
        # The watcher has taken no part of the body.
        assert await server.body.read() == b"onetwo"
        await asyncio.sleep(0.01)
        assert not disconnected.done()
        server.messages.put_nowait(GONE)
        await disconnected
        outlet.close()

    asyncio.run(main())


def test_a_request_without_a_body_is_watched_at_once() -> None:
    async def main() -> None:
        server = FakeServer([chunk(b"", False), GONE])
        outlet = server.outlet()
        server.body.skip()
        await outlet.disconnected()

    asyncio.run(main())


def test_a_body_that_breaks_off_raises() -> None:
    async def main() -> None:
        server = FakeServer([chunk(b"one", True), GONE])
        server.outlet()
        with pytest.raises(ClientDisconnected):
            await server.body.read()
        assert server.body.disconnected

    asyncio.run(main())


def test_closing_ends_the_tasks() -> None:
    async def main() -> None:
        server = FakeServer(reads=False)
        outlet = server.outlet()
        outlet.write(b"a")
        disconnected = outlet.disconnected()
        await asyncio.sleep(0)
        outlet.close()
        with pytest.raises(asyncio.CancelledError):
            await disconnected
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_the_servers_own_outlet_is_preferred() -> None:
    async def main() -> None:
        server = FakeServer()
        direct, body = server.outlet(), RequestBody(server.receive)
        scope = {"extensions": {"engram.outlet": {"outlet": direct}}}
        assert outlet_of(scope, body, server.send) is direct
        assert isinstance(outlet_of({}, body, server.send), AsgiOutlet)
        assert isinstance(outlet_of({"extensions": {"http.response.push": {}}}, body, server.send), AsgiOutlet)

    asyncio.run(main())
