"""The paths of requests: below the mount point, in the one form that the server knows, and as upstream gets them.

Owns the paths that name a namespace and a session (`/ns/NAME/v1`, `/ns/NAME/session/NAME/v1`): such a request becomes
one to `/v1` with the headers that name both, so every check of the headers holds for the path. Does not know which
names are valid.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from engram.serve.auth.headers import NAMESPACE_HEADER, SESSION_HEADER
from engram.serve.http.errors import bad_request
from engram.serve.wire.table import wire_at

NAMED = re.compile(r"/ns/([^/]*)(?:/session/([^/]*))?(/v1(?:/.*)?)", re.DOTALL)
"""A path, percent-encoded, that names a namespace and perhaps a session, and the rest of the path."""

SLASHES = re.compile("/{2,}")


def addressed(app: ASGIApp) -> ASGIApp:
    """Return `app` behind the reading of paths: names become headers, and a conversation's path gets its one form."""

    async def read_path(scope: Scope, receive: Receive, send: Send) -> None:
        await app(with_headers_of_path(scope) if scope["type"] == "http" else scope, receive, send)

    return read_path


def with_headers_of_path(scope: Scope) -> Scope:
    """Return a request's scope with a path as the rest of the server knows it.

    A name of the path is added as a header unless the request has the same header with the same value: a header that
    contradicts the path is one that came twice.
    """
    raw = raw_path(scope)
    names: list[tuple[bytes, bytes]] = []
    if named := NAMED.fullmatch(raw):
        namespace, session, raw = named.groups()
        for header, name in ((NAMESPACE_HEADER, namespace), (SESSION_HEADER, session)):
            pair = (header.encode(), unquote_to_bytes(name or ""))
            if name is not None and pair not in scope["headers"]:
                names.append(pair)
    path = unquote(raw)
    known = SLASHES.sub("/", path).rstrip("/")
    if path != known and wire_at(known) is not None:
        path = raw = known
    elif named is None:
        return scope
    root = str(scope.get("root_path", "")) if path_is_below_root(scope) else ""
    changed = {"path": root + path, "raw_path": (quote(root) + raw).encode("latin-1")}
    return {**scope, **changed, "headers": [*scope["headers"], *names]}


def path_is_below_root(scope: Scope) -> bool:
    """Return whether ASGI's `path` includes `root_path`."""
    root = str(scope.get("root_path", ""))
    return bool(root) and str(scope["path"]).startswith(root + "/")


def local_path(scope: Scope) -> str:
    """Return the path below the mount point, unquoted: ASGI's `path` includes `root_path`."""
    path = str(scope["path"])
    return path[len(str(scope["root_path"])) :] if path_is_below_root(scope) else path


def raw_path(scope: Scope) -> str:
    """Return the path below the mount point, percent-encoded as it arrived."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    if path_is_below_root(scope):
        raw = raw[len(quote(scope["root_path"])) :]
    return raw.decode("latin-1")


def target_of(scope: Scope) -> tuple[str, str]:
    """Return the path below the mount point and the query, both percent-encoded as they arrived.

    Raises `ServeError` (400) for a path with . or .. segments: upstream might resolve it to a path outside its API.
    """
    if not {".", ".."}.isdisjoint(local_path(scope).split("/")):
        raise bad_request("the path holds . or .. as a segment; leave that out")
    return raw_path(scope), scope.get("query_string", b"").decode("latin-1")
