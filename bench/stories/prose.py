"""Sentences of a story: those that tell a change, and those that change nothing.

Owns the choice of forms and the words in them. No sentence that holds the new value of a change comes twice, and no
piece that changes nothing. Such a piece may name people, places and things in plans, memories and jokes, but never says
where or whose they are. Does not know turns.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from bench.stories.forms import USERS_ONLY, Forms, Phrase, fields_of, fitting
from bench.stories.world import Change, World
from engram.text.passages import units

SHARES = {"action": 34, "talk": 28, "detail": 14, "distractor": 14, "musing": 10}
"""How often each kind of sentence that changes nothing comes, relative to the others."""
TAILED = 0.6
"""The share of sentences on what somebody does that have a tail."""
REPLIED = 0.6
"""The share of what is said that gets a reply."""
TRIES = 100
"""Draws of a sentence, before one that was told is told again."""
ENDS = ("?", "!")


class Prose:
    """The sentences of one story."""

    def __init__(self, forms: Forms, world: World, rng: random.Random) -> None:
        self._forms, self._world, self._rng = forms, world, rng
        self._told: set[str] = set()
        self._uses: Counter[str] = Counter()
        self._entities: Mapping[str, Sequence[str]] = {
            "place": list(forms.places),
            "thing": forms.things,
            "part": forms.parts,
            "secret": forms.secrets,
            "title": forms.titles,
            "side": forms.sides,
            "lock": forms.locks,
        }

    def telling(self, change: Change, by_user: bool) -> str:
        """One to three sentences that tell a change: in the form of its kind that was used least so far."""
        forms = fitting(self._forms.changes[change.kind], [*change.fields, *self._forms.lists])
        forms = [form for form in forms if by_user or not form.startswith(USERS_ONLY)]
        for _ in range(TRIES):
            text = self._filled(self._least_used(forms), change.fields)
            naming = sentences_with(text, change.value)
            if self._told.isdisjoint(naming):
                break
        self._told.update(naming)
        return text

    def other(self, here: str) -> str:
        """One or two sentences in a scene at a place that change nothing."""
        for _ in range(TRIES):
            (kind,) = self._rng.choices(list(SHARES), list(SHARES.values()))
            text = self._sentence(kind, here)
            if text and text not in self._told:
                break
        self._told.add(text)
        return text

    def frame(self) -> str:
        """How a user begins a turn."""
        return self._of("frames", {})

    def closing(self) -> str:
        """How a user ends a turn."""
        return self._of("closings", {})

    def question(self, form: str, fields: Mapping[str, Phrase]) -> str:
        """A question in a form."""
        return self._filled(form, fields)

    def _sentence(self, kind: str, here: str) -> str:
        """A sentence of one of the kinds of `SHARES`; "" if there is nobody for it."""
        if kind == "action":
            return self._action(here)
        if kind == "talk":
            return self._talk(here)
        if kind == "detail":
            return self._filled(self._least_used(self._forms.places[here]), {})
        if kind == "musing":
            return self._filled(self._of("musings", {}), {})
        return self._distractor()

    def _action(self, here: str) -> str:
        people = self._people(here)
        if not people:
            return ""
        lead = self._of("leads", people)
        tail = self._of("tails", people) if self._rng.random() < TAILED else ""
        return self._filled(f"{lead} {self._of('mains', people)}{tail}.", people)

    def _talk(self, here: str) -> str:
        people = self._people(here)
        if not people:
            return ""
        text = self._said(self._of("lines", people), self._of("tags", people))
        if "B" in people and self._rng.random() < REPLIED:
            text += " " + self._said(self._of("replies", people), self._of("answers", people))
        return self._filled(text, people)

    def _said(self, line: str, tag: str) -> str:
        end = "" if line.endswith(ENDS) else ","
        return f"“{line}{end}” {tag}."

    def _distractor(self) -> str:
        one, other = self._rng.sample(list(self._forms.people), 2)
        fields: dict[str, Phrase] = {"A": self._forms.person(one), "C": self._forms.person(other)}
        fields |= {name: Phrase(self._rng.choice(values)) for name, values in self._entities.items()}
        return self._filled(self._of("distractors", fields), fields)

    def _people(self, here: str) -> dict[str, Phrase]:
        """Up to two people of the scene, as the fields A and B."""
        present = self._world.present(here)
        chosen = self._rng.sample(present, min(2, len(present)))
        return {field: self._forms.person(name) for field, name in zip("AB", chosen, strict=False)}

    def _of(self, kind: str, fields: Mapping[str, Phrase]) -> str:
        """A form of a kind of filler for which there are these fields."""
        return self._least_used(fitting(self._forms.filler[kind], [*fields, *self._forms.lists]))

    def _least_used(self, forms: Sequence[str]) -> str:
        """One of the forms that were used least so far."""
        fewest = min(self._uses[form] for form in forms)
        form = self._rng.choice([form for form in forms if self._uses[form] == fewest])
        self._uses[form] += 1
        return form

    def _filled(self, form: str, fields: Mapping[str, Phrase]) -> str:
        """A form with its fields, and with words of the lists in its other places: one of each list."""
        lists = self._forms.lists
        names = sorted(fields_of(form) & lists.keys())
        return form.format_map({**fields, **{name: Phrase(self._rng.choice(lists[name])) for name in names}})


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[start:end].strip() for start, end in units(text)]


def sentences_with(text: str, value: str) -> list[str]:
    """The sentences of a text that hold a value, with or without a capital."""
    return [sentence for sentence in sentences(text) if value.casefold() in sentence.casefold()]
