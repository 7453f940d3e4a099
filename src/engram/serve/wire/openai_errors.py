"""How OpenAI's APIs say what is wrong."""

from __future__ import annotations

import json

from engram.serve.http.errors import ServeError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def openai_error(error: ServeError) -> bytes:
    """The body of an answer that says what is wrong."""
    of = TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    said = {"message": error.message, "type": of, "param": error.param, "code": error.code}
    return json.dumps({"error": said}).encode()
