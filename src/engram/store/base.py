"""The store contract: what every store of engrams and documents does, and the log that indexes read.

Owns the protocols `Store`, `DocumentStore`, `Policies` and `Log` and the values that cross them. Knows no database, no
index and no ranking. Every store passes the suites in `tests/store/conformance.py`.

An engram is identified inside a store by its `Key`: the number of its namespace and its seq. Seqs grow within a
namespace in commit order and are never reused. Nothing follows from the seqs of different namespaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from engram.documents import Document, DocumentInfo, DocumentKey
from engram.engram import Engram, byte_length, check_origin, is_trusted
from engram.errors import EngramError
from engram.store.policy import Policy
from engram.times import as_utc

OpenFields = Mapping[str, Collection[str]]
"""By the id of an engram, names of its fields that its writer did not state."""

NONE_OPEN: OpenFields = MappingProxyType({})


class Key(NamedTuple):
    """Identifies one engram in a store."""

    namespace: int
    seq: int


class Record(NamedTuple):
    """An engram as an index needs it: numbers in place of names. All numbers fit into 31 bits, `at` into 63.

    A session's number implies its namespace, and a speaker's number does too. Numbers are never reused.
    """

    seq: int
    namespace: int
    session: int
    speaker: int
    """0: none."""
    role: int
    """Position in `engram.ROLES`."""
    kind: str
    at: int
    """Microseconds since 1970 in UTC."""
    origin: int
    """Position in `engram.ORIGINS`."""
    text: str


class Changes(NamedTuple):
    """A part of the log. Apply `appended` before `deleted`."""

    appended: list[Record]
    """Engrams in commit order. Engrams that were deleted before the call are left out."""
    deleted: list[Key]
    """Engrams that were deleted, in commit order. Some of them may never have been in `appended`."""
    cursor: str
    """Continue here. Equal to `Log.head` if nothing was committed since."""
    more: bool
    """Whether the log holds more after `cursor` already."""

    def present(self) -> list[Record]:
        """Return the appended engrams that are not among the deleted ones."""
        deleted = set(self.deleted)
        return [r for r in self.appended if (r.namespace, r.seq) not in deleted] if deleted else self.appended


class Distance(NamedTuple):
    """The changes between two cursors; negative if the second cursor precedes the first."""

    appended: int
    """Number of engrams that were appended, including those that were deleted later."""
    deleted: int
    """Number of engrams that were deleted."""


class CursorExpired(EngramError):
    """The log cannot continue at this cursor: what follows was pruned, or the cursor belongs to another log."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on engrams; a field that is None admits all. `at` must be before `before` and not before `after`.

    `origin` must be at least as trusted as `trust`. A naive time is taken as UTC. Raises `InvalidEngram` if `before` or
    `after` is no datetime, `trust` is no origin, or a name holds a lone surrogate.
    """

    namespace: str | None = None
    session: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    kinds: tuple[str, ...] | None = None
    trust: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("namespace", self.namespace), ("session", self.session)):
            if isinstance(value, str):
                byte_length(name, value)
        for name in ("before", "after"):
            moment = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, as_utc(name, moment))
        if self.trust is not None:
            check_origin("trust", self.trust)

    @property
    def is_whole(self) -> bool:
        """Whether it has no condition but that on the namespace, and so admits documents too."""
        return self == Filter(self.namespace)

    def admits(self, engram: Engram) -> bool:
        """Return whether an engram meets the condition."""
        return (
            self.namespace in (None, engram.namespace)
            and self.session in (None, engram.session)
            and (self.before is None or engram.at < self.before)
            and (self.after is None or engram.at >= self.after)
            and (self.kinds is None or engram.kind in self.kinds)
            and (self.trust is None or is_trusted(engram.origin, self.trust))
        )


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counts over the whole store."""

    engrams: int
    namespaces: int
    sessions: int
    quarantined: int
    """Engrams in quarantine, which no other count includes."""
    documents: int
    """Documents of agents' states, each with all of its versions."""
    bytes: int
    """Size of the files on disk; 0 in RAM."""


def not_in_quarantine(id: str, description: str) -> str:
    """Return the message about an id that no engram in quarantine has."""
    return f"no engram in the quarantine of {description} has the id {id}; engram quarantine lists them"


class Policies(Protocol):
    """The policies of one store. Safe to use from several threads, and by several processes at once.

    A change is durable when the call returns, and applies to every later read, whichever process reads.
    """

    def set(self, policy: Policy) -> None:
        """Set a policy, in place of the namespace's last one. The default `KEEP` is the same as none."""
        ...

    def clear(self, namespace: str | None) -> bool:
        """Remove the policy of a namespace, or with None the default. Returns whether there was one."""
        ...

    def of(self, namespace: str | None) -> Policy:
        """Return the policy that applies to a namespace: its own, else the default, else `KEEP`. None: the default."""
        ...

    def listed(self, limit: int | None = None, after: str = "") -> list[Policy]:
        """Return the policies of namespaces, without the default, ordered by the code points of the names.

        At most `limit`, and only those of names that come after `after`.
        """
        ...


class DocumentStore(Protocol):
    """Stores the documents of agents' states durably, for as many writers at once as the store has.

    Every write is one durable commit. An `expect` is compared with the current version in the same transaction: a
    write whose document has another version raises `StateConflict` and writes nothing; 0: there is no such document.
    """

    def put(self, key: DocumentKey, value: str, at: datetime, *, expect: int | None, keep: int | None) -> int:
        """Write a new version of a document: one more than its current version. Returns its number.

        The first version of a document is 1, and more if a document of its namespace was deleted: a number that a
        deleted version of this name had is not used again. value: as `canonical_json` returns it. keep: how many
        versions stay, the newest ones; None: all.
        """
        ...

    def get(self, key: DocumentKey, version: int | None = None) -> Document | None:
        """Return a version of a document, the current one by default; None if there is none."""
        ...

    def versions(self, key: DocumentKey, limit: int | None = None, before: int | None = None) -> list[Document]:
        """Return at most `limit` versions of a document, the newest first, only those under `before` if given."""
        ...

    def delete(self, key: DocumentKey, expect: int | None = None) -> int:
        """Delete all versions of a document. Returns how many there were."""
        ...

    def infos(
        self,
        namespace: str | None = None,
        agent: str | None = None,
        prefix: str = "",
        limit: int | None = None,
        after: tuple[str, str, str] = ("", "", ""),
    ) -> list[DocumentInfo]:
        """Return at most `limit` documents, ordered by namespace, agent and name, each by code points.

        namespace, agent: only of these. prefix: only names that begin with it. after: only those that come after this
        namespace, agent and name.
        """
        ...

    def agents(self, namespace: str, limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return at most `limit` agents with documents that come after `after`, by name, with numbers of documents."""
        ...

    def restore(self, documents: Sequence[Document]) -> int:
        """Write versions with the numbers and times that they have, all in one commit. Returns how many were new.

        A version that the store holds stays as it is. The current version of each document is its highest one.
        """
        ...


class Store(Protocol):
    """Stores engrams durably. Safe to use from several threads, and by several processes at once.

    An engram that is expired by the policies is as one that was deleted, except for `append`, which keeps its id in
    use, for `forget`, `forget_expired`, `texts`, `namespace_number` and `speakers`, and for the log.

    Methods raise `MemoryClosed` after `close`, and another `EngramError` that names `description` if the store fails.
    """

    @property
    def description(self) -> str:
        """The name of the store in messages: a path, or a URL without its password."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether writes raise `MemoryReadOnly`."""
        ...

    @property
    def identity(self) -> str:
        """Text that no other store has. An index made from a store of another identity is not used."""
        ...

    @property
    def policies(self) -> Policies:
        """The policies by which engrams expire."""
        ...

    @property
    def documents(self) -> DocumentStore:
        """The documents of agents' states, in the same store."""
        ...

    def append(self, engrams: Sequence[Engram], open_fields: OpenFields = NONE_OPEN) -> list[bool]:
        """Write all of `engrams` in one durable commit, or none of them. Those with `quarantined` go into quarantine.

        An id is unique over both. The quarantine is no part of the log, and no other method reads it except
        `quarantined`, `release`, `forget`, `compact` and `stats`.

        open_fields: by id, fields of an engram that its writer did not state: those of a stored one may be others.

        Returns, for each, True if it was written, and False if the store held an equal engram with its id already.
        Raises `InvalidEngram` if the store holds its id with other content, or if the engram holds a NUL character.
        """
        ...

    def get(self, id: str) -> Engram | None:
        """Return the engram with this id, or None."""
        ...

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Return the engrams with these ids, by id; only those of `namespace` if it is given.

        An engram of another namespace costs no more time than an unknown id.
        """
        ...

    def keys(self, ids: Sequence[str]) -> dict[str, Key]:
        """Return the keys of the engrams with these ids, by id; unknown ids are left out."""
        ...

    def by_seq(self, namespace: int, seqs: Sequence[int]) -> dict[int, Engram]:
        """Return the engrams of a namespace, by its number, with these seqs; unknown seqs are left out."""
        ...

    def texts(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Return the texts of the engrams with these keys; unknown keys are left out."""
        ...

    def engrams(
        self, where: Filter, limit: int | None = None, after_id: str | None = None, *, newest: bool = False
    ) -> Iterator[Engram]:
        """Iterate over at most `limit` engrams, within each namespace in commit order, or in reverse if `newest`.

        The order over all namespaces is always the same. `after_id`: begin after this engram. Raises `NotFound` if no
        engram has this id.
        """
        ...

    def count(self, where: Filter) -> int:
        """Return the number of engrams that a filter admits."""
        ...

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Delete the engrams that a filter admits, only the one with `id` if given. Returns how many were deleted.

        Those in quarantine and expired ones count too. A filter with no condition but a namespace deletes the documents
        of the namespace too, which count as one each, in the same commit; any other filter, and an `id`, leave
        documents alone. The deletion is one durable commit. Names that no engram has any more are deleted too.
        """
        ...

    def forget_expired(self) -> int:
        """Delete all expired engrams, in quarantine too, as `forget` does. Returns how many were deleted."""
        ...

    def quarantined(
        self, where: Filter, id: str | None = None, limit: int | None = None, after_id: str | None = None
    ) -> Iterator[Engram]:
        """Iterate over at most `limit` engrams in quarantine, oldest first, only the one with `id` if given.

        `after_id`: begin after this engram. Raises `NotFound` if it is not in quarantine.
        """
        ...

    def quarantine(self, id: str, why: str) -> bool:
        """Move an engram into quarantine, in one durable commit that the log shows as a deletion.

        Returns whether an engram had this id.
        """
        ...

    def release(self, id: str) -> bool:
        """Append an engram of the quarantine, with a new seq, and take it out. Returns whether one had this id."""
        ...

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """Return the last `limit` seqs of one session, in ascending order."""
        ...

    def namespace_number(self, namespace: str) -> int | None:
        """Return the number of a namespace in records; None if it holds no engram, not even an expired one."""
        ...

    def speakers(self, namespace: int) -> dict[str, int]:
        """Return the numbers of the speakers of a namespace, by name."""
        ...

    def namespaces(self, prefix: str = "", limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return the namespaces whose name begins with `prefix`, and their numbers of engrams, ordered by code points.

        A namespace that holds documents only is left out. At most `limit`, and only names that come after `after`.
        Other namespaces are not read.
        """
        ...

    def sessions(self, namespace: str, limit: int | None = None, after: str | None = None) -> list[tuple[str, int]]:
        """Return the sessions of a namespace and their numbers of engrams, in the order in which they began.

        At most `limit`. after: only those that began after this session; raises `NotFound` if there is no such session.
        """
        ...

    def stats(self) -> StoreStats:
        """Return counts over the whole store."""
        ...

    def compact(self) -> None:
        """Remove all traces of what was deleted from the files of the store. May prune old deletions from the log."""
        ...

    def close(self) -> None:
        """Release the files and connections. A second call does nothing."""
        ...


class Log(Protocol):
    """The changes of a store in the order in which they were committed, for any number of independent readers.

    A reader stores a cursor: an opaque text, "" for the beginning. The log is append-only: every reader sees the same
    order, and a change never appears before one that was read already. Deletions are logged as keys, without text.
    """

    def head(self) -> str:
        """Return the cursor after the last change. One cheap round trip: a reader compares it with its own cursor."""
        ...

    def changes(self, cursor: str, limit: int) -> Changes:
        """Return the changes after `cursor`: at most `limit` engrams, fewer if their texts are long, at least one.

        From the beginning, deletions up to now are left out: such a reader knows no engram yet. Raises `CursorExpired`.
        """
        ...

    def distance(self, start: str, end: str) -> Distance:
        """Return the number of changes between two cursors, without a round trip. Raises `CursorExpired`."""
        ...

    def skip(self, cursor: str, keep: int) -> str:
        """Return a cursor after which about the last `keep` engrams follow, and all deletions that follow `cursor`.

        Returns an equal position if no more engrams follow `cursor`. Raises `CursorExpired`.
        """
        ...


class LoggedStore(Store, Log, Protocol):
    """A store that is its own log: a memory is opened over one."""
