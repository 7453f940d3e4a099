"""Memory: remember, recall, reflect, forget, and nothing that is not one of these.

Owns the verbs and the wiring of store, index and recall. What was said goes to the store, verbatim and durable, before
it is acknowledged; everything else is derived from there.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import numpy as np
import platformdirs

from engram.engram import DEFAULT_NAMESPACE, DEFAULT_SESSION, Engram, canonical_id, checked, draft
from engram.errors import InvalidEngram, NotFound
from engram.recall.query import parse_query
from engram.recall.rank import Ranking, SpeakerCache, rank_filtered
from engram.recall.result import Explanation, Hit, Recall
from engram.search.base import IndexDamaged, Ints
from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.search.local.reader import IndexReader
from engram.store.base import Filter
from engram.store.sqlite.connections import IN_MEMORY
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import Analyzer
from engram.text.vectors import VectorTable, default_table
from engram.times import as_utc

BATCH = 4_000
"""Engrams that `remember_many` commits at a time."""


@dataclass(frozen=True, slots=True)
class Stats:
    """A memory in numbers."""

    path: str
    engrams: int
    namespaces: int
    sessions: int
    indexed_through: int
    """Every engram up to this place in the order of remembering is in the index."""
    unindexed: int
    """Engrams that recall scans, because the index does not hold them yet."""
    store_bytes: int
    index_bytes: int
    index_trouble: str | None
    """Why the index cannot be used or kept up, if so; recall answers from the store meanwhile."""


class Memory:
    """A memory in one file, with its index in a folder beside it.

    Safe to use from several threads, and by several processes at once. A context manager; `close` it otherwise.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        read_only: bool = False,
        table: VectorTable | None = None,
        wait: float = 10.0,
    ) -> None:
        """Open the memory at `path`, made if it is not there; None is the user's default, ":memory:" keeps it in RAM.

        `table`: another static table than the English one. `wait`: seconds to wait for another process's write.
        Raises an `EngramError` that names the file: it is damaged, newer than this version, locked, not writable, or
        the disk is full.
        """
        where = str(default_path() if path is None else path)
        self._encoder = Analyzer(default_table() if table is None else table)
        self._store = SqliteStore(where, read_only=read_only, wait=wait)
        folder = None if where == IN_MEMORY else Path(os.path.abspath(where) + ".index")
        self._index = IndexFolder(folder, self._encoder.fingerprint, self._encoder.token_type, self._store.identity)
        self._corpus = LocalIndex(self._store, self._index, self._encoder)
        # Also when the process ends: a thread that the interpreter leaves behind inside a library would crash it.
        self._let_go = weakref.finalize(self, let_go, self._corpus, self._store, os.getpid())
        self._names = SpeakerCache(self._encoder)

    @property
    def path(self) -> str:
        """The file, or ":memory:"."""
        return self._store.path

    # Remember.

    def remember(
        self,
        text: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        session: str = DEFAULT_SESSION,
        role: str = "user",
        speaker: str | None = None,
        at: datetime | None = None,
        kind: str = "turn",
        source: str | None = None,
        metadata: Mapping[str, object] | None = None,
        id: str | None = None,
    ) -> Engram:
        """Keep `text`, verbatim. When this returns, it is durable and the next recall can find it.

        text: any Unicode, 1 byte to 1 MiB of UTF-8. namespace, session, speaker, kind, source: 1 to 512 bytes.
        role: user, assistant, system or tool. at: when it was said (a naive time is taken as UTC); now if left out.
        metadata: a JSON object up to 64 KiB. id: a UUID; a new UUIDv7 if left out.

        Raises `InvalidEngram` (a ValueError) naming the limit, and nothing is written; `MemoryFull`, `MemoryLocked`
        or `MemoryReadOnly` if it could not be kept.
        """
        engram = draft(
            text,
            namespace=namespace,
            session=session,
            role=role,
            speaker=speaker,
            at=at,
            kind=kind,
            source=source,
            metadata=metadata,
            id=id,
        )
        self._store.append([engram])
        self._corpus.added(1)
        return engram

    def remember_many(self, items: Iterable[Engram | Mapping[str, object]], *, batch: int = BATCH) -> list[Engram]:
        """Keep many: dicts with the fields of `remember` (and `recorded_at`), or engrams. One durable commit a batch.

        Returns them in order. One that is invalid raises `InvalidEngram` naming its place; the batches before it are
        kept, its own is not.
        """
        kept: list[Engram] = []
        waiting: list[Engram] = []
        for place, item in enumerate(items):
            try:
                waiting.append(checked(item))
            except InvalidEngram as error:
                raise InvalidEngram(f"item {place}: {error}") from None
            if len(waiting) >= batch:
                self._add(waiting)
                kept += waiting
                waiting = []
        self._add(waiting)
        return kept + waiting

    def add(self, engrams: Sequence[Engram]) -> list[bool]:
        """Keep engrams that already have ids, in one durable commit; False for each that was there, word for word.

        Raises `InvalidEngram` if one is invalid or its id is there with other content, and none of them is kept.
        """
        return self._add([checked(engram) for engram in engrams])

    def _add(self, engrams: Sequence[Engram]) -> list[bool]:
        written = self._store.append(engrams)
        self._corpus.added(sum(written))
        return written

    # Recall.

    def recall(
        self,
        query: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        limit: int = 10,
        session: str | None = None,
        before: datetime | None = None,
        after: datetime | None = None,
        kinds: Iterable[str] | None = None,
        now: datetime | None = None,
    ) -> Recall:
        """What in a namespace answers `query`, best first, at most `limit` hits; none where nothing fits.

        query: any text; what it says never raises. session, before (exclusive), after (inclusive) and kinds leave
        out what they do not admit. now: when the query is asked, for "last May" and the like.

        Runs no model: words, near words and their surroundings are looked up and scored.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        where = self._where(namespace, session, before, after, kinds)
        view, ranking = self._ranked(query, where, limit, as_utc("now", now or datetime.now(UTC)))
        if ranking is None:
            return Recall(query, namespace, (), view.unsearched)
        hits = tuple(self._hits(ranking, ranking.order(where), where, limit))
        return Recall(query, namespace, hits, view.unsearched)

    def _ranked(self, query: str, where: Filter, limit: int, now: datetime) -> tuple[IndexReader, Ranking | None]:
        """Everything scored for a query, from a view of this moment; None if there is nothing to score."""
        for attempt in (1, 2):
            view = self._corpus.view()
            assert where.namespace is not None
            number = self._store.namespace_number(where.namespace)
            if number is None:
                return view, None
            try:
                return view, self._rank(view, number, query, where, limit, now)
            except IndexDamaged as error:
                if attempt == 2:
                    raise
                self._corpus.damaged(view, error)
        raise AssertionError("unreachable")

    def _rank(
        self, view: IndexReader, number: int, query: str, where: Filter, limit: int, now: datetime
    ) -> Ranking | None:
        names = self._names.tokens(number, view.version, lambda: self._store.speakers(number))
        parsed = parse_query(query, self._encoder, names, now)
        if not parsed.ids:
            return None
        also = None
        if where.session is not None:
            assert where.namespace is not None
            seqs = np.array(self._store.session_seqs(where.namespace, where.session, 5_000), dtype=np.int64)
            also = view.rows_of(number, seqs)
        return rank_filtered(view, number, parsed, self._encoder, where, limit, also)

    def _hits(self, ranking: Ranking, order: Ints, where: Filter, limit: int) -> Iterator[Hit]:
        """The first `limit` of the ranking that are still in the store and admitted by the filter."""
        left = limit
        for start in range(0, len(order), limit):
            part = order[start : start + limit]
            engrams = self._store.by_seq(ranking.seqs[part].tolist())
            for place in part:
                seq = int(ranking.seqs[place])
                engram = engrams.get(seq)
                if engram is not None and admitted(engram, where):
                    yield ranking.hit(int(place), engram)
                    left -= 1
                    if not left:
                        return

    def explain(self, query: str, id: str, *, namespace: str | None = None) -> Explanation:
        """At which place an engram comes for a query, its score beside the winner's, and what kept it down.

        Raises `NotFound` if no engram has this id (in `namespace`, if given).
        """
        engram = self.get(id, namespace=namespace)
        where = Filter(engram.namespace)
        seq = self._store.seq_of(engram.id)
        _, ranking = self._ranked(query, where, 100, datetime.now(UTC))
        if ranking is None or seq is None:
            reason = "nothing in the namespace holds a word of the query, or one near it"
            return Explanation(query, engram, None, 0, 0.0, {}, None, {}, reason)
        order = ranking.order(where, floor=False)
        winner = next(self._hits(ranking, order, where, 1), None)
        return ranking.explanation(query, engram, seq, order, winner)

    # Look.

    def get(self, id: str, *, namespace: str | None = None) -> Engram:
        """The engram with this id. Raises `NotFound` if there is none, or none in `namespace`, if one is given."""
        engram = self.get_many([id], namespace=namespace).get(canonical_id(id))
        if engram is None:
            inside = "" if namespace is None else f" in the namespace {namespace!r}"
            raise NotFound(f"no engram has the id {id}{inside} in {self.path}")
        return engram

    def get_many(self, ids: Sequence[str], *, namespace: str | None = None) -> dict[str, Engram]:
        """Those of the engrams with these ids that are there, in `namespace` if one is given, by id."""
        return self._store.by_id(ids, namespace)

    def is_indexed(self, ids: Sequence[str]) -> bool:
        """Whether the index holds these engrams, or no longer has to: those that were forgotten count, too."""
        self._index.refresh()
        return all((self._store.seq_of(id) or 0) <= self._index.through for id in ids)

    def engrams(
        self,
        *,
        namespace: str | None = None,
        session: str | None = None,
        before: datetime | None = None,
        after: datetime | None = None,
        kinds: Iterable[str] | None = None,
        limit: int | None = None,
        after_id: str | None = None,
        newest: bool = False,
    ) -> Iterator[Engram]:
        """Engrams in the order in which they were remembered, from all namespaces unless one is named.

        limit: at most so many. newest: in the opposite order. after_id: only those after this one in the order asked
        for. Raises `NotFound` if `after_id` names none.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}; it must not be negative")
        where = self._where(namespace, session, before, after, kinds)
        return self._store.engrams(where, limit, after_id, newest=newest)

    def namespaces(self, prefix: str = "") -> list[tuple[str, int]]:
        """Every namespace, or those whose names begin with `prefix`, with its number of engrams, by name."""
        return self._store.namespaces(prefix)

    def sessions(self, namespace: str = DEFAULT_NAMESPACE) -> list[tuple[str, int]]:
        """Every session of a namespace with its number of engrams, in the order in which they began."""
        return self._store.sessions(namespace)

    def stats(self) -> Stats:
        """The memory in numbers."""
        counts = self._store.stats()
        last, _ = self._store.version()
        through = min(self._index.through, last)
        return Stats(
            path=self.path,
            engrams=counts.engrams,
            namespaces=counts.namespaces,
            sessions=counts.sessions,
            indexed_through=through,
            unindexed=last - through,
            store_bytes=counts.bytes,
            index_bytes=self._index.bytes(),
            index_trouble=self._corpus.trouble or self._index.damage,
        )

    # Forget.

    def forget(
        self,
        *,
        id: str | None = None,
        namespace: str | None = None,
        session: str | None = None,
        before: datetime | None = None,
    ) -> int:
        """Forget the engrams that all the given conditions mean; returns how many. At once, for every recall.

        `compact` then takes what is left of them out of every file. Raises ValueError if no condition is given.
        """
        if id is None and namespace is None and session is None and before is None:
            raise ValueError("forget needs an id, a namespace, a session or a time; nothing was forgotten")
        where = self._where(namespace, session, before, None, None)
        count = self._store.forget(where, None if id is None else canonical_id(id))
        if count:
            self._corpus.forgot()
        return count

    def compact(self) -> None:
        """Take what was forgotten out of every file: the store is rewritten, and the index made again.

        The index only if something was forgotten since it was begun; then it takes as long as indexing the whole memory
        does, and recall goes on meanwhile. Raises `MemoryLocked` if another process keeps reading or indexing.
        """
        self._store.compact()
        self._corpus.purge()

    # Keep.

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything remembered so far is in the index; False if `timeout` seconds were not enough.

        Nothing needs it to be found: recall scans what the index does not hold. Raises `EngramError` if the index
        cannot be written.
        """
        return self._corpus.flush(timeout)

    def catch_up(self) -> None:
        """Have what was remembered lately in view already, so that the next recall need not see to that first."""
        self._corpus.view()

    def reindex(self, timeout: float | None = None) -> bool:
        """Make the index again from the store, and wait for it as `flush` does."""
        return self._corpus.rebuild(timeout)

    def close(self) -> None:
        """Let go of the files; up to a batch of what is not indexed yet is indexed first. Closing twice is allowed."""
        if self._let_go.detach():
            self._corpus.close()
            self._store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _where(
        self,
        namespace: str | None,
        session: str | None,
        before: datetime | None,
        after: datetime | None,
        kinds: Iterable[str] | None,
    ) -> Filter:
        return Filter(
            namespace,
            session,
            None if before is None else as_utc("before", before),
            None if after is None else as_utc("after", after),
            None if kinds is None else tuple(kinds),
        )


def let_go(corpus: LocalIndex, store: SqliteStore, process: int) -> None:
    """Close what a `Memory` that was not closed has left behind. Nothing is lost: what was remembered is durable."""
    # In a forked child the thread is not there and the files are the parent's.
    if os.getpid() == process:
        corpus.close(quick=True)
        store.close()


def default_path() -> Path:
    """Where the user's own memory lies: in the data folder that their system has for applications."""
    return Path(platformdirs.user_data_dir("engram", appauthor=False)) / "memory.db"


def admitted(engram: Engram, where: Filter) -> bool:
    """Whether a filter admits an engram, judged by the engram itself."""
    return (
        (where.namespace is None or engram.namespace == where.namespace)
        and (where.session is None or engram.session == where.session)
        and (where.before is None or engram.at < where.before)
        and (where.after is None or engram.at >= where.after)
        and (where.kinds is None or engram.kind in where.kinds)
    )
