"""Which conversation a request goes on with, and what of it is new.

Owns how a message is known again: by a keyed hash of it and of all that was said before it, or of the three (or two)
messages up to it where a client has cut off the beginning. Nothing is written here. Knows nothing of the form of a
request (`wire`), nor of when its messages are kept (`recorder`).
"""

from __future__ import annotations

import hmac
import itertools
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from engram.engram import MAX_NAME_BYTES
from engram.ids import uuid7
from engram.serve.conversations.log import ACCEPTED, Kind, Node, ServerDatabase, new_id
from engram.serve.http.errors import ServeError, bad_request
from engram.serve.wire.base import ChatMessage

HEADER = "X-Engram-Session"

LONG = 20
"""Characters that one of two successive messages must be longer than for the two to be known again."""

GENERATED = re.compile(r"(s-[0-9]{8}-[0-9]{6}-[0-9a-f]{4})-([0-9a-f]{8})")
"""The form of the names that sessions get here; the last part says whose it is."""

FIRST_LOOK, WIDEST_LOOK = 8, 500
"""Messages looked up at once: few at first, because most requests only add one or two."""

LOOK_BACK = 1_000
"""Messages before a response that count as being in the model's sight when a request goes on from it."""

_numbers = itertools.count(secrets.randbits(16))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A message as it is compared with others."""

    digest: bytes
    long: bool


@dataclass(frozen=True, slots=True)
class ConversationMatch:
    """A request's place in a conversation."""

    namespace: str
    session: str
    new_indexes: tuple[int, ...]
    """The places of the messages that have not been remembered, in order."""
    notes: Mapping[int, tuple[str, ...]]
    """By the place of a user message: the ids of the notes that were put into it, where that was recorded."""
    known_engrams: frozenset[str]
    """The ids of the engrams that the request's messages are."""
    new_nodes: tuple[Node, ...]
    """Beside `new`: the node of each."""
    last_node: Node | None
    """The node of the last message, which the reply follows."""
    user_node_id: bytes | None
    """The id of the last user message's node."""
    is_opening: bool
    """Whether it is the first message of a conversation."""
    session_named: bool
    """Whether the caller named the session."""
    last_fingerprints: tuple[Fingerprint, ...]
    """The last two messages."""


class Hashes:
    """The keyed hashes of one namespace: without the ledger's secret they tell nothing, and match nothing elsewhere."""

    def __init__(self, secret: bytes, namespace: str) -> None:
        self._key = blake2b(namespace.encode(), key=secret, digest_size=32).digest()

    def _digest(self, kind: bytes, value: bytes) -> bytes:
        """`kind`: a letter for each sort of thing that is hashed, so that no two sorts have hashes in common."""
        # hmac lets go of the interpreter's lock each time, which a busy event loop takes milliseconds to give back;
        # this does so for long texts alone.
        return blake2b(kind + value, key=self._key, digest_size=16).digest()

    def mark(self, said: ChatMessage) -> Fingerprint:
        """A message, wherever it stands."""
        digest = self._digest(b"m", f"{said.role}\n{said.canonical}".encode("utf-8", "surrogatepass"))
        return Fingerprint(digest, any(len(piece.text) > LONG for piece in said.parts))

    def chain(self, before: bytes, mark: Fingerprint) -> bytes:
        """A message and all that was said before it."""
        return self._digest(b"c", before + mark.digest)

    def pair(self, marks: Sequence[Fingerprint]) -> bytes | None:
        """The last two of `marks`, if they say enough to be known by."""
        if len(marks) < 2 or not (marks[-1].long or marks[-2].long):
            return None
        return self._digest(b"2", marks[-2].digest + marks[-1].digest)

    def triple(self, marks: Sequence[Fingerprint]) -> bytes | None:
        """The last three of `marks`."""
        if len(marks) < 3:
            return None
        return self._digest(b"3", marks[-3].digest + marks[-2].digest + marks[-1].digest)

    def place(self, session: str) -> int:
        """The number that stands for a session."""
        return int.from_bytes(self._digest(b"s", session.encode())[:8], signed=True)

    def response(self, id: str) -> bytes:
        """A response's id."""
        return self._digest(b"r", id.encode("utf-8", "surrogatepass"))

    def tag(self, name: str) -> str:
        """What the name of a generated session ends in."""
        return self._digest(b"t", name.encode())[:4].hex()


def match_conversation(
    ledger: ServerDatabase, namespace: str, messages: Sequence[ChatMessage], session: str | None, previous: str | None
) -> ConversationMatch:
    """The thread that a request's `messages` belong to, and which of them are new.

    session: the one that the caller names, or None. previous: the id of the response that the request goes on from.
    Raises `ServeError` 400 for a session that cannot be one, or was made for another namespace.
    """
    hashes = Hashes(ledger.secret, namespace)
    if session is not None:
        check_session(hashes, session)
    return Search(ledger, hashes, namespace, messages, session).thread(previous)


def check_session(hashes: Hashes, session: str) -> None:
    """Raise `ServeError` unless a caller of this namespace may name `session`. Asks nothing of any file."""
    try:
        size = len(session.encode())
    except UnicodeEncodeError:
        raise bad_request("the session's name holds a lone surrogate; it must be valid Unicode", HEADER) from None
    if not 1 <= size <= MAX_NAME_BYTES:
        raise bad_request(f"the session's name is {size:,} bytes of UTF-8; it must be 1 to {MAX_NAME_BYTES}", HEADER)
    if any(unicodedata.category(character) == "Cc" for character in session):
        raise bad_request("the session's name holds a control character", HEADER)
    generated = GENERATED.fullmatch(session)
    if generated and not hmac.compare_digest(generated[2], hashes.tag(generated[1])):
        raise ServeError(400, f"there is no session {session} in this namespace", "session_not_found", HEADER)


def new_session(hashes: Hashes, at: datetime) -> str:
    """A name for a new session."""
    # Counted from a random start: 65,536 in a second are all different.
    name = f"s-{at:%Y%m%d-%H%M%S}-{next(_numbers) & 0xFFFF:04x}"
    return f"{name}-{hashes.tag(name)}"


def last_user_index(messages: Sequence[ChatMessage]) -> int | None:
    """The place of the last message in the user's own words; None if there is none."""
    places = reversed(range(len(messages)))
    return next((place for place in places if messages[place].role == "user" and messages[place].text), None)


def next_node(
    hashes: Hashes, said: ChatMessage, before: Node | None, marks: Sequence[Fingerprint], session: str, place: int
) -> Node:
    """A node for `said`, which follows `before`; `marks`: of it and the two messages before, as far as there are."""
    return Node(
        id=new_id(),
        parent=None if before is None else before.id,
        place=place,
        session=session,
        chain=hashes.chain(b"" if before is None else before.chain, marks[-1]),
        pair=hashes.pair(marks),
        triple=hashes.triple(marks),
        engrams=tuple(uuid7() for _ in said.parts),
    )


class Search:
    """One request, looked for among what was said before."""

    def __init__(
        self,
        ledger: ServerDatabase,
        hashes: Hashes,
        namespace: str,
        messages: Sequence[ChatMessage],
        session: str | None,
    ) -> None:
        self._ledger = ledger
        self._hashes = hashes
        self._namespace = namespace
        self._messages = messages
        self._session = session
        self._named = session is not None
        self._place = None if session is None else hashes.place(session)
        # What the system says is no part of a conversation: clients change it from request to request.
        self._turns = [place for place, said in enumerate(messages) if said.role != "system"]
        self._marks = [hashes.mark(messages[place]) for place in self._turns]
        # Read before the file is: what comes into the file meanwhile is then seen in one of them.
        with ledger.waiting.lock:
            self._put_in = dict(ledger.waiting.notes)

    def thread(self, previous: str | None) -> ConversationMatch:
        """Where the request belongs."""
        anchor = None if previous is None else self._response(previous)
        if anchor is not None:
            self._place, self._session = anchor.place, anchor.session
        chains = self._chains(b"" if anchor is None else anchor.chain)
        opening = anchor is None and len(self._turns) == 1 and self._messages[self._turns[0]].role == "user"
        if opening:
            node = self._choose(chains[0], opening=True)
            return self._thread(node, {} if node is None else {0: node}, (), opening=True)
        at = self._deepest("chain", chains)
        if anchor is None and (at is None or at < len(self._turns) - 3):
            found = self._by_windows(-1 if at is None else at)
            if found is not None:
                return self._thread(*found, (), opening=False)
        node = anchor if at is None else self._choose(chains[at], opening=False) or anchor
        seen_before = 0 if anchor is None else LOOK_BACK
        path = [] if node is None else self._path(node, (-1 if at is None else at) + 1 + seen_before)
        aligned = {} if at is None else {at - back: one for back, one in enumerate(path[: at + 1])}
        # What a response goes on from is in the model's sight, too.
        return self._thread(node, aligned, path[len(aligned) :], opening=False)

    def _response(self, previous: str) -> Node | None:
        """The reply that the request goes on from, unless that belongs to another session than the one named."""
        id = self._hashes.response(previous)
        with self._ledger.waiting.lock:
            node = self._ledger.waiting.responses.get(id)
        if node is None:
            node = self._ledger.response(id)
        return node if node is not None and self._place in (None, node.place) else None

    def _chains(self, start: bytes) -> list[bytes]:
        chains = []
        for mark in self._marks:
            start = self._hashes.chain(start, mark)
            chains.append(start)
        return chains

    def _deepest(self, kind: Kind, digests: Sequence[bytes | None]) -> int | None:
        """The last of `digests` that a node has."""
        waiting, end, size = self._ledger.waiting, len(digests), FIRST_LOOK
        while end > 0:
            start = max(0, end - size)
            asked = {digest for digest in digests[start:end] if digest is not None}
            # First what waits, then the file: what goes from one to the other meanwhile is seen in one of them.
            with waiting.lock:
                known = {digest for digest in asked if waiting.has(digest, self._place)}
            known |= self._ledger.present(kind, asked - known, self._place)
            for at in range(end - 1, start - 1, -1):
                if digests[at] in known:
                    return at
            end, size = start, min(size * 4, WIDEST_LOOK)
        return None

    def _choose(self, chain: bytes, *, opening: bool) -> Node | None:
        """Of the nodes with a chain: the newest that nothing follows, else the newest.

        An opening only goes on with one that has no reply, and gets none at this moment.
        """
        waiting = self._ledger.waiting
        with waiting.lock:
            here = waiting.having(chain, self._place)
            taken = set(waiting.children)
            if opening:
                taken |= set(waiting.in_flight.keys())
        leaf = next((node for node in here if node.id not in taken), None)
        kept = self._ledger.newest_leaf(chain, self._place, lambda id: id not in taken)
        found = newer(leaf, kept)
        if found is not None or opening:
            return found
        return self._newest("chain", chain)

    def _by_windows(self, known: int) -> tuple[Node, dict[int, Node]] | None:
        """The node of the last message that is known by what stands around it, and those of the messages before it.

        `known`: the last message that is known by all before it, -1 for none. A stretch that begins elsewhere only
        counts against that if it reaches back to the request's first message.
        """
        kinds: tuple[tuple[Kind, int], ...] = (("triple", 3), ("pair", 2))
        for kind, size in kinds:
            windows = [
                self._window(kind, self._marks[max(0, at + 1 - size) : at + 1]) for at in range(len(self._marks))
            ]
            at = self._deepest(kind, windows)
            if at is None or at <= known:
                continue
            node = self._newest(kind, windows[at])
            if node is None:
                continue
            path = self._path(node, at + 1)
            # Each window that agrees shows that all messages in it do.
            pairs = zip(range(at, -1, -1), path, strict=False)
            agree = (windows[place] is not None and windows[place] == getattr(one, kind) for place, one in pairs)
            count = sum(1 for _ in itertools.takewhile(bool, agree)) + size - 1
            aligned = {at - back: one for back, one in enumerate(path[:count])}
            if known < 0 or 0 in aligned:
                return node, aligned
        return None

    def _window(self, kind: Kind, marks: Sequence[Fingerprint]) -> bytes | None:
        return self._hashes.triple(marks) if kind == "triple" else self._hashes.pair(marks)

    def _newest(self, kind: Kind, digest: bytes | None) -> Node | None:
        if digest is None:
            return None
        with self._ledger.waiting.lock:
            here = self._ledger.waiting.having(digest, self._place)
        return newer(here[0] if here else None, self._ledger.newest(kind, digest, self._place))

    def _path(self, node: Node, most: int) -> list[Node]:
        """A node and those before it, the last one first; `most` at most."""
        waiting = self._ledger.waiting
        with waiting.lock:
            path, rest = waiting.path_to(node.id, most)
        if rest is not None and len(path) < most:
            path += self._ledger.path_to(rest, most - len(path))
        return path

    def _thread(
        self, node: Node | None, aligned: Mapping[int, Node], before: Sequence[Node], *, opening: bool
    ) -> ConversationMatch:
        """The thread that goes on from `node`; `aligned`: the nodes of turns; `before`: others that the model sees."""
        session = node.session if node is not None else self._session
        if session is None:
            session = new_session(self._hashes, datetime.now(UTC))
        place = self._hashes.place(session)
        nodes = dict(aligned)
        new = [at for at in sorted(aligned) if self._is_unfinished(aligned[at])]
        last = node
        for at in range(max(aligned, default=-1) + 1, len(self._turns)):
            said, marks = self._messages[self._turns[at]], self._marks[max(0, at - 2) : at + 1]
            last = nodes[at] = next_node(self._hashes, said, last, marks, session, place)
            new.append(at)
        asked = last_user_index(self._messages)
        by_message = {self._turns[at]: one for at, one in nodes.items()}
        return ConversationMatch(
            namespace=self._namespace,
            session=session,
            new_indexes=tuple(self._turns[at] for at in new),
            notes=self._notes(by_message),
            known_engrams=frozenset(id for one in (*aligned.values(), *before) for id in one.engrams),
            new_nodes=tuple(nodes[at] for at in new),
            last_node=last,
            user_node_id=by_message[asked].id if asked in by_message else None,
            is_opening=opening,
            session_named=self._named,
            last_fingerprints=tuple(self._marks[-2:]),
        )

    def _is_unfinished(self, node: Node) -> bool:
        """Whether a node was accepted, but its engrams were not written: the server was stopped in between."""
        return node.kept and node.state == ACCEPTED and node.id not in self._ledger.waiting.nodes

    def _notes(self, nodes: Mapping[int, Node]) -> dict[int, tuple[str, ...]]:
        notes: dict[int, tuple[str, ...]] = {}
        for place, node in nodes.items():
            if self._messages[place].role != "user":
                continue
            put_in = self._put_in.get(node.id) if node.notes is None else node.notes
            if put_in is not None:
                notes[place] = put_in
        return notes


def newer(one: Node | None, other: Node | None) -> Node | None:
    """The later of two nodes."""
    if one is None or other is None:
        return other if one is None else one
    return one if one.id >= other.id else other
