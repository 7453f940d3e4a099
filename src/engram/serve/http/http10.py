"""Responses to HTTP/1.0 clients, which know no chunks: a body ends with the connection, or its length is stated.

Owns both ways. The connection of `engram serve` ends a body by closing; under another ASGI server, which may send
chunks to any client, a response without a length is collected first. RFC 9112, 6.1.
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

EXTENSION = "engram.close_delimited"
"""Name of the ASGI scope extension of a server that ends a body by closing the connection."""


class CloseDelimitedCycle(RequestResponseCycle):
    """A request of HTTP/1.0 and its response: without a content-length, the body ends with the connection."""

    ends_by_closing = False

    async def send(self, message: Any) -> None:
        """Send a part of the response, never as a chunk."""
        if message["type"] == "http.response.start":
            self.ends_by_closing = not has_length(message)
            if self.ends_by_closing:
                self.chunked_encoding = False
        elif self.ends_by_closing:
            # uvicorn compares a body with its declared length.
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def has_length(message: Message) -> bool:
    """Return whether the head of a response declares the length of the body."""
    return any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))


def with_lengths(app: ASGIApp) -> ASGIApp:
    """Return `app`, whose responses to HTTP/1.0 have a length unless the server ends them by closing."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_old = scope["type"] == "http" and scope.get("http_version") == "1.0" and scope["method"] != "HEAD"
        collected = is_old and EXTENSION not in scope.get("extensions", {})
        await app(scope, receive, Collected(send).send if collected else send)

    return answer


class Collected:
    """Holds a response without a length until it is complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Hold or send a part of the response."""
        if message["type"] == "http.response.start" and not has_length(message) and message["status"] not in (204, 304):
            self._head = message
            return
        if self._head is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            length = (b"content-length", str(len(self._body)).encode())
            await self._send({**self._head, "headers": [*self._head.get("headers", ()), length]})
            message = {"type": "http.response.body", "body": bytes(self._body)}
            self._head = None
        await self._send(message)
