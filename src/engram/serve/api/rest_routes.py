"""What the routes of REST have in common: how a path is added, who calls, and how a result becomes a response.

Owns the form of an operation in the OpenAPI document. Does not know the paths (`rest`, `rest_arcs`,
`rest_state`). The memory is called in threads only, and responses are serialised in the same threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import cleandoc
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response, Security
from fastapi.responses import StreamingResponse
from fastapi.security import APIKeyHeader, HTTPBearer

from engram.records import to_json
from engram.serve.api import schemas
from engram.serve.api.rest_errors import ALWAYS, ERRORS, WITH_BODY
from engram.serve.auth.access import Right
from engram.serve.auth.headers import requested_namespace
from engram.serve.caller import Caller
from engram.serve.http.zones import zone_of
from engram.serve.routes import route_class
from engram.serve.services import Services

JSON_LINES = "application/x-ndjson"

KEYS = (
    Security(
        APIKeyHeader(
            name="X-Engram-Key",
            scheme_name="EngramKey",
            description="Created by `engram keys create`. Not needed if no keys are set up.",
            auto_error=False,
        )
    ),
    Security(HTTPBearer(scheme_name="EngramBearer", description="The same key, as a bearer token.", auto_error=False)),
)


async def caller_of(
    request: Request,
    x_engram_namespace: Annotated[
        schemas.LeftOut[str],
        Header(
            description="The namespace. Default: the namespace of the key.",
            min_length=1,
            max_length=512,
            examples=["ana"],
            json_schema_extra={"pattern": schemas.NAMESPACE_PATTERN},
        ),
    ] = None,
    x_engram_timezone: Annotated[
        schemas.LeftOut[str],
        Header(description="The time zone whose days count. Default: the server's.", examples=["Europe/Oslo"]),
    ] = None,
) -> Caller:
    """Return the caller. The parameters are for the OpenAPI document; the headers were read before, as UTF-8."""
    return Caller(request.state.access, requested_namespace(request.headers), zone_of(request.scope))


CallerOf = Annotated[Caller, Depends(caller_of)]

EXPORTED: dict[str, Any] = {
    "description": "One engram per line, as `engram export` writes them",
    "content": {JSON_LINES: {"schema": {"type": "string"}}},
}


NO_LINKS: Mapping[str, dict[str, Any]] = {}


class Routes:
    """The routes below /memory."""

    def __init__(self, services: Services, links: Mapping[str, dict[str, Any]] = NO_LINKS) -> None:
        """`links`: by path, the links of the response in the OpenAPI document."""
        self.services = services
        self.router = APIRouter(
            prefix="/memory", tags=["memory"], route_class=route_class(services), dependencies=list(KEYS)
        )
        self._links = links

    def add(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        model: Any,
        *more: int,
        status: int = 200,
        answers: Mapping[int, dict[str, Any]] | None = None,
    ) -> None:
        """Add an operation.

        model: of the response; None for a stream of JSON Lines. more: statuses of errors that other paths do not have.
        answers: by status, more about responses in the OpenAPI document.
        """
        errors = sorted({*ALWAYS, *more, *(WITH_BODY if method in ("POST", "PUT") else ())})
        summary, _, description = cleandoc(handler.__doc__ or "").partition("\n")
        good = EXPORTED if model is None else {"content": {"application/json": {}}} | self._links.get(path, {})
        responses = {code: {"model": schemas.Failure, "description": ERRORS[code]} for code in errors} | {status: good}
        for code, answer in (answers or {}).items():
            responses[code] = responses.get(code, {}) | answer
        self.router.add_api_route(
            path,
            handler,
            methods=[method],
            status_code=status,
            response_model=model,
            response_class=StreamingResponse if model is None else Response,
            operation_id=handler.__name__,
            summary=summary.removesuffix("."),
            description=description.strip() or summary,
            responses=responses,
            # A request without a key is allowed if no keys are set up.
            openapi_extra={"security": [{}]},
        )


def namespace_of(caller: Caller, right: Right, field: str | None) -> str:
    """Return the namespace of a request; `field`: the one that the request itself names. Raises as `Caller.need`."""
    return caller.need(right, field, refuse_conflict=True)


def as_far_as_read(caller: Caller, unread: int) -> dict[str, object]:
    """Return whether all turns were read, and how many were not: that number would tell about other namespaces."""
    return {"complete": unread == 0, "unread": unread if caller.access.admin else None}


async def respond(
    services: Services,
    value: Callable[[], object],
    status: int = 200,
    headers: Callable[[Any], Mapping[str, str]] | None = None,
) -> Response:
    """Return the result of `value` as a response; `value` is called and serialised in a thread.

    headers: returns the headers of the response for the result.
    """

    def answer() -> Response:
        result = value()
        more = None if headers is None else dict(headers(result))
        return Response(to_json(result).encode(), status, more, media_type="application/json")

    return await services.run(answer)
