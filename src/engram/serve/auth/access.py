"""Access decisions: which namespaces and which rights the key of a request opens.

A decision depends on the key alone. The memory is not read, so an answer reveals nothing about its content. Keys are
stored by `keys`; the headers that carry them are read by `headers`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engram.engram import DEFAULT_NAMESPACE
from engram.errors import EngramError, InvalidEngram
from engram.serve.auth.headers import engram_key
from engram.serve.auth.keys import KeyRow, KeyStore, check_namespace, key_digest
from engram.serve.http.errors import ServeError, bad_request

logger = logging.getLogger("engram.serve")

CACHE_SECONDS = 1.0
"""How long a lookup of a key is cached: a revoked key stops working within this time."""

MAX_CACHED_KEYS = 10_000
"""Lookups cached, of valid and of invalid keys."""

Right = Literal["read", "write", "erase"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do, and in which namespaces."""

    key_id: str | None
    """The id of the key; None where no key is needed."""
    default: str
    """The namespace used if the request names none. The only one, unless the key covers a prefix or all namespaces."""
    read: bool
    write: bool
    erase: bool
    admin: bool
    """Whether all namespaces are covered."""
    prefix: str | None = None
    """The namespaces that begin with this are covered."""

    def allows(self, namespace: str) -> bool:
        """Return whether the caller may use a namespace."""
        if self.admin:
            return True
        return namespace == self.default if self.prefix is None else namespace.startswith(self.prefix)

    def namespace(self, requested: str | None) -> str:
        """Return the namespace to use: the requested one, else the default.

        Raises `ServeError`: 400 if the namespace is invalid, or is missing and the key has no default; 403 if the key
        does not cover it.
        """
        if requested is None and self.prefix is not None and not self.admin:
            raise bad_request(
                f"this key covers the namespaces that begin with {self.prefix!r}; name one in the header"
                " X-Engram-Namespace",
                "namespace",
                "namespace_missing",
            )
        name = self.default if requested is None else requested
        try:
            check_namespace(name)
        except InvalidEngram as error:
            raise bad_request(str(error), "namespace", "invalid_namespace") from None
        if not self.allows(name):
            raise ServeError(403, "this key does not cover that namespace", "namespace_forbidden", "namespace")
        return name

    def need(self, right: Right) -> None:
        """Raise `ServeError` 403 unless the caller has a right."""
        if not getattr(self, right):
            raise ServeError(403, f"this key has no right to {right}", "right_missing")


class Gate:
    """Resolves the headers of a request to an `Access`. Safe to call from threads; fast enough for the event loop.

    If no key was ever created, every caller may do everything. Revoked keys still count as created, so revoking the
    last key does not open the server.
    """

    def __init__(self, keys: KeyStore, default: str = DEFAULT_NAMESPACE) -> None:
        """`default`: the namespace of callers whose key names none."""
        self._keys = keys
        self._open = Access(None, default, read=True, write=True, erase=True, admin=True)
        self._cache: dict[bytes, tuple[float, Access | None]] = {}
        """By digest: when a key was looked up, and what it allows; None if it is invalid."""
        self._key_needed = False
        self._checked_at = float("-inf")

    def access(self, headers: Mapping[str, str]) -> Access:
        """Return what the caller who sent `headers` (names in lower case) may do.

        Raises `ServeError` 401 if keys exist and the request carries no valid one.
        """
        now = time.monotonic()
        if not self._is_key_needed(now):
            return self._open
        key = engram_key(headers)
        if key is None:
            raise ServeError(
                401,
                "the request has no key; send one as X-Engram-Key or Authorization: Bearer (create one with"
                " engram keys create)",
                "key_missing",
            )
        digest = key_digest(key)
        looked_up, access = self._cache.get(digest, (float("-inf"), None))
        if now - looked_up >= CACHE_SECONDS:
            access = self._look_up(digest, access)
            if len(self._cache) >= MAX_CACHED_KEYS:
                self._cache = {}
            self._cache[digest] = (now, access)
        if access is None:
            raise ServeError(401, "this key is not valid", "key_invalid")
        return access

    def _is_key_needed(self, now: float) -> bool:
        """Return whether a key was ever created; once true, it stays true."""
        if not self._key_needed and now - self._checked_at >= CACHE_SECONDS:
            try:
                self._key_needed = self._keys.any_created()
            except EngramError as error:
                if self._checked_at == float("-inf"):
                    raise ServeError(503, "the keys cannot be read", "keys_unavailable") from error
                logger.error("the keys could not be read: %s", error)
            self._checked_at = now
        return self._key_needed

    def _look_up(self, digest: bytes, cached: Access | None) -> Access | None:
        """Return what the key with this digest allows; `cached` if the keys cannot be read."""
        try:
            # The time of this lookup depends on the digest only, and the digest reveals nothing about the key.
            row = self._keys.find(digest)
        except EngramError as error:
            # If the keys cannot be read, valid keys stay valid and invalid keys stay invalid.
            logger.error("the keys could not be read: %s", error)
            return cached
        return None if row is None or row.revoked is not None else self._access_of(row)

    def _access_of(self, row: KeyRow) -> Access:
        return Access(
            key_id=row.key_id,
            default=self._open.default if row.namespace is None else row.namespace,
            read=row.read,
            write=row.write,
            erase=row.erase,
            admin=row.admin,
            prefix=row.prefix,
        )
