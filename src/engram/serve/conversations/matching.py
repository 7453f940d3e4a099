"""Matches a request to a stored conversation, and lists which of its messages are new.

Owns the rules. A message is recognised by the chain hash of it and all messages before it; where a client has cut off
the beginning, by the hash of it and the two messages (or the one message) before. Writes nothing. Does not know the
format of a request (`wire`) nor of when its messages are written (`recorder`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engram.engram import Engram
from engram.ids import uuid7
from engram.serve.conversations.hashes import Fingerprint, Hashes, check_session, new_session
from engram.serve.conversations.log import ConversationStore, new_node_id
from engram.serve.conversations.pending import ACCEPTED, Kind, Node
from engram.serve.frontends.framing import asks_same, shares_words, typed
from engram.serve.wire.base import ChatMessage

FIRST_LOOKUP, LARGEST_LOOKUP = 8, 500
"""Digests looked up in one query: few at first, because most requests add only one or two messages."""

RESPONSE_CONTEXT = 1_000
"""Messages before a response that the model is assumed to see if a request continues from the response."""


FRAMED_LOOKUPS = 8
"""Replies after the stored part of a request that are looked up by their text, the last ones first."""

ReadEngrams = Callable[[Sequence[str]], Mapping[str, Engram]]
"""Returns the engrams with these ids, by id."""


@dataclass(frozen=True, slots=True)
class ConversationMatch:
    """The position of a request in a conversation. Indexes are those of the request's messages."""

    namespace: str
    session: str
    new_indexes: tuple[int, ...]
    """The indexes of the messages that are not stored yet, in order."""
    notes: Mapping[int, tuple[str, ...]]
    """By the index of a user message: references to the notes that were put into it, if that was recorded."""
    known_engrams: frozenset[str]
    """The ids of the engrams that the messages of the request, and of the response it continues, were stored as."""
    new_nodes: tuple[Node, ...]
    """The node of each message in `new_indexes`."""
    last_node: Node | None
    """The node of the last message; the reply follows it."""
    user_node_id: bytes | None
    """The id of the node of the last user message."""
    is_opening: bool
    """Whether the request is the first message of a conversation."""
    session_named: bool
    """Whether the caller named the session."""
    last_fingerprints: tuple[Fingerprint, ...]
    """The fingerprints of the last two messages."""
    rewordings: tuple[tuple[bytes, Engram], ...] = ()
    """Stored nodes that hold a template around the user's words, and the engram with the words alone."""
    needs_engrams: bool = False
    """Whether the match is to be repeated with access to the engrams: a reply is known, its question is not."""


def match_conversation(
    store: ConversationStore,
    namespace: str,
    messages: Sequence[ChatMessage],
    session: str | None,
    previous_response_id: str | None,
    engrams: ReadEngrams | None = None,
) -> ConversationMatch:
    """Return the conversation that a request's `messages` belong to, and which of them are new.

    session: the name that the caller gives, or None. previous_response_id: the response that the request continues
    from. engrams: reads the stored engrams of a message; None where nothing may be read from the memory. Raises
    `ServeError` 400 for an invalid session name, or a name generated for another namespace.
    """
    hashes = Hashes(store.secret, namespace)
    if session is not None:
        check_session(hashes, session)
    return Search(store, hashes, namespace, messages, session, engrams).match(previous_response_id)


def last_user_index(messages: Sequence[ChatMessage]) -> int | None:
    """Return the index of the last message in the user's words; None if there is none."""
    indexes = reversed(range(len(messages)))
    return next((index for index in indexes if messages[index].role == "user" and messages[index].text), None)


def next_node(
    hashes: Hashes,
    message: ChatMessage,
    parent: Node | None,
    fingerprints: Sequence[Fingerprint],
    session: str,
    session_key: int,
) -> Node:
    """Return a new node for `message`. `fingerprints`: of the message and at most two messages before it."""
    return Node(
        id=new_node_id(),
        parent=None if parent is None else parent.id,
        session_key=session_key,
        session=session,
        chain=hashes.chain(b"" if parent is None else parent.chain, fingerprints[-1]),
        pair=hashes.pair(fingerprints),
        triple=hashes.triple(fingerprints),
        engrams=tuple(uuid7() for _ in message.parts),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """The stored part of a request. Turn numbers count the messages without system messages, from 0."""

    last: Node | None = None
    """The node that the first new message follows; None if nothing is stored."""
    turns: Mapping[int, Node] | None = None
    """The nodes of stored turns, by turn number; None for none."""
    context: Sequence[Node] = ()
    """Nodes before the request that the model sees, too: those of the response that the request continues."""


class Search:
    """The search for one request among the stored conversations of its namespace."""

    def __init__(
        self,
        store: ConversationStore,
        hashes: Hashes,
        namespace: str,
        messages: Sequence[ChatMessage],
        session: str | None,
        engrams: ReadEngrams | None,
    ) -> None:
        self._engrams = engrams
        self._rewordings: list[tuple[bytes, Engram]] = []
        self._needs_engrams = False
        self._store = store
        self._hashes = hashes
        self._namespace = namespace
        self._messages = messages
        self._session = session
        self._session_named = session is not None
        self._session_key = None if session is None else hashes.session_key(session)
        # System messages are no part of a conversation: clients change them from request to request.
        self._turns = [index for index, message in enumerate(messages) if message.role != "system"]
        self._fingerprints = [hashes.fingerprint(messages[index]) for index in self._turns]
        # Copied before the file is read: notes that move into the file in between are seen in one of the two.
        self._pending_notes = store.pending_notes()
        self._withdrawn = store.pending_withdrawals()

    def match(self, previous_response_id: str | None) -> ConversationMatch:
        """Return the match."""
        response = None if previous_response_id is None else self._response(previous_response_id)
        if response is not None:
            self._session_key, self._session = response.session_key, response.session or self._session
            return self._result(self._after_response(response), is_opening=False)
        if len(self._turns) == 1 and self._messages[self._turns[0]].role == "user":
            return self._result(self._opening(), is_opening=True)
        found = self._continuation()
        return self._result(self._framed(found) or found, is_opening=False)

    # The three cases.

    def _opening(self) -> Found:
        """Find a request of one user message.

        It matches an equal opening only if that has no reply and none is streaming: else it opens a new conversation.
        """
        node = self._store.latest_leaf(self._chains(b"")[0], self._session_key, skip_in_flight=True)
        return Found() if node is None else Found(node, {0: node})

    def _after_response(self, response: Node) -> Found:
        """Find a request that continues from a response."""
        chains = self._chains(response.chain)
        turn = self._deepest("chain", chains)
        node = response if turn is None else self._node_with_chain(chains[turn]) or response
        return self._found_at(node, turn, RESPONSE_CONTEXT)

    def _continuation(self) -> Found:
        """Find a request that repeats a conversation from its beginning, or from somewhere in it."""
        chains = self._chains(b"")
        turn = self._deepest("chain", chains)
        # A request usually adds one or two turns: windows are searched only if more turns are unknown.
        if turn is None or turn < len(self._turns) - 3:
            found = self._by_windows(turn)
            if found is not None:
                return found
        node = None if turn is None else self._node_with_chain(chains[turn])
        return Found() if node is None else self._found_at(node, turn, 0)

    def _framed(self, found: Found) -> Found | None:
        """Find a known reply after the stored part: the message before it was stored in another form.

        None if there is no such reply.
        """
        used = {node.id for node in (found.turns or {}).values()}
        after = max(found.turns or {}, default=-1)
        replies = [turn for turn in range(after + 1, len(self._turns)) if self._role(turn) == "assistant"]
        for turn in replies[: -FRAMED_LOOKUPS - 1 : -1]:
            node = self._store.by_response(self._hashes.reply(self._fingerprints[turn], self._session_key))
            if node is None or node.id in used:
                continue
            if self._engrams is None:
                self._needs_engrams = True
                return None
            path = self._store.path_to(node, turn + 1)
            if self._has_same_question(turn, path):
                stored = {turn - back: one for back, one in enumerate(path)}
                return self._continued(Found(node, stored), turn + 1)
        return None

    def _has_same_question(self, turn: int, path: Sequence[Node]) -> bool:
        """Return whether the user message before a reply is the one in `path`, the reply's node first, in other words.

        Also notes which of the two forms is the user's.
        """
        back = next((back for back in range(1, len(path)) if self._role(turn - back) == "user"), None)
        if back is None or self._engrams is None:
            return False
        question = turn - back
        if self._session_key is None and not any(one.is_long for one in self._fingerprints[question : turn + 1]):
            return False
        sent, node = self._messages[self._turns[question]], path[back]
        engrams = [one for one in self._engrams(node.engrams).values() if one.role == "user"]
        # In a session that the caller names, a long reply is evidence by itself.
        is_evidence = self._session_key is not None and self._fingerprints[turn].is_long
        if not sent.text or not any(
            asks_same(one.text, sent.text) or (is_evidence and shares_words(one.text, sent.text)) for one in engrams
        ):
            return False
        for engram in engrams:
            if (words := typed(engram.text, sent.text)) is not None:
                self._rewordings.append((node.id, replace(engram, text=words)))
        return True

    def _continued(self, found: Found, first: int) -> Found:
        """Return `found` with the stored turns that follow it, from the turn `first` on."""
        if found.last is None or first == len(self._turns):
            return found
        chains = self._chains(found.last.chain, first)
        index = self._deepest("chain", chains)
        node = None if index is None else self._node_with_chain(chains[index])
        if index is None or node is None:
            return found
        path = self._store.path_to(node, index + 1)
        return Found(node, {**(found.turns or {}), **{first + index - back: one for back, one in enumerate(path)}})

    def _role(self, turn: int) -> str:
        return self._messages[self._turns[turn]].role

    def _found_at(self, node: Node, turn: int | None, context: int) -> Found:
        """Return the stored part up to `node`, the node of `turn`; None for a node before the first turn.

        context: how many nodes before the first turn the model sees, too.
        """
        count = 0 if turn is None else turn + 1
        path = self._store.path_to(node, count + context) if count + context else []
        return Found(node, {count - 1 - back: one for back, one in enumerate(path[:count])}, path[count:])

    # Lookups.

    def _response(self, previous_response_id: str) -> Node | None:
        """Return the node of a response; None if it is unknown, or belongs to another session than the named one."""
        node = self._store.by_response(self._hashes.response(previous_response_id))
        return node if node is not None and self._session_key in (None, node.session_key) else None

    def _chains(self, start: bytes, first: int = 0) -> list[bytes]:
        """Return the chain hash of each turn from `first` on. `start`: the chain of the messages before it."""
        return list(itertools.accumulate(self._fingerprints[first:], self._hashes.chain, initial=start))[1:]

    def _deepest(self, kind: Kind, digests: Sequence[bytes | None]) -> int | None:
        """Return the largest index into `digests` whose digest a node has as its `kind`."""
        end, size = len(digests), FIRST_LOOKUP
        while end > 0:
            start = max(0, end - size)
            wanted = {digest for digest in digests[start:end] if digest is not None}
            known = self._store.known_digests(kind, wanted, self._session_key)
            for index in range(end - 1, start - 1, -1):
                if digests[index] in known:
                    return index
            end, size = start, min(size * 4, LARGEST_LOOKUP)
        return None

    def _node_with_chain(self, chain: bytes) -> Node | None:
        """Return the newest node with a chain that no node follows, else the newest."""
        leaf = self._store.latest_leaf(chain, self._session_key, skip_in_flight=False)
        return leaf if leaf is not None else self._store.latest("chain", chain, self._session_key)

    def _by_windows(self, chain_turn: int | None) -> Found | None:
        """Find a request whose beginning was cut off, by the last three (or two) turns that are stored.

        chain_turn: the last turn found by its chain; None for none. A window that lies further back is ignored. If a
        chain was found, a window counts only if the turns that agree with it reach back to the first turn.
        """
        kinds: tuple[tuple[Kind, int, Callable[[Sequence[Fingerprint]], bytes | None]], ...] = (
            ("triple", 3, self._hashes.triple),
            ("pair", 2, self._hashes.pair),
        )
        for kind, size, digest in kinds:
            windows = [digest(self._fingerprints[max(0, end - size) : end]) for end in range(1, len(self._turns) + 1)]
            turn = self._deepest(kind, windows)
            if turn is None or (chain_turn is not None and turn <= chain_turn):
                continue
            window = windows[turn]
            node = None if window is None else self._store.latest(kind, window, self._session_key)
            if node is None:
                continue
            path = self._store.path_to(node, turn + 1)
            count = agreeing(windows[turn::-1], (getattr(one, kind) for one in path)) + size - 1
            turns = {turn - back: one for back, one in enumerate(path[:count])}
            if chain_turn is None or 0 in turns:
                return Found(node, turns)
        return None

    # The result.

    def _result(self, found: Found, *, is_opening: bool) -> ConversationMatch:
        """Return the match, with a new node for each turn after the stored ones."""
        session = (found.last.session if found.last is not None else "") or self._session
        if session is None:
            session = new_session(self._hashes, datetime.now(UTC))
        stored = found.turns or {}
        nodes = dict(stored)
        for turn, node in stored.items():
            if node.id in self._withdrawn:
                # The jobs that write the node and take it back are ahead in the queue.
                nodes[turn] = replace(node, in_file=True, state=ACCEPTED)
        new = [turn for turn in sorted(stored) if self._is_unwritten(nodes[turn])]
        last = found.last
        for turn, node in self._new_nodes(last, max(stored, default=-1) + 1, session):
            last = nodes[turn] = node
            new.append(turn)
        user_index = last_user_index(self._messages)
        by_index = {self._turns[turn]: node for turn, node in nodes.items()}
        return ConversationMatch(
            namespace=self._namespace,
            session=session,
            new_indexes=tuple(self._turns[turn] for turn in new),
            notes=self._notes(by_index),
            known_engrams=frozenset(id for node in (*stored.values(), *found.context) for id in node.engrams),
            new_nodes=tuple(nodes[turn] for turn in new),
            last_node=last,
            user_node_id=by_index[user_index].id if user_index in by_index else None,
            is_opening=is_opening,
            session_named=self._session_named,
            last_fingerprints=tuple(self._fingerprints[-2:]),
            rewordings=tuple(self._rewordings),
            needs_engrams=self._needs_engrams,
        )

    def _is_unwritten(self, node: Node) -> bool:
        """Return whether the engrams of a stored node are to be written again."""
        return node.id in self._withdrawn or self._store.was_interrupted(node)

    def _new_nodes(self, parent: Node | None, first: int, session: str) -> Iterator[tuple[int, Node]]:
        """Yield the turns from `first` on with a new node for each."""
        session_key = self._hashes.session_key(session)
        for turn in range(first, len(self._turns)):
            fingerprints = self._fingerprints[max(0, turn - 2) : turn + 1]
            message = self._messages[self._turns[turn]]
            parent = next_node(self._hashes, message, parent, fingerprints, session, session_key)
            yield turn, parent

    def _notes(self, nodes: Mapping[int, Node]) -> dict[int, tuple[str, ...]]:
        """Return the recorded notes of user messages, by index."""
        notes: dict[int, tuple[str, ...]] = {}
        for index, node in nodes.items():
            if self._messages[index].role != "user":
                continue
            recorded = self._pending_notes.get(node.id) if node.notes is None else node.notes
            if recorded is not None:
                notes[index] = recorded
        return notes


def agreeing(windows: Sequence[bytes | None], stored: Iterator[bytes | None]) -> int:
    """Return how many leading windows equal the stored ones; None agrees with nothing."""
    pairs = zip(windows, stored, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] is not None and pair[0] == pair[1], pairs))
