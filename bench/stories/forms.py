"""The texts of one story: its people, places and things, and the forms of its sentences.

Owns the format of `data/stories/*.json` (docs/bench.md) and the words that fill the places of a form. There are two
files without a form, name, place or thing in common. The one that is held out is never looked at while anything is
tuned: only its totals are reported. Does not know what happens in a story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from bench.datasets import DatasetError, data_folder, read_json

CHANGES: Mapping[str, frozenset[str]] = {
    "move": frozenset(["A", "to"]),
    "give": frozenset(["A", "B", "thing"]),
    "take": frozenset(["A", "thing"]),
    "hide": frozenset(["A", "thing", "here"]),
    "hurt": frozenset(["A", "part"]),
    "heal": frozenset(["A", "part"]),
    "rename": frozenset(["A", "name"]),
    "title": frozenset(["A", "title"]),
    "learn": frozenset(["A", "secret"]),
    "side": frozenset(["A", "side"]),
    "word": frozenset(["lock", "word"]),
}
"""The kinds of changes, each with the fields that every form of it has."""
ASPECTS: Mapping[str, frozenset[str]] = {
    "place": frozenset(["A"]),
    "holder": frozenset(["thing"]),
    "injury": frozenset(["A"]),
    "name": frozenset(["A"]),
    "title": frozenset(["A"]),
    "knows": frozenset(["A", "secret"]),
    "side": frozenset(["A"]),
    "word": frozenset(["lock"]),
}
"""What is asked for, each with the fields that every question about it has."""
FILLER = tuple("leads mains tails lines tags replies answers musings distractors frames closings".split())
"""The kinds of forms that change nothing."""
FEWEST_FORMS = 12
"""The least number of forms for each kind of change."""
USERS_ONLY = "("
"""How a form begins that only the user writes: a note about the story, and not a part of it."""
PRONOUNS = {"f": ("she", "her", "her"), "m": ("he", "him", "his")}


class Phrase(str):
    """A value for a place in a form; `{to.Cap}` begins a sentence with it."""

    __slots__ = ()

    @property
    def Cap(self) -> str:  # noqa: N802
        """The phrase with a capital."""
        return self[:1].upper() + self[1:]


class Person(Phrase):
    """The name by which a person is called, with the pronouns: `{A}`, `{A.he}`, `{A.him}`, `{A.his}`, `{A.He}`."""

    __slots__ = ("_pronouns",)
    _pronouns: tuple[str, str, str]

    def __new__(cls, name: str, gender: str) -> Person:
        """gender: one of `PRONOUNS`. Raises KeyError for another one."""
        person = super().__new__(cls, name)
        person._pronouns = PRONOUNS[gender]
        return person

    @property
    def he(self) -> str:
        """The subject."""
        return self._pronouns[0]

    @property
    def him(self) -> str:
        """The object."""
        return self._pronouns[1]

    @property
    def his(self) -> str:
        """The possessive."""
        return self._pronouns[2]

    @property
    def He(self) -> str:  # noqa: N802
        """The subject at the beginning of a sentence."""
        return self.he.capitalize()

    @property
    def His(self) -> str:  # noqa: N802
        """The possessive at the beginning of a sentence."""
        return self.his.capitalize()


@cache
def fields_of(form: str) -> frozenset[str]:
    """The names of the fields of a form, without what follows the dot."""
    return frozenset(name.partition(".")[0] for _, name, _, _ in Formatter().parse(form) if name)


def fitting(forms: Iterable[str], fields: Iterable[str]) -> list[str]:
    """The forms that need no other than these fields."""
    known = frozenset(fields)
    return [form for form in forms if fields_of(form) <= known]


@dataclass(frozen=True, slots=True)
class Forms:
    """The texts of one story."""

    name: str
    held_out: bool
    people: Mapping[str, str]
    """The gender of each person, by name."""
    places: Mapping[str, Sequence[str]]
    """Sentences about each place, which do not name it."""
    things: Sequence[str]
    parts: Sequence[str]
    """Of a body."""
    secrets: Sequence[str]
    names: Mapping[str, Sequence[str]]
    """Names that people of each gender can take."""
    titles: Sequence[str]
    sides: Sequence[str]
    locks: Sequence[str]
    """What opens for a word."""
    words: Sequence[str]
    lists: Mapping[str, Sequence[str]]
    """Words for the other fields of forms: what is eaten, heard, worn and so on."""
    changes: Mapping[str, Sequence[str]]
    asks: Mapping[str, Sequence[str]]
    filler: Mapping[str, Sequence[str]]

    def person(self, name: str, called: str | None = None) -> Person:
        """The person with this name, called by it or by another one."""
        return Person(called or name, self.people[name])


def read_stories(folder: Path | None = None) -> list[Forms]:
    """Read the texts of the stories in a folder, by default those of this repository, the one to tune on first.

    Raises `DatasetError` if a file cannot be read or has another form.
    """
    paths = sorted((folder or data_folder() / "stories").glob("*.json"))
    return sorted((read_forms(path) for path in paths), key=lambda forms: forms.held_out)


def read_forms(path: Path) -> Forms:
    """Read the texts of one story. Raises `DatasetError` if the file cannot be read or has another form."""
    read = read_json(path)
    try:
        people = dict(read["people"])
        simple = {key: read[key] for key in Forms.__dataclass_fields__ if key != "people"}
        forms = Forms(people=people, **simple)
        problems = [*genders(forms), *missing(forms), *unknown(forms)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is not a file of a story: {error!r}") from error
    if problems:
        raise DatasetError(f"{path}: {problems[0]}")
    return forms


def genders(forms: Forms) -> list[str]:
    """The people whose gender is none of `PRONOUNS`."""
    return [f"{gender!r} is the gender of {name!r}" for name, gender in forms.people.items() if gender not in PRONOUNS]


def missing(forms: Forms) -> list[str]:
    """What is wrong with the number of forms of a kind, or with the fields that all forms of a kind must have."""
    problems = [f"the kind {kind!r} has under {FEWEST_FORMS} forms" for kind in CHANGES if few(forms.changes[kind])]
    problems += [f"there are no {kind}" for kind in FILLER if not forms.filler[kind]]
    needed = ((CHANGES, forms.changes), (ASPECTS, forms.asks))
    for kinds, given in needed:
        for kind, fields in kinds.items():
            problems += [
                f"{form!r} lacks one of {sorted(fields)}" for form in given[kind] if not fields <= fields_of(form)
            ]
    return problems


def few(forms: Sequence[str]) -> bool:
    """Whether these are too few different forms for a kind of change."""
    return len(set(forms)) < FEWEST_FORMS


def unknown(forms: Forms) -> list[str]:
    """The forms with a field that nothing fills."""
    fillable = {field for fields in CHANGES.values() for field in fields} | set(forms.lists) | {"C", "from", "place"}
    return [f"{form!r} has an unknown field" for form in all_forms(forms) if not fields_of(form) <= fillable]


def all_forms(forms: Forms) -> list[str]:
    """Every form of a story."""
    groups: Iterable[Mapping[str, Any]] = (forms.places, forms.changes, forms.asks, forms.filler)
    return [form for group in groups for kind in group.values() for form in kind]
