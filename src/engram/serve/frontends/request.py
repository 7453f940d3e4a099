"""Reads a request for memory: its messages as they were said, the beginning of a reply, and whether it is a task.

Owns what memory cannot take. Does not know whose memory it is, nor what is done with the messages.
"""

from __future__ import annotations

from dataclasses import replace

from engram.serve.frontends.messages import NO_ROLE, OPERATOR, as_said, total
from engram.serve.frontends.strip import Strip
from engram.serve.frontends.tasks import task_of
from engram.serve.http.errors import INVALID_BODY, NotRemembered, ServeError
from engram.serve.wire.base import Request
from engram.serve.wire.reading import in_pieces
from engram.serve.wire.table import Wire

TOO_MANY_MESSAGES = 10_000
"""Requests with this many messages pass without memory: each message would be looked up."""


def read_request(wire: Wire, body: bytes, strip: Strip) -> Request:
    """Return the request in a body, its messages as they are stored: without what front ends and Engram had inserted.

    The messages of a known task are returned as they are. Raises `ServeError` (400) for a body that is no
    JSON object, and `NotRemembered` for one that memory cannot take: upstream may be able to.
    """
    try:
        request = wire.read(body)
    except ServeError as error:
        if error.code == INVALID_BODY:
            raise
        raise NotRemembered(error.message) from None
    if (count := len(request.messages)) >= TOO_MANY_MESSAGES:
        raise NotRemembered(f"the request has {count:,} messages; memory reads fewer than {TOO_MANY_MESSAGES:,}")
    if any("\0" in part.text for message in request.messages for part in message.parts):
        # Without its message, the reply must not be stored either.
        raise NotRemembered("a message holds a NUL character, which memory does not store")
    request = without_prefill(request)
    task = task_of(request)
    if task is not None:
        return replace(request, task=task)
    said = as_said(request.messages, strip)
    left_out, task = total(said), None
    if left_out and request.previous_response_id is None and all(message.role == NO_ROLE for message in said):
        # Nobody said anything: the reply is the front end's, too.
        task = next((one.by for one in left_out if one.by != OPERATOR), OPERATOR)
    return replace(request, messages=tuple(map(in_pieces, said)), task=task)


def without_prefill(request: Request) -> Request:
    """Return a request that ends with the beginning of the reply with that beginning apart from its messages."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant" or [part.role for part in last.parts] != ["assistant"]:
        return request
    return replace(request, messages=request.messages[:-1], prefill=last)
