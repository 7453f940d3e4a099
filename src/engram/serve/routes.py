"""The class of the routes of REST: it checks the key first, then the body, and counts the request."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from engram.errors import EngramError
from engram.records import RepeatedKey, from_json
from engram.serve.api.rest_errors import check_json, check_query, error_for
from engram.serve.services import Services

LARGE_BODY = 256 << 10
"""Bytes from which a body is parsed in a thread, so that the event loop does not wait for it."""


def route_class(services: Services) -> type[APIRoute]:
    """Return the class over the services of a server."""

    class ThreadedRequest(Request):
        async def json(self) -> Any:
            """Return the parsed body; a large one is parsed in a thread."""
            body = await self.body()
            try:
                return await services.run(from_json, body) if len(body) > LARGE_BODY else from_json(body)
            except RepeatedKey as error:
                raise HTTPException(400, str(error)) from error
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, f"the body is not JSON: {str(error)[:200]}") from None

    class KeyedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Return the handler of a request."""
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                begun, status = time.perf_counter(), 500
                try:
                    request.state.access = services.gate.access(request.headers)
                    check_query(request)
                    if request.method in ("POST", "PUT"):
                        check_json(request)
                    response = await inner(ThreadedRequest(request.scope, request.receive))
                    status = response.status_code
                except (EngramError, StarletteHTTPException, RequestValidationError) as error:
                    answer = error_for(error, services.memory.path)
                    status = answer.status
                    raise answer from error
                finally:
                    services.answered("memory", status, begun)
                return response

            return handle

    return KeyedRoute
