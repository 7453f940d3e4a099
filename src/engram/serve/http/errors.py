"""The error that becomes an HTTP response.

Owns its status, code and message. Each API formats it in its own way: see `wire` and `rest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engram.errors import EngramError

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ServeError(EngramError):
    """Ends a request with an error response: `status` for HTTP, `code` for programs, `message` for people."""

    def __init__(
        self, status: int, message: str, code: str, param: str | None = None, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers
        """Headers that REST adds to the response."""


class NotRemembered(ServeError):
    """Says what of a request only memory dislikes: the request goes on without memory, and its response says why."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message, "not_remembered")


INVALID_BODY = "invalid_body"
"""The code for a body that is no JSON object in UTF-8, which no model's API could read."""


def bad_request(message: str, param: str | None = None, code: str = "invalid_request") -> ServeError:
    """Return the error for a request that cannot be understood: 400."""
    return ServeError(400, message, code, param)
