"""Which requests get Engram's functions, and what the response says of it.

Owns the header `X-Engram-Tools`. Does not know what the functions do.
"""

from __future__ import annotations

from collections.abc import Mapping

from engram.serve.http.errors import bad_request
from engram.serve.settings import Settings
from engram.serve.tool_calls.request import ToolRequest, has_prefill
from engram.serve.wire.base import Request
from engram.serve.wire.table import Wire

TOOLS_HEADER = "x-engram-tools"
"""Whether the model gets Engram's functions: on or off. Empty or missing: as the server is set."""

NOT_ALLOWED = "off; this server allows no tools (engram serve --tools)"
EMBEDDED = "off; the embedded model calls no tools"
WITHOUT_MEMORY = "off; the request passes without memory"
MAY_NOT_READ = "off; the request may not read memory"
PREFILL = "off; the request ends with the beginning of the reply"


def asks_for_tools(headers: Mapping[str, str], setting: str) -> bool:
    """Return whether a request asks for Engram's functions: by its header, else by the server's setting.

    setting: "off", "allow" or "on". Raises `ServeError` (400) for an unknown value of `X-Engram-Tools`.
    """
    wanted = headers.get(TOOLS_HEADER, "").strip().lower()
    if wanted not in ("", "on", "off"):
        raise bad_request(f"X-Engram-Tools is {wanted[:40]!r}; it can be on or off", "X-Engram-Tools")
    return setting == "on" if not wanted else wanted == "on"


def with_tools(
    wire: Wire, request: Request, body: bytes, settings: Settings, *, reads: bool, writes: bool
) -> tuple[ToolRequest | None, str]:
    """Return the request in `body` with Engram's functions, and the value of the response's `X-Engram-Tools`.

    None for the request if it takes no functions; the value says why. reads, writes: what it may do with memory.
    """
    reasons = (
        (settings.tools == "off", NOT_ALLOWED),
        (settings.upstream is None, EMBEDDED),
        (not reads, MAY_NOT_READ),
        (has_prefill(request), PREFILL),
    )
    if (why := next((reason for holds, reason in reasons if holds), None)) is not None:
        return None, why
    try:
        return ToolRequest.of(wire, body, writes=writes), "on" if writes else "read"
    except ValueError as error:
        return None, f"off; {error}"
