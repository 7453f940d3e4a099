"""A whole story: its turns, what changes in them, and the questions on its state at a point.

Owns the plan: how many sessions, how long turns are, how many questions of each aspect, and what answers them. The
same seed gives the same story.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from bench.datasets import Turn
from bench.stories.forms import Forms, Phrase
from bench.stories.prose import Prose
from bench.stories.world import HOLDER, KNOWS, NAME, OTHER_NAME, WORD, Change, Slot, World

SESSIONS = 40
EXCHANGES = 3
"""Exchanges of a session; each is one turn of the user and one of the assistant."""
USER_WORDS, ASSISTANT_WORDS = (65, 115), (130, 300)
"""The least and the most words that a turn has before its last sentence."""
USER_CHANGES, ASSISTANT_CHANGES = (0, 1, 1, 2), (1, 1, 2, 2, 3)
"""Numbers of changes in a turn, each as likely as the others."""
MOVES_ON = 0.3
"""The share of exchanges after the first of a session in which the scene is another one."""
LEAST_COMPANY = 2
"""People whom a turn needs in its scene; with fewer, the scene is another one, too."""
CLOSED = 0.6
"""The share of the user's turns that end with a request."""
PARAGRAPH = (3, 6)
"""The least and the most pieces of a paragraph, each of one to three sentences."""
BEGINS = datetime(2025, 1, 6, 19, 30, tzinfo=UTC)
DAYS = (1, 4)
MINUTES = (3, 9)

QUESTIONS = {
    "place": 120,
    "holder": 120,
    "injury": 70,
    "title": 45,
    "side": 45,
    "knows": 45,
    "name": 30,
    "word": 25,
}
"""The number of questions of each aspect."""
FIRST_POINT = 3
"""The first session at whose end something is asked."""
MOST_ASKED = 3
"""Questions that have the same change as their answer, at most."""
TOKENS_PER_WORD = 1.3


class Evidence(NamedTuple):
    """The part of a turn's text that tells a change: one to three sentences."""

    key: str
    """Of the turn."""
    start: int
    """Where the part begins in the text of the turn, in characters."""
    end: int
    value: str
    """The new value, as the part names it, but for a capital."""


class Event(NamedTuple):
    """A change, the session in which it is told (from 1), and where."""

    change: Change
    session: int
    told: Evidence


class StoryQuestion(NamedTuple):
    """A question on the state at the end of a session."""

    text: str
    aspect: str
    """One of `forms.ASPECTS`."""
    slot: Slot
    subject: str
    """What the question is about, as it names it: a person, a thing or a lock."""
    point: int
    """The session at whose end it is asked, from 1."""
    asked_at: datetime
    evidence: Evidence
    """What tells the last change of the slot before the point: the right value."""
    outdated: tuple[Evidence, ...]
    """What tells the changes of the slot before that one."""


@dataclass(frozen=True)
class Story:
    """One story."""

    name: str
    held_out: bool
    sessions: tuple[tuple[Turn, ...], ...]
    events: tuple[Event, ...]
    """In the order in which they are told."""
    questions: tuple[StoryQuestion, ...]
    """In the order of their points."""

    def text_of(self, evidence: Evidence) -> str:
        """The text that tells a change."""
        return self.texts[evidence.key][evidence.start : evidence.end]

    @cached_property
    def texts(self) -> dict[str, str]:
        """The text of each turn, by its key."""
        return {turn.key: turn.text for session in self.sessions for turn in session}

    @property
    def tokens(self) -> int:
        """About how many tokens the turns have: words between white space times `TOKENS_PER_WORD`."""
        return round(TOKENS_PER_WORD * sum(len(text.split()) for text in self.texts.values()))


def tell(forms: Forms, seed: int = 0) -> Story:
    """A story with the texts of `forms`. The same seed gives the same story."""
    return Teller(forms, seed).story()


class Teller:
    """Tells one story, once."""

    def __init__(self, forms: Forms, seed: int) -> None:
        self._forms = forms
        self._rng = random.Random(f"{forms.name} {seed}")  # noqa: S311
        self._world = World(forms, self._rng)
        self._prose = Prose(forms, self._world, self._rng)
        self._events: list[Event] = []
        self._ends: list[datetime] = []
        """The time after each session."""

    def story(self) -> Story:
        """The story."""
        sessions = tuple(tuple(self._session(number)) for number in range(1, SESSIONS + 1))
        return Story(self._forms.name, self._forms.held_out, sessions, tuple(self._events), tuple(self._questions()))

    def _session(self, number: int) -> Iterator[Turn]:
        start = self._ends[-1] if self._ends else BEGINS
        at = start + timedelta(days=self._rng.randint(*DAYS), minutes=self._rng.randint(-90, 90))
        here = self._world.scene()
        for index in range(2 * EXCHANGES):
            by_user = index % 2 == 0
            if (by_user and index and self._rng.random() < MOVES_ON) or len(self._world.present(here)) < LEAST_COMPANY:
                here = self._world.scene()
            key = f"{number}:{index + 1}"
            text = self._turn(key, number, here, by_user)
            yield Turn(key, f"session_{number}", "", "user" if by_user else "assistant", text, at)
            at += timedelta(minutes=self._rng.randint(*MINUTES))
        self._ends.append(at)

    def _turn(self, key: str, session: int, here: str, by_user: bool) -> str:
        """The text of one turn; its changes become events."""
        words = self._rng.randint(*(USER_WORDS if by_user else ASSISTANT_WORDS))
        changes = self._rng.choice(USER_CHANGES if by_user else ASSISTANT_CHANGES)
        after = sorted(self._rng.randrange(words) for _ in range(changes))
        page = Page(self._rng)
        if by_user:
            page.add(self._prose.frame())
        while page.words < words:
            change = self._world.change(here) if after and page.words >= after[0] else None
            if change is None:
                page.add(self._prose.other(here))
                continue
            after.pop(0)
            start, end = page.add(self._prose.telling(change, by_user))
            self._events.append(Event(change, session, Evidence(key, start, end, change.value)))
        if by_user and self._rng.random() < CLOSED:
            page.end_paragraph()
            page.add(self._prose.closing())
        return page.text

    def _questions(self) -> list[StoryQuestion]:
        """The questions; if there is too little to ask of one aspect, more of the others."""
        histories = self._histories()
        candidates = [(slot, point) for slot in histories for point in range(FIRST_POINT, SESSIONS + 1)]
        self._rng.shuffle(candidates)
        left, total = Counter(QUESTIONS), sum(QUESTIONS.values())
        asked, questions = Counter[Evidence](), list[StoryQuestion]()
        for strict in (True, False):
            for slot, point in candidates:
                known = bisect_right([event.session for event in histories[slot]], point)
                event = histories[slot][known - 1]
                enough = len(questions) == total or asked[event.told] == MOST_ASKED or (strict and not left[slot[0]])
                if not known or enough or any((slot, point) == (one.slot, one.point) for one in questions):
                    continue
                asked[event.told] += 1
                left[slot[0]] -= 1
                questions.append(self._question(slot, point, histories[slot][:known]))
        return sorted(questions, key=lambda question: question.point)

    def _histories(self) -> dict[Slot, list[Event]]:
        """The events of each slot, in their order."""
        histories: dict[Slot, list[Event]] = {}
        for event in self._events:
            histories.setdefault(event.change.slot, []).append(event)
        return histories

    def _question(self, slot: Slot, point: int, events: Sequence[Event]) -> StoryQuestion:
        """The question on a slot at the end of a session, after the events so far."""
        *earlier, last = events
        form = self._rng.choice(self._forms.asks[slot[0]])
        fields = self._asked_about(slot, point)
        return StoryQuestion(
            self._prose.question(form, fields),
            slot[0],
            slot,
            str(next(iter(fields.values()))),
            point,
            self._ends[point - 1],
            last.told,
            tuple(event.told for event in earlier),
        )

    def _asked_about(self, slot: Slot, point: int) -> dict[str, Phrase]:
        """The fields of a question on a slot; a person sometimes by the name taken before the point."""
        aspect, of, *more = slot
        if aspect == HOLDER:
            return {"thing": Phrase(of)}
        if aspect == WORD:
            return {"lock": Phrase(of)}
        names = [
            event.change.value for event in self._events if event.change.slot == (NAME, of) and event.session <= point
        ]
        other = aspect != NAME and names and self._rng.random() < OTHER_NAME
        fields: dict[str, Phrase] = {"A": self._forms.person(of, names[-1] if other else None)}
        return fields | ({"secret": Phrase(more[0])} if aspect == KNOWS else {})


class Page:
    """The text of one turn while it is written."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left = rng.randint(*PARAGRAPH)
        self.text = ""

    @property
    def words(self) -> int:
        """Words between white space."""
        return len(self.text.split())

    def add(self, piece: str) -> tuple[int, int]:
        """Write a piece. Returns where it begins and ends."""
        if self._left == 0:
            self.end_paragraph()
        self._left -= 1
        gap = "" if not self.text or self.text.endswith("\n") else " "
        start = len(self.text) + len(gap)
        self.text += gap + piece
        return start, len(self.text)

    def end_paragraph(self) -> None:
        """Begin a new paragraph."""
        self._left = self._rng.randint(*PARAGRAPH)
        self.text += "\n\n"
