"""Errors of REST: one form for all of them, and the status for each.

Owns the documented status codes and the conversion of exceptions. Does not know the paths.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from engram.errors import EngramError, NotFound, StateConflict
from engram.records import RepeatedKey
from engram.serve.api.schemas import MANY, ONE
from engram.serve.http.anonymous import without_paths
from engram.serve.http.errors import ServeError
from engram.serve.wire.table import CHAT

ERRORS: dict[int, str] = {
    400: "The request cannot be parsed, or names no namespace although the key needs one",
    401: "No key was sent, or it is not valid",
    403: "The key does not cover this namespace, or lacks the right",
    404: "Not found in this namespace",
    408: "The body did not arrive in time",
    409: "The request names two namespaces or contradicts itself, or the erasure of a namespace is not confirmed",
    412: "The document has another version than the request expects",
    413: "The body is too large",
    415: "The content type of the body is not JSON",
    421: "The server does not serve this host name",
    422: "A field is outside its limits",
    431: "The headers are too large",
    500: "The memory is damaged, or this is a bug",
    503: "The memory cannot be read or written at the moment",
    507: "The disk is full",
}
STATUS_CODES: dict[int, tuple[str, str]] = {
    404: (
        "not_found",
        "this path does not exist; the model's API is below /v1 (the base URL of an OpenAI client ends with /v1),"
        " and /docs lists the other paths",
    ),
    405: ("method_not_allowed", "this path does not support this method"),
}
ALWAYS = (400, 401, 403, 409, 421, 422, 431, 500, 503)
"""Errors that every path can return."""
WITH_BODY = (408, 413, 415)
"""Errors that paths with a request body can return."""

ERROR_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="engram"'},
    503: {"Retry-After": "1"},
}

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def check_json(request: Request) -> None:
    """Raise `ServeError` 415 unless the content type is JSON: web pages can send other types without a preflight."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if re.fullmatch(r"application/(\S+\+)?json", content_type) is None:
        raise ServeError(
            415, "send the body as Content-Type: application/json", "unsupported_media_type", "Content-Type"
        )


REPEATED = frozenset({"kinds"})
"""Parameters that can come several times, because they are lists."""


def check_query(request: Request) -> None:
    """Raise `ServeError` 400 for parameters of which a part would be lost.

    One that comes twice would have its last value, and two names with different bytes that are not UTF-8 would be one.
    """
    query = request.scope["query_string"].decode("latin-1")
    try:
        names = [name for name, _ in parse_qsl(query, keep_blank_values=True, errors="strict")]
    except UnicodeDecodeError:
        raise ServeError(400, "the parameters are not UTF-8 as percent-encoding", "invalid_request") from None
    twice = next((name for name, times in Counter(names).items() if times > 1 and name not in REPEATED), None)
    if twice is not None:
        raise ServeError(400, f"{twice[:100]}: it came twice; send it once", "invalid_request", twice[:100])


def error_for(error: Exception, path: str | None = None) -> ServeError:
    """Return the error for the response. `path`: the memory's file; it is removed from the message."""
    if isinstance(error, ServeError):
        return error
    if isinstance(error, NotFound):
        # The library's message names the file.
        return ServeError(404, "nothing in this namespace has this id", "not_found", "id")
    if isinstance(error, StateConflict):
        tag = {"ETag": etag(error.current)} if error.current else {}
        return ServeError(error.http_status, str(error), "state_conflict", "If-Match", tag)
    if isinstance(error, EngramError):
        message = str(error) if path is None else without_paths(error, path)
        return ServeError(error.http_status, message, snake_case(type(error).__name__))
    if isinstance(error, RequestValidationError):
        return invalid_field(error)
    if isinstance(error, StarletteHTTPException):
        code, message = STATUS_CODES.get(error.status_code, ("invalid_request", str(error.detail)))
        cause = error.__cause__
        return ServeError(error.status_code, message, code, cause.key if isinstance(cause, RepeatedKey) else None)
    return ServeError(500, "internal error; the server's log says more", "internal_error")


def invalid_field(error: RequestValidationError) -> ServeError:
    """Return the error for the first wrong field."""
    first, *others = error.errors()
    path = [part for part in first["loc"][1:] if part not in (ONE, MANY) and "[" not in str(part)]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    problem = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(others)} more)" if others else ""
    name = field or first["loc"][0]
    return ServeError(422, f"{name}: {problem}{more}", "invalid_field", str(name))


def etag(version: int) -> str:
    """Return the entity tag of a version of a document."""
    return f'"{version}"'


def snake_case(name: str) -> str:
    """Return a class name as a code: MemoryLocked becomes memory_locked."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def forbidden(message: str) -> ServeError:
    """Return the error for a request that the key has no right to make."""
    return ServeError(403, message, "right_missing")


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that the path of a request supports."""
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer every error in the one form."""

    async def respond(request: Request, error: Exception) -> Response:
        answer = error_for(error)
        headers = {**ERROR_HEADERS.get(answer.status, {}), **answer.headers}
        if answer.status == 405:
            headers["Allow"] = ", ".join(allowed_methods(request))
        return Response(CHAT.error(answer), answer.status, headers, media_type="application/json")

    for kind in (EngramError, StarletteHTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, respond)
