"""The options of the server, with their defaults.

Does not know where the values come from: `cli.serve` and `environment` read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from engram.engram import Origin
from engram.notes.choosing import LEAST_TRUST
from engram.notes.zones import MACHINE
from engram.reflection.proposals.asking import QUIET, TOKENS_PER_DAY, Prices

LOOPBACK = ("127.0.0.1", "::1", "localhost")

RelayMode = Literal["auto", "fast", "plain"]
ProfileMode = Literal["off", "on"]
ToolsMode = Literal["off", "allow", "on"]

MOST_KEEP_DAYS = 36_500
"""The largest `keep_days`: a hundred years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of `engram serve`."""

    memory: str
    """Path of the memory's file."""
    host: str = "127.0.0.1"
    port: int = 8100
    """0: any free port."""
    upstream: str | None = None
    """Base URL of the model's API, with or without /v1; None: the embedded local model."""
    upstream_key_env: str | None = None
    """Environment variable with the key for upstream; None: the caller's key is forwarded."""
    upstream_seconds: float = 600.0
    """Longest silence of upstream, in seconds."""
    relay: RelayMode = "auto"
    """How streams are relayed. fast: past aiohttp and ASGI, by their internals; plain: through them; auto: fast if the
    self-test at start succeeds."""
    namespace: str = "default"
    """Namespace of requests that name none."""
    timezone: tzinfo = MACHINE
    """Time zone of requests that name none: notes show its days, and "yesterday" is its day."""
    budget: int = 1024
    """Maximum tokens of notes in a request."""
    notes: int = 10
    """Maximum number of notes in a request."""
    least_score: float = 0.15
    """Score, 0 to 1, that the best hit must reach; every other hit must reach half. Below it, nothing is inserted."""
    least_trust: Origin = LEAST_TRUST
    """The least trusted origin from which an engram becomes a note."""
    redact: tuple[str, ...] = ()
    """What is taken out of every text before it is stored, of `engram.text.redaction.REDACTIONS`."""
    keep_days: int | None = None
    """Days after which a turn is forgotten, by the time of the turn; None: never."""
    reflect: bool = True
    """Whether turns are read for what they state while nothing is being remembered."""
    strength: bool = True
    """Whether what is recalled often comes before its equals."""
    reflect_model: str | None = None
    """The model that is asked for proposals: "upstream#NAME", or as `open_model` takes it; None: none."""
    reflect_quiet: float = QUIET
    """Seconds without a new turn after which a model is asked about a session."""
    reflect_tokens: int = TOKENS_PER_DAY
    """Tokens of a day for that, in UTC."""
    reflect_money: float | None = None
    """What a day may cost, by `reflect_prices`."""
    reflect_prices: Prices | None = None
    """What a million tokens of the model cost."""
    sticky: bool = False
    """Whether earlier messages get their notes back."""
    profile: ProfileMode = "off"
    """Whether a conversation gets the user's profile in its system prompt, unless a request says otherwise."""
    profile_budget: int = 256
    """Maximum tokens of a profile, at least 1."""
    tools: ToolsMode = "allow"
    """Whether a model gets the functions of `engram.tools`. off: never; allow: if a request asks for them; on: unless a
    request says otherwise."""
    deadline: float = 0.15
    """Seconds that a request waits for memory."""
    most_body: int = 32 << 20
    """Maximum size of a request's body in bytes."""
    header_seconds: float = 10.0
    """Seconds within which the headers of a request must arrive."""
    body_seconds: float = 30.0
    """Maximum seconds between two pieces of a request's body."""
    send_seconds: float = 60.0
    """Maximum seconds without progress while a client reads a response."""
    drain_seconds: float = 60.0
    """Seconds that running responses and pending writes get to finish after the server is told to stop."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which clients may call, in addition to the loopback names and `host`; "*": any."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call from a browser."""
    strip: tuple[str, ...] = ()
    """Regular expressions in RE2's syntax; what they match is left out of users' messages."""
    most_waiting: int = 10_000
    """Maximum number of turns of one namespace that wait while the memory cannot be written."""
    log_text: bool = False
    """Whether the log may hold text of messages."""
