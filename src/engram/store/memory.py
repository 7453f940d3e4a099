"""A store in RAM: the shortest complete `Store` and `Log`. Nothing survives the process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from engram.engram import ORIGINS, ROLES, Engram, canonical_id, refuse_nul, refuse_other
from engram.errors import MemoryClosed, NotFound
from engram.ids import uuid7
from engram.store.base import (
    NONE_OPEN,
    Changes,
    Distance,
    Filter,
    Key,
    OpenFields,
    Record,
    StoreStats,
    not_in_quarantine,
)
from engram.store.memory_documents import MemoryDocuments
from engram.store.policy import KEEP, Policy, expired_before
from engram.store.positions import Position, distance
from engram.times import microseconds

RECORD_CHARACTERS = 16 << 20
"""Characters of text after which `changes` ends a batch."""


class Entry(NamedTuple):
    """An engram in the log."""

    engram: Engram
    record: Record

    @property
    def key(self) -> Key:
        """Key of the engram."""
        return Key(self.record.namespace, self.record.seq)


class MemoryPolicies:
    """The `Policies` of a store in RAM."""

    def __init__(self, opened: Callable[[], threading.RLock]) -> None:
        """`opened`: returns the lock of the store, to be held, or raises `MemoryClosed`."""
        self._opened = opened
        self._set: dict[str, Policy] = {}
        """By namespace; "": the default."""

    def set(self, policy: Policy) -> None:
        """Set a policy."""
        with self._opened():
            self._set[policy.namespace or ""] = policy

    def clear(self, namespace: str | None) -> bool:
        """Remove a policy. Returns whether there was one."""
        with self._opened():
            return self._set.pop(namespace or "", KEEP) != KEEP

    def of(self, namespace: str | None) -> Policy:
        """Return the policy that applies to a namespace; None: the default."""
        with self._opened():
            return self._set.get(namespace or "", self._set.get("", KEEP))

    def listed(self, limit: int | None = None, after: str = "") -> list[Policy]:
        """Return the policies of namespaces, without the default, by name."""
        with self._opened():
            return [self._set[name] for name in sorted(self._set) if name > after][:limit]

    def expired(self, engram: Engram) -> bool:
        """Return whether an engram is expired now."""
        bound = expired_before(self.of(engram.namespace))
        return bound is not None and engram.at < bound


class MemoryStore:
    """Engrams in RAM, in the order of their commits."""

    read_only = False
    description = ":memory:"

    def __init__(self) -> None:
        self.identity = uuid7()
        self._lock = threading.RLock()
        self.policies = MemoryPolicies(self._open)
        self._closed = False
        self._log: list[Entry | None] = []
        """Engrams in commit order; None: deleted."""
        self._quarantined: dict[str, Engram] = {}
        """Engrams in quarantine by id, oldest first."""
        self._deletions: list[Key] = []
        self._positions: dict[str | Key, int] = {}
        """Index into the log, by id and by key."""
        self._numbers: dict[tuple[str, int, str], int] = {}
        """Numbers of names: by table, number of the namespace (0 for a namespace) and name."""
        self.documents = MemoryDocuments(self._open)
        self._last_numbers = Counter[str]()
        self._last_seqs = Counter[int]()

    # Store.

    def append(self, engrams: Sequence[Engram], open_fields: OpenFields = NONE_OPEN) -> list[bool]:
        """Commit all of `engrams`, or none of them."""
        with self._open():
            new: dict[str, Engram] = {}
            for engram in engrams:
                refuse_nul(engram)
                stored = next((e.engram for e in self._found([engram.id])), self._quarantined.get(engram.id))
                refuse_other(new.setdefault(engram.id, stored or engram), engram, open_fields.get(engram.id, ()))
            written = []
            for engram in engrams:
                written.append(engram.id not in self._positions and engram.id not in self._quarantined)
                if written[-1] and engram.quarantined is not None:
                    self._quarantined[engram.id] = engram
                elif written[-1]:
                    self._commit(Entry(engram, self._record(engram)))
            return written

    def _record(self, engram: Engram) -> Record:
        """Give an engram its seq, and numbers to its names."""
        namespace = self._number("namespace", 0, engram.namespace)
        self._last_seqs[namespace] += 1
        return Record(
            self._last_seqs[namespace],
            namespace,
            self._number("session", namespace, engram.session),
            0 if engram.speaker is None else self._number("speaker", namespace, engram.speaker),
            ROLES.index(engram.role),
            engram.kind,
            microseconds(engram.at),
            ORIGINS.index(engram.origin),
            engram.text,
        )

    def _commit(self, entry: Entry) -> None:
        self._positions[entry.engram.id] = self._positions[entry.key] = len(self._log)
        self._log.append(entry)

    def _number(self, table: str, namespace: int, name: str) -> int:
        key = (table, namespace, name)
        if key not in self._numbers:
            self._last_numbers[table] += 1
            self._numbers[key] = self._last_numbers[table]
        return self._numbers[key]

    def get(self, id: str) -> Engram | None:
        """Return the engram with this id, or None."""
        return self.by_id([id]).get(canonical_id(id))

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Return the engrams with these ids, by id."""
        where = Filter(namespace)
        return {e.engram.id: e.engram for e in self._entries_of(ids) if where.admits(e.engram)}

    def keys(self, ids: Sequence[str]) -> dict[str, Key]:
        """Return the keys of the engrams with these ids, by id."""
        return {e.engram.id: e.key for e in self._entries_of(ids)}

    def by_seq(self, namespace: int, seqs: Sequence[int]) -> dict[int, Engram]:
        """Return the engrams of a namespace with these seqs."""
        with self._open():
            found = self._at(self._positions.get(Key(namespace, seq)) for seq in seqs)
            return {e.record.seq: e.engram for e in found if not self.policies.expired(e.engram)}

    def texts(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Return the texts of the engrams with these keys."""
        with self._open():
            return {e.key: e.engram.text for e in self._at(self._positions.get(key) for key in keys)}

    def engrams(
        self, where: Filter, limit: int | None = None, after_id: str | None = None, *, newest: bool = False
    ) -> Iterator[Engram]:
        """Iterate over the engrams that a filter admits, in commit order or in reverse."""
        with self._open():
            known = after_id is None or self._entries_of([after_id])
            if after_id is not None and not known:
                raise NotFound(f"no engram has the id {after_id}; after_id must be the id of one in {self.description}")
            position = None if after_id is None else self._positions.get(canonical_id(after_id))
            log = self._log[:position][::-1] if newest else self._log[0 if position is None else position + 1 :]
        return islice((e.engram for e in log if e is not None and self._admits(where, e.engram)), limit)

    def _admits(self, where: Filter, engram: Engram) -> bool:
        return where.admits(engram) and not self.policies.expired(engram)

    def count(self, where: Filter) -> int:
        """Return the number of engrams that a filter admits."""
        return sum(1 for _ in self._entries(where))

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Delete the engrams that a filter admits."""
        with self._open():
            ids = None if id is None else canonical_id(id)
            doomed = [e for e in self._log if e is not None and ids in (None, e.engram.id) and where.admits(e.engram)]
            self._delete(doomed)
            held = [e.id for e in self._quarantined.values() if ids in (None, e.id) and where.admits(e)]
            for key in held:
                del self._quarantined[key]
            erased = self.documents.erase(where.namespace) if id is None and where.is_whole else 0
            return len(doomed) + len(held) + erased

    def forget_expired(self) -> int:
        """Delete the expired engrams."""
        with self._open():
            doomed = [e for e in self._log if e is not None and self.policies.expired(e.engram)]
            self._delete(doomed)
            held = [e.id for e in self._quarantined.values() if self.policies.expired(e)]
            for key in held:
                del self._quarantined[key]
            return len(doomed) + len(held)

    def _delete(self, doomed: Sequence[Entry]) -> None:
        for entry in doomed:
            self._log[self._positions.pop(entry.engram.id)] = None
            self._deletions.append(entry.key)
            del self._positions[entry.key]
        if doomed:
            self._drop_unused_names()

    def _drop_unused_names(self) -> None:
        used = set[tuple[str, int]]()
        for _, record in filter(None, self._log):
            used |= {("namespace", record.namespace), ("session", record.session), ("speaker", record.speaker)}
        self._numbers = {key: number for key, number in self._numbers.items() if (key[0], number) in used}

    def quarantined(
        self, where: Filter, id: str | None = None, limit: int | None = None, after_id: str | None = None
    ) -> Iterator[Engram]:
        """Iterate over the engrams in quarantine that a filter admits, oldest first."""
        wanted = None if id is None else canonical_id(id)
        with self._open():
            held = [engram for engram in self._quarantined.values() if not self.policies.expired(engram)]
            if after_id is not None:
                ids = [engram.id for engram in held]
                if canonical_id(after_id) not in ids:
                    raise NotFound(not_in_quarantine(after_id, self.description))
                held = held[ids.index(canonical_id(after_id)) + 1 :]
        return islice((e for e in held if wanted in (None, e.id) and where.admits(e)), limit)

    def quarantine(self, id: str, why: str) -> bool:
        """Move an engram into quarantine."""
        with self._open():
            found = self._entries_of([id])
            self._delete(found)
            self._quarantined |= {e.engram.id: replace(e.engram, quarantined=why) for e in found}
            return bool(found)

    def release(self, id: str) -> bool:
        """Append an engram of the quarantine, and take it out."""
        with self._open():
            engram = next(self.quarantined(Filter(), id), None)
            if engram is None:
                return False
            del self._quarantined[engram.id]
            return self.append([replace(engram, quarantined=None)]) == [True]

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """Return the last `limit` seqs of one session, in ascending order."""
        return [e.record.seq for e in self._entries(Filter(namespace, session))][-limit:]

    def namespace_number(self, namespace: str) -> int | None:
        """Return the number of a namespace, or None."""
        with self._open():
            return self._numbers.get(("namespace", 0, namespace))

    def speakers(self, namespace: int) -> dict[str, int]:
        """Return the numbers of the speakers of a namespace, by name."""
        with self._open():
            return {
                name: n for (table, space, name), n in self._numbers.items() if (table, space) == ("speaker", namespace)
            }

    def namespaces(self, prefix: str = "", limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return the namespaces whose name begins with `prefix` and comes after `after`, by name."""
        counts = Counter(e.engram.namespace for e in self._entries(Filter()))
        return sorted(item for item in counts.items() if item[0].startswith(prefix) and item[0] > after)[:limit]

    def sessions(self, namespace: str, limit: int | None = None, after: str | None = None) -> list[tuple[str, int]]:
        """Return the sessions of a namespace that began after the session `after`, in the order in which they began."""
        with self._open():
            counts = Counter(e.engram.session for e in self._entries(Filter(namespace)))
            space = self._numbers.get(("namespace", 0, namespace), 0)
            if after is not None and after not in counts:
                raise NotFound(f"no session {after!r} in the namespace {namespace!r} of {self.description}")
            number = {name: self._numbers["session", space, name] for name in counts}
            names = sorted(number, key=number.__getitem__)
            first = 0 if after is None else names.index(after) + 1
            return [(name, counts[name]) for name in names[first:][:limit]]

    def stats(self) -> StoreStats:
        """Return counts over the whole store."""
        with self._open():
            found = self._entries(Filter())
            namespaces, sessions = {e.record.namespace for e in found}, {e.record.session for e in found}
            held = sum(1 for _ in self.quarantined(Filter()))
            return StoreStats(len(found), len(namespaces), len(sessions), held, len(self.documents.infos()), 0)

    def compact(self) -> None:
        """Do nothing: RAM keeps no trace of what was deleted."""
        with self._open():
            pass

    def close(self) -> None:
        """Refuse every call from now on."""
        self._closed = True

    # Log.

    def head(self) -> str:
        """Return the cursor after the last change."""
        with self._open():
            return str(self._head())

    def changes(self, cursor: str, limit: int) -> Changes:
        """Return the changes after `cursor`."""
        with self._open():
            position, deleted = self._head().start(cursor, 0)
            appended: list[Record] = []
            room = RECORD_CHARACTERS
            while position < len(self._log) and len(appended) < limit and room >= 0:
                entry = self._log[position]
                position += 1
                if entry is not None:
                    appended.append(entry.record)
                    room -= len(entry.record.text)
            end = Position(position, len(self._deletions))
            return Changes(appended, self._deletions[deleted:], str(end), end != self._head())

    def distance(self, start: str, end: str) -> Distance:
        """Return the number of changes between two cursors."""
        return distance(start, end)

    def skip(self, cursor: str, keep: int) -> str:
        """Return a cursor after which the last `keep` engrams follow, and all deletions that follow `cursor`."""
        with self._open():
            return str(self._head().keeping(self._head().start(cursor, 0), keep))

    def _head(self) -> Position:
        return Position(len(self._log), len(self._deletions))

    def _entries(self, where: Filter) -> list[Entry]:
        """The engrams that a filter admits and that are not expired."""
        with self._open():
            return [e for e in self._log if e is not None and self._admits(where, e.engram)]

    def _entries_of(self, ids: Sequence[str]) -> list[Entry]:
        """The engrams with these ids that are not expired."""
        return [entry for entry in self._found(ids) if not self.policies.expired(entry.engram)]

    def _found(self, ids: Sequence[str]) -> list[Entry]:
        with self._open():
            return self._at(self._positions.get(canonical_id(id)) for id in ids)

    def _at(self, positions: Iterable[int | None]) -> list[Entry]:
        return [e for p in positions if p is not None and (e := self._log[p]) is not None]

    def _open(self) -> threading.RLock:
        """Return the lock, to be held while the store is used."""
        if self._closed:
            raise MemoryClosed(f"the memory {self.description} is closed; open it again")
        return self._lock
