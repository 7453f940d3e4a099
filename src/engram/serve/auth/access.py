"""Who may do what: keys, and the namespaces and rights that each of them opens.

Owns the form of a key, how it is made and how it is known again. A caller is judged by the key alone: nothing of the
memory is looked at, so an answer tells nothing of what is there. Knows nothing of HTTP beyond the names of headers.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engram.engram import DEFAULT_NAMESPACE, check_name
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.serve.http.errors import ServeError, bad_request

if TYPE_CHECKING:
    from engram.serve.conversations.log import KeyRow, ServerDatabase

logger = logging.getLogger("engram.serve")

MARK = "engram_"
"""How every key begins: "engram_<id>_<secret>"."""

KEY_HEADER = "x-engram-key"
NAMESPACE_HEADER = "x-engram-namespace"
SESSION_HEADER = "x-engram-session"

KNOWN_SECONDS = 1.0
"""How long what the ledger said of a key is believed: a revoked key works no longer than that."""

KNOWN_KEYS = 10_000
"""Keys, right or wrong, that are kept in mind."""

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")

PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")
"""What Open WebUI, and others, put the user's or the chat's id in the place of."""

Right = Literal["read", "write", "erase"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do, and in which namespaces."""

    key_id: str | None
    """The key; None where no keys are set up, or none are needed."""
    default: str
    """The namespace where none is asked for; the only one, for a key that is neither of an admin nor of a prefix."""
    read: bool
    write: bool
    erase: bool
    admin: bool
    """Whether every namespace is covered."""
    prefix: str | None = None
    """Every namespace that begins so is covered."""

    def allows(self, namespace: str) -> bool:
        """Whether the caller may use a namespace."""
        if self.admin:
            return True
        return namespace == self.default if self.prefix is None else namespace.startswith(self.prefix)

    def namespace(self, asked: str | None) -> str:
        """The namespace to use. Raises `ServeError`: 400 if `asked` cannot be one or is missing, 403 if not allowed.

        Decided from the key alone: what is stored is not looked at.
        """
        if asked is None and self.prefix is not None and not self.admin:
            raise bad_request(
                f"this key is for the namespaces that begin with {self.prefix!r}; say which one, with the header"
                " X-Engram-Namespace",
                "namespace",
                "namespace_missing",
            )
        name = self.default if asked is None else asked
        try:
            check_namespace(name)
        except InvalidEngram as error:
            raise bad_request(str(error), "namespace", "invalid_namespace") from None
        if not self.allows(name):
            raise ServeError(403, "this key is not for that namespace", "namespace_forbidden", "namespace")
        return name

    def need(self, right: Right) -> None:
        """Raise `ServeError` 403 unless the caller has a right."""
        if not getattr(self, right):
            raise ServeError(403, f"this key has no right to {right}", "right_missing")


def check_namespace(name: str) -> None:
    """Raise `InvalidEngram` unless callers may use `name` for a namespace: 1 to 512 bytes, no control characters."""
    check_name("namespace", name)
    if found := CONTROLS.search(name):
        raise InvalidEngram(f"namespace holds the control character {found[0]!r} at character {found.start()}")


class Gate:
    """Tells who a caller is. Safe to call from threads; quick enough for the event loop.

    Where no key was ever made, every caller may do all. A key that is revoked still counts as one: revoking the last
    key opens nothing.
    """

    def __init__(self, ledger: ServerDatabase, default: str = DEFAULT_NAMESPACE) -> None:
        """`default`: the namespace of callers whose key names none."""
        self._ledger = ledger
        self._open = Access(None, default, read=True, write=True, erase=True, admin=True)
        self._known: dict[bytes, tuple[float, Access | None]] = {}
        self._needed = False
        self._needed_asked = float("-inf")

    def access(self, headers: Mapping[str, str]) -> Access:
        """What the caller who sent `headers` (names in lower case) may do.

        Raises `ServeError` 401 if there are keys and none that is valid was sent.
        """
        now = time.monotonic()
        if not self._keys_needed(now):
            return self._open
        key = engram_key(headers)
        if key is None:
            raise ServeError(
                401,
                "no key was sent; send one as X-Engram-Key or Authorization: Bearer (engram keys create makes one)",
                "key_missing",
            )
        digest = digest_of(key)
        asked, access = self._known.get(digest, (float("-inf"), None))
        if now - asked >= KNOWN_SECONDS:
            access = self._look_up(digest, access)
            if len(self._known) >= KNOWN_KEYS:
                self._known = {}
            self._known[digest] = (now, access)
        if access is None:
            raise ServeError(401, "this key is not valid", "key_invalid")
        return access

    def _keys_needed(self, now: float) -> bool:
        if not self._needed and now - self._needed_asked >= KNOWN_SECONDS:
            try:
                # The revoked ones count, too: once there is a key, there always is.
                self._needed = self._ledger.has_keys()
            except EngramError as error:
                if self._needed_asked == float("-inf"):
                    raise ServeError(503, "the keys cannot be read", "keys_unavailable") from error
                logger.error("the keys could not be read: %s", error)
            self._needed_asked = now
        return self._needed

    def _look_up(self, digest: bytes, known: Access | None) -> Access | None:
        try:
            # Found by its digest: the time that this takes tells of the digest only, and that tells nothing of the key.
            row = self._ledger.find_key(digest)
        except EngramError as error:
            # A ledger that cannot be read takes nobody's key away, and gives nobody one.
            logger.error("the keys could not be read: %s", error)
            return known
        return None if row is None or row.revoked is not None else self._access(row)

    def _access(self, row: KeyRow) -> Access:
        return Access(
            key_id=row.key_id,
            default=self._open.default if row.namespace is None else row.namespace,
            read=row.read,
            write=row.write,
            erase=row.erase,
            admin=row.admin,
            prefix=row.prefix,
        )


def engram_key(headers: Mapping[str, str]) -> str | None:
    """The key for Engram among `headers` (names in lower case); None if there is none.

    X-Engram-Key, else Authorization: Bearer, else x-api-key; the last two only if the value has a key's form, because
    they usually hold the key for upstream.
    """
    if (own := headers.get(KEY_HEADER)) is not None:
        return own.strip()
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip().startswith(MARK):
        return token.strip()
    value = headers.get("x-api-key", "").strip()
    return value if value.startswith(MARK) else None


def is_engram_key(name: str, value: str) -> bool:
    """Whether a header (`name` in lower case) carries a key for Engram: such a header never goes upstream."""
    if name in ("authorization", "x-api-key"):
        # Also where the scheme is missing or another one: a key of ours is nobody else's business.
        return any(part.startswith(MARK) for part in re.split(r"[\s,]+", value))
    return name == KEY_HEADER


def requested_namespace(headers: Mapping[str, str]) -> str | None:
    """The namespace that `headers` (names in lower case) ask for; None if they do not."""
    return header_text(headers, NAMESPACE_HEADER)


def header_text(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a header whose text may be any; None if it is not there.

    Servers hand headers over as Latin-1; what is UTF-8 is read as UTF-8. Raises `ServeError` 400 for a placeholder that
    the client has not filled in: all its users would share what bears that name.
    """
    value = headers.get(name)
    if value is not None and PLACEHOLDER.search(value):
        raise bad_request(
            f"{name} is {value[:80]!r}: the client did not fill that in; let it send a value, or leave the header out",
            name,
            "placeholder",
        )
    if value is None or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def digest_of(key: str) -> bytes:
    """What is kept of a key. It holds 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


class Keys:
    """Makes, lists and revokes keys."""

    def __init__(self, ledger: ServerDatabase) -> None:
        self._ledger = ledger

    def create(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        prefix: str | None = None,
        admin: bool = False,
        read: bool = True,
        write: bool = True,
        erase: bool = False,
    ) -> tuple[str, str]:
        """Make a key for one namespace, for those that begin with `prefix`, or (`admin`) for all.

        Returns its id and the key itself, which is kept nowhere. Raises `InvalidEngram` if not exactly one of the
        three is given, a name is outside its limits, or the key could do nothing.
        """
        if [namespace is not None, prefix is not None, admin].count(True) != 1:
            raise InvalidEngram(
                "a key is for one namespace, for a prefix of namespaces or for an admin: name one of them"
            )
        if not (read or write or erase):
            raise InvalidEngram("a key without read, write and erase could do nothing; give it one of them")
        for value in (namespace, prefix):
            if value is not None:
                check_namespace(value)
        if name is not None:
            check_name("name", name)
        key_id = secrets.token_hex(6)
        key = f"{MARK}{key_id}_{secrets.token_urlsafe(32)}"
        self._ledger.add_key(key_id, digest_of(key), name, namespace, prefix, admin, read, write, erase)
        return key_id, key

    def list(self) -> Sequence[KeyRow]:
        """All keys, the revoked ones too; the oldest first."""
        return self._ledger.keys()

    def revoke(self, key_id: str) -> None:
        """Let a key be valid no longer. Raises `NotFound` if none has this id, or it is revoked already."""
        if not self._ledger.revoke_key(key_id):
            raise NotFound(f"no valid key has the id {key_id}; engram keys list shows them")
