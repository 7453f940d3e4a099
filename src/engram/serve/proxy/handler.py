"""The way of one request to a model: recall on the way in, remember on the way out, and nothing in between changed.

Owns the order of the steps and what happens when memory fails: the request goes on without it. Knows nothing of how
each API's bodies look (`wire`), nor of how notes are found (`recaller`) or kept (`recorder`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.types import Message, Receive, Scope, Send

from engram.errors import EngramError
from engram.notes.injection import without_notes
from engram.notes.wording import SMALL
from engram.serve.auth.access import Access
from engram.serve.auth.headers import PLACEHOLDER, SESSION_HEADER, header_text, requested_namespace
from engram.serve.conversations import matching
from engram.serve.conversations.jobs import WriteTicket
from engram.serve.conversations.matching import ConversationMatch
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.http.limits import OUTLET, Outlet, form_of
from engram.serve.http.logs import log
from engram.serve.proxy.recall_request import NO_NOTES, Notes, build_recall_request
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.upstream import Answer, Upstream
from engram.serve.services import Services
from engram.serve.wire.base import ChatMessage, Collector, Request
from engram.serve.wire.collector import EVENT_STREAM
from engram.serve.wire.table import CHAT, Wire, wire_at
from engram.text.markup import one_line

logger = logging.getLogger("engram.serve")

T = TypeVar("T")

MODES = {"": (True, True), "off": (False, False), "read": (True, False), "write": (False, True)}
"""What `X-Engram` allows: to read, to write."""

TASK_HEADER = "x-engram-task"
"""Names what a front end asks in the background, as for a title: that is no conversation. Empty where it is one."""

SOURCE = "serve"
"""What remembered turns of a conversation name as their source."""

LARGE_BODY = 64 << 10
"""Bytes from which on a body, or an answer, is read in a thread: the event loop must not wait for it."""

TOO_MANY_MESSAGES = 10_000
"""A request with so many is refused: no model reads them, and each would be looked up."""

SLOW, CAREFUL = 0.025, 5.0
"""Where finding a thread took this long, it is done in another for so many seconds: the event loop must not wait."""

RETRIES = 8
"""How often the thread of a request is looked for again, in the background, when the ledger could not be asked."""


@dataclass(slots=True)
class ProxyRequest:
    """One request, and what memory does for it."""

    wire: Wire
    request: Request
    namespace: str
    session: str | None
    reads: bool
    writes: bool
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    thread: ConversationMatch | None = None
    notes: Notes = NO_NOTES
    looked_up: bool = False
    """Whether notes were looked for in time, found or not."""
    milliseconds: float = 0.0
    """What memory took before the request went on."""
    error: str | None = None
    """What went wrong with memory."""
    writing: WriteTicket | None = None
    later: asyncio.Task[WriteTicket | None] | None = None
    """Where the thread was not found in time: the task that goes on with that."""

    def headers(self) -> list[tuple[str, str]]:
        """What memory did, as the headers of the answer."""
        found = [("x-engram-ms", f"{self.milliseconds:.1f}")]
        if self.reads:
            found.append(("x-engram-recalled", ",".join(self.notes.recalled)))
        if self.thread is not None:
            # In UTF-8, as it came.
            found.append(("x-engram-session", self.thread.session.encode().decode("latin-1")))
        if self.writing is not None:
            found.append(("x-engram-receipt", self.writing.receipt_id))
        if self.error is not None:
            found.append(("x-engram-error", self.error))
        return found


class Proxy:
    """The ASGI application behind /v1."""

    def __init__(self, services: Services, upstream: Upstream, recalls: RecallProcess) -> None:
        self._services = services
        self._upstream = upstream
        self._recalls = recalls
        self._tasks: set[asyncio.Task[Any]] = set()
        self._careful_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.perf_counter()
        wire = wire_at(scope["path"]) if scope["method"] == "POST" else None
        sender = ResponseSender(send, scope["extensions"][OUTLET]["self"])
        try:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            access = self._services.gate.access(dict(headers))
            if wire is None:
                await self._pass(scope, headers, receive, sender)
            else:
                await self._remember(wire, scope, headers, access, receive, sender)
        except ServeError as error:
            if error.code.startswith("upstream"):
                self._services.metrics.failures.labels(error.code).inc()
            if not sender.started:
                body = form_of(scope["path"]).error(error)
                await sender.whole(error.status, [("content-type", "application/json")], body)
        finally:
            face = wire.name if wire is not None else "passed"
            said = {} if sender.asked is None else {"text": sender.asked}
            self._services.answered(face, sender.status, begun, broken=not sender.ended, **said)

    async def drain(self) -> None:
        """Wait for what still goes on in the background."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do `work` in the background: it goes on if its request ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is no conversation.

    async def _pass(
        self, scope: Scope, headers: list[tuple[str, str]], receive: Receive, sender: ResponseSender
    ) -> None:
        """Hand a request through as it is, and the answer."""
        body = pieces_of(receive) if has_body(headers) else b""

        async def hand_through() -> None:
            async with self._upstream.asked(scope["method"], *target_of(scope), headers, body) as answer:
                await relay(answer, sender)

        await unless_gone(hand_through(), sender.outlet)

    # What is one.

    async def _remember(
        self,
        wire: Wire,
        scope: Scope,
        headers: list[tuple[str, str]],
        access: Access,
        receive: Receive,
        sender: ResponseSender,
    ) -> None:
        given = dict(headers)
        reads, writes = mode_of(given, access)
        body = b"".join([piece async for piece in pieces_of(receive)])
        visit = None
        if (reads or writes) and (packing := given.get("content-encoding", "identity")) != "identity":
            reads = writes = False
            sender.own = [("x-engram-error", shown(f"the request is packed ({packing}), which memory does not read"))]
        if reads or writes:
            request = await self._read(wire, body)
            last = matching.last_user_index(request.messages)
            sender.asked = None if last is None else request.messages[last].text
            namespace = namespace_of(access, requested_namespace(given), request.user)
            visit = ProxyRequest(wire, request, namespace, header_text(given, SESSION_HEADER), reads, writes)
            await self._prepare(visit)
            if visit.notes.texts:
                body = wire.with_notes(request, visit.notes.texts)
            if self._services.settings.upstream is None:
                body = with_manner(wire, request, body)
            sender.own = visit.headers()

        async def hand_through() -> None:
            async with self._upstream.asked("POST", *target_of(scope), headers, body) as answer:
                if visit is None or not visit.writes or not 200 <= answer.status < 300:
                    self._failed(visit)
                    await relay(answer, sender)
                else:
                    await self._keep(visit, answer, sender)

        try:
            await unless_gone(hand_through(), sender.outlet)
        except ServeError:
            self._failed(visit)
            raise

    async def _read(self, wire: Wire, body: bytes) -> Request:
        """The request in a body, its messages without the notes that were put in earlier."""
        if len(body) > LARGE_BODY:
            # Not in a thread of the memory's: if all of them wait for it, this must go on.
            return await asyncio.to_thread(read_request, wire, body)
        return read_request(wire, body)

    async def _prepare(self, visit: ProxyRequest) -> None:
        """Find the thread and the notes, within the deadline; begin to write."""
        services, begun = self._services, time.perf_counter()
        try:
            # What waits for a thread of the pool then does not begin; what runs goes on, and tells where the turn
            # belongs.
            async with asyncio.timeout(services.settings.deadline) as limit:
                await self._look_up(visit)
        except ServeError:
            raise
        except Exception as error:  # memory's edge: whatever it is, the request must go on
            services.metrics.failures.labels("recall_deadline" if limit.expired() else "recall_error").inc()
            if limit.expired():
                visit.error = f"memory took over {services.settings.deadline * 1000:.0f} ms"
                log(logger, logging.WARNING, "memory was too slow", namespace=visit.namespace)
            elif isinstance(error, EngramError | OSError):
                # Where it lies is for the log alone.
                visit.error = shown(str(error).replace(services.memory.path, "the memory"))
                log(logger, logging.ERROR, "memory failed", error=str(error), namespace=visit.namespace)
            else:
                visit.error = f"memory failed: {type(error).__name__}"
                logger.exception("memory failed")
        visit.milliseconds = (time.perf_counter() - begun) * 1000
        if visit.reads and visit.error is None:
            services.metrics.note_tokens.inc(visit.notes.tokens)
        if not visit.writes:
            return
        if visit.thread is not None:
            visit.writing = self._accept(visit)
        else:
            visit.later = self._begin(self._accept_later(visit))

    async def _look_up(self, visit: ProxyRequest) -> None:
        """Find the thread, then the notes if they are wanted."""
        services, begun = self._services, time.monotonic()
        if begun < self._careful_until or len(visit.request.text) > LARGE_BODY:
            thread = await services.run(self._find, visit)
        else:
            # A few look-ups by a key: to have a thread do them, and wait for it, takes longer than they do.
            thread = self._find(visit)
            if time.monotonic() > begun + SLOW:
                self._careful_until = time.monotonic() + CAREFUL
        if not visit.reads:
            return
        wanted = build_recall_request(thread, visit.request.messages, sticky=services.settings.sticky)
        if wanted is not None:
            until = begun + services.settings.deadline
            with services.metrics.recall_seconds.time():
                for part in wanted.parts():
                    # What earlier messages get back stays if what is new comes too late.
                    visit.notes = visit.notes.joined(await self._recalls.notes(part, until))
        visit.looked_up = True

    def _find(self, visit: ProxyRequest) -> ConversationMatch:
        """Find the thread: on the event loop, or in one of the pool's threads."""
        request, store = visit.request, self._services.conversations
        visit.thread = matching.match_conversation(
            store, visit.namespace, request.messages, visit.session, request.previous_response_id
        )
        return visit.thread

    def _accept(self, visit: ProxyRequest) -> WriteTicket:
        assert visit.thread is not None
        recalled = visit.notes.recalled if visit.looked_up else None
        messages = visit.request.messages
        return self._services.recorder.accept(visit.thread, messages, visit.at, recalled, SOURCE)

    async def _accept_later(self, visit: ProxyRequest) -> WriteTicket | None:
        """Begin to write as soon as the thread can be found."""
        services, pause = self._services, 0.2
        for _ in range(RETRIES):
            try:
                if visit.thread is None:
                    await services.run(self._find, visit)
                return self._accept(visit)
            except ServeError as error:
                log(logger, logging.ERROR, "a turn was not remembered", error=error.message)
                return None
            except (EngramError, OSError):
                await asyncio.sleep(pause)
                pause *= 2
            except Exception:  # a worker's edge: whatever it is, the reply must go on
                logger.exception("a turn was not remembered")
                break
        services.metrics.failures.labels("record_error").inc()
        log(logger, logging.ERROR, "a turn was not remembered: its thread could not be found")
        return None

    def _failed(self, visit: ProxyRequest | None) -> None:
        """Upstream gave no reply: the turn stays, and a retry is not a new one."""
        if visit is None:
            return
        if visit.writing is not None:
            self._services.recorder.reply_failed(visit.writing)
        elif visit.later is not None:
            visit.later.add_done_callback(self._failed_later)

    def _failed_later(self, task: asyncio.Task[WriteTicket | None]) -> None:
        if not task.cancelled() and task.exception() is None and (writing := task.result()) is not None:
            self._services.recorder.reply_failed(writing)

    # The reply.

    async def _keep(self, visit: ProxyRequest, answer: Answer, sender: ResponseSender) -> None:
        """Hand a reply through, and keep it: before its end is sent if memory is quick enough for that."""
        collector = visit.wire.collector(answer.content_type)
        kept: asyncio.Task[None] | None = None

        def keep() -> asyncio.Task[None]:
            nonlocal kept
            if kept is None:
                # Once begun it goes on, though the client goes away at this moment, or memory is slow.
                kept = self._begin(self._keep_reply(visit, collector))
            return kept

        try:
            if EVENT_STREAM not in answer.content_type.lower():
                body = await answer.whole()
                collector.feed(body)
                await asyncio.wait({keep()})
                await sender.whole(answer.status, answer.headers, body)
                return
            await sender.start(answer.status, answer.headers)
            until_kept = HoldEndUntilStored(sender, collector, visit.wire, keep)
            await answer.pour(until_kept)
            await asyncio.wait({keep()})
            until_kept.let_go()
            await sender.end()
        finally:
            # Where it broke off, on either side, what came is kept, though nobody waits for it.
            keep()

    async def _keep_reply(self, visit: ProxyRequest, collector: Collector) -> None:
        """Hand the reply to the recorder, and wait until it is durable: a deadline long, the rest comes about later."""
        if visit.later is not None and not visit.later.done():
            self._begin(self._keep_late(visit.later, collector))
            return
        writing = visit.writing if visit.later is None else visit.later.result()
        if writing is None:
            return
        deadline = self._services.settings.deadline
        recording = self._begin(self._record(writing, collector)) if collector.size > LARGE_BODY else None
        if recording is None:
            self._hand_over(writing, collector)
        elif (await asyncio.wait({recording}, timeout=deadline))[1]:
            return
        # They are written in order.
        for last in writing.futures()[-1:]:
            _, late = await asyncio.wait({asyncio.wrap_future(last)}, timeout=deadline)
            if late:
                self._services.metrics.failures.labels("record_deadline").inc()
            else:
                self._recalls.written()

    async def _keep_late(self, later: asyncio.Task[WriteTicket | None], collector: Collector) -> None:
        if (writing := await later) is not None:
            await self._record(writing, collector)

    async def _record(self, writing: WriteTicket, collector: Collector) -> None:
        """Hand a large reply to the recorder: not in a thread of the memory's, which may all wait for it."""
        await asyncio.to_thread(self._hand_over, writing, collector)

    def _hand_over(self, writing: WriteTicket, collector: Collector) -> None:
        try:
            replies = [replace(reply, message=cleaned(reply.message)) for reply in collector.replies()]
            if replies:
                self._services.recorder.reply(writing, replies, collector.response_id)
            else:
                self._services.recorder.reply_failed(writing)
        except Exception:  # a worker's edge: whatever it is, the reply must go on
            self._services.metrics.failures.labels("record_error").inc()
            logger.exception("a reply was not remembered")


class HoldEndUntilStored:
    """A sink for a reply's stream, which gathers it, and holds its end back until that is kept."""

    def __init__(
        self, sender: ResponseSender, collector: Collector, wire: Wire, keep: Callable[[], asyncio.Task[None]]
    ) -> None:
        self.room = sender.room
        self.attach = sender.attach
        self._put = sender.put
        self._feed = collector.feed
        self._ends: Callable[[bytes], bool] = wire.ends
        self._keep = keep
        self._tail = b""
        """The last bytes: the mark of the end may be cut into pieces anyhow."""
        self._held: list[bytes] | None = None

    def put(self, piece: bytes) -> None:
        """Take a piece."""
        self._feed(piece)
        if self._held is not None:
            self._held.append(piece)
            return
        with_tail = self._tail + piece
        if self._ends(with_tail):
            self._held = [piece]
            self._keep().add_done_callback(self.let_go)
        else:
            self._tail = with_tail[-32:]
            self._put(piece)

    def let_go(self, _: object = None) -> None:
        """Send on what was held back, and whatever comes from now on."""
        held, self._held = self._held or (), None
        self._ends = never
        for piece in held:
            self._put(piece)


def never(_: bytes) -> bool:
    """False."""
    return False


class ResponseSender:
    """The answer to one request, on its way to the client."""

    def __init__(self, send: Send, outlet: Outlet) -> None:
        """`outlet`: where the pieces of its body go, once its head is gone."""
        self._send = send
        self.outlet = outlet
        self.put = outlet.put
        self.room = outlet.room
        self.attach = outlet.attach
        self.own: list[tuple[str, str]] = []
        """Headers that it has whatever it is: what memory did."""
        self.asked: str | None = None
        """The user's words that it answers, for the log."""
        self.status = 0
        self.ended = False

    @property
    def started(self) -> bool:
        """Whether the head of the answer is gone."""
        return self.status > 0

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head."""
        self.status = status
        raw = [(name.encode("latin-1"), header_value(value)) for name, value in (*headers, *self.own)]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def end(self, body: bytes = b"") -> None:
        """Send the last piece."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self.ended = True

    async def whole(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send all of it."""
        await self.start(status, [*headers, ("content-length", str(len(body)))])
        await self.end(body)


class ClientGone(ServeError):
    """Nobody is there to read the answer."""


async def pieces_of(receive: Receive) -> AsyncIterator[bytes]:
    """The body of a request as it comes. Raises `ClientGone` if it does not come to an end."""
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone(499, "the client went away", "client_gone")
        if body := message.get("body", b""):
            yield body
        if not message.get("more_body", False):
            return


async def relay(answer: Answer, sender: ResponseSender) -> None:
    """Hand an answer through that nothing is kept of."""
    await sender.start(answer.status, answer.headers)
    await answer.pour(sender)
    await sender.end()


async def unless_gone(work: Coroutine[Any, Any, None], outlet: Outlet) -> None:
    """Do `work` to its end, unless the client goes away first: then stop it and raise `ClientGone`."""
    task, gone = asyncio.ensure_future(work), False

    def stop() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    outlet.on_gone(stop)
    try:
        await task
    except asyncio.CancelledError:
        if gone:
            raise ClientGone(499, "the client went away", "client_gone") from None
        raise
    finally:
        outlet.forget(stop)


def target_of(scope: Scope) -> tuple[str, str]:
    """The path and the query of a request as they came: nothing in them is unquoted, and so nothing quoted anew.

    Raises `ServeError` (400) for a path that climbs: whatever upstream makes of it, it need not lead to its API.
    """
    if not {".", ".."}.isdisjoint(scope["path"].split("/")):
        raise bad_request("the path holds . or .. as a segment; leave that out")
    return scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")


def has_body(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether a request has one, by its headers."""
    return any(
        name == "transfer-encoding" or (name == "content-length" and value.strip() != "0") for name, value in headers
    )


def with_manner(wire: Wire, request: Request, body: bytes) -> bytes:
    """A request for the embedded model with the system message that it does best with, if it has none of its own."""
    first = request.messages[0] if request.messages else None
    if wire is not CHAT or first is None or first.span is None or first.role == "system":
        return body
    # Notes stand in messages: where the first begins, the body is as it came.
    head = request.text[: first.span[0]].encode()
    system = json.dumps({"role": "system", "content": SMALL.system}) + ", "
    return head + system.encode() + body[len(head) :]


def read_request(wire: Wire, body: bytes) -> Request:
    """The request in a body, its messages without the notes that Engram had put in."""
    request = wire.read(body)
    if (count := len(request.messages)) >= TOO_MANY_MESSAGES:
        raise bad_request(f"the request has {count:,} messages; it must have fewer than {TOO_MANY_MESSAGES:,}")
    return replace(request, messages=tuple(map(cleaned, request.messages)))


def cleaned(said: ChatMessage) -> ChatMessage:
    """A message without the notes that Engram had put in, where it holds some."""
    pieces = tuple(replace(piece, text=text) for piece in said.parts if (text := without_notes(piece.text)))
    if pieces == said.parts:
        return said
    return replace(said, parts=pieces, text=without_notes(said.text), canonical=without_notes(said.canonical))


def mode_of(headers: dict[str, str], access: Access) -> tuple[bool, bool]:
    """Whether a request reads memory and whether it writes, by its headers and the rights of its key."""
    task = headers.get(TASK_HEADER, "").strip()
    if task and not PLACEHOLDER.search(task):
        return False, False
    asked = headers.get("x-engram", "").strip().lower()
    if asked not in MODES:
        raise bad_request(f"X-Engram is {asked[:40]!r}; it can be off, read or write", "X-Engram")
    reads, writes = MODES[asked]
    return reads and access.read, writes and access.write


def namespace_of(access: Access, asked: str | None, user: str | None) -> str:
    """Whose memory it is: by the header, else by the request's `user`, else by the key."""
    if asked is None and user is not None and access.allows(user):
        asked = user
    return access.namespace(asked)


def shown(text: str) -> str:
    """`text` as it can stand in a header."""
    return one_line(text)[:300]


def header_value(value: str) -> bytes:
    """A header's value; what is not Latin-1 is written as its escape."""
    return value.encode("latin-1", "backslashreplace")
