"""What is in play: the latest that was said of the people, places and things that a message names.

Owns which sentences of a story, or of a project, are chosen for a message within a budget, and how they are shown. A
sentence is a quotation of a turn, with its day and who said it; what an assistant told is part of the story, and is
marked as the assistant's. Nothing is decided of what is true: of what is said of a thing, the latest comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engram.engram import Engram
from engram.recall.context import CountTokens, speaker_of
from engram.reflection.names import COMMON, READ, names_in, number_of, tells, tokens
from engram.reflection.tellings import Sentence, sentences_of
from engram.text.common import share_of

LATEST = 120
"""Turns of a name that are read, the latest ones."""
MOST_READ = 200_000
"""Characters of the turns of a name that are read, the latest ones."""
MOST_ANCHORS = 8
"""Names of a message that are looked up."""
OF_LAST_SESSION = 4
"""Names of the last session that are looked up if a message names nothing."""
LAST_TURNS = 20
"""Turns of the last session that are read for them."""
OF_A_WORD = 4
"""Sentences of a word that is not written as a name, if the message names something else, too."""
FEW = 12
"""Sentences of a name up to which all of them count as telling, and come with what stands around them."""
TOGETHER = 0.3
"""Share of the sentences with the rarest word of a phrase that hold the phrase, from which the phrase is one name."""
WRITTEN = 0.25
"""Share of the sentences of a name in which it is written as a name, from which it is one."""
SELDOM = 0.08
"""Share of the sentences of a name up to which another name is one that it seldom stands with."""
BEFORE = 100
"""Characters up to which the sentence before comes with one, if it names nobody."""
SHARE_TOGETHER = 0.6
"""Part of the budget of sentences that name two or more of what the message names."""
MISSES = 5
"""Sentences that do not fit, after which no more are tried."""
TOKENS_OF_LINE = 4
"""Tokens of the marks of a turn that is quoted: a line break, a dash, who says it."""
LONGEST_PHRASE = 4
"""Words of a phrase at most."""

Phrase = tuple[str, ...]
"""Stems that stand next to each other, common words left out."""


class Place(NamedTuple):
    """A sentence of a turn."""

    seq: int
    number: int
    """Its position in the turn."""


@dataclass(slots=True)
class Anchor:
    """Something that a message names."""

    phrase: Phrase
    complete: bool
    """Whether `places` has all of its sentences, and not only the latest."""
    quota: int | None = None
    """Sentences of it that are shown at most; None: as many as fit."""
    places: list[Place] = field(default_factory=list)
    """The sentences that name it or go on about it, the latest first."""
    written: int = 0
    """In how many of them it is written as a name."""

    @property
    def is_thing(self) -> bool:
        """Whether it is written as a name, or is a phrase, and so is more than a word."""
        return len(self.phrase) > 1 or self.written > WRITTEN * len(self.places)


class Lookup(NamedTuple):
    """Where turns are found; all of them up to the time that is asked for."""

    naming: Callable[[int, int], Sequence[tuple[int, int]]]
    """Returns the times and seqs of at most so many turns that name something, by its number, the latest first."""
    last_session: Callable[[int], Sequence[int]]
    """Returns the seqs of the turns of the last session among so many last ones, the latest first."""
    speakers: Callable[[], frozenset[str]]
    """Returns the stems of the names of those who speak: what they say is theirs, and not said of them."""
    turns: Callable[[Sequence[int]], Mapping[int, Engram]]
    """Returns the turns with some seqs that are still there."""


class InPlay:
    """Finds the sentences on what one message names. Reads each turn once."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._engrams: dict[int, Engram] = {}
        self._times: dict[int, int] = {}
        self._few: set[Place] = set()
        self._read_already: dict[int, tuple[Sentence, ...]] = {}
        self.names_something = False
        """Whether the last message names a person, a place or a thing, and not only words."""

    def anchors(self, query: str) -> list[Anchor]:
        """Return what a message names and turns name, too, or else what the last session names; with sentences."""
        found: list[Anchor] = []
        for group in groups_of(query):
            for phrase in phrases(group):
                if not any(within(phrase, known.phrase) for known in found):
                    anchor = self.anchor(phrase)
                    if anchor.places and self._is_one(anchor):
                        found.append(anchor)
        speakers = self._lookup.speakers()
        self.names_something = any(anchor.is_thing and not speakers.issuperset(anchor.phrase) for anchor in found)
        if not found:
            found = [anchor for phrase in self._last_named() if (anchor := self.anchor(phrase)).places]
        found = sorted(found, key=lambda anchor: not anchor.is_thing)[:MOST_ANCHORS]
        if any(anchor.is_thing for anchor in found):
            for anchor in found:
                anchor.quota = None if anchor.is_thing else OF_A_WORD
        return found + [other for anchor in found if anchor.is_thing for other in self._introduced_with(anchor)]

    def anchor(self, phrase: Phrase) -> Anchor:
        """Return something by its stems, with the sentences that name it, or that go on about it with a pronoun."""
        found = (self._lookup.naming(number_of(key), LATEST) for key in phrase)
        turns = min(filter(None, found), key=len, default=())
        self._read(turns)
        anchor = Anchor(phrase, complete=len(turns) < LATEST)
        left = MOST_READ
        for _, seq in turns:
            sentences = self._sentences(seq)
            left -= sentences[-1].stop if sentences else 0
            if left < 0 and anchor.places:
                anchor.complete = False
                break
            for index in reversed(range(len(sentences))):
                here = sentences[index]
                goes_on = here.goes_on and sentences[index - 1].names_phrase(phrase)
                if goes_on or here.names_phrase(phrase):
                    anchor.places.append(Place(seq, index))
                    anchor.written += not here.names.isdisjoint((*phrase, " ".join(phrase)))
        return anchor

    def _is_one(self, anchor: Anchor) -> bool:
        """Return whether words that stand together are one name: the rarest of them mostly stands with the others."""
        if len(anchor.phrase) == 1:
            return True
        alone = [self.anchor((key,)).places for key in anchor.phrase]
        return len(anchor.places) >= TOGETHER * min(map(len, filter(None, alone)))

    def _introduced_with(self, anchor: Anchor) -> list[Anchor]:
        """Return the names with which a name of few sentences was introduced: another name of a person, or a place."""
        if not anchor.complete or len(anchor.places) > FEW:
            return []
        others: list[Anchor] = []
        used = set(anchor.phrase)
        for name in sorted(self._sentence(anchor.places[-1]).names, key=lambda name: (-len(name), name)):
            phrase = tuple(key for key in name.split() if share_of(key) < COMMON)
            if phrase and used.isdisjoint(phrase):
                used.update(phrase)
                others.append(self.anchor(phrase))
        return others

    def _last_named(self) -> list[Phrase]:
        """Return the names that most turns of the last session name."""
        turns = self._lookup.turns(self._lookup.last_session(LAST_TURNS))
        named = Counter(key for turn in turns.values() for key, is_name in names_in(turn.text).items() if is_name)
        most = sorted(named, key=lambda key: (-named[key], key))[:OF_LAST_SESSION]
        return [tuple(key for key in name.split() if share_of(key) < COMMON) for name in most]

    def chosen(self, anchors: Sequence[Anchor], budget: int, count: CountTokens) -> list[Place]:
        """Return the sentences that fit into a budget, in the order of time."""
        taken: dict[Place, None] = {}
        matched = Counter(place for anchor in anchors for place in anchor.places)
        together = sorted((place for place, number in matched.items() if number > 1), key=self._when, reverse=True)
        self._few = {place for anchor in anchors if len(anchor.places) <= FEW for place in anchor.places}
        used = self._take(together, taken, int(SHARE_TOGETHER * budget), count)
        self._take(self._in_turn(anchors), taken, budget - used, count)
        return sorted(taken, key=self._when)

    def _in_turn(self, anchors: Sequence[Anchor]) -> Iterator[Place]:
        """Yield the sentences of anchors, one of each in turn.

        Of an anchor with many, the latest that tie it to a name with which it seldom stands come in turn with the
        latest of all; what is nothing but its words in a conversation comes last.
        """
        lists = []
        for anchor in anchors:
            places = anchor.places
            if len(places) > FEW and anchor.quota is None:
                lists.append(self._telling(anchor))
                places = sorted(places, key=lambda place: self._sentence(place).only_talk)
            lists.append(places[: anchor.quota])
        for index in range(max(map(len, lists), default=0)):
            for places in lists:
                if index < len(places):
                    yield places[index]

    def _telling(self, anchor: Anchor) -> list[Place]:
        """Return the sentences of an anchor with a name with which it seldom stands, the latest first."""
        beside = Counter(name for place in anchor.places for name in self._sentence(place).names)
        seldom = {name for name, number in beside.items() if number <= SELDOM * len(anchor.places)}
        own = set(anchor.phrase)
        others = {name for name in seldom if own.isdisjoint(name.split())}
        return [place for place in anchor.places if not others.isdisjoint(self._sentence(place).names)]

    def _take(self, places: Iterable[Place], taken: dict[Place, None], budget: int, count: CountTokens) -> int:
        """Take the first sentences that fit, with what goes on about the same. Returns the tokens that they use."""
        used = misses = 0
        quoted = {place.seq for place in taken}
        for place in places:
            wanted = [each for each in self._with_neighbours(place) if each not in taken]
            cost = sum(count(self.text(each)) + 1 for each in wanted)
            cost += TOKENS_OF_LINE if wanted and place.seq not in quoted else 0
            if used + cost <= budget:
                used += cost
                taken.update(dict.fromkeys(wanted))
                quoted.add(place.seq)
                continue
            misses += 1
            if misses > MISSES:
                break
        return used

    def _with_neighbours(self, place: Place) -> list[Place]:
        """Return a sentence with the one before and the one after it in its paragraph, where they name nobody else."""
        sentences = self._sentences(place.seq)
        here, few, found = sentences[place.number], place in self._few, [place]
        if not here.begins_paragraph:
            before = sentences[place.number - 1]
            if few or (not before.names and (here.goes_on or before.stop - before.start <= BEFORE)):
                found.insert(0, Place(place.seq, place.number - 1))
        if place.number + 1 < len(sentences):
            after = sentences[place.number + 1]
            if not after.begins_paragraph and (few or after.goes_on or not after.names):
                found.append(Place(place.seq, place.number + 1))
        return found

    def text(self, place: Place) -> str:
        """Return a sentence, on one line."""
        return " ".join(self._sentence(place).text.split())

    def engram(self, place: Place) -> Engram:
        """Return the turn of a sentence."""
        return self._engrams[place.seq]

    def _read(self, turns: Sequence[tuple[int, int]]) -> None:
        missing = [seq for _, seq in turns if seq not in self._times]
        self._times.update((seq, at) for at, seq in turns)
        if missing:
            self._engrams.update(self._lookup.turns(missing))

    def _sentences(self, seq: int) -> tuple[Sentence, ...]:
        found = self._read_already.get(seq)
        if found is None:
            engram = self._engrams.get(seq)
            found = self._read_already[seq] = () if engram is None else sentences_of(engram.text)
        return found

    def _sentence(self, place: Place) -> Sentence:
        return self._sentences(place.seq)[place.number]

    def _when(self, place: Place) -> tuple[int, int, int]:
        return self._times[place.seq], place.seq, place.number


def groups_of(query: str) -> list[Phrase]:
    """Return the runs of words of a message that are not common; a common word may stand inside: "ledger of tithes".

    In a script without spaces, each pair of characters is a run of its own.
    """
    groups: list[Phrase] = []
    gap = 2
    for token in tokens(query[:READ]):
        if len(token.keys) != 1:
            groups += [(key,) for key in dict.fromkeys(token.keys) if tells(key)]
            gap = 2
        elif not tells(token.keys[0]):
            gap += 1
        else:
            groups[len(groups) - (gap < 2) :] = [(*(groups[-1] if gap < 2 else ()), token.keys[0])]
            gap = 0
    return groups


def phrases(group: Phrase) -> Iterator[Phrase]:
    """Yield the parts of a run of words, the longest first."""
    for length in range(min(len(group), LONGEST_PHRASE), 0, -1):
        for start in range(len(group) - length + 1):
            yield group[start : start + length]


def within(phrase: Phrase, other: Phrase) -> bool:
    """Return whether a run of words is a part of another one."""
    return f" {' '.join(phrase)} " in f" {' '.join(other)} "


def lines_of(in_play: InPlay, places: Sequence[Place], shown: Callable[[Engram], Engram]) -> list[str]:
    """Return sentences in the order of time as lines: a day, then each turn with who said it.

    shown: returns an engram with its time as it is to be shown. Where sentences of a turn are left out, "…" stands.
    """
    lines: list[str] = []
    last: tuple[str, str] | None = None
    previous: Place | None = None
    for place in places:
        engram = shown(in_play.engram(place))
        day = engram.at.date().isoformat()
        if (day, engram.session) != last:
            lines.append(f"[{day}]")
            last = day, engram.session
        text = in_play.text(place)
        if previous is not None and previous.seq == place.seq:
            lines[-1] += (" " if previous.number + 1 == place.number else " … ") + text
        else:
            lines.append(f"- {speaker_of(engram)}: {text}")
        previous = place
    return lines
