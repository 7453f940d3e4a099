"""REST under /memory/arcs: the chains of turns that share a person, a place or a thing.

Owns the paths, and the right that each needs.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from engram.formats.arcs import arc_record, view_record
from engram.serve.api import arc_schemas as forms
from engram.serve.api.rest_routes import CallerOf, Routes, as_far_as_read, namespace_of, respond
from engram.serve.services import Services


def add_arcs(routes: Routes) -> None:
    """Add the paths of arcs."""
    arcs = Arcs(routes.services)
    routes.add("GET", "/arcs", arcs.arcs, forms.ArcsFound)
    routes.add("GET", "/arcs/{id}", arcs.arc, forms.ArcFound, 404)


class Arcs:
    """The handlers of the paths."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._memory = services.memory

    async def arcs(self, params: Annotated[forms.ArcsParameters, Query()], caller: CallerOf) -> Response:
        """List the chains of turns that share a person, a place or a thing.

        Those of the most sessions first. A title is what the turns share, in their own words. `at`: as it was then.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def arcs() -> object:
            found = self._memory.arcs(namespace=namespace, at=params.at, limit=params.limit)
            return {
                "namespace": namespace,
                "arcs": list(map(arc_record, found)),
                **as_far_as_read(caller, found.unread),
            }

        return await respond(self._services, arcs)

    async def arc(
        self, id: Annotated[forms.ArcId, Path()], params: Annotated[forms.ArcParameters, Query()], caller: CallerOf
    ) -> Response:
        """Return one arc: dated quotes, what was last said of each thing in it, and its open ends.

        `at`: as it was then. What an assistant told is marked by its role.
        """
        namespace = namespace_of(caller, "read", params.namespace)

        def arc() -> object:
            found = self._memory.arc(id, namespace=namespace, at=params.at, limit=params.limit)
            return {"namespace": namespace, **view_record(found), **as_far_as_read(caller, found.unread)}

        return await respond(self._services, arc)
