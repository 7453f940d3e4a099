"""REST under /memory/state: the documents of agents' states.

Owns the paths, the right that each needs, and compare-and-set by the headers If-Match and If-None-Match. The version of
a document is its entity tag. A name is a parameter and no part of the path, so that every name can be written.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response

from engram.documents import MAX_VERSION, Document
from engram.errors import NotFound
from engram.formats.results import document_record, info_record
from engram.serve.api import schemas
from engram.serve.api import state_schemas as forms
from engram.serve.api.rest_errors import etag
from engram.serve.api.rest_routes import CallerOf, Routes, namespace_of, respond
from engram.serve.http.errors import ServeError
from engram.serve.services import Services
from engram.state import AgentState

TAG = re.compile(r'\s*"([0-9]{1,16})"\s*')
WEAK_TAG = re.compile(r'(?:W/)?"([0-9]{1,16})"')
"""What a client sends to learn whether its copy is current; a proxy that compresses makes tags weak."""

TAG_PATTERN = r'^"[1-9][0-9]{0,14}"$'

IfMatch = Annotated[
    schemas.LeftOut[str],
    Header(
        alias="If-Match",
        description='Write only if this is the current version: its ETag, such as "3".',
        examples=['"3"'],
        json_schema_extra={"pattern": TAG_PATTERN},
    ),
]
IfNoneMatch = Annotated[
    schemas.LeftOut[str],
    Header(
        alias="If-None-Match",
        description="*: write only if there is no such document.",
        examples=["*"],
        json_schema_extra={"pattern": r"^\*$"},
    ),
]
IfChanged = Annotated[
    schemas.LeftOut[str],
    Header(
        alias="If-None-Match",
        description='The ETag of a copy, such as "3": 304 and no body if the copy is current.',
        examples=['"3"'],
        json_schema_extra={"pattern": TAG_PATTERN},
    ),
]


async def expected_version(request: Request, if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> int | None:
    """Return the version that a write expects; 0 for no document, None for any. Raises `ServeError` 422.

    The parameters are for the OpenAPI document: a header that comes twice has one of its values in them.
    """
    matching, none_matching = (request.headers.getlist(name) for name in ("if-match", "if-none-match"))
    for name, values in (("If-Match", matching), ("If-None-Match", none_matching)):
        if len(values) > 1:
            raise wrong_header(name, "it came twice; send it once")
    found = TAG.fullmatch(matching[0]) if matching else None
    version = int(found[1]) if found else 0
    if matching and not 1 <= version <= MAX_VERSION:
        raise wrong_header("If-Match", 'it must be the ETag of one version, in quotes, such as "3"')
    if none_matching and none_matching[0].strip() != "*":
        raise wrong_header("If-None-Match", "for a write it must be *, which means that there is no such document")
    if matching and none_matching:
        raise ServeError(
            409, "If-Match and If-None-Match: * contradict each other; send one", "headers_conflict", "If-Match"
        )
    return version if matching else 0 if none_matching else None


Expected = Annotated[int | None, Depends(expected_version)]

TAGGED = {
    "headers": {
        "ETag": {"description": "The version, in quotes.", "schema": {"type": "string"}, "example": '"3"'},
    }
}
NOT_MODIFIED = {"description": "The document still has the version in If-None-Match"}


def wrong_header(name: str, problem: str) -> ServeError:
    """Return the error for a header that is outside its limits."""
    return ServeError(422, f"{name}: {problem}", "invalid_field", name)


def add_state(routes: Routes) -> None:
    """Add the paths to the routes below /memory."""
    rest = StateRest(routes.services)
    tagged: dict[int, dict[str, Any]] = {200: TAGGED}
    document, info = forms.DocumentForm, forms.DocumentInfoForm
    routes.add("GET", "/state", rest.list_documents, forms.Documents)
    routes.add("GET", "/state/agents", rest.list_agents, forms.Agents)
    routes.add("GET", "/state/document", rest.get_document, document, 404, answers={**tagged, 304: NOT_MODIFIED})
    routes.add("PUT", "/state/document", rest.set_document, info, 412, 507, answers=tagged)
    routes.add("DELETE", "/state/document", rest.delete_document, forms.DeletedDocument, 404, 412, 507)
    routes.add("GET", "/state/history", rest.list_versions, forms.History, 404)
    routes.add("POST", "/state/rollback", rest.rollback_document, info, 404, 412, 507, answers=tagged)


class StateRest:
    """The handlers of the paths."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_documents(self, caller: CallerOf, params: Annotated[forms.DocumentsParameters, Query()]) -> Response:
        """List the documents of an agent, without their values.

        With their current versions, by name. One page at a time: `next` is the `after` of the following page.
        """
        state = self._state(namespace_of(caller, "read", params.namespace), params.agent)

        def documents() -> object:
            infos = state.infos(params.prefix or "", limit=params.limit + 1, after=params.after or "")
            page = infos[: params.limit]
            more = page[-1].name if len(infos) > params.limit else None
            listed = list(map(info_record, page))
            return {"namespace": state.namespace, "agent": state.agent, "documents": listed, "next": more}

        return await respond(self._services, documents)

    async def list_agents(self, caller: CallerOf, params: Annotated[forms.AgentsParameters, Query()]) -> Response:
        """List the agents of a namespace that have documents.

        With the number of documents of each, by name. One page at a time: `next` is the `after` of the following page.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def agents() -> object:
            counted = self._services.memory.agents(namespace, limit=params.limit + 1, after=params.after or "")
            page = counted[: params.limit]
            more = page[-1][0] if len(counted) > params.limit else None
            listed = [{"agent": name, "documents": count} for name, count in page]
            return {"namespace": namespace, "agents": listed, "next": more}

        return await respond(self._services, agents)

    async def get_document(
        self,
        request: Request,
        caller: CallerOf,
        params: Annotated[forms.ReadParameters, Query()],
        if_none_match: IfChanged = None,
    ) -> Response:
        """Return a document, or an old version of it.

        The ETag of the response is the version. Send it as If-Match with a write that must not lose another one.
        """
        state = self._state(namespace_of(caller, "read", params.namespace), params.agent)
        known = [tag.strip() for value in request.headers.getlist("if-none-match") for tag in value.split(",")]
        versions = {int(match[1]) for tag in known if (match := WEAK_TAG.fullmatch(tag))}

        def document() -> Document:
            found = state.get(params.name, params.version)
            if found is None:
                raise missing(params.version)
            return found

        found = await self._services.run(document)
        if found.version in versions or "*" in known:
            return Response(status_code=304, headers={"ETag": etag(found.version)})
        return await respond(self._services, lambda: document_record(found), headers=tag_of)

    async def set_document(
        self,
        caller: CallerOf,
        params: Annotated[forms.DocumentParameters, Query()],
        body: forms.StateValue,
        expect: Expected,
    ) -> Response:
        """Write a document.

        After the status 200 the new version is durable; its number is in the response and its ETag. Without If-Match
        and If-None-Match the last write wins, and the earlier ones are in the history. 412, with the current version
        as ETag, if the document has another version than If-Match says.
        """
        state = self._state(namespace_of(caller, "write", params.namespace), params.agent)
        return await respond(
            self._services, lambda: info_record(state.set(params.name, body.value, expect)), headers=tag_of
        )

    async def delete_document(
        self, caller: CallerOf, params: Annotated[forms.DocumentParameters, Query()], expect: Expected
    ) -> Response:
        """Erase a document with all of its versions.

        `engram compact` then removes the text from the memory's files.
        """
        state = self._state(namespace_of(caller, "erase", params.namespace), params.agent)

        def delete() -> object:
            count = state.delete(params.name, expect)
            if not count:
                raise missing(None)
            return {"deleted": count}

        return await respond(self._services, delete)

    async def list_versions(self, caller: CallerOf, params: Annotated[forms.HistoryParameters, Query()]) -> Response:
        """List the versions of a document, the newest first.

        One page at a time: `next` is the `before` of the following page.
        """
        state = self._state(namespace_of(caller, "read", params.namespace), params.agent)

        def versions() -> object:
            found = state.history(params.name, params.limit + 1, before=params.before)
            if not found and params.before is None:
                raise missing(None)
            page = found[: params.limit]
            more = page[-1].version if len(found) > params.limit else None
            return {"versions": list(map(document_record, page)), "next": more}

        return await respond(self._services, versions)

    async def rollback_document(self, caller: CallerOf, body: forms.Rollback, expect: Expected) -> Response:
        """Write the value of an old version of a document again.

        It becomes a new version; the others stay in the history.
        """
        state = self._state(namespace_of(caller, "write", body.namespace), body.agent)

        def rollback() -> object:
            try:
                return info_record(state.rollback(body.name, body.version, expect))
            except NotFound:
                raise missing(body.version) from None

        return await respond(self._services, rollback, headers=tag_of)

    def _state(self, namespace: str, agent: str) -> AgentState:
        return self._services.memory.state(namespace, agent)


def missing(version: int | None) -> ServeError:
    """Return the error for a document, or a version of it, that does not exist."""
    if version is None:
        return ServeError(404, "this agent has no document of this name in this namespace", "not_found", "name")
    return ServeError(404, "this agent has no such version of a document of this name", "not_found", "version")


def tag_of(record: dict[str, object]) -> dict[str, str]:
    """Return the header with the version of a document."""
    return {"ETag": f'"{record["version"]}"'}
