"""The error that becomes an HTTP response.

Owns its status, code and message. Each API formats it in its own way: see `wire` and `rest`.
"""

from __future__ import annotations

from engram.errors import EngramError


class ServeError(EngramError):
    """Ends a request with an error response: `status` for HTTP, `code` for programs, `message` for people."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def bad_request(message: str, param: str | None = None, code: str = "invalid_request") -> ServeError:
    """Return the error for a request that cannot be understood: 400."""
    return ServeError(400, message, code, param)
