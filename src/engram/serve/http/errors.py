"""What the server refuses, and how it says so.

Owns the one error that becomes an answer. Each API has a form of its own for it: `wire` and `rest` know those.
"""

from __future__ import annotations

from engram.errors import EngramError


class ServeError(EngramError):
    """A request that is answered with an error: `status` by HTTP, `code` for programs, the message for people."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def bad_request(message: str, param: str | None = None, code: str = "invalid_request") -> ServeError:
    """A request that cannot be understood: 400."""
    return ServeError(400, message, code, param)
