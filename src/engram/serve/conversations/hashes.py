"""Keyed hashes of messages, sessions and response ids: what the server database stores in place of text.

Owns the hash functions and the names of generated sessions, which carry a hash of their namespace. Without the secret
of the server database a hash reveals nothing, and hashes of different namespaces never match.
"""

from __future__ import annotations

import hmac
import itertools
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from engram.engram import MAX_NAME_BYTES
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.wire.base import ChatMessage

HEADER = "X-Engram-Session"

LONG = 20
"""Characters. Two successive messages identify a conversation only if one of them is longer than this."""

GENERATED = re.compile(r"(s-[0-9]{8}-[0-9]{6}-[0-9a-f]{4})-([0-9a-f]{8})")
"""The form of a generated session name; the last group is a hash of the rest, keyed by the namespace."""

_numbers = itertools.count(secrets.randbits(16))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a message, independent of its position in a conversation."""

    digest: bytes
    is_long: bool
    """Whether one of its parts has more than `LONG` characters."""


class Hashes:
    """The hash functions of one namespace."""

    def __init__(self, secret: bytes, namespace: str) -> None:
        self._key = blake2b(namespace.encode(), key=secret, digest_size=32).digest()

    def _digest(self, kind: bytes, value: bytes) -> bytes:
        """Return the keyed hash of a value. `kind`: one letter for each kind of value, so that no two kinds collide."""
        # Not hmac: it releases the interpreter's lock on each call, and under load the event loop waits milliseconds
        # to get the lock back. blake2b releases the lock for long texts only.
        return blake2b(kind + value, key=self._key, digest_size=16).digest()

    def fingerprint(self, message: ChatMessage) -> Fingerprint:
        """Return the fingerprint of a message."""
        digest = self._digest(b"m", f"{message.role}\n{message.canonical}".encode("utf-8", "surrogatepass"))
        return Fingerprint(digest, any(len(part.text) > LONG for part in message.parts))

    def chain(self, before: bytes, last: Fingerprint) -> bytes:
        """Return the hash of a message and all messages before it. `before`: the chain of those, b"" for none."""
        return self._digest(b"c", before + last.digest)

    def pair(self, fingerprints: Sequence[Fingerprint]) -> bytes | None:
        """Return the hash of the last two messages; None if there are fewer, or neither is long."""
        if len(fingerprints) < 2 or not (fingerprints[-1].is_long or fingerprints[-2].is_long):
            return None
        return self._digest(b"2", fingerprints[-2].digest + fingerprints[-1].digest)

    def triple(self, fingerprints: Sequence[Fingerprint]) -> bytes | None:
        """Return the hash of the last three messages; None if there are fewer."""
        if len(fingerprints) < 3:
            return None
        return self._digest(b"3", b"".join(one.digest for one in fingerprints[-3:]))

    def session_key(self, session: str) -> int:
        """Return the number that represents a session, a signed 64-bit integer."""
        return int.from_bytes(self._digest(b"s", session.encode())[:8], signed=True)

    def response(self, id: str) -> bytes:
        """Return the hash of a response id."""
        return self._digest(b"r", id.encode("utf-8", "surrogatepass"))

    def reply(self, fingerprint: Fingerprint, session_key: int | None) -> bytes:
        """Return the key by which a reply is found again, in one session or, for None, in all."""
        session = b"" if session_key is None else session_key.to_bytes(8, signed=True)
        return self._digest(b"a", fingerprint.digest + session)

    def session_tag(self, name: str) -> str:
        """Return the end of a generated session name, by which its namespace is recognised."""
        return self._digest(b"t", name.encode())[:4].hex()


def check_session(hashes: Hashes, session: str) -> None:
    """Raise `ServeError` 400 unless callers of this namespace may name `session`. Reads no file."""
    try:
        size = len(session.encode())
    except UnicodeEncodeError:
        raise bad_request("the session name holds a lone surrogate; it must be valid Unicode", HEADER) from None
    if not 1 <= size <= MAX_NAME_BYTES:
        raise bad_request(f"the session name is {size:,} bytes of UTF-8; it must be 1 to {MAX_NAME_BYTES}", HEADER)
    if any(unicodedata.category(character) == "Cc" for character in session):
        raise bad_request("the session name holds a control character", HEADER)
    generated = GENERATED.fullmatch(session)
    if generated and not hmac.compare_digest(generated[2], hashes.session_tag(generated[1])):
        raise ServeError(400, f"there is no session {session} in this namespace", "session_not_found", HEADER)


def new_session(hashes: Hashes, at: datetime) -> str:
    """Return a name for a new session."""
    # A counter with a random start: 65,536 names in one second are all different.
    name = f"s-{at:%Y%m%d-%H%M%S}-{next(_numbers) & 0xFFFF:04x}"
    return f"{name}-{hashes.session_tag(name)}"
