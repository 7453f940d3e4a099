"""The caller of REST or MCP: what the key allows, and what the request's headers name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from engram.notes.zones import MACHINE
from engram.serve.auth.access import Access, Right
from engram.serve.http.errors import ServeError


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request."""

    access: Access
    header_namespace: str | None = None
    """The value of the header X-Engram-Namespace."""
    zone: tzinfo = MACHINE
    """The time zone of the caller."""

    def need(self, right: Right, namespace: str | None, *, refuse_conflict: bool = False) -> str:
        """Return the namespace to use: `namespace` (from the request itself) if given, else the header's or the key's.

        Raises `ServeError` unless the key covers the namespace and has the right. refuse_conflict: also if the header
        and the request itself name different namespaces (409).
        """
        self.access.need(right)
        if refuse_conflict and None not in (namespace, self.header_namespace) and namespace != self.header_namespace:
            raise ServeError(
                409,
                "the header X-Engram-Namespace and the request name two namespaces; name one",
                "namespace_conflict",
                "namespace",
            )
        return self.access.namespace(self.header_namespace if namespace is None else namespace)
