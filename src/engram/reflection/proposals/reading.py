"""Reading: from the text of a reply to the proposals that may be stored.

Owns every check. A reply is untrusted, because what it answers holds text of strangers: nothing of it is kept but ids
of sentences that were offered, places of values that stand verbatim in the sentence they cite, and names of slots in a
narrow alphabet. What does not pass is dropped and counted by its reason; a reply of another form is refused as a whole.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engram.engram import is_trusted
from engram.reflection.database import Statement
from engram.reflection.labels import KINDS
from engram.reflection.proposals.prompt import MOST_SLOT, MOST_TITLE, MOST_VALUE, Offered
from engram.reflection.proposals.tables import Proposals, ProposedLink, ProposedSlot, ProposedTitle

ORDER = KINDS.index("order")
TRUSTED = "import"
"""The least trusted origin of a sentence that counts as said by the user."""
MOST_OF_A_SENTENCE = 4
"""Proposals of one kind per sentence that was offered; what a reply holds beyond is dropped."""
MOST_CLOSED = 8
"""Sentences that one sentence may close."""
SLOT_NAME = re.compile(r"[a-z]{2,16}(?:_[a-z]{2,16}){0,3}")

FORM, UNKNOWN, NOT_USER, OTHER_NAMESPACE, OTHER_PERSON = (
    "form", "unknown sentence", "not said by the user", "another namespace", "another person",
)  # fmt: skip
NOT_VERBATIM, NAME, NOT_EARLIER, NOT_ALLOWED, TOO_MANY, NOT_SESSION = (
    "value not in the sentence", "name of the slot", "not told before", "may not be closed by it", "too many",
    "not of the session",
)  # fmt: skip
"""Why a proposal is dropped."""


class ReplyRefused(ValueError):
    """A reply is not of the form that was asked for. Nothing of it is kept."""


class Reading(NamedTuple):
    """What is kept of a reply, and how many of its proposals were dropped for which reasons."""

    proposals: Proposals
    dropped: Mapping[str, int]

    @property
    def accepted(self) -> dict[str, int]:
        """The number of proposals that are kept, by kind."""
        return {name: len(each) for name, each in self.proposals._asdict().items()}


class Dropped(ValueError):
    """One proposal is not kept. The message is the reason."""


def read_reply(text: str, sentences: Sequence[Offered], model: str) -> Reading:
    """Return what may be kept of the reply to a prompt with these sentences.

    The sentences of the session are all of one session of one namespace. Raises `ReplyRefused` if the reply is no JSON
    object of the form that `prompt.SCHEMA` describes.
    """
    reply = parsed(text)
    return ReplyReader(sentences, model).read(reply)


def parsed(text: str) -> dict[str, object]:
    """Return the JSON object that a reply is, also one between fences of code. Raises `ReplyRefused`."""
    body = text.strip()
    if body.startswith("```") and body.endswith("```") and "\n" in body:
        body = body[body.index("\n") : -3]
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ReplyRefused("the reply is no JSON") from None
    if not isinstance(value, dict) or not value.keys() <= {"slots", "links", "title"}:
        raise ReplyRefused("the reply is no object with slots, links and title")
    if not all(isinstance(value.get(name, []), list) for name in ("slots", "links")):
        raise ReplyRefused("slots or links is no list")
    return value


def may_close(older: Statement, newer: Statement) -> bool:
    """Return whether a statement may close another one, whatever a model says.

    It is of the same person, was told later, in another turn, and came in by a way that is as trusted. What the user
    wants for every time ends only by something that the user wants for every time.
    """
    return (
        (older.namespace, older.speaker) == (newer.namespace, newer.speaker)
        and told_before(older, newer)
        and newer.origin <= older.origin
        and (older.kind != ORDER or newer.kind == ORDER)
    )


def told_before(older: Statement, newer: Statement) -> bool:
    """Return whether a statement was told before another one, in another turn."""
    return older.seq != newer.seq and (older.at, older.seq) < (newer.at, newer.seq)


class ReplyReader:
    """Checks the proposals of one reply."""

    def __init__(self, sentences: Sequence[Offered], model: str) -> None:
        self._offered = {each.number: each for each in sentences}
        self._model = model
        self._session = next((each for each in sentences if each.of_session), None)
        self._most = MOST_OF_A_SENTENCE * len(sentences)
        self._dropped = Counter[str]()

    def read(self, reply: Mapping[str, object]) -> Reading:
        """Return what is kept of a reply."""
        slots = {slot.place: slot for item in self._items(reply, "slots") if (slot := self._slot(item))}
        links = {(link.older, link.newer): link for item in self._items(reply, "links") if (link := self._link(item))}
        title = None if reply.get("title") is None else self._title(reply["title"])
        kept = Proposals(list(slots.values()), self._few(list(links.values())), [] if title is None else [title])
        return Reading(kept, {reason: number for reason, number in self._dropped.items() if number})

    def _items(self, reply: Mapping[str, object], name: str) -> list[object]:
        items = reply.get(name, [])
        assert isinstance(items, list)
        self._dropped[TOO_MANY] += max(0, len(items) - self._most)
        return items[: self._most]

    def _few(self, links: list[ProposedLink]) -> list[ProposedLink]:
        """Return the links without those of a sentence that would close too many."""
        closed, kept = Counter[object](), []
        for link in links:
            closed[link.newer] += 1
            if closed[link.newer] > MOST_CLOSED:
                self._dropped[TOO_MANY] += 1
            else:
                kept.append(link)
        return kept

    def _slot(self, item: object) -> ProposedSlot | None:
        try:
            sentence, slot, value = fields(item, sentence=int, slot=str, value=str)
            cited = self._of_session(sentence)
            if len(str(slot)) > MOST_SLOT or not SLOT_NAME.fullmatch(str(slot)):
                raise Dropped(NAME)
            start, stop = place_of(cited, str(value), MOST_VALUE)
        except Dropped as dropped:
            self._dropped[str(dropped)] += 1
            return None
        s = cited.statement
        return ProposedSlot(s.namespace, s.seq, s.start, s.stop, str(slot), start, stop, self._model)

    def _link(self, item: object) -> ProposedLink | None:
        try:
            newer_id, older_id, kind = fields(item, newer=int, older=int, kind=str)
            if kind not in ("replaces", "ends"):
                raise Dropped(FORM)
            newer, older = self._of_session(newer_id).statement, self._cited(older_id).statement
            if not told_before(older, newer):
                raise Dropped(NOT_EARLIER)
            if not may_close(older, newer):
                raise Dropped(OTHER_PERSON if older.speaker != newer.speaker else NOT_ALLOWED)
        except Dropped as dropped:
            self._dropped[str(dropped)] += 1
            return None
        return ProposedLink(
            newer.namespace, older.seq, older.start, older.stop, newer.seq, newer.start, newer.stop,
            kind == "ends", self._model,
        )  # fmt: skip

    def _title(self, item: object) -> ProposedTitle | None:
        try:
            sentence, text = fields(item, sentence=int, text=str)
            cited = self._of_session(sentence)
            start, stop = place_of(cited, str(text), MOST_TITLE)
        except Dropped as dropped:
            self._dropped[str(dropped)] += 1
            return None
        s = cited.statement
        return ProposedTitle(s.namespace, s.session, s.seq, start, stop, self._model)

    def _of_session(self, number: object) -> Offered:
        cited = self._cited(number)
        if not cited.of_session:
            raise Dropped(NOT_SESSION)
        return cited

    def _cited(self, number: object) -> Offered:
        """Return a sentence that was offered, said by a user in the namespace of the session."""
        cited = self._offered.get(number) if isinstance(number, int) else None
        if cited is None or self._session is None:
            raise Dropped(UNKNOWN)
        if cited.engram.role != "user" or not is_trusted(cited.engram.origin, TRUSTED):
            raise Dropped(NOT_USER)
        if cited.statement.namespace != self._session.statement.namespace:
            raise Dropped(OTHER_NAMESPACE)
        return cited


def fields(item: object, **types: type) -> list[object]:
    """Return the values of an object that has exactly these fields, each of its type. Raises `Dropped`."""
    if not isinstance(item, dict) or item.keys() != types.keys():
        raise Dropped(FORM)
    if any(type(item[name]) is not kind for name, kind in types.items()):
        raise Dropped(FORM)
    return [item[name] for name in types]


def place_of(cited: Offered, value: str, most: int) -> tuple[int, int]:
    """Return where a value stands in the turn of the sentence that it is cited from. Raises `Dropped`."""
    s = cited.statement
    start = cited.engram.text.find(value, s.start, s.stop)
    if start < 0 or not value.strip() or len(value) > most:
        raise Dropped(NOT_VERBATIM)
    return start, start + len(value)
