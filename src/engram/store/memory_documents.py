"""The documents of a store in RAM: the shortest complete `DocumentStore`."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import NamedTuple

from engram.documents import Document, DocumentInfo, DocumentKey, canonical_json, check_expected


class Version(NamedTuple):
    """One version of a document."""

    version: int
    at: datetime
    value: str
    """Canonical JSON, so that a caller who changes a value changes no stored one."""


class MemoryDocuments:
    """Documents in RAM."""

    def __init__(self, open: Callable[[], threading.RLock]) -> None:
        """`open`: returns the lock of the store, or raises `MemoryClosed`."""
        self._open = open
        self._versions: dict[DocumentKey, list[Version]] = {}
        """The versions of each document, oldest first."""
        self._deleted = Counter[str]()
        """The highest version of a document that was deleted, by namespace."""

    def put(self, key: DocumentKey, value: str, at: datetime, *, expect: int | None, keep: int | None) -> int:
        """Write a new version of a document, and return its number."""
        with self._open():
            versions = self._versions.get(key, [])
            check_expected(key, expect, versions[-1].version if versions else 0)
            version = (versions[-1].version if versions else self._deleted[key.namespace]) + 1
            self._versions[key] = [*versions, Version(version, at, value)][-keep if keep else 0 :]
            return version

    def get(self, key: DocumentKey, version: int | None = None) -> Document | None:
        """Return a version of a document, or None."""
        with self._open():
            versions = self._versions.get(key, [])[-1 if version is None else 0 :]
            found = [one for one in versions if version in (None, one.version)]
            return _document(key, found[0]) if found else None

    def versions(self, key: DocumentKey, limit: int | None = None, before: int | None = None) -> list[Document]:
        """Return versions of a document, the newest first."""
        with self._open():
            versions = self._versions.get(key, [])[::-1]
            return [_document(key, one) for one in versions if before is None or one.version < before][:limit]

    def delete(self, key: DocumentKey, expect: int | None = None) -> int:
        """Delete all versions of a document, and return their number."""
        with self._open():
            versions = self._versions.get(key, [])
            current = versions[-1].version if versions else 0
            check_expected(key, expect, current)
            if versions:
                self._deleted[key.namespace] = max(self._deleted[key.namespace], current)
                del self._versions[key]
            return len(versions)

    def erase(self, namespace: str | None) -> int:
        """Delete all documents of a namespace, or of all. Returns how many there were."""
        with self._open():
            doomed = [key for key in self._versions if namespace in (None, key.namespace)]
            for key in doomed:
                del self._versions[key]
            for name in list(self._deleted) if namespace is None else [namespace]:
                del self._deleted[name]
            return len(doomed)

    def infos(
        self,
        namespace: str | None = None,
        agent: str | None = None,
        prefix: str = "",
        limit: int | None = None,
        after: tuple[str, str, str] = ("", "", ""),
    ) -> list[DocumentInfo]:
        """Return documents without their values, by namespace, agent and name."""
        with self._open():
            keys = [
                key
                for key in sorted(self._versions, key=astuple)
                if namespace in (None, key.namespace) and agent in (None, key.agent) and key.name.startswith(prefix)
                if astuple(key) > after
            ]
            current = [(key, self._versions[key][-1]) for key in keys[:limit]]
            return [DocumentInfo(key.namespace, key.agent, key.name, one.version, one.at) for key, one in current]

    def agents(self, namespace: str, limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return agents with their numbers of documents, by name."""
        with self._open():
            counts = Counter(key.agent for key in self._versions if key.namespace == namespace)
            return sorted(item for item in counts.items() if item[0] > after)[:limit]

    def restore(self, documents: Sequence[Document]) -> int:
        """Write versions with their numbers and times."""
        with self._open():
            given = defaultdict[DocumentKey, dict[int, Version]](dict)
            for one in documents:
                key = DocumentKey(one.namespace, one.agent, one.name)
                given[key].setdefault(one.version, Version(one.version, one.at, canonical_json(one.value)))
            new = 0
            for key, versions in given.items():
                stored = {one.version: one for one in self._versions.get(key, [])}
                new += len(versions.keys() - stored.keys())
                self._versions[key] = sorted((versions | stored).values())
            return new


def _document(key: DocumentKey, one: Version) -> Document:
    return Document(key.namespace, key.agent, key.name, one.version, one.at, json.loads(one.value))
