"""The form of an error in OpenAI's APIs."""

from __future__ import annotations

import json

from engram.serve.http.errors import ServeError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def openai_error(error: ServeError) -> bytes:
    """Return the body of an error response."""
    kind = TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    fields = {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    return json.dumps({"error": fields}).encode()
