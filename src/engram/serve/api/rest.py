"""REST under /memory: the verbs of a memory over HTTP, and a namespace to list, read, export and erase.

Owns the paths, what each of them needs of a key, and the form of every error. What is asked for and what comes back is
`rest_models`; who may do what, `access`. The memory is called in threads only, and its answers are written there, too.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from inspect import cleandoc
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from engram.engram import Engram, draft
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.formats.results import explanation_record, hit_record
from engram.records import to_json, to_record
from engram.serve.api import schemas as forms
from engram.serve.auth.access import Access, Right
from engram.serve.auth.headers import requested_namespace
from engram.serve.http.errors import ServeError
from engram.serve.services import Services
from engram.serve.wire.table import CHAT

logger = logging.getLogger("engram.serve")

LARGE_BODY = 256 << 10
"""Bytes from which on a body is parsed in a thread: the event loop must not wait for it."""

PAGE_CHARACTERS = 4 << 20
"""Characters of text after which a page of a listing ends, however few engrams it holds."""

PIECE_BYTES = 256 << 10
"""Bytes of an export that are read at a time, about."""

JSON_LINES = "application/x-ndjson"

ERRORS: dict[int, str] = {
    400: "The request cannot be read, or names no namespace where it must",
    401: "No key was sent, or it is not valid",
    403: "The key is not for this namespace, or lacks the right",
    404: "It is not there, or not in this namespace",
    408: "The body did not come in time",
    409: "The request names two namespaces, or erasing one is not confirmed",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    421: "The server is not called by this name",
    422: "A field is outside its limits",
    500: "The memory is damaged, or this is a bug",
    503: "The memory cannot be read or written just now",
    507: "The disk is full",
}
STATUS_CODES: dict[int, tuple[str, str]] = {
    404: ("not_found", "there is nothing at this path; /docs shows what there is"),
    405: ("method_not_allowed", "this path does not answer to this method"),
}
ALWAYS = (400, 401, 403, 409, 421, 422, 500, 503)
WITH_BODY = (408, 413, 415)

OWN_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="engram"'},
    503: {"Retry-After": "1"},
}

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

KEYS = (
    Security(
        APIKeyHeader(
            name="X-Engram-Key",
            scheme_name="EngramKey",
            description="Made by `engram keys create`. Not needed where no keys are set up.",
            auto_error=False,
        )
    ),
    Security(HTTPBearer(scheme_name="EngramBearer", description="The same, as a bearer token.", auto_error=False)),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and whose memory it is about."""

    access: Access
    asked: str | None
    """The namespace by its header."""

    def may(self, right: Right, field: str | None) -> str:
        """The namespace to use. Raises `ServeError` unless the key covers it and has the right."""
        self.access.need(right)
        if self.asked is not None and field is not None and self.asked != field:
            raise ServeError(
                409,
                "the header X-Engram-Namespace and the request name two namespaces; name one",
                "namespace_conflict",
                "namespace",
            )
        return self.access.namespace(field if self.asked is None else self.asked)


async def caller_of(
    request: Request,
    x_engram_namespace: Annotated[
        str | SkipJsonSchema[None],
        Header(
            description="Whose memory. Default: the key's.",
            min_length=1,
            max_length=512,
            examples=["ana"],
            json_schema_extra={"pattern": forms.NAMESPACE_PATTERN},
        ),
    ] = None,
) -> Caller:
    """Who sent a request. The parameter is for the document; its text is read as UTF-8 where it is."""
    access: Access = request.state.access
    return Caller(access, requested_namespace(request.headers))


ByCaller = Annotated[Caller, Depends(caller_of)]
Id = Annotated[UUID, forms.Field(examples=[forms.ID_EXAMPLE])]


def router(services: Services) -> APIRouter:
    """The routes of REST over the parts of a server."""
    rest = Rest(services)
    routes = APIRouter(prefix="/memory", tags=["memory"], route_class=route_class(services), dependencies=list(KEYS))

    def add(method: str, path: str, handler: Callable[..., Any], gives: Any, *more: int, status: int = 200) -> None:
        errors = sorted({*ALWAYS, *more, *(WITH_BODY if method == "POST" else ())})
        summary, _, description = cleandoc(handler.__doc__ or "").partition("\n")
        routes.add_api_route(
            path,
            handler,
            methods=[method],
            status_code=status,
            response_model=gives,
            response_class=StreamingResponse if gives is None else Response,
            operation_id=handler.__name__,
            summary=summary.removesuffix("."),
            description=description.strip() or summary,
            responses={code: {"model": forms.Failure, "description": ERRORS[code]} for code in errors}
            | ({status: EXPORTED} if gives is None else {status: {"content": {"application/json": {}}}}),
            # No key at all is enough where none are set up.
            openapi_extra={"security": [{}]},
        )

    add("POST", "/remember", rest.remember, forms.Remembered, 507, status=201)
    add("POST", "/recall", rest.recall, forms.Recalled)
    add("POST", "/why", rest.why, forms.Reasons, 404)
    add("POST", "/forget", rest.forget, forms.Forgotten, 404, 507)
    add("GET", "/engrams", rest.list_engrams, forms.Page, 404)
    add("GET", "/engrams/{id}", rest.get_engram, forms.EngramForm, 404)
    add("DELETE", "/engrams/{id}", rest.forget_engram, forms.Forgotten, 404, 507)
    add("GET", "/sessions", rest.list_sessions, forms.Sessions)
    add("GET", "/namespaces", rest.list_namespaces, forms.Namespaces)
    add("GET", "/export", rest.export, None)
    add("DELETE", "", rest.erase, forms.Forgotten, 507)
    add("GET", "/receipts/{id}", rest.get_receipt, forms.ReceiptForm, 404)
    add("GET", "/stats", rest.stats, forms.MemoryStats | forms.NamespaceStats)
    return routes


EXPORTED: dict[str, Any] = {
    "description": "One engram a line, as `engram export` writes it",
    "content": {JSON_LINES: {"schema": {"type": "string"}}},
}


class Rest:
    """What answers each path."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._memory = services.memory

    async def remember(self, said: forms.Remember, caller: ByCaller) -> Response:
        """Remember one turn, or many.

        Either the fields of one turn, or `items`: many, all of them in one commit or none. What is answered with 201
        is durable, and the next recall can find it.
        """
        namespace = caller.may("write", said.namespace)
        turns = said.items if isinstance(said, forms.RememberMany) else [said]
        place = "items[{}]." if isinstance(said, forms.RememberMany) else ""

        def kept() -> object:
            engrams = [drafted(turn, namespace, place.format(number)) for number, turn in enumerate(turns)]
            self._memory.add(engrams)
            return {"engrams": list(map(to_record, engrams))}

        return await self._answer(kept, 201)

    async def recall(self, asked: forms.Recall, caller: ByCaller) -> Response:
        """Find what answers a question.

        Best first; nothing where nothing fits. With `budget`, also as notes for a prompt.
        """
        namespace = caller.may("read", asked.namespace)

        def found() -> object:
            hits = self._memory.recall(
                asked.query,
                namespace=namespace,
                limit=asked.limit,
                session=asked.session,
                before=asked.before,
                after=asked.after,
                kinds=asked.kinds,
            )
            return {
                "query": asked.query,
                "namespace": namespace,
                "hits": list(map(hit_record, hits)),
                "unsearched": hits.unsearched,
                "context": None if asked.budget is None else hits.context(asked.budget),
            }

        return await self._answer(found)

    async def why(self, asked: forms.Why, caller: ByCaller) -> Response:
        """Tell why an engram comes for a question, or does not."""
        namespace = caller.may("read", asked.namespace)
        return await self._answer(
            lambda: explanation_record(self._memory.explain(asked.query, asked.id, namespace=namespace))
        )

    async def forget(self, meant: forms.Forget, caller: ByCaller) -> Response:
        """Forget an engram, a session, or what was said before a time.

        What all the given conditions mean, at once, for every recall. 404 if an id or a session means nothing.
        """
        namespace = caller.may("erase", meant.namespace)
        param = "id" if meant.id is not None else "session" if meant.session is not None else None
        return await self._forget(namespace, meant.id, meant.session, meant.before, param)

    async def list_engrams(self, asked: Annotated[forms.Listing, Query()], caller: ByCaller) -> Response:
        """List engrams, in the order in which they were remembered.

        A page at a time: `next` is the `after_id` of the following one. A page of long texts may hold fewer than
        `limit`.
        """
        namespace = caller.may("read", asked.namespace)

        def page() -> object:
            if asked.after_id is not None:
                # An id of another namespace must be as good as none.
                self._memory.get(asked.after_id, namespace=namespace)
            engrams = self._chosen(namespace, asked, asked.limit + 1, asked.after_id)
            listed, size = [], 0
            for engram in islice(engrams, asked.limit):
                listed.append(to_record(engram))
                size += len(engram.text)
                if size >= PAGE_CHARACTERS:
                    break
            more = next(engrams, None) is not None
            return {"engrams": listed, "next": listed[-1]["id"] if more else None}

        return await self._answer(page)

    async def get_engram(self, id: Id, caller: ByCaller, asked: Annotated[forms.Query, Query()]) -> Response:
        """Read one engram."""
        namespace = caller.may("read", asked.namespace)
        return await self._answer(lambda: to_record(self._memory.get(str(id), namespace=namespace)))

    async def forget_engram(self, id: Id, caller: ByCaller, asked: Annotated[forms.Query, Query()]) -> Response:
        """Forget one engram."""
        return await self._forget(caller.may("erase", asked.namespace), str(id), None, None, "id")

    async def list_sessions(self, caller: ByCaller, asked: Annotated[forms.Query, Query()]) -> Response:
        """List the conversations of a namespace.

        With the number of engrams of each, in the order in which they began.
        """
        namespace = caller.may("read", asked.namespace)

        def sessions() -> object:
            counted = self._memory.sessions(namespace)
            return {"namespace": namespace, "sessions": [{"session": name, "engrams": n} for name, n in counted]}

        return await self._answer(sessions)

    async def list_namespaces(self, caller: ByCaller) -> Response:
        """List the namespaces that the key covers.

        Those that hold something, with the number of engrams of each, by name.
        """
        access = caller.access
        access.need("read")
        if caller.asked is not None:
            access.namespace(caller.asked)

        def namespaces() -> object:
            if access.admin or access.prefix is not None:
                counted = [(name, n) for name, n in self._memory.namespaces(access.prefix or "") if access.allows(name)]
            else:
                # Of the others not even the time that counting them takes may be felt.
                own = sum(n for _, n in self._memory.sessions(access.default))
                counted = [(access.default, own)] if own else []
            return {"namespaces": [{"namespace": name, "engrams": n} for name, n in counted]}

        return await self._answer(namespaces)

    async def export(self, asked: Annotated[forms.Choice, Query()], caller: ByCaller) -> Response:
        """Export a namespace as JSON Lines.

        One engram a line, in the order in which they were remembered: `engram import` reads it back without loss.
        """
        namespace = caller.may("read", asked.namespace)
        run = self._services.run
        pieces = json_lines(await run(self._chosen, namespace, asked))
        # The first piece before the head: what goes wrong at once is answered with its status.
        first = await run(next, pieces, b"")

        async def following() -> Any:
            piece = first
            while piece:
                yield piece
                piece = await run(next, pieces, b"")

        headers = {"Content-Disposition": 'attachment; filename="engram.jsonl"'}
        return StreamingResponse(following(), media_type=JSON_LINES, headers=headers)

    async def erase(self, asked: Annotated[forms.Erase, Query()], caller: ByCaller) -> Response:
        """Erase a whole namespace.

        `confirm` must be its name. What stands in the memory's files is taken out by `engram compact`.
        """
        namespace = caller.may("erase", asked.namespace)
        if asked.confirm != namespace:
            raise ServeError(
                409,
                "confirm is not the name of the namespace that would be erased; nothing was erased",
                "not_confirmed",
                "confirm",
            )
        return await self._forget(namespace, None, None, None, None)

    async def get_receipt(self, id: Id, caller: ByCaller, asked: Annotated[forms.Query, Query()]) -> Response:
        """Tell what has become of what a request to a model said.

        The id is the one in the header X-Engram-Receipt of its answer.
        """
        access = caller.access
        if not access.write:
            access.need("read")
        named = asked.namespace is not None or caller.asked is not None
        only = caller.may("write" if access.write else "read", asked.namespace) if named else None
        allowed = access.allows if only is None else lambda name: name == only

        def receipt() -> object:
            found = self._services.conversations.receipts.find(str(id), allowed, self._memory.is_indexed)
            if found is None:
                raise ServeError(404, "no receipt has this id", "not_found", "id")
            return {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in asdict(found).items()
            }

        return await self._answer(receipt)

    async def stats(self, caller: ByCaller, asked: Annotated[forms.Query, Query()]) -> Response:
        """Show the memory in numbers.

        The whole memory to an admin who names no namespace; else one namespace.
        """
        whole = caller.access.admin and asked.namespace is None and caller.asked is None
        namespace = caller.may("read", asked.namespace)

        def numbers() -> object:
            if whole:
                return asdict(self._memory.stats())
            counted = self._memory.sessions(namespace)
            return {"namespace": namespace, "engrams": sum(n for _, n in counted), "sessions": len(counted)}

        return await self._answer(numbers)

    def _chosen(
        self, namespace: str, asked: forms.Choice, limit: int | None = None, after_id: str | None = None
    ) -> Iterator[Engram]:
        return self._memory.engrams(
            namespace=namespace,
            session=asked.session,
            before=asked.before,
            after=asked.after,
            kinds=asked.kinds,
            limit=limit,
            after_id=after_id,
        )

    async def _forget(
        self, namespace: str, id: str | None, session: str | None, before: datetime | None, param: str | None
    ) -> Response:
        """Forget, and say how many; 404 where `param` names something that must be there."""

        def forgotten() -> object:
            self._services.settle()
            count = self._memory.forget(id=id, namespace=namespace, session=session, before=before)
            if not count and param is not None:
                raise ServeError(404, f"this namespace holds nothing with this {param}", "not_found", param)
            return {"forgotten": count}

        return await self._answer(forgotten)

    async def _answer(self, value: Callable[[], object], status: int = 200) -> Response:
        """What `value` gives as an answer, called and written in a thread."""
        body = await self._services.run(lambda: to_json(value()).encode())
        return Response(body, status, media_type="application/json")


def drafted(turn: forms.Turn, namespace: str, place: str) -> Engram:
    """The engram of a turn; its id is new, because whether one is taken is nobody's business."""
    try:
        return draft(
            turn.text,
            namespace=namespace,
            session=turn.session,
            role=turn.role,
            speaker=turn.speaker,
            at=turn.at,
            kind=turn.kind,
            source=turn.source,
            metadata=turn.metadata,
        )
    except InvalidEngram as error:
        raise ServeError(422, f"{place}{error}", "invalid_field", f"{place}{str(error).partition(' ')[0]}") from None


def json_lines(engrams: Iterator[Engram]) -> Iterator[bytes]:
    """Engrams as lines of an export, some at a time."""
    waiting = bytearray()
    for engram in engrams:
        waiting += to_json(to_record(engram)).encode() + b"\n"
        if len(waiting) >= PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


# The way of a request, and its errors.


def route_class(services: Services) -> type[APIRoute]:
    """The routes' way of a request: first who calls, then what is in the body."""

    class Asked(Request):
        async def json(self) -> Any:
            """The body, parsed in a thread if it is large."""
            body = await self.body()
            try:
                return await services.run(json.loads, body) if len(body) > LARGE_BODY else json.loads(body)
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, f"the body is not JSON: {str(error)[:200]}") from None

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """What is called with a request."""
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                begun, status = time.perf_counter(), 500
                try:
                    request.state.access = services.gate.access(request.headers)
                    if request.method == "POST":
                        check_json(request)
                    response = await inner(Asked(request.scope, request.receive))
                    status = response.status_code
                except (EngramError, StarletteHTTPException, RequestValidationError) as error:
                    refusal = refusal_of(error, services.memory.path)
                    status = refusal.status
                    raise refusal from error
                finally:
                    services.answered("memory", status, begun)
                return response

            return handle

    return Guarded


def check_json(request: Request) -> None:
    """Raise `ServeError` 415 unless the body is said to be JSON: a web page can send anything else without asking."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if re.fullmatch(r"application/(\S+\+)?json", given) is None:
        raise ServeError(
            415, "send the body as Content-Type: application/json", "unsupported_media_type", "Content-Type"
        )


def refusal_of(error: Exception, path: str | None = None) -> ServeError:
    """An error as the one that is answered with. `path`: of the memory's file, which is not told to callers."""
    if isinstance(error, ServeError):
        return error
    if isinstance(error, NotFound):
        # Not the library's words: these name the file.
        return ServeError(404, "this namespace holds nothing with this id", "not_found", "id")
    if isinstance(error, EngramError):
        said = str(error) if path is None else str(error).replace(path, "the memory")
        return ServeError(error.http_status, said, snake(type(error).__name__))
    if isinstance(error, RequestValidationError):
        return invalid(error)
    if isinstance(error, StarletteHTTPException):
        code, said = STATUS_CODES.get(error.status_code, ("invalid_request", str(error.detail)))
        return ServeError(error.status_code, said, code)
    return ServeError(500, "internal error; the server's log says more", "internal_error")


def invalid(error: RequestValidationError) -> ServeError:
    """What is wrong with the first wrong field."""
    first, *others = error.errors()
    where = [part for part in first["loc"][1:] if part not in (forms.ONE, forms.MANY)]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    said = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(others)} more)" if others else ""
    name = field or first["loc"][0]
    return ServeError(422, f"{name}: {said}{more}", "invalid_field", str(name))


def snake(name: str) -> str:
    """MemoryLocked as memory_locked."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def forbidden(message: str) -> ServeError:
    """The refusal of something that a key has no right to."""
    return ServeError(403, message, "right_missing")


def allowed_methods(request: Request) -> list[str]:
    """The methods that the path of a request answers to."""
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def add_error_handlers(app: FastAPI) -> None:
    """Have every error of an application answered in the one form."""

    async def answer(request: Request, error: Exception) -> Response:
        refusal = refusal_of(error)
        headers = dict(OWN_HEADERS.get(refusal.status, {}))
        if refusal.status == 405:
            headers["Allow"] = ", ".join(allowed_methods(request))
        return Response(CHAT.error(refusal), refusal.status, headers, media_type="application/json")

    for kind in (EngramError, StarletteHTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer)
