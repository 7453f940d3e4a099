"""What Claude Code puts into the field that names the user of a request.

Owns this convention of one front end, which is harmless for requests of others.
"""

from __future__ import annotations

import json
import re

_SESSION = re.compile(r"_session_[0-9a-f-]{36}$")
"""The suffix with the session that Claude Code appends to the user."""


def end_user(user_id: str | None) -> str | None:
    """Return the user in a `user_id` of Anthropic's API, without the session.

    Claude Code appends its session to the user, or puts both into a JSON object. With the session, each session would
    be a user without memories.
    """
    if user_id is None or not user_id.startswith("{"):
        return user_id and _SESSION.sub("", user_id)
    try:
        parts = json.loads(user_id)
    except (ValueError, RecursionError):
        return user_id
    if not isinstance(parts, dict):
        return user_id
    return next((str(parts[name]) for name in ("account_uuid", "device_id") if parts.get(name)), user_id)
