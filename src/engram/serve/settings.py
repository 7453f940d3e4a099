"""How a server is set up: every option in one place, with its default.

Knows nothing of where the values come from; `cli.serve` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of `engram serve`."""

    memory: str
    """The memory's file."""
    host: str = "127.0.0.1"
    port: int = 8100
    """0: any that is free."""
    upstream: str | None = None
    """The base URL of the model's API, with or without /v1; None: the embedded local model."""
    upstream_key_env: str | None = None
    """The environment variable that holds the key for upstream; None: the caller's own goes there."""
    upstream_seconds: float = 600.0
    """The longest silence of upstream that is waited for."""
    namespace: str = "default"
    """Whose memory it is where nothing in a request says so."""
    budget: int = 1024
    """Tokens of notes at most."""
    notes: int = 10
    """Engrams that become notes at most."""
    least_score: float = 0.15
    """The score, 0 to 1, that the best hit must have, and half of which the others must: else nothing is put in."""
    sticky: bool = False
    """Whether earlier messages get back the notes that they had."""
    deadline: float = 0.15
    """Seconds that a request waits for recall before it goes on without."""
    most_body: int = 32 << 20
    """Bytes of a request's body."""
    header_seconds: float = 10.0
    """Seconds until a request's headers must be there."""
    body_seconds: float = 30.0
    """Seconds between two pieces of a request's body."""
    send_seconds: float = 60.0
    """Seconds that a client may take to read a piece of the answer."""
    drain_seconds: float = 60.0
    """Seconds that running answers and waiting writes have to end in, once the server is told to stop."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside those of the loopback interface and `host`, by which the server may be called; "*": any."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call it from a browser."""
    most_waiting: int = 10_000
    """Turns that may wait to be written while the memory cannot be."""
    log_text: bool = False
    """Whether the log may hold what was said."""
