"""What happens in a story: the state of its world, and the changes that can follow from it.

Owns the rules: who can give what to whom, who can be hurt, which names are free. Does not know how a change is told.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from bench.stories.forms import Forms, Person, Phrase

Slot = tuple[str, ...]
"""What holds one value at a time: an aspect (one of `forms.ASPECTS`), then what it is of."""
PLACE, HOLDER, INJURY, NAME, TITLE, KNOWS, SIDE, WORD = (
    "place",
    "holder",
    "injury",
    "name",
    "title",
    "knows",
    "side",
    "word",
)
KINDS = {
    "move": 95,
    "give": 100,
    "take": 60,
    "hide": 70,
    "hurt": 30,
    "heal": 24,
    "rename": 18,
    "title": 22,
    "learn": 27,
    "side": 24,
    "word": 18,
}
"""How often each kind of change happens, relative to the others."""
TRIES = 40
"""Draws of a kind of change, before a turn goes without."""
ABSENT = 0.2
"""The share of moves of a person who is not in the scene."""
OTHER_NAME = 0.1
"""The share of changes and questions that call a person by the name that the person has taken."""
REST = 6
"""Changes of other things before the same one can change again."""
RECOVERY = 12
"""Changes after which an injury can heal."""
COMPANY, SOUGHT = 3, 4
"""People at a place to which nobody else moves, and how much rather people move to where somebody is."""

Fields = Mapping[str, Phrase]


class Change(NamedTuple):
    """One change of the state."""

    kind: str
    """One of `forms.CHANGES`."""
    slot: Slot
    value: str
    """The new value, as the text names it; for `knows` the secret, for an injury the part, healed or not."""
    fields: Fields
    """What fills the forms."""


class World:
    """The state at one moment. People begin two and three to a place; nothing else of the state holds at first."""

    def __init__(self, forms: Forms, rng: random.Random) -> None:
        self._forms, self._rng = forms, rng
        self._people = list(forms.people)
        rng.shuffle(self._people)
        places = rng.sample(list(forms.places), len(self._people) // 2)
        self._place = {name: places[number // 2] for number, name in enumerate(self._people)}
        self._holder: dict[str, tuple[str, str]] = {}
        """By thing: "person" or "place", and which."""
        self._injury: dict[str, tuple[str, int]] = {}
        """By person: the part, and the number of the change."""
        self._name: dict[str, str] = {}
        self._title: dict[str, str] = {}
        self._side: dict[str, str] = {}
        self._word: dict[str, str] = {}
        self._knows: set[tuple[str, str]] = set()
        self._used: set[str] = set()
        """Names and words, which come once."""
        self._changes = 0
        self._recent: deque[Slot] = deque(maxlen=REST)
        self._possible: dict[str, Callable[[str], Change | None]] = {
            "move": self._move,
            "give": self._give,
            "take": self._take,
            "hide": self._hide,
            "hurt": self._hurt,
            "heal": self._heal,
            "rename": self._rename,
            "title": self._entitle,
            "learn": self._learn,
            "side": self._join,
            "word": self._reword,
        }

    def present(self, place: str) -> list[str]:
        """The people at a place."""
        return [name for name in self._people if self._place[name] == place]

    def scene(self) -> str:
        """A place with at least two people, or else one with the most."""
        company = [place for place in self._forms.places if len(self.present(place)) > 1]
        return self._rng.choice(company) if company else max(self._forms.places, key=lambda one: len(self.present(one)))

    def change(self, here: str) -> Change | None:
        """Change something in a scene at the place `here`; None if nothing was found that could change."""
        for _ in range(TRIES):
            (kind,) = self._rng.choices(list(KINDS), list(KINDS.values()))
            found = self._possible[kind](here)
            if found is not None:
                self._changes += 1
                self._recent.append(found.slot)
                return found
        return None

    def called(self, name: str) -> Person:
        """A person, sometimes by the name that the person has taken."""
        taken = self._name.get(name)
        return self._forms.person(name, taken if taken and self._rng.random() < OTHER_NAME else None)

    def _rested(self, aspect: str, of: Iterable[str]) -> list[str]:
        """Those of which this aspect has not changed lately."""
        return [one for one in of if (aspect, one) not in self._recent]

    def _one(self, names: Sequence[str]) -> str | None:
        return self._rng.choice(names) if names else None

    def _other(self, name: str, here: str) -> dict[str, Phrase]:
        """Somebody else in the scene as the field B, if there is anybody."""
        other = self._one([one for one in self.present(here) if one != name])
        return {} if other is None else {"B": self.called(other)}

    def _unused(self, values: Sequence[str]) -> str | None:
        value = self._one([value for value in values if value not in self._used])
        if value is not None:
            self._used.add(value)
        return value

    def _move(self, here: str) -> Change | None:
        absent = self._rng.random() < ABSENT
        name = self._one(self._rested(PLACE, [one for one in self._people if (self._place[one] != here) == absent]))
        if name is None:
            return None
        start = self._place[name]
        free = [to for to in self._forms.places if to != start and len(self.present(to)) < COMPANY]
        (to,) = self._rng.choices(free, [SOUGHT if self.present(to) else 1 for to in free])
        other = self._other(name, start)
        self._place[name] = to
        fields = {"A": self.called(name), "to": Phrase(to), "from": Phrase(start)}
        return Change("move", (PLACE, name), to, fields | other)

    def _held(self, here: str) -> tuple[str, str] | None:
        """A thing and the person in the scene who has it."""
        present = self.present(here)
        held = [thing for thing, (kind, who) in self._holder.items() if kind == "person" and who in present]
        thing = self._one(self._rested(HOLDER, held))
        return None if thing is None else (thing, self._holder[thing][1])

    def _give(self, here: str) -> Change | None:
        held = self._held(here)
        if held is None:
            return None
        thing, giver = held
        receiver = self._one([name for name in self.present(here) if name != giver])
        if receiver is None:
            return None
        self._holder[thing] = ("person", receiver)
        given_to = self.called(receiver)
        fields = {"A": self.called(giver), "B": given_to, "thing": Phrase(thing)}
        return Change("give", (HOLDER, thing), str(given_to), fields)

    def _take(self, here: str) -> Change | None:
        free = [thing for thing in self._forms.things if self._holder.get(thing, ("place", here)) == ("place", here)]
        thing, taker = self._one(self._rested(HOLDER, free)), self._one(self.present(here))
        if thing is None or taker is None:
            return None
        self._holder[thing] = ("person", taker)
        taken_by = self.called(taker)
        return Change("take", (HOLDER, thing), str(taken_by), {"A": taken_by, "thing": Phrase(thing)})

    def _hide(self, here: str) -> Change | None:
        held = self._held(here)
        if held is None:
            return None
        thing, owner = held
        self._holder[thing] = ("place", here)
        fields = {"A": self.called(owner), "thing": Phrase(thing), "here": Phrase(here)}
        return Change("hide", (HOLDER, thing), here, fields)

    def _hurt(self, here: str) -> Change | None:
        unhurt = [one for one in self.present(here) if one not in self._injury]
        name = self._one(self._rested(INJURY, unhurt))
        if name is None:
            return None
        part = self._rng.choice(self._forms.parts)
        self._injury[name] = (part, self._changes)
        fields = {"A": self.called(name), "part": Phrase(part)}
        return Change("hurt", (INJURY, name), part, fields | self._other(name, here))

    def _heal(self, here: str) -> Change | None:
        healable = [one for one, (_, since) in self._injury.items() if self._changes - since >= RECOVERY]
        name = self._one(healable)
        if name is None:
            return None
        part, _ = self._injury.pop(name)
        return Change("heal", (INJURY, name), part, {"A": self.called(name), "part": Phrase(part)})

    def _rename(self, here: str) -> Change | None:
        name = self._one(self._rested(NAME, self.present(here)))
        taken = None if name is None else self._unused(self._forms.names[self._forms.people[name]])
        if name is None or taken is None:
            return None
        other = self._other(name, here)
        self._name[name] = taken
        return Change("rename", (NAME, name), taken, {"A": self._forms.person(name), "name": Phrase(taken)} | other)

    def _entitle(self, here: str) -> Change | None:
        name = self._one(self._rested(TITLE, self.present(here)))
        title = self._one([title for title in self._forms.titles if title not in self._title.values()])
        if name is None or title is None:
            return None
        self._title[name] = title
        return Change("title", (TITLE, name), title, {"A": self.called(name), "title": Phrase(title)})

    def _learn(self, here: str) -> Change | None:
        present = self.present(here)
        unknown = [
            (name, secret) for name in present for secret in self._forms.secrets if (name, secret) not in self._knows
        ]
        if not unknown:
            return None
        name, secret = self._rng.choice(unknown)
        fields: dict[str, Phrase] = {"A": self.called(name), "secret": Phrase(secret)}
        teller = self._one([other for other in present if (other, secret) in self._knows])
        if teller is not None:
            fields["B"] = self.called(teller)
        self._knows.add((name, secret))
        return Change("learn", (KNOWS, name, secret), secret, fields)

    def _join(self, here: str) -> Change | None:
        name = self._one(self._rested(SIDE, self.present(here)))
        if name is None:
            return None
        side = self._rng.choice([side for side in self._forms.sides if side != self._side.get(name)])
        self._side[name] = side
        return Change("side", (SIDE, name), side, {"A": self.called(name), "side": Phrase(side)})

    def _reword(self, here: str) -> Change | None:
        lock, name = self._one(self._rested(WORD, self._forms.locks)), self._one(self.present(here))
        word = None if lock is None else self._unused(self._forms.words)
        if lock is None or word is None:
            return None
        fields = {"lock": Phrase(lock), "word": Phrase(word)}
        return Change("word", (WORD, lock), word, fields | ({} if name is None else {"A": self.called(name)}))
