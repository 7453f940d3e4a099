"""The view of one arc: its quotes, the people and things in it with what was last said of them, and its open ends.

Owns what of its turns is quoted. It is made anew each time from the turns, so a turn that was forgotten leaves no trace
in it. Pure functions, in time proportional to the length of the turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from engram.engram import Engram
from engram.reflection.arcs import Arc, ArcView, OpenEnd, Quote, Thing
from engram.reflection.names import COMMON, number_of
from engram.reflection.open_ends import asks, open_plans, open_questions, open_tasks, sentences_in
from engram.reflection.surfaces import surface_of
from engram.reflection.tellings import Sentence, is_only_talk, sentences_of
from engram.text.common import share_of
from engram.text.passages import Span

THINGS = 12
"""People, places and things that are shown at most, with what the arc is about."""
LATEST = 3
"""Statements on each that are shown, the last ones."""
LEAST = 2
"""Turns of an arc that name something which is shown in it."""


class Shared(NamedTuple):
    """What the sentences of an arc share."""

    key: str
    """Its stems, with a space between them."""
    phrase: tuple[str, ...]
    """Those of them that are no common words."""

    def names(self, sentence: Sentence) -> bool:
        """Return whether a sentence names it."""
        return self.key in sentence.named or (len(self.phrase) > 1 and sentence.names_phrase(self.phrase))


class Around(NamedTuple):
    """What is known of the turns of an arc besides their texts."""

    replaced: Mapping[str, Sequence[Span]]
    """By the id of a turn, where its statements stand that a later one has replaced."""
    plans: Mapping[str, Sequence[Span]]
    """By the id of a turn, where it states plans that hold."""
    answered: Callable[[Engram], bool]
    """Returns whether anybody else said anything in the session of a turn after it."""
    done: Callable[[Quote], bool]
    """Returns whether any later turn says that a task is done, be it of this arc or not."""


def shared_by(key: str) -> Shared:
    """Return what an arc shares, by its key."""
    return Shared(key, tuple(part for part in key.split() if share_of(part) < COMMON))


def viewed(arc: Arc, shared: Shared, engrams: Sequence[Engram], left_out: int, around: Around, unread: int) -> ArcView:
    """Return the view of an arc whose turns, in the order of time, are `engrams`."""
    quotes = tuple(quote for engram in engrams for quote in quotes_of(engram, shared))
    things = things_of(arc, shared, engrams, quotes, around)
    return ArcView(arc, quotes, left_out, things, ends_of(engrams, quotes, around), unread)


def ends_of(engrams: Sequence[Engram], quotes: Sequence[Quote], around: Around) -> tuple[OpenEnd, ...]:
    """Return the open ends of an arc, in the order of time."""
    plans = [quote for quote in quotes if overlaps(quote, around.plans) and not asks(quote.text)]
    tasks = [end for end in open_tasks(engrams) if not around.done(end.quote)]
    ends = [*open_questions(quotes, around.answered), *tasks, *open_plans(plans, engrams[-1])]
    return tuple(sorted(ends, key=lambda end: (end.quote.at, end.quote.engram.id, end.quote.start)))


def quotes_of(engram: Engram, shared: Shared) -> list[Quote]:
    """Return the sentences of a turn that name something or go on about it; those that follow each other as one."""
    sentences = sentences_of(engram.text)
    quotes: list[Quote] = []
    last = -2
    for index, here in enumerate(sentences):
        if not (shared.names(here) or (here.goes_on and shared.names(sentences[index - 1]))):
            continue
        joins = last == index - 1 and not here.begins_paragraph
        start = quotes.pop().start if joins else here.start
        quotes.append(Quote(engram, start, here.stop))
        last = index
    return quotes


def things_of(
    arc: Arc, shared: Shared, engrams: Sequence[Engram], quotes: Sequence[Quote], around: Around
) -> tuple[Thing, ...]:
    """Return what an arc is about first, then what the quotes of at least `LEAST` turns name."""
    beside = [shared_by(key) for key in names_beside(shared, quotes)]
    return tuple(thing_of(each, arc.title, engrams, around) for each in [shared, *beside][:THINGS])


def thing_of(each: Shared, otherwise: str, engrams: Sequence[Engram], around: Around) -> Thing:
    """Return a thing of an arc with what was last said of it; otherwise: its name if no turn writes it as a name."""
    of_turns = [(engram, found) for engram in engrams if (found := quotes_of(engram, each))]
    statements = [quote for _, found in reversed(of_turns) for quote in reversed(found)]
    holding = [quote for quote in statements if not overlaps(quote, around.replaced) and not asks(quote.text)]
    latest = sorted(holding, key=lambda quote: is_only_talk(quote.text))[:LATEST]
    surfaces = (surface_of(engram.text, number_of(each.key)) for engram, _ in reversed(of_turns))
    return Thing(next(filter(None, surfaces), otherwise), len(of_turns), tuple(latest))


def names_beside(shared: Shared, quotes: Sequence[Quote]) -> list[str]:
    """Return the keys of what some quote writes as a name and the quotes of at least `LEAST` turns name.

    Those of the most turns first, and of a name of several words only the whole.
    """
    by_turn: dict[str, set[str]] = {}
    written = set[str]()
    for quote, sentence in sentences_in(quotes):
        by_turn.setdefault(quote.engram.id, set()).update(sentence.named)
        written |= sentence.names
    turns = Counter(key for keys in by_turn.values() for key in keys & written)
    kept: list[str] = []
    used = set(shared.key.split())
    for key in sorted(turns, key=lambda key: (-turns[key], -len(key), key)):
        if turns[key] >= LEAST and used.isdisjoint(key.split()):
            kept.append(key)
            used |= set(key.split())
    return kept


def overlaps(quote: Quote, spans: Mapping[str, Sequence[Span]]) -> bool:
    """Return whether a quote shares a part with any of some spans, by the id of their turn."""
    return any(start < quote.stop and quote.start < stop for start, stop in spans.get(quote.engram.id, ()))
