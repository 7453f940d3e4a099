"""REST under /memory: the verbs of a memory over HTTP, and the contents of a namespace.

Owns the paths, and the right that each path needs; those of documents are in `rest_state`. The forms are in `schemas`,
errors in `rest_errors`, and who may do what in `access`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from engram.engram import ORIGIN_OF_ROLE, Engram, draft, less_trusted
from engram.errors import InvalidEngram, NotFound
from engram.formats.results import (
    explanation_record,
    fact_record,
    hit_record,
    policy_record,
    profile_record,
    summary_record,
    working_record,
)
from engram.memory import Memory
from engram.notes.zones import profile_in_zone, recall_in_zone, summary_in_zone
from engram.records import to_record
from engram.serve.api import schemas
from engram.serve.api.rest_arcs import add_arcs
from engram.serve.api.rest_errors import forbidden
from engram.serve.api.rest_routes import JSON_LINES, CallerOf, Routes, as_far_as_read, namespace_of, respond
from engram.serve.api.rest_state import add_state
from engram.serve.auth.access import Right
from engram.serve.caller import Caller
from engram.serve.http.errors import ServeError
from engram.serve.pages import json_lines, page_of
from engram.serve.services import Services

Id = Annotated[UUID, Field(examples=[schemas.ID_EXAMPLE])]


def router(services: Services) -> APIRouter:
    """Return the routes of REST over the services of a server."""
    rest = Rest(services)
    routes = Routes(services, LINKS)
    add = routes.add
    add("POST", "/remember", rest.remember, schemas.Remembered, 507, status=201)
    add("POST", "/recall", rest.recall, schemas.Recalled)
    add("POST", "/why", rest.why, schemas.Reasons, 404)
    add("GET", "/facts", rest.facts, schemas.FactsFound)
    add("GET", "/profile", rest.profile, schemas.ProfileForm)
    add("GET", "/summary", rest.summary, schemas.SummaryForm)
    add("POST", "/working", rest.working, schemas.WorkingForm)
    add("POST", "/reflect", rest.reflect, schemas.Reflected, 507)
    add("POST", "/forget", rest.forget, schemas.Forgotten, 404, 507)
    add("GET", "/engrams", rest.list_engrams, schemas.Page, 404)
    add("GET", "/engrams/{id}", rest.get_engram, schemas.EngramForm, 404)
    add("DELETE", "/engrams/{id}", rest.forget_engram, schemas.Forgotten, 404, 507)
    add("GET", "/quarantine", rest.list_quarantine, schemas.Page, 404)
    add("POST", "/quarantine", rest.quarantine, schemas.EngramForm, 404, 507)
    add("POST", "/release", rest.release, schemas.EngramForm, 404, 507)
    add("GET", "/sessions", rest.list_sessions, schemas.Sessions, 404)
    add("GET", "/namespaces", rest.list_namespaces, schemas.Namespaces)
    add("GET", "/policies", rest.list_policies, schemas.Policies)
    add("POST", "/policies", rest.set_policy, schemas.PolicyForm, 507)
    add("DELETE", "/policies", rest.clear_policy, schemas.PolicyForm, 404, 507)
    add("GET", "/export", rest.export, None)
    add("DELETE", "", rest.erase, schemas.Forgotten, 507)
    add("GET", "/receipts/{id}", rest.get_receipt, schemas.ReceiptForm, 404)
    add("GET", "/stats", rest.stats, schemas.MemoryStats | schemas.NamespaceStats)
    add_arcs(routes)
    add_state(routes)
    return routes.router


def links_to(*operations: str, engram: str) -> dict[str, Any]:
    """Return the links of a response to operations on one engram in it, `engram` being its place."""
    values = {"id": f"$response.body#{engram}/id", "query.namespace": f"$response.body#{engram}/namespace"}
    return {"links": {name: {"operationId": name, "parameters": values} for name in operations}}


LINKS = {
    "/remember": links_to("get_engram", "forget_engram", engram="/engrams/0"),
    "/engrams": links_to("get_engram", engram="/engrams/0"),
    "/recall": links_to("get_engram", engram="/hits/0/engram"),
}
"""By path: what can follow, for tools that test or generate sequences of calls."""


class Rest:
    """The handlers of the paths."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._memory = services.memory

    async def remember(self, body: schemas.Remember, caller: CallerOf) -> Response:
        """Remember one turn, or many.

        Send either the fields of one turn, or `items`: many turns, all of them in one commit or none. After the status
        201 the turns are durable, and the next recall can find them.
        """
        namespace = namespace_of(caller, "write", body.namespace)
        many = isinstance(body, schemas.RememberMany)
        turns = body.items if isinstance(body, schemas.RememberMany) else [body]

        def add() -> object:
            engrams = [
                draft_turn(turn, namespace, f"items[{index}]." if many else "") for index, turn in enumerate(turns)
            ]
            return {"engrams": list(map(to_record, self._memory.remember_many(engrams)))}

        return await self._respond(add, 201)

    async def recall(self, body: schemas.RecallQuery, caller: CallerOf) -> Response:
        """Find the engrams that answer a question.

        Best first; an empty list if nothing fits. With `budget`, also as notes for a prompt.
        """
        namespace = namespace_of(caller, "read", body.namespace)

        def recall() -> object:
            now = datetime.now(caller.zone)
            hits = self._memory.recall(
                body.query, namespace=namespace, limit=body.limit, now=now, floor=body.floor, **body.filters()
            )
            return {
                "query": body.query,
                "namespace": namespace,
                "hits": list(map(hit_record, hits)),
                "unsearched": hits.unsearched,
                "context": None if body.budget is None else recall_in_zone(hits, caller.zone).context(body.budget),
            }

        return await self._respond(recall)

    async def why(self, body: schemas.Why, caller: CallerOf) -> Response:
        """Explain the rank of an engram for a question."""
        namespace = namespace_of(caller, "read", body.namespace)
        now = datetime.now(caller.zone)
        return await self._respond(
            lambda: explanation_record(self._memory.explain(body.query, body.id, namespace=namespace, now=now))
        )

    async def facts(self, params: Annotated[schemas.FactsParameters, Query()], caller: CallerOf) -> Response:
        """List what users said of lasting things and holds.

        The latest first, each a sentence of a turn, with what it replaced. `at`: what held at that time.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def facts() -> object:
            found = self._memory.facts(namespace=namespace, slot=params.slot, own=params.own, at=params.at)
            shown = list(map(fact_record, found[: params.limit]))
            return {
                "namespace": namespace,
                "facts": shown,
                "left_out": len(found) - len(shown),
                **as_far_as_read(caller, found.unread),
            }

        return await self._respond(facts)

    async def profile(self, params: Annotated[schemas.ProfileParameters, Query()], caller: CallerOf) -> Response:
        """Return who a user is, what they always want, and what they are about.

        In dated quotes within a budget of tokens. `at`: as it was at that time.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def profile() -> object:
            found = self._memory.profile(namespace=namespace, at=params.at, budget=params.budget)
            record = profile_record(profile_in_zone(found, caller.zone))
            return {"namespace": namespace, **record, **as_far_as_read(caller, found.unread)}

        return await self._respond(profile)

    async def summary(self, params: Annotated[schemas.SummaryParameters, Query()], caller: CallerOf) -> Response:
        """Return what a session or a period was about, in sentences chosen from it.

        Quotes in the order of time, within a budget of tokens, each with its day, who said it, and the id of its turn.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def summary() -> object:
            found = self._memory.summary(namespace=namespace, **params.chosen())
            record = summary_record(summary_in_zone(found, caller.zone))
            return {"namespace": namespace, **record, **as_far_as_read(caller, found.unread)}

        return await self._respond(summary)

    async def working(self, body: schemas.WorkingQuery, caller: CallerOf) -> Response:
        """Return what a model should have before it answers a message.

        Within a budget of tokens: what the user wants, who they are, what was last said of what the message names, and
        the passages that recall finds; with `agent` first where that agent stopped, its state documents. `at`: as it
        was at that time.
        """
        namespace = namespace_of(caller, "read", body.namespace)

        def working() -> object:
            now = datetime.now(caller.zone)
            found = self._memory.working(
                body.query, namespace=namespace, budget=body.budget, now=now, at=body.at, agent=body.agent
            )
            return {"namespace": namespace, **working_record(found), **as_far_as_read(caller, found.unread)}

        return await self._respond(working)

    async def reflect(self, body: schemas.Reflect, caller: CallerOf) -> Response:
        """Read turns that were not read yet for what they state.

        Those of all namespaces, in the order in which they were remembered. The server does it by itself when nothing
        is being remembered.
        """
        caller.access.need("write")
        if caller.header_namespace is not None:
            caller.access.namespace(caller.header_namespace)

        def reflect() -> object:
            read = self._memory.reflect(seconds=body.seconds)
            known = as_far_as_read(caller, self._memory.unread())
            return {"read": read if caller.access.admin else None, **known}

        return await self._respond(reflect)

    async def forget(self, body: schemas.Forget, caller: CallerOf) -> Response:
        """Forget an engram, a session, or all engrams before a time.

        Forgets the engrams that meet all given conditions; no later recall returns them. 404 if the id or the session
        does not exist.
        """
        namespace = namespace_of(caller, "erase", body.namespace)
        param = "id" if body.id is not None else "session" if body.session is not None else None
        return await self._forget(namespace, body.id, body.session, body.before, param)

    async def list_engrams(self, params: Annotated[schemas.ListParameters, Query()], caller: CallerOf) -> Response:
        """List engrams, in the order in which they were remembered.

        One page at a time: `next` is the `after_id` of the following page. A page of long texts may contain fewer than
        `limit` engrams.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def page() -> object:
            if params.after_id is not None:
                # An id of another namespace must look like one that does not exist.
                self._memory.get(params.after_id, namespace=namespace)
            page = {"limit": params.limit + 1, "after_id": params.after_id, **params.filters()}
            return page_of(self._memory.engrams(namespace=namespace, **page), params.limit)

        return await self._respond(page)

    async def list_quarantine(self, params: Annotated[schemas.ListParameters, Query()], caller: CallerOf) -> Response:
        """List the engrams in quarantine, oldest first.

        They are stored, and neither recalled nor listed elsewhere; `quarantined` says why. Pages are those of the list
        of engrams. DELETE /memory/engrams/{id} forgets one of them.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def page() -> object:
            if params.after_id is not None:
                held_engram(self._memory, params.after_id, namespace)
            page = {"limit": params.limit + 1, "after_id": params.after_id, **params.filters()}
            return page_of(self._memory.quarantined(namespace=namespace, **page), params.limit)

        return await self._respond(page)

    async def release(self, body: schemas.Release, caller: CallerOf) -> Response:
        """Release an engram from quarantine: recall finds it from now on.

        Needs the right to erase, so that what can only write cannot release what it wrote.
        """
        namespace = namespace_of(caller, "erase", body.namespace)

        def release() -> object:
            held_engram(self._memory, body.id, namespace)
            return to_record(self._memory.release(body.id))

        return await self._respond(release)

    async def quarantine(self, body: schemas.Quarantine, caller: CallerOf) -> Response:
        """Move an engram into quarantine: no recall returns it until it is released.

        Needs the right to erase.
        """
        namespace = namespace_of(caller, "erase", body.namespace)

        def quarantine() -> object:
            self._memory.get(body.id, namespace=namespace)
            return to_record(self._memory.quarantine(body.id, body.why))

        return await self._respond(quarantine)

    async def get_engram(
        self, id: Id, caller: CallerOf, params: Annotated[schemas.NamespaceParameter, Query()]
    ) -> Response:
        """Return one engram."""
        namespace = namespace_of(caller, "read", params.namespace)
        return await self._respond(lambda: to_record(self._memory.get(str(id), namespace=namespace)))

    async def forget_engram(
        self, id: Id, caller: CallerOf, params: Annotated[schemas.NamespaceParameter, Query()]
    ) -> Response:
        """Forget one engram."""
        namespace = namespace_of(caller, "erase", params.namespace)
        return await self._forget(namespace, str(id), None, None, "id")

    async def list_sessions(self, caller: CallerOf, params: Annotated[schemas.SessionsParameters, Query()]) -> Response:
        """List the sessions of a namespace.

        With the number of engrams of each, in the order in which they began. One page at a time: `next` is the `after`
        of the following page.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def sessions() -> object:
            counted = self._memory.sessions(namespace, limit=params.limit + 1, after=params.after)
            return {"namespace": namespace, **page_of_names("session", counted, params.limit)}

        return await self._respond(sessions)

    async def list_namespaces(self, caller: CallerOf, params: Annotated[schemas.NamesParameters, Query()]) -> Response:
        """List the namespaces that the key covers.

        Those that are not empty, with the number of engrams of each, by name. One page at a time: `next` is the `after`
        of the following page.
        """
        access = caller.access
        access.need("read")
        if caller.header_namespace is not None:
            access.namespace(caller.header_namespace)

        def namespaces() -> object:
            if access.admin or access.prefix is not None:
                counted = self._memory.namespaces(access.prefix or "", limit=params.limit + 1, after=params.after or "")
            else:
                # Not counted by namespace: even the time that takes would tell something about other namespaces.
                count = sum(n for _, n in self._memory.sessions(access.default))
                counted = [(access.default, count)] if count and access.default > (params.after or "") else []
            return page_of_names("namespace", counted, params.limit)

        return await self._respond(namespaces)

    async def list_policies(self, caller: CallerOf, params: Annotated[schemas.NamesParameters, Query()]) -> Response:
        """List the policies by which engrams expire.

        The default, and the policies of namespaces by name, one page at a time: `next` is the `after` of the following
        page. For admin keys.
        """
        administer(caller, "read")
        if caller.header_namespace is not None:
            caller.access.namespace(caller.header_namespace)

        def policies() -> object:
            found = self._memory.policies(limit=params.limit + 1, after=params.after or "")
            page = found[: params.limit]
            return {
                "default": policy_record(self._memory.policy(None)),
                "policies": list(map(policy_record, page)),
                "next": page[-1].namespace if len(found) > params.limit else None,
            }

        return await self._respond(policies)

    async def set_policy(self, body: schemas.SetPolicy, caller: CallerOf) -> Response:
        """Set how long the engrams of a namespace are kept.

        Applies at once: an expired engram is neither recalled, listed nor counted. It is erased within an hour; until
        then a longer policy brings it back. For admin keys with the right to erase.
        """
        administer(caller, "erase")
        check_policy_namespace(caller, body.namespace)
        seconds = body.expire_after_seconds
        after = None if seconds is None else timedelta(seconds=seconds)
        return await self._respond(lambda: policy_record(self._memory.set_policy(body.namespace, expire_after=after)))

    async def clear_policy(self, caller: CallerOf, params: Annotated[schemas.PolicyParameters, Query()]) -> Response:
        """Remove the policy of a namespace, or the default.

        Returns the policy that applies to the namespace now. For admin keys with the right to erase.
        """
        administer(caller, "erase")
        check_policy_namespace(caller, params.namespace)

        def clear() -> object:
            if not self._memory.clear_policy(params.namespace):
                raise ServeError(404, "no policy is set for this namespace", "not_found", "namespace")
            return policy_record(self._memory.policy(params.namespace))

        return await self._respond(clear)

    async def export(self, params: Annotated[schemas.FilterParameters, Query()], caller: CallerOf) -> Response:
        """Export a namespace as JSON Lines.

        One engram per line, in the order in which they were remembered, and then those in quarantine: `engram import`
        reads them without loss.
        """
        namespace = namespace_of(caller, "read", params.namespace)
        run = self._services.run
        filters = {"namespace": namespace, **params.filters()}
        parts = (self._memory.engrams, self._memory.quarantined)
        chunks = json_lines(chain.from_iterable(part(**filters) for part in parts))
        # Read before the response starts, so that an early error gets its status.
        first = await run(next, chunks, b"")

        async def stream() -> Any:
            chunk = first
            while chunk:
                yield chunk
                chunk = await run(next, chunks, b"")

        headers = {"Content-Disposition": 'attachment; filename="engram.jsonl"'}
        return StreamingResponse(stream(), media_type=JSON_LINES, headers=headers)

    async def erase(self, params: Annotated[schemas.EraseParameters, Query()], caller: CallerOf) -> Response:
        """Erase a whole namespace.

        `confirm` must be its name. `engram compact` then removes the erased text from the memory's files.
        """
        namespace = namespace_of(caller, "erase", params.namespace)
        if params.confirm != namespace:
            raise ServeError(
                409,
                "confirm is not the name of the namespace that would be erased; nothing was erased",
                "not_confirmed",
                "confirm",
            )
        return await self._forget(namespace, None, None, None, None)

    async def get_receipt(
        self, id: Id, caller: CallerOf, params: Annotated[schemas.NamespaceParameter, Query()]
    ) -> Response:
        """Return the state of the messages of a request to a model.

        The id is the value of the header X-Engram-Receipt in the response to that request.
        """
        access = caller.access
        if not access.write:
            access.need("read")
        named = params.namespace is not None or caller.header_namespace is not None
        only = namespace_of(caller, "write" if access.write else "read", params.namespace) if named else None
        allowed = access.allows if only is None else lambda name: name == only

        def receipt() -> object:
            stored = self._services.conversations.receipts.find(str(id), allowed, self._memory.is_indexed)
            if stored is None:
                raise ServeError(404, "no receipt has this id", "not_found", "id")
            record = {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in asdict(stored).items()
            }
            held = (engram for id in stored.engrams for engram in self._memory.quarantined(id=id))
            return record | {"quarantined": {engram.id: engram.quarantined for engram in held}}

        return await self._respond(receipt)

    async def stats(self, caller: CallerOf, params: Annotated[schemas.NamespaceParameter, Query()]) -> Response:
        """Return figures of the memory.

        Of the whole memory for an admin who names no namespace; otherwise of one namespace.
        """
        whole = caller.access.admin and params.namespace is None and caller.header_namespace is None
        namespace = namespace_of(caller, "read", params.namespace)

        def numbers() -> object:
            if whole:
                return asdict(self._memory.stats())
            counted = self._memory.sessions(namespace)
            return {"namespace": namespace, "engrams": sum(n for _, n in counted), "sessions": len(counted)}

        return await self._respond(numbers)

    async def _forget(
        self, namespace: str, id: str | None, session: str | None, before: datetime | None, param: str | None
    ) -> Response:
        """Forget engrams and return their number; 404 if nothing matched and `param` names a condition."""

        def forget() -> object:
            with self._services.forgetting(namespace):
                count = self._memory.forget(id=id, namespace=namespace, session=session, before=before)
            if not count and param is not None:
                raise ServeError(404, f"nothing in this namespace has this {param}", "not_found", param)
            return {"forgotten": count}

        return await self._respond(forget)

    async def _respond(self, value: Callable[[], object], status: int = 200) -> Response:
        return await respond(self._services, value, status)


def page_of_names(label: str, counted: Sequence[tuple[str, int]], limit: int) -> dict[str, object]:
    """Return the first `limit` of names (of `label`s) with their numbers of engrams, and where to go on."""
    page = counted[:limit]
    names = [{label: name, "engrams": count} for name, count in page]
    return {f"{label}s": names, "next": page[-1][0] if len(counted) > limit else None}


def administer(caller: Caller, right: Right) -> None:
    """Raise `ServeError` 403 unless the caller has an admin key with a right."""
    caller.access.need(right)
    if not caller.access.admin:
        raise forbidden("policies are for admin keys")


def check_policy_namespace(caller: Caller, namespace: str | None) -> None:
    """Raise `ServeError` 400 for an invalid name, and 409 if the header names another namespace than the request."""
    if caller.header_namespace not in (None, namespace):
        raise ServeError(
            409,
            "the header X-Engram-Namespace names another namespace than the request, which says whose policy it is;"
            " leave the header out",
            "namespace_conflict",
            "namespace",
        )
    if namespace is not None:
        caller.access.namespace(namespace)


def held_engram(memory: Memory, id: str, namespace: str) -> Engram:
    """Return an engram in quarantine; raises `NotFound` for one of another namespace as for one that does not exist."""
    found = next(memory.quarantined(id=id, namespace=namespace), None)
    if found is None:
        raise NotFound("no engram in quarantine has this id")
    return found


def draft_turn(turn: schemas.Turn, namespace: str, path: str) -> Engram:
    """Return the engram of a turn. Raises `ServeError` 422 with `path` before the name of the wrong field.

    The id is always new: callers must not learn whether an id exists in another namespace. A caller can lower the
    origin, and never raise it.
    """
    origin = less_trusted(less_trusted("program", ORIGIN_OF_ROLE[turn.role]), turn.origin or "program")
    fields: dict[str, Any] = dict(turn) | {"namespace": namespace, "origin": origin}
    try:
        return draft(**fields)
    except InvalidEngram as error:
        raise ServeError(422, f"{path}{error}", "invalid_field", f"{path}{str(error).partition(' ')[0]}") from None
