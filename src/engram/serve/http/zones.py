"""The time zone of a request: its header, else the server's option.

Owns the header's name, and the refusal of a zone that does not exist. Does not know what the zone is used for.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send

from engram.errors import InvalidEngram
from engram.notes.zones import MACHINE, zone_named
from engram.serve.auth.headers import header_text
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.http.limits import send_error

HEADER = "X-Engram-Timezone"

_ZONE = "engram.zone"
"""The key of the zone in the scope of a request."""


def zoned(app: ASGIApp, default: tzinfo) -> ASGIApp:
    """Return `app` behind the reading of the time zone: `zone_of` returns it. 400 for a zone that does not exist."""

    async def read_zone(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope = {**scope, _ZONE: requested_zone(scope, default)}
            except ServeError as error:
                await send_error(error, scope, send)
                return
        await app(scope, receive, send)

    return read_zone


def requested_zone(scope: Scope, default: tzinfo) -> tzinfo:
    """Return the zone that a request names, else `default`. Raises `ServeError` (400) if there is no such zone."""
    wanted = HEADER.lower().encode()
    values = [value for name, value in scope["headers"] if name == wanted]
    # Two values are refused by another check.
    text = header_text({HEADER: values[0].decode("latin-1")}, HEADER) if values else None
    try:
        return zone_named(text.strip()) if text and text.strip() else default
    except InvalidEngram as error:
        raise bad_request(f"{HEADER}: {error}", HEADER, "invalid_timezone") from None


def zone_of(scope: Scope) -> tzinfo:
    """Return the zone of a request that passed `zoned`; the machine's for any other."""
    return cast(tzinfo, scope.get(_ZONE, MACHINE))
