"""The proxy: recall on the way to the model, remember on the way back, and forward everything else unchanged.

Owns the order of the steps of one request, and the rule that the request proceeds without memory if memory fails. Knows
nothing of the format of bodies (`wire`), of how notes are chosen (`recall_request`) or stored (`recorder`), nor of how
chunks reach the client (`reply`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from engram.errors import EngramError, MemoryReplaced
from engram.ids import read_reference
from engram.notes.wording import SMALL
from engram.serve.auth.access import Access
from engram.serve.auth.mode import mode_of, wants_profile
from engram.serve.auth.whose import SharingWatch, whose
from engram.serve.conversations import matching
from engram.serve.conversations.jobs import WriteTicket
from engram.serve.conversations.matching import ConversationMatch
from engram.serve.frontends.reading import is_front_ends
from engram.serve.frontends.request import read_request
from engram.serve.http.anonymous import without_paths
from engram.serve.http.errors import NotRemembered, ServeError
from engram.serve.http.logs import log
from engram.serve.http.paths import local_path, target_of
from engram.serve.http.zones import zone_of
from engram.serve.proxy.profiles import NO_PROFILE, AttachedProfile, Profiles
from engram.serve.proxy.recall_request import NO_NOTES, Notes, build_recall_request
from engram.serve.proxy.recall_worker import RecallProcess
from engram.serve.proxy.reply import (
    ClientDisconnected,
    HoldEndUntilStored,
    RequestBody,
    ResponseSender,
    outlet_of,
    relay,
    unless_disconnected,
)
from engram.serve.proxy.upstream import Upstream, UpstreamResponse
from engram.serve.services import Services
from engram.serve.tool_calls.granting import WITHOUT_MEMORY, asks_for_tools, with_tools
from engram.serve.tool_calls.loop import Storing, ToolLoop
from engram.serve.tool_calls.request import ToolRequest
from engram.serve.wire.base import Collector, Request
from engram.serve.wire.collector import EVENT_STREAM
from engram.serve.wire.reading import as_stored
from engram.serve.wire.table import CHAT, Wire, error_wire, wire_at
from engram.text.markup import one_line
from engram.tools import MemoryTools

logger = logging.getLogger("engram.serve")

T = TypeVar("T")


SOURCE = "serve"
"""The `source` of engrams that come from conversations."""

LARGE_BODY = 64 << 10
"""Bodies of more bytes are parsed in a thread, so that the event loop stays responsive."""

UNSEEN = frozenset((401, 403, 404))
"""Statuses of upstream that say that no model saw the request: a wrong key, or a wrong name of the model."""

SLOW_MATCH, THREAD_SECONDS = 0.025, 5.0
"""If matching a conversation took longer than the first, matching runs in a thread for the next so many seconds."""

MATCH_RETRIES = 8
"""Number of background attempts to match a conversation when the server database could not be read."""


@dataclass(slots=True)
class ProxyRequest:
    """One request with memory: what it asked for, and what memory did for it so far."""

    wire: Wire
    request: Request
    namespace: str
    session: str | None
    reads: bool
    writes: bool
    zone: tzinfo
    wants_profile: bool = False
    """Whether the conversation gets the user's profile, if the request reads memory."""
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    conversation: ConversationMatch | None = None
    notes: Notes = NO_NOTES
    recall_finished: bool = False
    """Whether recall finished in time, with or without notes."""
    finding_profile: asyncio.Task[AttachedProfile] | None = None
    """Set once the conversation is matched, if the request gets a profile."""
    profile: AttachedProfile = NO_PROFILE
    memory_ms: float = 0.0
    """Milliseconds that memory took before the request was forwarded."""
    error: str | None = None
    """Why memory failed."""
    ticket: WriteTicket | None = None
    late_ticket: asyncio.Task[WriteTicket | None] | None = None
    """Set instead of `ticket` if the conversation was not matched in time: the task that continues."""

    def headers(self) -> list[tuple[str, str]]:
        """Return the response headers that say what memory did."""
        headers = [("x-engram-ms", f"{self.memory_ms:.1f}")]
        if self.reads:
            recalled = ",".join(read_reference(one)[0] for one in self.notes.recalled)
            headers.append(("x-engram-recalled", recalled))
        if self.reads and self.wants_profile:
            headers.append(("x-engram-profile", ",".join(self.profile.ids)))
        if self.conversation is not None:
            # Sent as UTF-8, as the client sent it.
            headers.append(("x-engram-session", self.conversation.session.encode().decode("latin-1")))
        if self.ticket is not None:
            headers.append(("x-engram-receipt", self.ticket.receipt_id))
        if self.error is not None:
            headers.append(("x-engram-error", self.error))
        return headers


class Proxy:
    """The ASGI application behind /v1."""

    def __init__(self, services: Services, upstream: Upstream, recalls: RecallProcess, profiles: Profiles) -> None:
        self._services = services
        self._profiles = profiles
        self._upstream = upstream
        self._recalls = recalls
        self._sharing = SharingWatch()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._match_in_thread_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._services.answering:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun, path = time.perf_counter(), local_path(scope)
        wire = wire_at(path) if scope["method"] == "POST" else None
        body = RequestBody(receive)
        outlet = outlet_of(scope, body, send)
        sender = ResponseSender(send, outlet)
        try:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            access = self._services.gate.access(dict(headers))
            if wire is None:
                await self._pass_through(scope, headers, body, sender)
            else:
                await self._proxy(wire, scope, headers, access, body, sender)
        except ServeError as error:
            if error.code.startswith("upstream"):
                self._services.metrics.failures.labels(error.code).inc()
            if not sender.started:
                # Some servers raise if the client has disconnected.
                with suppress(OSError):
                    content = error_wire(path).error(error)
                    await sender.send_whole(error.status, [("content-type", "application/json")], content)
        finally:
            outlet.close()
            face = wire.name if wire is not None else "passed"
            text = {} if sender.log_text is None else {"text": sender.log_text}
            self._services.answered(face, sender.status, begun, broken=not sender.ended, **text)

    async def drain(self) -> None:
        """Wait for the background tasks."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` in the background; it continues after its request ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Requests that are not conversations.

    async def _pass_through(
        self, scope: Scope, headers: list[tuple[str, str]], body: RequestBody, sender: ResponseSender
    ) -> None:
        """Forward a request and its response unchanged."""
        content: RequestBody | bytes = body if has_body(headers) else b""
        if content is not body:
            body.skip()
        method, target = scope["method"], target_of(scope)

        async def forward() -> None:
            async with self._upstream.request(method, *target, headers, content) as response:
                await relay(response, sender)

        try:
            await unless_disconnected(forward(), sender)
        except ServeError:
            if body.disconnected:
                # The upstream client reports an incomplete request body as an error of upstream.
                raise ClientDisconnected from None
            raise

    # Conversations.

    async def _proxy(
        self,
        wire: Wire,
        scope: Scope,
        headers: list[tuple[str, str]],
        access: Access,
        body: RequestBody,
        sender: ResponseSender,
    ) -> None:
        """Forward a conversation with notes, and store its new messages and the reply."""
        by_name = dict(headers)
        reads, writes = mode_of(by_name, access)
        with_profile = wants_profile(by_name, self._services.settings.profile)
        asks_tools = asks_for_tools(by_name, self._services.settings.tools)
        content = await body.read()
        state = None
        if reads or writes:
            try:
                state = await self._read(wire, by_name, access, content, (reads, writes, zone_of(scope)))
            except NotRemembered as error:
                sender.extra_headers = [("x-engram-error", as_header(error.message))]
                self._services.metrics.failures.labels("not_remembered").inc()
        if state is not None and state.request.task is not None:
            sender.extra_headers = [("x-engram-task", state.request.task)]
            self._services.metrics.frontend_tasks.labels(state.request.task).inc()
            state = None
        if state is not None:
            last = matching.last_user_index(state.request.messages)
            sender.log_text = None if last is None else state.request.messages[last].text
            state.wants_profile = with_profile
            await self._apply_memory(state)
            content = await self._with_additions(state, content)
            sender.extra_headers = state.headers()
        tools = None
        if asks_tools:
            tools, said = await self._with_tools(state, content)
            sender.extra_headers.append(("x-engram-tools", as_header(said)))

        async def forward() -> None:
            if tools is not None and state is not None:
                await self._tool_loop(state, tools, target_of(scope), headers).run(sender)
                return
            async with self._upstream.request("POST", *target_of(scope), headers, content) as response:
                if state is None or not state.writes or not 200 <= response.status < 300:
                    self._no_reply(state, unseen=response.status in UNSEEN)
                    await relay(response, sender)
                else:
                    await self._relay_and_store(state, response, sender)

        try:
            await unless_disconnected(forward(), sender)
        except ServeError:
            self._no_reply(state)
            raise

    async def _read(
        self, wire: Wire, headers: dict[str, str], access: Access, body: bytes, mode: tuple[bool, bool, tzinfo]
    ) -> ProxyRequest:
        """Return the request in a body, and whose memory it uses. Raises `NotRemembered` if memory cannot take it.

        mode: whether it reads memory, whether it writes, and the user's time zone.
        """
        if (encoding := headers.get("content-encoding", "identity")) != "identity":
            raise NotRemembered(f"the request is packed ({encoding}), which memory does not read")
        if len(body) > LARGE_BODY:
            # Not in the pool that reads the memory: its threads may all be waiting for the memory.
            request = await asyncio.to_thread(read_request, wire, body, self._services.strip)
        else:
            request = read_request(wire, body, self._services.strip)
        found = whose(access, headers, request.user)
        self._sharing.look(found, headers, request)
        return ProxyRequest(wire, request, found.namespace, found.session, *mode)

    async def _with_additions(self, state: ProxyRequest, body: bytes) -> bytes:
        """Return the body with notes and profile, and with the system message that the embedded model needs."""
        system = state.profile.text
        if self._services.settings.upstream is None and is_without_system_message(state.wire, state.request):
            system = f"{SMALL.system}\n\n{system}" if system else SMALL.system
        if not (state.notes.texts or system):
            return body
        insert = partial(state.wire.with_notes, state.request, state.notes.texts, is_front_ends, system)
        return await asyncio.to_thread(insert) if len(body) > LARGE_BODY else insert()

    # The tools.

    async def _with_tools(self, state: ProxyRequest | None, body: bytes) -> tuple[ToolRequest | None, str]:
        """Return the request with Engram's tools, None if it gets none; and what the response's header says of it."""
        if state is None:
            return None, WITHOUT_MEMORY
        add = partial(
            with_tools,
            state.wire,
            state.request,
            body,
            self._services.settings,
            reads=state.reads,
            writes=state.writes,
        )
        return await asyncio.to_thread(add) if len(body) > LARGE_BODY else add()

    def _tool_loop(
        self, state: ProxyRequest, request: ToolRequest, target: tuple[str, str], headers: list[tuple[str, str]]
    ) -> ToolLoop:
        """Return the loop that answers a request with tools."""
        match = state.conversation
        seen = () if match is None else match.known_engrams.union(*(node.engrams for node in match.new_nodes))
        tools = MemoryTools(
            self._services.memory,
            namespace=state.namespace,
            session=state.session if match is None else match.session,
            writes=state.writes,
            zone=state.zone,
            least_trust=self._services.settings.least_trust,
            seen=seen,
        )
        storing = Storing(
            state.wire.collector,
            lambda collector: self._start(self._store_reply(state, collector)),
            lambda status: self._no_reply(state, unseen=status in UNSEEN),
        )
        ask = partial(self._upstream.request, "POST", *target, headers)
        return ToolLoop(self._services, request, tools, ask, storing if state.writes else None, self._recalls.written)

    # Memory on the way to the model.

    async def _apply_memory(self, state: ProxyRequest) -> None:
        """Match the conversation and recall notes within the deadline; start to store the new messages."""
        services, begun = self._services, time.perf_counter()
        until = time.monotonic() + services.settings.deadline
        try:
            # On timeout, work that waits for a thread never starts. Work that runs continues, and sets `conversation`.
            async with asyncio.timeout(services.settings.deadline) as limit:
                await self._match_and_recall(state)
        except ServeError:
            raise
        except Exception as error:  # the edge of memory: whatever failed, the request must proceed
            services.metrics.failures.labels("recall_deadline" if limit.expired() else "recall_error").inc()
            state.error = self._reason(state, error, timed_out=limit.expired())
            if state.error is None:
                logger.exception("memory failed")
                state.error = f"memory failed: {type(error).__name__}"
        if state.reads and state.error is None:
            services.metrics.note_tokens.inc(state.notes.tokens)
        if state.finding_profile is not None:
            await self._finish_profile(state, state.finding_profile, until)
        state.memory_ms = (time.perf_counter() - begun) * 1000
        if not state.writes:
            return
        if state.reads and state.error is None:
            services.memory.strengthen(read_reference(one)[0] for one in state.notes.recalled)
        if state.conversation is not None:
            state.ticket = self._accept(state, state.conversation)
            if not state.ticket.results and state.error is None:
                state.error = state.ticket.reason and as_header(state.ticket.reason)
        else:
            state.late_ticket = self._start(self._accept_late(state))

    async def _finish_profile(self, state: ProxyRequest, finding: asyncio.Task[AttachedProfile], until: float) -> None:
        """Wait for the profile of the conversation, until the deadline. Without it, the request proceeds."""
        metrics = self._services.metrics
        await asyncio.wait({finding}, timeout=max(0.0, until - time.monotonic()))
        try:
            if not finding.done():
                raise TimeoutError
            state.profile = finding.result()
            metrics.profile_tokens.inc(state.profile.tokens)
        except Exception as error:  # the edge of memory: whatever failed, the request must proceed
            late = isinstance(error, TimeoutError)
            metrics.failures.labels("profile_deadline" if late else "profile_error").inc()
            reason = self._reason(state, error, timed_out=late)
            if reason is None:
                logger.exception("no profile was attached")
                reason = f"memory failed: {type(error).__name__}"
            state.error = state.error or as_header(f"no profile: {reason}")

    def _reason(self, state: ProxyRequest, error: Exception, *, timed_out: bool) -> str | None:
        """Log and return why memory failed, without the path of the memory; None if the error is unexpected."""
        if timed_out:
            log(logger, logging.WARNING, "memory was too slow", namespace=state.namespace)
            return f"memory took over {self._services.settings.deadline * 1000:.0f} ms"
        if isinstance(error, EngramError | OSError):
            log(logger, logging.ERROR, "memory failed", error=str(error), namespace=state.namespace)
            return as_header(without_paths(error, self._services.memory.path))
        return None

    async def _match_and_recall(self, state: ProxyRequest) -> None:
        """Match the conversation, then recall notes if the request reads memory."""
        services, begun = self._services, time.monotonic()
        if begun < self._match_in_thread_until or len(state.request.text) > LARGE_BODY:
            conversation = await services.run(self._match, state)
        else:
            # Matching is a few look-ups by key: faster on the event loop than a thread switch.
            conversation = self._match(state, reads_engrams=False)
            if conversation.needs_engrams:
                conversation = await services.run(self._match, state)
            if time.monotonic() > begun + SLOW_MATCH:
                self._match_in_thread_until = time.monotonic() + THREAD_SECONDS
        if not state.reads:
            return
        if state.wants_profile:
            until = begun + services.settings.deadline
            state.finding_profile = self._start(self._profiles.attached(conversation, state.zone, until))
            # Read here too: on a timeout nobody waits for it.
            state.finding_profile.add_done_callback(lambda task: task.cancelled() or task.exception())
        sticky, messages = services.settings.sticky, state.request.messages
        wanted = build_recall_request(conversation, messages, sticky=sticky, zone=state.zone)
        if wanted is not None:
            until = begun + services.settings.deadline
            with services.metrics.recall_seconds.time():
                for part in wanted.parts():
                    # Notes of earlier messages come first, and stay if the new ones are too late.
                    state.notes = state.notes.joined(await self._recalls.notes(part, until))
        if state.notes.unsearched:
            state.error = f"not all was searched: {state.notes.unsearched} older memories are not in the index yet"
        state.recall_finished = True

    def _match(self, state: ProxyRequest, *, reads_engrams: bool = True) -> ConversationMatch:
        """Match the conversation: in a thread, or on the event loop, where no engram may be read."""
        request, services = state.request, self._services
        read = partial(services.memory.get_many, namespace=state.namespace) if reads_engrams else None
        find = partial(matching.match_conversation, services.conversations, state.namespace)
        named = state.session, request.previous_response_id, read
        if request.prefill is not None:
            whole = replace(request, messages=(*request.messages, request.prefill), prefill=None)
            match = find(whole.messages, *named)
            if len(whole.messages) - 1 not in match.new_indexes:
                # A stored reply that is to be continued, and no beginning of a new one.
                state.request, request = whole, whole
        match = find(request.messages, *named)
        if not match.needs_engrams:
            state.conversation = match
        return match

    def _accept(self, state: ProxyRequest, conversation: ConversationMatch) -> WriteTicket:
        """Enqueue the new messages."""
        recalled = state.notes.recalled if state.recall_finished else None
        messages = state.request.messages
        ticket = self._services.recorder.accept(
            conversation, messages, state.received_at, recalled, SOURCE, state.profile.record
        )
        ticket.prefill = state.request.prefill
        self._services.metrics.leave_out(ticket.left_out)
        return ticket

    async def _accept_late(self, state: ProxyRequest) -> WriteTicket | None:
        """Match the conversation with retries, then enqueue the new messages. None if that failed."""
        services, pause = self._services, 0.2
        for _ in range(MATCH_RETRIES):
            try:
                conversation = state.conversation
                if conversation is None:
                    conversation = await services.run(self._match, state)
                return self._accept(state, conversation)
            except ServeError as error:
                log(logger, logging.ERROR, "a turn was not remembered", error=error.message)
                return None
            except MemoryReplaced:
                break
            except (EngramError, OSError):
                await asyncio.sleep(pause)
                pause *= 2
            except Exception:  # the edge of a background task: the reply must go on
                logger.exception("a turn was not remembered")
                break
        services.metrics.failures.labels("record_error").inc()
        log(logger, logging.ERROR, "a turn was not remembered: its conversation could not be found")
        return None

    def _no_reply(self, state: ProxyRequest | None, *, unseen: bool = False) -> None:
        """Record that upstream gave no reply: the turn stays, unless `unseen`, and sending it again is a retry."""
        if state is None:
            return
        end = self._services.recorder.withdraw if unseen else self._services.recorder.reply_failed
        if state.ticket is not None:
            end(state.ticket)
        elif state.late_ticket is not None:
            state.late_ticket.add_done_callback(partial(no_late_reply, end))

    # The reply.

    async def _relay_and_store(self, state: ProxyRequest, response: UpstreamResponse, sender: ResponseSender) -> None:
        """Forward a reply and store it, before its end is sent if memory is fast enough."""
        collector = state.wire.collector(response.content_type)
        storing: asyncio.Task[None] | None = None

        def store() -> asyncio.Task[None]:
            nonlocal storing
            if storing is None:
                # In the background: storing continues if the client disconnects or memory is slow.
                storing = self._start(self._store_reply(state, collector))
            return storing

        try:
            if EVENT_STREAM not in response.content_type.lower():
                body = await response.read()
                collector.feed(body)
                await asyncio.wait({store()})
                await sender.send_whole(response.status, response.headers, body)
                return
            await sender.start(response.status, response.headers)
            sink = HoldEndUntilStored(sender, collector, state.wire, store)
            await response.stream_to(sink)
            await asyncio.wait({store()})
            sink.release()
            await sender.end()
        finally:
            # If upstream or the client broke off, store what arrived. Nobody waits for that.
            store()

    async def _store_reply(self, state: ProxyRequest, collector: Collector) -> None:
        """Enqueue the reply, and wait until it is durable, at most for the deadline."""
        if state.late_ticket is not None and not state.late_ticket.done():
            self._start(self._store_late(state.late_ticket, collector))
            return
        ticket = state.ticket if state.late_ticket is None else state.late_ticket.result()
        if ticket is None:
            return
        deadline = self._services.settings.deadline
        parsing = self._start(self._enqueue_in_thread(ticket, collector)) if collector.size > LARGE_BODY else None
        if parsing is None:
            self._enqueue(ticket, collector)
        elif (await asyncio.wait({parsing}, timeout=deadline))[1]:
            return
        # The recorder writes in order, so the last future is enough.
        for last in ticket.futures()[-1:]:
            _, late = await asyncio.wait({asyncio.wrap_future(last)}, timeout=deadline)
            if late:
                self._services.metrics.failures.labels("record_deadline").inc()
            else:
                self._recalls.written()

    async def _store_late(self, late_ticket: asyncio.Task[WriteTicket | None], collector: Collector) -> None:
        if (ticket := await late_ticket) is not None:
            await self._enqueue_in_thread(ticket, collector)

    async def _enqueue_in_thread(self, ticket: WriteTicket, collector: Collector) -> None:
        """Parse and enqueue a large reply. Not in the pool that reads the memory, whose threads may all be busy."""
        await asyncio.to_thread(self._enqueue, ticket, collector)

    def _enqueue(self, ticket: WriteTicket, collector: Collector) -> None:
        """Parse the reply and give it to the recorder."""
        try:
            replies = [replace(reply, message=as_stored(reply.message)) for reply in collector.replies()]
            if replies:
                self._services.recorder.reply(ticket, replies, collector.response_id)
            else:
                self._services.recorder.reply_failed(ticket)
        except Exception:  # the edge of a background task: the reply must go on
            self._services.metrics.failures.labels("record_error").inc()
            logger.exception("a reply was not remembered")


def no_late_reply(end: Callable[[WriteTicket], None], task: asyncio.Task[WriteTicket | None]) -> None:
    """Call `end` with the ticket of a task, if there is one."""
    if not task.cancelled() and task.exception() is None and (ticket := task.result()) is not None:
        end(ticket)


def has_body(headers: Sequence[tuple[str, str]]) -> bool:
    """Return whether a request has a body, according to its headers."""
    return any(
        name == "transfer-encoding" or (name == "content-length" and value.strip() != "0") for name, value in headers
    )


def is_without_system_message(wire: Wire, request: Request) -> bool:
    """Return whether a request for the embedded model needs the system message that suits the model."""
    first = request.messages[0] if request.messages else None
    return wire is CHAT and first is not None and first.span is not None and first.role != "system"


def as_header(text: str) -> str:
    """Return `text` as a header's value: one line of at most 300 characters."""
    return one_line(text)[:300]
