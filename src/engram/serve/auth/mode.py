"""What a request does with memory: read, write, both or neither, by its headers and the rights of its key.

Owns the values of the headers `X-Engram`, `X-Engram-Task` and `X-Engram-Profile`.
"""

from __future__ import annotations

from engram.serve.auth.access import Access
from engram.serve.auth.headers import PLACEHOLDER
from engram.serve.http.errors import bad_request

TASK_HEADER = "x-engram-task"
"""Names a front end's background request, such as one for a title. Empty or missing for a conversation."""

PROFILE_HEADER = "x-engram-profile"
"""Whether the conversation gets the user's profile: on or off. Empty or missing: as the server is set."""

MODES = {"": (True, True), "off": (False, False), "read": (True, False), "write": (False, True)}
"""Values of `X-Engram`: whether the request may read memory, and whether it may write."""


def mode_of(headers: dict[str, str], access: Access) -> tuple[bool, bool]:
    """Return whether a request reads memory and whether it writes, by its headers and the rights of its key.

    Raises `ServeError` (400) for an unknown value of `X-Engram`.
    """
    task = headers.get(TASK_HEADER, "").strip()
    if task and not PLACEHOLDER.search(task):
        return False, False
    mode = headers.get("x-engram", "").strip().lower()
    if mode not in MODES:
        raise bad_request(f"X-Engram is {mode[:40]!r}; it can be off, read or write", "X-Engram")
    reads, writes = MODES[mode]
    return reads and access.read, writes and access.write


def wants_profile(headers: dict[str, str], default: str) -> bool:
    """Return whether a request wants the user's profile: by its header, else by the server's setting, "on" or "off".

    Raises `ServeError` (400) for an unknown value of `X-Engram-Profile`.
    """
    wanted = headers.get(PROFILE_HEADER, "").strip().lower() or default
    if wanted not in ("on", "off"):
        raise bad_request(f"X-Engram-Profile is {wanted[:40]!r}; it can be on or off", "X-Engram-Profile")
    return wanted == "on"
