"""The state of an agent: JSON documents with versions, compare-and-set, history and roll back.

Owns the verbs. A document is as durable as a turn: a write has committed when its method returns. Does not know how
documents are stored (`store`), nor their limits (`documents`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from engram.documents import (
    KEPT_VERSIONS,
    Document,
    DocumentInfo,
    DocumentKey,
    canonical_json,
    check_expected,
    check_version,
    shown,
)
from engram.engram import byte_length, check_name
from engram.errors import InvalidEngram, NotFound, StateConflict
from engram.store.base import DocumentStore

HISTORY = 100
"""Versions that `history` returns by default."""


class AgentState:
    """The documents of one agent in one namespace. Made by `Memory.state`; safe to use from several threads.

    Several processes may write one document at once. A write with `expect` is refused unless the document still has
    that version, so that no change is lost; without `expect` the last write wins, and the others are in the history.
    """

    def __init__(
        self,
        store: DocumentStore,
        namespace: str,
        agent: str,
        *,
        keep: int | None = KEPT_VERSIONS,
        redact: Callable[[Any], object] | None = None,
        owner: object = None,
    ) -> None:
        """keep: how many versions of a document a write leaves; None: all. redact: what takes secrets out of a value.

        owner: what closes the store when it is no longer used; it stays open while this object is used.
        Raises `InvalidEngram` if a name is outside its limits, or `keep` is no int of at least 1.
        """
        check_name("namespace", namespace)
        check_name("agent", agent)
        if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or keep < 1):
            raise InvalidEngram(
                f"keep is {str(keep)[:40]}; it must be an int of at least 1, or None to keep all versions"
            )
        self._store = store
        self._redact = redact
        self._owner = owner
        self._namespace = namespace
        self._agent = agent
        self._keep = keep

    @property
    def namespace(self) -> str:
        """The namespace, which no document leaves."""
        return self._namespace

    @property
    def agent(self) -> str:
        """The name of the agent."""
        return self._agent

    @property
    def keep(self) -> int | None:
        """How many versions of a document a write leaves, the newest ones; None: all."""
        return self._keep

    # Read.

    def names(self, prefix: str = "", *, limit: int | None = None, after: str = "") -> list[str]:
        """Return the names of the documents that begin with `prefix`, ordered by code points.

        limit: at most so many. after: only names that come after this one.
        """
        return [info.name for info in self.infos(prefix, limit=limit, after=after)]

    def infos(self, prefix: str = "", *, limit: int | None = None, after: str = "") -> list[DocumentInfo]:
        """Return the documents as `names` does, with their current versions and times, without their values."""
        for field, text in (("prefix", prefix), ("after", after)):
            byte_length(field, text)
        check_limit(limit)
        return self._store.infos(self.namespace, self.agent, prefix, limit, (self.namespace, self.agent, after))

    def get(self, name: str, version: int | None = None) -> Document | None:
        """Return a document, or None if there is none. version: this one instead of the current one."""
        if version is not None:
            check_version("version", version)
        return self._store.get(self._key(name), version)

    def history(self, name: str, limit: int | None = HISTORY, *, before: int | None = None) -> list[Document]:
        """Return at most `limit` versions of a document, the newest first; None: all. Empty if there is no document.

        before: only versions under this one, so that a following call continues.
        """
        check_limit(limit)
        if before is not None:
            check_version("before", before)
        return self._store.versions(self._key(name), limit, before)

    # Write.

    def set(self, name: str, value: object, expect: int | None = None) -> Document:
        """Write a document, and return its new version. It is durable when this returns.

        name: 1 to 512 bytes of UTF-8, no NUL. value: a JSON value (dict with str keys, list, str, int, finite float,
        bool, None) of at most 1 MiB as JSON and 100 levels, without NUL and lone surrogates. Keys are stored in order.
        expect: the version that must be the current one; 0: there must be no such document.

        Raises `StateConflict`, whose `current` is the current version, if it is another one; `InvalidEngram`, which
        says where, if the value or a name is outside its limits; `MemoryFull`, `MemoryLocked` or `MemoryReadOnly` if
        it could not be written. In each case nothing is written.
        """
        key = self._key(name)
        if expect is not None:
            check_version("expect", expect, 0)
        text = canonical_json(value)
        if self._redact is not None:
            text = canonical_json(self._redact(json.loads(text)))
        at = datetime.now(UTC)
        version = self._store.put(key, text, at, expect=expect, keep=self.keep)
        return Document(self.namespace, self.agent, name, version, at, json.loads(text))

    def update(self, name: str, change: Callable[[Any], object]) -> Document:
        """Write what `change` returns for the current value, and return the new version. No other write is lost.

        change: takes the current value, None if there is no document, and returns the new one. It is called again,
        with the newer value, each time that another write came first. What it raises ends the update, and nothing is
        written.
        """
        while True:
            document = self.get(name)
            value, version = (None, 0) if document is None else (document.value, document.version)
            try:
                return self.set(name, change(value), expect=version)
            except StateConflict:
                continue

    def rollback(self, name: str, version: int, expect: int | None = None) -> Document:
        """Write the value of an old version again, as a new version, and return that.

        expect: as in `set`. Raises `NotFound` if the document or the version does not exist, also because it was
        deleted meanwhile.
        """
        key = self._key(name)
        check_version("version", version)
        if expect is not None:
            check_version("expect", expect, 0)
        while True:
            current, old = self._store.get(key), self._store.get(key, version)
            if current is None:
                raise NotFound(f"{key} does not exist; there is nothing to roll back")
            check_expected(key, expect, current.version)
            if old is None:
                raise NotFound(f"{key} has no version {version}; its history shows those that it has")
            try:
                # Compared also without `expect`: a document that is deleted meanwhile must not come back.
                return self.set(name, old.value, expect=current.version)
            except StateConflict:
                if expect is not None:
                    raise

    def delete(self, name: str, expect: int | None = None) -> int:
        """Erase all versions of a document, durably, and return how many there were.

        `Memory.compact` then removes what is left of them in the files. expect: as in `set`.
        """
        if expect is not None:
            check_version("expect", expect, 0)
        return self._store.delete(self._key(name), expect)

    def _key(self, name: str) -> DocumentKey:
        return DocumentKey(self.namespace, self.agent, name)

    def __repr__(self) -> str:
        return f"AgentState(namespace={shown(self.namespace)}, agent={shown(self.agent)})"


def check_limit(limit: int | None) -> None:
    """Raise `ValueError` if `limit` is negative."""
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}; it must not be negative")
